//! The seam: what every engine of the bus offers.

use crate::{Appended, Fetched, NewMessage, Position, TopicName, TopicSpec};
use async_trait::async_trait;
use std::time::Duration;

/// Why the bus could not do something.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Nothing can be appended now (disk full, read-only, broker away); what was asked did not happen, or may come again after a restart.
    #[error("the bus can't append now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The topic was not created.
    #[error("the bus has no topic {0}")]
    UnknownTopic(TopicName),
    /// The files or the broker's answers don't make sense.
    #[error("the bus is damaged: {what}")]
    Damaged {
        /// What was found where.
        what: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// What was asked can never work, here or later (a message too large, a topic with too many partitions, a position past the end); asking
    /// again is of no use.
    #[error("the bus refuses: {what}")]
    Refused {
        /// What is wrong with it.
        what: String,
    },
    /// The bus is shutting down.
    #[error("the bus is closed")]
    Closed,
}

/// A durable, partitioned log.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Creates the topic where it does not exist.
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), BusError>;

    /// Appends all messages and returns when they are durable; one outcome for each message, in order. On an error nothing is promised: each
    /// message may or may not be there, and appending again is the caller's way out.
    async fn append(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError>;

    /// Joins `group` as a reader of `topics`. Partitions are shared among the readers of a group; one that leaves or dies hands its over.
    async fn subscribe(&self, group: &str, topics: &[TopicName]) -> Result<Box<dyn Consumer>, BusError>;

    /// The end of every partition of a topic: the offset that the next message will get.
    async fn end_positions(&self, topic: &TopicName) -> Result<Vec<Position>, BusError>;

    /// What `group` last committed of a topic; a partition without a commit stands at the first offset that was ever given.
    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Vec<Position>, BusError>;

    /// Drops what is older than its topic's retention and returns how many messages that were. Called now and then by the runtime. An engine
    /// drops whole segments, so a message may stay for a while after its time.
    async fn drop_expired(&self) -> Result<u64, BusError>;

    /// Whether an append would work now.
    async fn check(&self) -> Result<(), BusError>;

    /// Flushes and closes; appends after it answer [`BusError::Closed`].
    async fn close(&self);
}

/// A member of a group of readers.
#[async_trait]
pub trait Consumer: Send {
    /// Waits up to `wait` for messages and returns at most `max`, in order within each partition. Messages once returned are not returned
    /// again to this member, unless [`Consumer::rewind`] is called. Topics were given in order of priority: earlier ones come first, and a later
    /// one still gets its turn now and then. A partition that is to go to another member is handed over in this call, so what was fetched
    /// should be committed before it. Dropping the future loses nothing.
    async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Fetched, BusError>;

    /// Saves positions: everything before each is done for the whole group. A position never goes back: one behind what is saved changes
    /// nothing, so a member that lost a partition can't undo its successor's commit.
    async fn commit(&mut self, positions: &[Position]) -> Result<(), BusError>;

    /// Goes back to the committed positions, so that what was fetched and not committed comes again.
    async fn rewind(&mut self) -> Result<(), BusError>;
}
