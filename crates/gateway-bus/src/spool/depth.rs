//! How much the spool holds, and since when.

use super::{GROUP, SpooledBus};
use crate::{Bus, BusError, TopicName};
use gateway_model::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the spool holds of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolDepth {
    /// The topic.
    pub topic: TopicName,
    /// How many messages the far bus has not acknowledged.
    pub messages: u64,
    /// When the oldest of them was taken in; while the drain goes on, at most one batch earlier.
    pub oldest_at: Option<Timestamp>,
}

/// When the oldest message of each topic was taken in.
#[derive(Default)]
pub(super) struct Oldest(Mutex<BTreeMap<TopicName, Timestamp>>);

impl Oldest {
    fn all(&self) -> MutexGuard<'_, BTreeMap<TopicName, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was taken in, into an empty spool or behind others.
    pub fn taken(&self, topic: &TopicName, at: Timestamp, was_empty: bool) {
        let mut all = self.all();
        let oldest = all.entry(topic.clone()).or_insert(at);
        if was_empty {
            *oldest = at;
        }
    }

    /// The oldest is known.
    pub fn is(&self, topic: &TopicName, at: Timestamp) {
        self.all().insert(topic.clone(), at);
    }
}

impl SpooledBus {
    /// What the spool holds, by topic; topics of which it holds nothing are there too, so that a figure can go back to none.
    #[must_use]
    pub fn depths(&self) -> Vec<SpoolDepth> {
        let topics = self.spool.topics().into_iter();
        topics
            .map(|topic| {
                let messages = self.spool.unread(GROUP, &topic).unwrap_or(0);
                let oldest_at = if messages == 0 { None } else { self.oldest.all().get(&topic).copied() };
                SpoolDepth { topic, messages, oldest_at }
            })
            .collect()
    }

    pub(super) fn measure(&self) {
        for depth in self.depths() {
            let age = depth.oldest_at.map_or(0.0, |at| self.clock.now().duration_since(at).as_secs_f64().max(0.0));
            metrics::gauge!("gateway_spool_messages", "topic" => depth.topic.to_string()).set(depth.messages as f64);
            metrics::gauge!("gateway_spool_oldest_seconds", "topic" => depth.topic.to_string()).set(age);
        }
    }

    /// After opening: what an earlier process left, and since when it waits.
    pub(super) async fn look_for_oldest(&self) -> Result<(), BusError> {
        for depth in self.depths().into_iter().filter(|depth| depth.messages > 0) {
            let mut reader = self.spool.subscribe(GROUP, std::slice::from_ref(&depth.topic)).await?;
            if let Some(first) = reader.fetch(1, Duration::ZERO).await?.messages.first() {
                self.oldest.is(&depth.topic, first.appended_at);
            }
            let messages = depth.messages;
            tracing::warn!(topic = %depth.topic, messages, "the spool holds messages from before this start; they are drained");
        }
        Ok(())
    }
}
