//! The books through time: what was so at the end of any past day.

use super::FlowOutcome;
use gateway_model::{BookSide, BucketSum, ChannelId, Dataset, Day, DeliveryState, GapState, Timestamp};

/// Days `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: Day,
    /// The day after the last.
    pub to: Day,
}

/// A day's bucket of the state book as it stood on a day; one row for each side and version of projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookDay {
    /// The dataset.
    pub dataset: Dataset,
    /// The day of the event times.
    pub day: Day,
    /// The side.
    pub side: BookSide,
    /// How many items.
    pub count: u64,
    /// The sum of their elements.
    pub sum: BucketSum,
    /// When it last changed, on or before that day.
    pub changed_at: Timestamp,
}

/// What a channel said of itself, to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The channel.
    pub channel: ChannelId,
    /// The dataset.
    pub dataset: Dataset,
    /// The days that were asked for.
    pub asked: Days,
    /// What it said, day by day, where it was asked so: a day that is absent is empty. `None` where it was asked for coarser sums.
    pub days: Option<Vec<AccountDay>>,
    /// Days that it has as we have them, by one sum over all of them.
    pub in_step: Vec<Days>,
    /// When the account was true.
    pub as_of: Timestamp,
    /// When it had been compared with ours.
    pub at: Timestamp,
}

/// A channel's account of a day as it was last known on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDay {
    /// The dataset.
    pub dataset: Dataset,
    /// The day.
    pub day: Day,
    /// How many items.
    pub count: u64,
    /// The sum of their elements; `None` where the channel only counts.
    pub sum: Option<BucketSum>,
    /// When it was true.
    pub as_of: Timestamp,
}

/// Days that the channel had as our book had them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSpan {
    /// The dataset.
    pub dataset: Dataset,
    /// The days.
    pub days: Days,
    /// When the account was true.
    pub as_of: Timestamp,
    /// When it had been compared with ours.
    pub compared_at: Timestamp,
}

/// A line of the flow book of a day: changes by how they ended on it. `dataset` is `None` for what could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowDay {
    /// The dataset.
    pub dataset: Option<Dataset>,
    /// The day.
    pub day: Day,
    /// How they ended.
    pub outcome: FlowOutcome,
    /// How many.
    pub changes: u64,
}

/// Deliveries decided on a day, by where they stood on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDay {
    /// The dataset of the change.
    pub dataset: Dataset,
    /// The day on which they were decided.
    pub day: Day,
    /// Where they stood.
    pub state: DeliveryState,
    /// How many.
    pub deliveries: u64,
    /// How many of them were sent at least once.
    pub sent: u64,
}

/// A leg of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// From the source's own time of the statement until we received it.
    SourceToReceived,
    /// From there until it was applied.
    ReceivedToApplied,
    /// From the decision to deliver until the first attempt began.
    OwedToSent,
    /// From there until the destination's acknowledgement was known.
    SentToAcknowledged,
}

impl Leg {
    /// All, in the order of the way.
    pub const ALL: [Leg; 4] = [Leg::SourceToReceived, Leg::ReceivedToApplied, Leg::OwedToSent, Leg::SentToAcknowledged];

    /// The name in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Leg::SourceToReceived => "source_to_received",
            Leg::ReceivedToApplied => "received_to_applied",
            Leg::OwedToSent => "owed_to_sent",
            Leg::SentToAcknowledged => "sent_to_acknowledged",
        }
    }
}

/// How long something took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    /// The channel.
    pub channel: ChannelId,
    /// The leg.
    pub leg: Leg,
    /// How long, in milliseconds; 0 where a clock of another makes it negative.
    pub ms: u64,
}

impl Latency {
    /// From `start` to `end`.
    #[must_use]
    pub fn between(channel: &ChannelId, leg: Leg, start: Timestamp, end: Timestamp) -> Self {
        let ms = end.as_millisecond().saturating_sub(start.as_millisecond());
        Self { channel: channel.clone(), leg, ms: u64::try_from(ms).unwrap_or(0) }
    }
}

/// By what factor a bucket of the histogram is wider than the one before.
const GROWTH: f64 = 1.2;

/// A bucket of a leg's histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyDay {
    /// The leg.
    pub leg: Leg,
    /// The day on which the leg ended.
    pub day: Day,
    /// The bucket.
    pub bucket: u32,
    /// How many.
    pub count: u64,
    /// The longest of them, exactly.
    pub max_ms: u64,
}

impl LatencyDay {
    /// The bucket of a duration: 0 up to 1 ms, n up to 1.2^n ms.
    #[must_use]
    pub fn bucket_of(ms: u64) -> u32 {
        // A duration is far below 2^53 ms, and its bucket below 300.
        if ms <= 1 { 0 } else { ((ms as f64).ln() / GROWTH.ln()).ceil() as u32 }
    }

    /// What stands for every duration of a bucket, in ms: its geometric middle, off by less than a tenth.
    #[must_use]
    pub fn middle_ms(bucket: u32) -> u64 {
        if bucket == 0 { 0 } else { GROWTH.powf(f64::from(bucket) - 0.5).round() as u64 }
    }
}

/// A step of a gap's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapStep {
    /// When.
    pub at: Timestamp,
    /// Where it stood from then on.
    pub state: GapState,
    /// How many repairs were begun by then.
    pub generation: u32,
    /// Why waived, or why it can't be repaired.
    pub reason: Option<String>,
    /// Who decided.
    pub by: Option<String>,
}

/// A dead letter in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterLife {
    /// Its code.
    pub code: String,
    /// Since when.
    pub at: Timestamp,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
}

/// An incident in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentLife {
    /// About which channel.
    pub channel: Option<ChannelId>,
    /// Its code.
    pub code: String,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::LatencyDay;

    #[test]
    fn a_bucket_stands_for_its_durations_to_a_tenth() {
        for ms in (0..5_000).chain((13..47).map(|power| 1 << power)) {
            let shown = LatencyDay::middle_ms(LatencyDay::bucket_of(ms));
            // Whole milliseconds round by up to a half.
            assert!((shown as f64 - ms as f64).abs() <= 0.1 * ms as f64 + 1.0, "{ms} ms is shown as {shown}");
        }
    }
}
