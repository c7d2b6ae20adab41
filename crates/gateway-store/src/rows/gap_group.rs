//! Groups of gaps, and datasets whose automatic repair is stopped.

use gateway_model::{ChannelId, Dataset, Direction, GapGroupId, GapKind, GapState, Timestamp, Window};

/// The gaps of one outage.
#[derive(Debug, Clone, PartialEq)]
pub struct GapGroupRow {
    /// Its id.
    pub id: GapGroupId,
    /// The channel.
    pub channel: ChannelId,
    /// Which way things did not get across.
    pub direction: Direction,
    /// When its first gap was confirmed.
    pub opened_at: Timestamp,
    /// When its last gap was confirmed.
    pub last_opened_at: Timestamp,
    /// When its last unfinished gap ended; `None` while there are any.
    pub ended_at: Option<Timestamp>,
    /// Its gaps, counted by what they have in common.
    pub tallies: Vec<GapTally>,
}

/// Gaps of a group that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct GapTally {
    /// The dataset.
    pub dataset: Dataset,
    /// The kind.
    pub kind: GapKind,
    /// Where they stand.
    pub state: GapState,
    /// Whether they were left, each with a reason.
    pub left: bool,
    /// Whether a repair was begun.
    pub tried: bool,
    /// How many.
    pub count: u64,
    /// From the first to the last of their windows.
    pub window: Window,
    /// When the first of them was confirmed.
    pub opened_at: Timestamp,
}

/// Which groups to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GapGroupFilter {
    /// Of this channel.
    pub channel: Option<ChannelId>,
    /// Only those with unfinished gaps.
    pub unfinished: bool,
    /// Count only the gaps that are open or being repaired: a group that lasts for weeks holds thousands that are over.
    pub count_unfinished: bool,
    /// With an id above.
    pub after: Option<GapGroupId>,
}

/// A dataset that differs so much that nothing is repaired by itself until a person has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairStop {
    /// The channel.
    pub channel: ChannelId,
    /// The dataset.
    pub dataset: Dataset,
    /// Since when.
    pub since: Timestamp,
    /// How many gaps there are.
    pub gaps: u64,
    /// How many items our book has.
    pub ours: u64,
    /// How many the channel's account has.
    pub theirs: u64,
    /// When a person approved the repair.
    pub approved_at: Option<Timestamp>,
    /// Who.
    pub approved_by: Option<String>,
}

impl RepairStop {
    /// Whether repairs are to wait.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.approved_at.is_none()
    }
}
