//! The spool: what bridges an outage of the bus, so that a push is answered and kept while the brokers are away.
//!
//! ```text
//! append ──► far bus (Kafka) ─────────────────────► acknowledged
//!      └─ away, or silent for `patience_ms` ──► spool (the embedded engine, one directory a node) ──► acknowledged
//!                                                  └── drain: the far bus acknowledges ──► committed ──► dropped
//! ```
//!
//! The contract:
//! - While a topic's spool holds anything, what is appended to the topic joins it, so that messages of one key keep their order.
//! - The drain is at least once: killed between the far acknowledgement and the commit, it appends again, and the guard, which travels in the
//!   spooled message, makes that [`Appended::Repeated`]. A message without one comes twice.
//! - A spooled append whose nonce the far bus knows by other content (another node took it meanwhile) is neither dropped nor believed: a
//!   [`ConflictRule`] says under what it is kept.
//! - A topic's spool has one partition, so it is drained in the order in which it was filled. What is in it is never dropped by time: only the far
//!   bus's acknowledgement ends it. What the far bus refuses for ever keeps its topic's spool standing, and is told at each round.
//! - Reading, ends and positions are the far bus's.
//!
//! Only what can't be asked for again goes into it. [`BehindSpool`] is the same bus for pollers and all others: it waits until the topic's spool is
//! empty, and spools nothing, since a source or the store still has what it would append. A spooled record is on one machine's disk; a record that
//! its source still has is safer where it is.

mod behind;
mod depth;
mod drain;
mod options;
mod travel;

pub use behind::BehindSpool;
pub use depth::SpoolDepth;
pub use drain::{ConflictRule, Drained};
pub use options::SpoolOptions;

use crate::embedded::{EmbeddedBus, EmbeddedOptions};
use crate::{Appended, Bus, BusError, Consumer, NewMessage, Position, TopicName, TopicSpec};
use async_trait::async_trait;
use depth::Oldest;
use drain::Drain;
use gateway_model::{Clock, with_causes};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The group that drains.
const GROUP: &str = "drain";

/// Who asks for readiness does not wait for long, and should hear of the spool.
const LONGEST_CHECK: Duration = Duration::from_millis(1_200);

/// The far bus does not take anything now; what is appended is kept here.
#[derive(Debug, thiserror::Error)]
#[error("pushes and commands are kept in the spool of this node ({messages} in it), and nothing is read")]
struct Spooling {
    messages: u64,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// A bus with a spool before it.
pub struct SpooledBus {
    far: Arc<dyn Bus>,
    spool: EmbeddedBus,
    clock: Arc<dyn Clock>,
    patience: Duration,
    rule: Arc<dyn ConflictRule>,
    topics: Mutex<Topics>,
    oldest: Oldest,
    drain: tokio::sync::Mutex<Drain>,
}

/// What topics must be like, and which of them the far bus has not been told of yet.
#[derive(Default)]
struct Topics {
    known: BTreeMap<TopicName, TopicSpec>,
    owed: BTreeMap<TopicName, TopicSpec>,
}

impl SpooledBus {
    /// Opens the spool in `spool.dir` before `far`. What an earlier process left in it is there, and drained.
    ///
    /// # Errors
    /// As [`EmbeddedBus::open`].
    pub async fn open(
        far: Arc<dyn Bus>,
        spool: EmbeddedOptions,
        patience: Duration,
        rule: Arc<dyn ConflictRule>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BusError> {
        let spool = EmbeddedBus::open(spool, Arc::clone(&clock)).await?;
        let bus = Self {
            far,
            spool,
            clock,
            patience,
            rule,
            topics: Mutex::default(),
            oldest: Oldest::default(),
            drain: tokio::sync::Mutex::default(),
        };
        bus.look_for_oldest().await?;
        Ok(bus)
    }

    /// The bus behind the spool.
    #[must_use]
    pub fn far(&self) -> &Arc<dyn Bus> {
        &self.far
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why what is appended to a topic can't go past the spool now.
    fn before(&self, topic: &TopicName, unread: u64) -> Option<String> {
        if unread > 0 {
            return Some(format!("{unread} message(s) in the spool come first"));
        }
        self.topics().owed.contains_key(topic).then(|| format!("the brokers have not been told of {topic} yet"))
    }

    /// Whether what the far bus did not take is for the spool. A topic that the brokers have lost is made anew by the drain.
    fn is_bridged(&self, topic: &TopicName, error: &BusError) -> bool {
        match error {
            BusError::Unavailable(_) => true,
            BusError::UnknownTopic(_) => {
                let mut topics = self.topics();
                let Some(spec) = topics.known.get(topic).cloned() else { return false };
                topics.owed.insert(topic.clone(), spec);
                true
            }
            BusError::Damaged { .. } | BusError::Refused { .. } | BusError::Closed => false,
        }
    }

    fn owes_nothing(&self) -> Result<(), BusError> {
        let owed = self.topics().owed.len();
        if owed == 0 {
            return Ok(());
        }
        Err(BusError::Unavailable(format!("{owed} topic(s) are still to be made or checked on the brokers").into()))
    }

    async fn keep(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError> {
        let count = messages.len() as u64;
        let now = self.clock.now();
        let empty = self.spool.unread(GROUP, topic) == Some(0);
        let appended = self.spool.append(topic, messages.into_iter().map(travel::pack).collect()).await?;
        self.oldest.taken(topic, now, empty);
        metrics::counter!("gateway_spool_taken_messages_total", "topic" => topic.to_string()).increment(count);
        self.measure();
        Ok(appended)
    }
}

#[async_trait]
impl Bus for SpooledBus {
    /// Where the far bus can't be asked, the topic is taken note of and made by the drain, so that a gateway starts without its brokers.
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        let away = !self.topics().owed.is_empty();
        // One question that nobody answers is enough at a start.
        let asked = if away { None } else { Some(self.far.ensure_topic(spec).await) };
        match asked {
            Some(Ok(())) => {}
            Some(Err(BusError::Unavailable(error))) => {
                tracing::warn!(
                    topic = %spec.name,
                    error = &*error as &dyn std::error::Error,
                    "the brokers are away: topics are made when they are back, and what is pushed is spooled until then"
                );
                self.topics().owed.insert(spec.name.clone(), spec.clone());
            }
            Some(Err(error)) => return Err(error),
            None => {
                self.topics().owed.insert(spec.name.clone(), spec.clone());
            }
        }
        let retention = Duration::MAX;
        self.spool.ensure_topic(&TopicSpec { name: spec.name.clone(), partitions: 1, retention }).await?;
        self.topics().known.insert(spec.name.clone(), spec.clone());
        Ok(())
    }

    /// A place that is answered while the far bus is away is one in the spool.
    async fn append(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError> {
        let Some(unread) = self.spool.unread(GROUP, topic) else { return self.far.append(topic, messages).await };
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        if self.before(topic, unread).is_none() {
            let why = match tokio::time::timeout(self.patience, self.far.append(topic, messages.clone())).await {
                Ok(Ok(appended)) => return Ok(appended),
                Ok(Err(error)) if self.is_bridged(topic, &error) => with_causes(&error),
                Ok(Err(error)) => return Err(error),
                // It may still arrive there; then the drain repeats it.
                Err(_) => format!("no answer within {} ms", self.patience.as_millis()),
            };
            tracing::warn!(topic = %topic, why, "the bus does not take messages now: they are spooled");
        }
        self.keep(topic, messages).await
    }

    async fn subscribe(&self, group: &str, topics: &[TopicName]) -> Result<Box<dyn Consumer>, BusError> {
        self.far.subscribe(group, topics).await
    }

    async fn end_positions(&self, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        self.far.end_positions(topic).await
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        self.far.committed(group, topic).await
    }

    async fn drop_expired(&self) -> Result<u64, BusError> {
        self.far.drop_expired().await
    }

    /// Whether the far bus takes messages. Where it does not, appends work all the same, and the error says by what.
    async fn check(&self) -> Result<(), BusError> {
        let patience = self.patience.min(LONGEST_CHECK);
        let late = || format!("the brokers have not answered within {} ms", patience.as_millis());
        let asked = tokio::time::timeout(patience, self.far.check()).await;
        let told = asked.unwrap_or_else(|_| Err(BusError::Unavailable(late().into())));
        match told.and_then(|()| self.owes_nothing()) {
            Err(BusError::Unavailable(source)) => {
                self.spool.check().await?;
                let messages = self.depths().iter().map(|depth| depth.messages).sum();
                Err(BusError::Unavailable(Box::new(Spooling { messages, source })))
            }
            told => told,
        }
    }

    async fn close(&self) {
        self.spool.close().await;
        self.far.close().await;
    }
}
