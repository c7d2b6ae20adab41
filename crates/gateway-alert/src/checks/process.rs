//! What only the process itself knows: its tasks, its breakers, what its doors refused. Implemented by the server, since the parts that know lie
//! beside this crate and not below it.

use gateway_connector::{BreakerState, PeerClock};
use gateway_model::{ChannelId, Timestamp};
use gateway_runtime::TaskStatus;
use gateway_store::NodeSpool;
use std::collections::BTreeMap;

/// Tells what this process sees of itself. Every answer is a copy of what lies in memory; nothing is asked of anybody.
pub trait ProcessView: Send + Sync + 'static {
    /// Every task. Names end in `/<channel>` where a task works for one channel.
    fn tasks(&self) -> Vec<TaskStatus>;
    /// The channels whose every push is refused now.
    fn refusals(&self) -> Vec<Refusal>;
    /// The circuit breaker of each destination.
    fn breakers(&self) -> Vec<(ChannelId, BreakerState)>;
    /// How far each channel's listing was read.
    fn polls(&self) -> Vec<PollReading>;
    /// The clocks of peers that have told their time.
    fn peer_clocks(&self) -> Vec<(ChannelId, PeerClock)>;
    /// What the process holds of each channel that is not on the bus yet.
    fn spool(&self) -> Vec<NodeSpool>;
}

/// A channel whose every push is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The channel.
    pub channel: ChannelId,
    /// Since when.
    pub since: Timestamp,
    /// How many were refused.
    pub refused: u64,
    /// Of these, by code.
    pub codes: BTreeMap<&'static str, u64>,
    /// Their clock minus ours at the last refusal for its sake, in milliseconds.
    pub clock_offset_ms: Option<i64>,
}

/// How far a channel's listing was read by this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollReading {
    /// The channel.
    pub channel: ChannelId,
    /// When the listing was last read to its end; `None` when it was not since the start.
    pub swept_at: Option<Timestamp>,
    /// The newest update time that is believed; `None` when nothing was read yet.
    pub through: Option<Timestamp>,
}
