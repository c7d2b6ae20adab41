//! The task that drives records from the bus into the store.

use crate::Decider;
use crate::normalize::{Normalized, Statement};
use async_trait::async_trait;
use gateway_bus::{Bus, Consumer, Envelope, Headers, LostOffsets, Message, NewMessage, Position, TopicName};
use gateway_model::{ChannelId, Clock, Dataset, GapEvidence, GapKind, GapState, Origin, Timestamp, Window};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{NewGap, RawMeta, Store};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The group under which the pipeline reads.
pub const GROUP: &str = "pipeline";

/// Settings of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// Records in one transaction at most.
    pub batch_records: usize,
    /// A record that waits for its order longer than this becomes a dead letter.
    pub park_patience_s: u64,
    /// How long a round waits for records; what comes meanwhile is taken at once. A stop is never farther than this.
    pub fetch_wait_ms: u64,
    /// A revision this much later than its receipt orders nothing.
    pub future_tolerance_s: u64,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self { batch_records: 500, park_patience_s: 3_600, fetch_wait_ms: 1_000, future_tolerance_s: 600 }
    }
}

/// Reads records, decides, writes, commits; one round is one batch.
pub struct Pipeline {
    batch: Batch,
    batch_records: usize,
    fetch_wait: Duration,
    topics: Vec<TopicName>,
    consumer: Option<Box<dyn Consumer>>,
}

/// What is done to one batch.
struct Batch {
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    decider: Arc<Decider>,
    clock: Arc<dyn Clock>,
    channels: BTreeMap<TopicName, ChannelId>,
}

impl Pipeline {
    /// A pipeline over the records of these channels.
    #[must_use]
    pub fn new(
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
        decider: Arc<Decider>,
        clock: Arc<dyn Clock>,
        config: &PipelineConfig,
        channels: &[ChannelId],
    ) -> Self {
        // Live records first: a backfill never starves them.
        let live = channels.iter().map(|channel| (TopicName::raw(channel), channel.clone()));
        let backfill = channels.iter().map(|channel| (TopicName::raw_backfill(channel), channel.clone()));
        let by_topic: Vec<_> = live.chain(backfill).collect();
        Self {
            batch_records: config.batch_records.max(1),
            fetch_wait: Duration::from_millis(config.fetch_wait_ms),
            topics: by_topic.iter().map(|(topic, _)| topic.clone()).collect(),
            batch: Batch { bus, store, decider, clock, channels: by_topic.into_iter().collect() },
            consumer: None,
        }
    }
}

impl Batch {
    fn read(&self, mut message: Message) -> Option<Normalized> {
        let (topic, partition, offset, appended_at) =
            (message.topic.clone(), message.partition, message.offset, message.appended_at);
        let channel = self.channels.get(&topic)?.clone();
        // The body outlives an envelope that can't be read.
        let body = std::mem::take(&mut message.payload);
        let place = |origin, number, received_at, read_at| RawMeta {
            channel: channel.clone(),
            origin,
            number,
            received_at,
            read_at,
            topic: topic.as_str().to_owned(),
            partition,
            offset,
        };
        Some(match Envelope::from_message(message) {
            Ok(envelope) => {
                let meta = place(envelope.origin, envelope.number, envelope.received_at, envelope.read_at);
                Normalized::read(&self.decider.normalizers, meta, body, envelope.undecodable)
            }
            Err(error) => Normalized {
                meta: place(Origin::Webhook, None, appended_at, appended_at),
                body,
                statement: Statement::Dead { code: error.code().into(), reason: error.to_string() },
            },
        })
    }

    async fn ingest(&self, batch: Vec<Normalized>) -> Result<BTreeSet<ChannelId>, gateway_store::StoreError> {
        let owed = Mutex::new(BTreeSet::new());
        let now = self.clock.now();
        let decide = |loaded| {
            let writes = self.decider.decide(loaded, &batch, now);
            let to: BTreeSet<ChannelId> =
                writes.new_deliveries.iter().map(|delivery| delivery.destination.clone()).collect();
            *owed.lock().unwrap_or_else(PoisonError::into_inner) = to;
            writes
        };
        self.store.ingest(self.decider.request(&batch), &decide).await?;
        Ok(owed.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Offsets that the bus dropped before they were read are a gap, at once: there is nothing to look at a second time.
    async fn report_lost(&self, lost: &[LostOffsets]) -> Result<(), gateway_store::StoreError> {
        let now = self.clock.now();
        for range in lost {
            let Some(channel) = self.channels.get(&range.topic) else { continue };
            tracing::error!(topic = %range.topic, from = range.from, to = range.to, "records were dropped by the bus before they were read");
            let gap = NewGap {
                channel: channel.clone(),
                dataset: Dataset::Acceptance,
                kind: GapKind::LostOffset,
                key: None,
                window: Window::new(now, now),
                delivery_id: None,
                evidence: GapEvidence { theirs: None, ours: None, as_of: now, compared_at: now },
                detail: Some(format!("offsets {} {} {} {}", range.topic, range.partition, range.from, range.to)),
                at: now,
            };
            let reason = format!(
                "{} partition {}: offsets {} to {} were dropped",
                range.topic, range.partition, range.from, range.to
            );
            for id in self.store.suspect(&[gap]).await? {
                self.store.move_gap(id, GapState::Open, None, Some(&reason), None, now).await?;
            }
        }
        Ok(())
    }

    /// Wakes the delivery workers. Only a hint: what is owed stands in the store, and a worker looks there by itself too.
    async fn wake(&self, destinations: BTreeSet<ChannelId>) {
        for destination in destinations {
            let message =
                NewMessage { key: destination.to_string(), headers: Headers::new(), payload: Vec::new(), guard: None };
            if let Err(error) = self.bus.append(&TopicName::outbound(&destination), vec![message]).await {
                tracing::debug!(%destination, %error, "the wake of a delivery worker was not appended");
            }
        }
    }

    fn measure(batch: &[Normalized], now: Timestamp) {
        for record in batch {
            let channel = record.meta.channel.to_string();
            metrics::counter!("gateway_pipeline_records_total", "channel" => channel.clone()).increment(1);
            let seconds = now.duration_since(record.meta.received_at).as_secs_f64().max(0.0);
            metrics::histogram!("gateway_pipeline_latency_seconds", "channel" => channel).record(seconds);
        }
    }
}

#[async_trait]
impl Task for Pipeline {
    fn name(&self) -> String {
        "pipeline".into()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let bus_error = |error: gateway_bus::BusError| TaskError::new("bus", &error);
        let mut consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => self.batch.bus.subscribe(GROUP, &self.topics).await.map_err(bus_error)?,
        };
        let fetched = tokio::select! {
            fetched = consumer.fetch(self.batch_records, self.fetch_wait) => fetched.map_err(bus_error)?,
            () = round.stopping.cancelled() => return Ok(Ran::Idle),
        };
        if fetched.messages.is_empty() && fetched.lost.is_empty() {
            self.consumer = Some(consumer);
            // The waiting is done by the fetch.
            return Ok(Ran::After(Duration::ZERO));
        }
        let positions = ends(&fetched.messages);
        let batch: Vec<Normalized> =
            fetched.messages.into_iter().filter_map(|message| self.batch.read(message)).collect();
        // On an error the consumer is dropped: the next round joins anew and reads from the committed position.
        let store_error = |error: gateway_store::StoreError| TaskError::new("store", &error);
        self.batch.report_lost(&fetched.lost).await.map_err(store_error)?;
        Batch::measure(&batch, self.batch.clock.now());
        let owed = self.batch.ingest(batch).await.map_err(store_error)?;
        consumer.commit(&positions).await.map_err(bus_error)?;
        self.consumer = Some(consumer);
        self.batch.wake(owed).await;
        Ok(Ran::Busy)
    }
}

fn ends(messages: &[Message]) -> Vec<Position> {
    let mut ends: BTreeMap<(TopicName, u32), u64> = BTreeMap::new();
    for message in messages {
        let end = ends.entry((message.topic.clone(), message.partition)).or_default();
        *end = (*end).max(message.offset + 1);
    }
    ends.into_iter().map(|((topic, partition), offset)| Position { topic, partition, offset }).collect()
}
