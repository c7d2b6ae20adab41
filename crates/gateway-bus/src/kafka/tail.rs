//! Reads the guards out of topics: from as far back as one may live to the end, and on from there.

use super::client::{Context, locked};
use super::guard::{Guards, HEADER, Mark};
use super::observer::{Observer, Offsets};
use crate::{BusError, TopicName};
use gateway_model::Clock;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Clocks of brokers and replicas may differ by so many milliseconds.
const SLACK_MS: i64 = 300_000;
/// A look without being woken.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A topic whose guards are read.
#[derive(Debug)]
struct Followed {
    /// What is read next of each partition.
    next: Offsets,
    /// Where each partition ended when the reading began.
    barrier: Offsets,
    ready: watch::Sender<bool>,
}

impl Followed {
    fn check(&self) {
        let read = |(partition, end): (&i32, &u64)| self.next.get(partition).is_some_and(|next| next >= end);
        if self.barrier.iter().all(read) {
            self.ready.send_replace(true);
        }
    }
}

/// Reads the tails of topics.
pub(super) struct Tail {
    observer: Arc<Observer>,
    guards: Arc<Guards>,
    clock: Arc<dyn Clock>,
    window_ms: i64,
    topics: Mutex<HashMap<String, Followed>>,
    starting: tokio::sync::Mutex<()>,
}

impl Tail {
    pub fn new(observer: &Arc<Observer>, guards: &Arc<Guards>, clock: &Arc<dyn Clock>, guard_seconds: u64) -> Self {
        Self {
            observer: Arc::clone(observer),
            guards: Arc::clone(guards),
            clock: Arc::clone(clock),
            window_ms: i64::try_from(guard_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX),
            topics: Mutex::default(),
            starting: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until every guard that may still live is known. The first time this reads the topic's tail.
    pub async fn ready(&self, topic: &TopicName, patience: Duration) -> Result<(), BusError> {
        let name = self.observer.topic_name(topic);
        let mut ready = match self.find(&name) {
            Some(ready) => ready,
            None => self.follow(topic, &name).await?,
        };
        match tokio::time::timeout(patience, ready.wait_for(|ready| *ready)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(BusError::Closed),
            Err(_) => {
                let left = self.left(&name);
                let what = format!(
                    "the guards of {topic} are still being read, {left} messages are left; the reading goes on"
                );
                Err(BusError::Unavailable(what.into()))
            }
        }
    }

    fn find(&self, name: &str) -> Option<watch::Receiver<bool>> {
        locked(&self.topics).get(name).map(|followed| followed.ready.subscribe())
    }

    fn left(&self, name: &str) -> u64 {
        let topics = locked(&self.topics);
        let Some(followed) = topics.get(name) else { return 0 };
        let next = |partition| followed.next.get(partition).copied().unwrap_or(0);
        followed.barrier.iter().map(|(partition, end)| end.saturating_sub(next(partition))).sum()
    }

    async fn follow(&self, topic: &TopicName, name: &str) -> Result<watch::Receiver<bool>, BusError> {
        let _one = self.starting.lock().await;
        if let Some(ready) = self.find(name) {
            return Ok(ready);
        }
        let partitions: Vec<i32> = (0..).take(self.observer.partitions(topic).await?.len()).collect();
        let since = self.clock.now().as_millisecond().saturating_sub(self.window_ms).saturating_sub(SLACK_MS);
        let next = self.observer.since(topic, partitions.clone(), since).await?;
        let barrier = self.observer.ends(topic, partitions).await?;
        let followed = Followed { next: next.clone(), barrier, ready: watch::Sender::new(false) };
        followed.check();
        let ready = followed.ready.subscribe();
        locked(&self.topics).insert(name.to_owned(), followed);
        let assigned = list(name, &next).and_then(|list| self.observer.consumer.incremental_assign(&list));
        if let Err(error) = assigned {
            locked(&self.topics).remove(name);
            return Err(BusError::Unavailable(format!("the tail of {topic} can't be read: {error}").into()));
        }
        Ok(ready)
    }

    /// Reads until `closed`.
    pub async fn run(self: Arc<Self>, mut closed: watch::Receiver<bool>) {
        let wake = Arc::clone(&self.observer.wake);
        let mut restart = false;
        loop {
            restart |= self.take();
            if restart {
                restart = !self.restart().await;
            }
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = closed.wait_for(|closed| *closed) => return,
            }
        }
    }

    /// Takes what is there; true when a partition has lost its place.
    fn take(&self) -> bool {
        let consumer: &BaseConsumer<Context> = &self.observer.consumer;
        let mut lost = false;
        // Bounded, so that the runtime has its turn; the next look follows at once.
        for _ in 0..10_000 {
            match consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => self.note(&message),
                Some(Err(error)) => lost |= is_lost(&error),
                None if consumer.context().take_told() => {}
                None => return lost,
            }
        }
        self.observer.wake.notify_one();
        lost
    }

    fn note(&self, message: &BorrowedMessage<'_>) {
        if let Some(headers) = message.headers() {
            let marks = headers
                .iter()
                .filter(|header| header.key == HEADER)
                .filter_map(|header| Mark::from_bytes(header.value?));
            let now = self.clock.now().as_microsecond();
            marks.for_each(|mark| self.guards.remember(mark, now));
        }
        let mut topics = locked(&self.topics);
        if let Some(followed) = topics.get_mut(message.topic()) {
            followed.next.insert(message.partition(), message.offset().unsigned_abs() + 1);
            followed.check();
        }
    }

    /// Goes on where the log still has something; false when that has to be tried again.
    async fn restart(&self) -> bool {
        let places: Vec<(String, Vec<i32>)> = locked(&self.topics)
            .iter()
            .map(|(name, followed)| (name.clone(), followed.next.keys().copied().collect()))
            .collect();
        for (name, partitions) in places {
            let Ok(Ok(ranges)) = self.observer.ask_range(&name, partitions).await else { return false };
            let next: Offsets = {
                let mut topics = locked(&self.topics);
                let Some(followed) = topics.get_mut(&name) else { continue };
                for (partition, first, end) in ranges {
                    let next = followed.next.entry(partition).or_default();
                    // What was dropped can hold no guard that lives; a log that was cut is read from its end.
                    *next = (*next).clamp(first, end.max(first));
                }
                followed.check();
                followed.next.clone()
            };
            let consumer = &self.observer.consumer;
            let again = list(&name, &next)
                .and_then(|list| consumer.incremental_unassign(&list).map(|()| list))
                .and_then(|list| consumer.incremental_assign(&list));
            if let Err(error) = again {
                tracing::warn!(topic = name, %error, "the tail can't be read on");
                return false;
            }
        }
        true
    }
}

fn list(name: &str, offsets: &Offsets) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        list.add_partition_offset(name, *partition, Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX)))?;
    }
    Ok(list)
}

/// Whether reading has stopped at a place that the log does not have.
pub(super) fn is_lost(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::LogTruncation)
    )
}
