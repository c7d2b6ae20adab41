//! The processes of a gateway.

use gateway_model::{ChannelId, Timestamp};
use serde::{Deserialize, Serialize};

/// What a process holds of a channel that is not on the bus yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpool {
    /// The channel.
    pub channel: ChannelId,
    /// How many messages.
    pub messages: u64,
    /// When the oldest of them was taken in.
    pub oldest_at: Option<Timestamp>,
}

/// What a process of the gateway last told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name, the same after every start.
    pub name: String,
    /// This start of it: the name under which it holds leases.
    pub holder: String,
    /// The parts of the work that it does; plain words, without commas.
    pub roles: Vec<String>,
    /// The program's version.
    pub version: String,
    /// Tells content keys apart without telling the key.
    pub key_print: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it told this.
    pub seen_at: Timestamp,
    /// When it stopped in order; `None` while it runs, or when it died.
    pub stopped_at: Option<Timestamp>,
    /// How many messages its spool holds that are not on the bus yet.
    pub spool_messages: u64,
    /// When the oldest of them was taken in.
    pub spool_oldest_at: Option<Timestamp>,
    /// The same by channel; a channel of which it holds nothing is absent.
    pub spool: Vec<NodeSpool>,
    /// What only this process can see to be wrong, as JSON of whoever looks.
    pub findings: String,
}
