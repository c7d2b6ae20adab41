//! What the checks of silence and slowness look at: arrivals by hour, and what waits since when.

use gateway_model::{ChannelId, DeliveryState, Timestamp};

/// What a channel sent of itself in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalHour {
    /// The first instant of the hour.
    pub hour_at: Timestamp,
    /// Records that were polled or pushed; what we asked for again does not count.
    pub records: u64,
}

/// For how long of an hour the gateway was there to see arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedHour {
    /// The first instant of the hour.
    pub hour_at: Timestamp,
    /// At most 3,600,000.
    pub watched_ms: u64,
}

/// Things of one kind that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting<K> {
    /// What they are.
    pub kind: K,
    /// How many wait.
    pub count: u64,
    /// How many of them wait since before the time that was asked with.
    pub overdue: u64,
    /// Since when the oldest waits.
    pub oldest: Timestamp,
}

/// The deliveries to a destination that are in flight, by where they stand. One waits since its generation began; a held one since it was held.
pub type WaitingDeliveries = Waiting<DeliveryState>;
/// Dead letters or parked records of a channel.
pub type WaitingRecords = Waiting<ChannelId>;
