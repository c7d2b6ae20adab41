//! What travels on the bus.

use gateway_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The name of a topic: `gateway.<channel>.<kind>.v1`, lower-case letters, digits, dots and dashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicName(String);

impl TopicName {
    /// The topic of a channel's records, first hand.
    #[must_use]
    pub fn raw(channel: &gateway_model::ChannelId) -> Self {
        Self(format!("gateway.{channel}.raw.v1"))
    }

    /// The topic of a channel's records that were fetched again; read with less priority than [`TopicName::raw`].
    #[must_use]
    pub fn raw_backfill(channel: &gateway_model::ChannelId) -> Self {
        Self(format!("gateway.{channel}.raw-backfill.v1"))
    }

    /// The topic that wakes the delivery worker of a destination.
    #[must_use]
    pub fn outbound(channel: &gateway_model::ChannelId) -> Self {
        Self(format!("gateway.{channel}.outbound.v1"))
    }

    /// A name that an engine stored.
    pub(crate) fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a topic must be like.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// Its name.
    pub name: TopicName,
    /// How many partitions; an existing topic keeps the number it has.
    pub partitions: u32,
    /// How long messages are kept after they were appended.
    pub retention: Duration,
}

/// Metadata of a message. Never personal data: headers are logged.
pub type Headers = BTreeMap<String, String>;

/// A message to append.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Decides the partition; messages of one key keep their order.
    pub key: String,
    /// Metadata.
    pub headers: Headers,
    /// The bytes.
    pub payload: Vec<u8>,
    /// Makes the append idempotent, where given.
    pub guard: Option<Guard>,
}

/// Makes an append idempotent: a nonce and the digest of what it was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Unique within the topic and the guard's time.
    pub nonce: String,
    /// SHA-256 of what the nonce was used for.
    pub digest: [u8; 32],
    /// Until when the nonce is remembered.
    pub until: Timestamp,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is durable.
    At {
        /// The partition.
        partition: u32,
        /// The offset in it.
        offset: u64,
    },
    /// The nonce was already used for the same content; nothing was written.
    Repeated,
    /// The nonce was already used for other content; nothing was written.
    Conflict,
}

/// A message that was read.
#[derive(Debug, Clone)]
pub struct Message {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The offset, contiguous within the partition on the embedded engine, ascending on every engine.
    pub offset: u64,
    /// The key.
    pub key: String,
    /// Metadata.
    pub headers: Headers,
    /// The bytes.
    pub payload: Vec<u8>,
    /// When it was appended.
    pub appended_at: Timestamp,
}

/// What one fetch brought.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// Messages, ascending by offset within each partition.
    pub messages: Vec<Message>,
    /// Ranges that were dropped before this group read them; each lies before the messages of its partition.
    pub lost: Vec<LostOffsets>,
}

/// Offsets `[from, to)` of a partition that the log no longer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostOffsets {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The first lost offset.
    pub from: u64,
    /// The first offset that is left.
    pub to: u64,
}

/// A place in a partition: the next offset to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The next offset.
    pub offset: u64,
}
