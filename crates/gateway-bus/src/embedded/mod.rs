//! The embedded engine: a durable log in SQLite files, for one process and no server to install.
//!
//! ```text
//! bus/lock                                held while the bus is open
//! bus/positions.db                        topics; positions of groups
//! bus/segment-00000000000000000001.db     messages and nonces of all topics, oldest first
//! bus/segment-00000000000000000002.db
//! ```
//!
//! One task writes (`writer`), with a sync for each group of appends; readers are woken by it and read by range of row keys (`consumer`).
//! Full or old segments are followed by new ones and dropped as files (`retention`). What survives a crash is what SQLite's write-ahead log
//! holds; `recovery` reads it back. `cargo bench -p gateway-bus` measures it.
//!
//! SQLite was taken over a log format of our own: torn writes, checksums, recovery and a reader beside the writer are solved there, and
//! a person can look into the files with a tool that exists.

mod batch;
mod catalog;
mod consumer;
mod filter;
mod group;
mod guard;
mod key;
mod log;
mod older;
mod options;
mod recovery;
mod retention;
mod segment;
mod sqlite;
mod writer;

pub use options::EmbeddedOptions;

use crate::{Appended, Bus, BusError, Consumer, NewMessage, Position, TopicName, TopicSpec};
use async_trait::async_trait;
use batch::weight_of;
use consumer::EmbeddedConsumer;
use gateway_model::Clock;
use log::Log;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use writer::{Append, Request, Writer};

/// Requests that wait for the writer; their bytes are bounded by `queue_bytes`.
const QUEUE_REQUESTS: usize = 4096;

/// A bus in a directory.
pub struct EmbeddedBus {
    log: Arc<Log>,
    requests: mpsc::Sender<Request>,
    queue: Arc<Semaphore>,
}

impl EmbeddedBus {
    /// Opens the directory, or creates it. Needs a Tokio runtime, which then runs the writer. `clock` tells when messages are appended and when
    /// nonces and messages expire.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the directory can't be used now, or another process holds it for longer than `lock_wait_ms`;
    /// [`BusError::Damaged`] when files are missing or don't make sense.
    pub async fn open(options: EmbeddedOptions, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        let queue = Arc::new(Semaphore::new(options.queue_bytes.max(1) as usize));
        let (log, tail, guards, conn) = recovery::open(options, clock).await?;
        let (requests, receiver) = mpsc::channel(QUEUE_REQUESTS);
        tokio::spawn(Writer::new(Arc::clone(&log), tail, guards, conn).serve(receiver));
        Ok(Self { log, requests, queue })
    }

    /// How many messages of a topic a group has not committed yet; `None` where there is no such topic.
    pub(crate) fn unread(&self, group: &str, topic: &TopicName) -> Option<u64> {
        let topic = self.log.catalog.topic(topic).ok()?;
        let left = |id: key::PartitionId| topic.end(id.partition).saturating_sub(self.log.catalog.position(group, id));
        Some(topic.ids().map(left).sum())
    }

    /// The topics there are, by name.
    pub(crate) fn topics(&self) -> Vec<TopicName> {
        let mut names: Vec<_> = self.log.catalog.topics().iter().map(|topic| topic.name.clone()).collect();
        names.sort();
        names
    }

    /// Drops what `group` has committed, whatever its retention, and returns how many messages that were. Nonces stay for their time.
    pub(crate) async fn drop_read(&self, group: &str) -> Result<u64, BusError> {
        self.ask(|reply| Request::DropRead(group.to_owned(), reply)).await?
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, BusError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| BusError::Closed)?;
        answer.await.map_err(|_| BusError::Closed)
    }

    fn positions(topic: &TopicName, offsets: impl Iterator<Item = u64>) -> Vec<Position> {
        (0..).zip(offsets).map(|(partition, offset)| Position { topic: topic.clone(), partition, offset }).collect()
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        if self.log.is_closed() {
            return Err(BusError::Closed);
        }
        self.log.catalog.ensure(spec).await
    }

    async fn append(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError> {
        let topic = self.log.catalog.topic(topic)?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let largest = u64::from(self.log.options.message_bytes);
        let mut bytes = 0;
        for message in &messages {
            let weight = weight_of(message);
            if weight > largest {
                return Err(BusError::Refused {
                    what: format!("a message of {weight} bytes; at most {largest} can be had"),
                });
            }
            bytes += weight;
        }
        // An append larger than the whole queue waits until it has the queue for itself.
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.log.options.queue_bytes.max(1));
        let permit = Arc::clone(&self.queue).acquire_many_owned(share).await.map_err(|_| BusError::Closed)?;
        self.ask(|reply| Request::Append(Append { topic, messages, permit, reply })).await?
    }

    async fn subscribe(&self, group: &str, topics: &[TopicName]) -> Result<Box<dyn Consumer>, BusError> {
        if self.log.is_closed() {
            return Err(BusError::Closed);
        }
        let mut read: Vec<Arc<catalog::Topic>> = Vec::with_capacity(topics.len());
        for name in topics {
            let topic = self.log.catalog.topic(name)?;
            if !read.iter().any(|known| known.number == topic.number) {
                read.push(topic);
            }
        }
        Ok(Box::new(EmbeddedConsumer::join(Arc::clone(&self.log), group, read)))
    }

    async fn end_positions(&self, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        let known = self.log.catalog.topic(topic)?;
        Ok(Self::positions(topic, known.ids().map(|id| known.end(id.partition))))
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        let known = self.log.catalog.topic(topic)?;
        Ok(Self::positions(topic, known.ids().map(|id| self.log.catalog.position(group, id))))
    }

    async fn drop_expired(&self) -> Result<u64, BusError> {
        self.ask(Request::DropExpired).await?
    }

    async fn check(&self) -> Result<(), BusError> {
        self.ask(Request::Check).await?
    }

    async fn close(&self) {
        // An error means that it is closed already.
        self.ask(Request::Close).await.ok();
        self.queue.close();
    }
}
