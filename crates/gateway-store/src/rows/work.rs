//! Jobs, leases, dead letters.

use gateway_model::{ChannelId, DeadLetterId, JobId, RawId, SourceNumber, Timestamp};

/// What a background job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKind {
    /// Read an order again by its number (the subject).
    Reread,
    /// Compare a channel's account now; the subject is `whole` or `recent`.
    Reconcile,
    /// Fetch a window again; the subject is `<dataset> <start> <end>`.
    Backfill,
    /// Tell a channel by file what it was told; the subject is `whole` or a day.
    Export,
}

impl JobKind {
    /// The name in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::Reread => "reread",
            JobKind::Reconcile => "reconcile",
            JobKind::Backfill => "backfill",
            JobKind::Export => "export",
        }
    }
}

/// A job to enqueue. One of the same kind, channel and subject that waits already is the same job; one that runs already runs once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What.
    pub kind: JobKind,
    /// For which channel.
    pub channel: ChannelId,
    /// About what.
    pub subject: String,
    /// A code for why, for people.
    pub reason: String,
    /// Not before; of two enqueued, the earlier counts.
    pub run_at: Timestamp,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What.
    pub kind: JobKind,
    /// For which channel.
    pub channel: ChannelId,
    /// About what.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// How often it was asked for; finishing with this number keeps a job that was asked for again meanwhile.
    pub requested: u64,
    /// How often it failed.
    pub failures: u32,
}

/// A lease that was granted: the right to be the only one who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseGrant {
    /// The lease.
    pub name: String,
    /// Raised whenever the holder changes.
    pub epoch: u64,
    /// Until when.
    pub until: Timestamp,
}

/// Where a dead letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterState {
    /// Nobody has settled it.
    Open,
    /// Sent through the pipeline again.
    Resubmitted,
    /// Settled without that: by a person, or by a whole comparison in step.
    Waived,
}

impl DeadLetterState {
    /// The name in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            DeadLetterState::Open => "open",
            DeadLetterState::Resubmitted => "resubmitted",
            DeadLetterState::Waived => "waived",
        }
    }
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetterRow {
    /// Its id.
    pub id: DeadLetterId,
    /// The record.
    pub raw_id: RawId,
    /// The channel.
    pub channel: ChannelId,
    /// The number, where known.
    pub number: Option<SourceNumber>,
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub reason: String,
    /// Where it stands.
    pub state: DeadLetterState,
    /// Since when.
    pub at: Timestamp,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// Why, and by whom.
    pub settled_reason: Option<String>,
}

/// Which dead letters to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Of this channel.
    pub channel: Option<ChannelId>,
    /// In this state.
    pub state: Option<DeadLetterState>,
    /// With an id above.
    pub after: Option<DeadLetterId>,
}

/// How often something odd was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnomalyTally {
    /// The channel.
    pub channel: ChannelId,
    /// The code.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// How often.
    pub count: u64,
    /// When last.
    pub last_at: Timestamp,
}
