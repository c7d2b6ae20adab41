//! A store with orders and deliveries owed, a clock and a destination.

use crate::sink::FakeDestination;
use crate::store::FaultyDeliveries;
use gateway_connector::{BreakerPolicy, RetryPolicy};
use gateway_delivery::{DeliveryConfig, DeliveryDeps, DeliveryWorker};
use gateway_model::{
    ChannelId, Clock, Command, CommandId, Dataset, DeliveryId, DeliveryState, Field, Fields, ManualClock, Moment,
    Operation, OrderId, OrderNumber, OrderState, Origin, Part, RawId, SourceNumber, Timestamp,
};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{
    DeliveryRow, DeliveryStore, DeliveryUpdate, IngestRequest, IngestStore, IngestWrites, JobKind, JobStore,
    NewDelivery, NewRaw, RawMeta, SqliteOptions, SqliteStore, WorkOrderRow,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub struct Bench {
    _dir: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub store: Arc<SqliteStore>,
    pub deliveries: Arc<FaultyDeliveries>,
    pub destination: Arc<FakeDestination>,
}

pub fn id() -> ChannelId {
    ChannelId::new("municipal-12345").unwrap()
}

fn desk() -> ChannelId {
    ChannelId::new("desk").unwrap()
}

/// Seconds after the beginning of the tests' time.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

pub fn config() -> DeliveryConfig {
    DeliveryConfig {
        retry: RetryPolicy { min_ms: 10_000, max_ms: 10_000, factor: 1.0, jitter: false },
        breaker: BreakerPolicy { failures: 100, open_ms: 60_000 },
        lease_ms: 1_000_000_000,
        settle_after_ms: 15_000,
        ask_min_ms: 1_000,
        ask_max_ms: 60_000,
        already_submitted_after_ms: 30_000,
        hold_after_ms: 3_600_000,
        ..DeliveryConfig::default()
    }
}

pub fn number(order: u128) -> OrderNumber {
    OrderNumber {
        channel: id(),
        number: SourceNumber::new(format!("GZ{order}")).unwrap(),
        day: Moment::At(at(0)).day(),
    }
}

fn order_id(order: u128) -> OrderId {
    OrderId(uuid::Uuid::from_u128(order))
}

fn command(order: u128, operation: Operation) -> Command {
    let mut fields = Fields::new();
    fields.set(Field::ReplyText, "已处理".into());
    fields.set(Field::RequesterName, "must never leave".into());
    Command {
        id: CommandId(uuid::Uuid::from_u128(order)),
        order_id: order_id(order),
        operation,
        round: 0,
        at: Moment::At(at(-60)),
        operator: "王".into(),
        fields,
        received_at: at(-50),
    }
}

impl Bench {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(SqliteOptions::at(dir.path().join("store.db"))).await.unwrap());
        let deliveries = Arc::new(FaultyDeliveries::new(store.clone()));
        let clock = Arc::new(ManualClock::new(at(0)));
        let destination = Arc::new(FakeDestination::new());
        Self { _dir: dir, clock, store, deliveries, destination }
    }

    pub fn deps(&self) -> DeliveryDeps {
        DeliveryDeps {
            channel: id(),
            connector: self.destination.clone(),
            deliveries: self.deliveries.clone(),
            jobs: self.store.clone(),
            leases: self.store.clone(),
            clock: self.clock.clone() as Arc<dyn Clock>,
            origins: Arc::default(),
        }
    }

    pub fn worker(&self) -> DeliveryWorker {
        self.worker_with("me", config())
    }

    pub fn worker_with(&self, holder: &str, config: DeliveryConfig) -> DeliveryWorker {
        DeliveryWorker::new(self.deps(), holder, config).unwrap()
    }

    pub fn set_time(&self, second: i64) {
        self.clock.advance_to(at(second));
    }

    /// Owes one delivery of an order.
    pub async fn owe(&self, order: u128, operation: Operation) -> DeliveryId {
        let body = serde_json::to_vec(&command(order, operation)).unwrap();
        self.owe_body(order, operation, body, Some(number(order))).await
    }

    pub async fn owe_body(
        &self,
        order: u128,
        operation: Operation,
        body: Vec<u8>,
        known_as: Option<OrderNumber>,
    ) -> DeliveryId {
        let now = self.clock.now();
        let owed = std::sync::Mutex::new(None);
        let decide = |loaded: gateway_store::Loaded| {
            let id_given = DeliveryId(loaded.next_delivery_id);
            *owed.lock().unwrap() = Some(id_given);
            IngestWrites {
                raws: vec![NewRaw {
                    id: RawId(loaded.next_raw_id),
                    meta: RawMeta {
                        channel: desk(),
                        origin: Origin::Command,
                        number: None,
                        received_at: now,
                        read_at: now,
                        topic: "raw".into(),
                        partition: 0,
                        offset: loaded.next_raw_id as u64,
                    },
                    body: body.clone(),
                    key_id: "plain".into(),
                }],
                orders: vec![WorkOrderRow {
                    id: order_id(order),
                    seq: 1,
                    feed_seq: loaded.next_feed_seq,
                    created_at: now,
                    changed_at: now,
                    state: Some(OrderState::Signed),
                    round: 0,
                    fields: Fields::new(),
                    conflicts: Vec::new(),
                }],
                numbers: known_as.clone().into_iter().map(|number| (order_id(order), number)).collect(),
                new_deliveries: vec![NewDelivery {
                    id: id_given,
                    order_id: order_id(order),
                    destination: id(),
                    from: desk(),
                    operation,
                    dataset: Dataset::Completion,
                    part: Part::Cycle(0),
                    round: 0,
                    raw_id: RawId(loaded.next_raw_id),
                    command_id: (operation != Operation::Forward).then(|| CommandId(uuid::Uuid::from_u128(order))),
                    created_at: now,
                }],
                ..IngestWrites::default()
            }
        };
        self.store.ingest(IngestRequest::default(), &decide).await.unwrap();
        owed.into_inner().unwrap().unwrap()
    }

    /// What the pipeline does when a record shows something of a delivery.
    pub async fn pipeline_says(&self, id: DeliveryId, state: DeliveryState, code: &str) {
        let now = self.clock.now();
        let decide = |_| IngestWrites {
            delivery_updates: vec![DeliveryUpdate {
                id,
                state,
                receipt: None,
                next_attempt_at: Some(now),
                reason_code: Some(code.into()),
                reason: None,
            }],
            ..IngestWrites::default()
        };
        self.store.ingest(IngestRequest::default(), &decide).await.unwrap();
    }

    pub async fn row(&self, id: DeliveryId) -> DeliveryRow {
        self.store.delivery(id).await.unwrap().unwrap()
    }

    pub async fn state(&self, id: DeliveryId) -> DeliveryState {
        self.row(id).await.state
    }

    /// The subjects of the re-reads that were asked for; they count as done with this call.
    pub async fn rereads(&self) -> Vec<String> {
        let (late, later) = (at(1_000_000), at(1_000_001));
        let jobs = self.store.claim_jobs(JobKind::Reread, &id(), late, later, 100).await.unwrap();
        let done: Vec<_> = jobs.iter().map(|job| (job.id, job.requested)).collect();
        self.store.finish_jobs(&done).await.unwrap();
        jobs.into_iter().map(|job| job.subject).collect()
    }
}

pub fn round() -> Round {
    Round { stopping: CancellationToken::new() }
}

/// Rounds until there is nothing more to do now.
pub async fn run(worker: &mut DeliveryWorker) -> Result<Ran, TaskError> {
    for _ in 0..1_000 {
        let ran = worker.run(&round()).await?;
        if ran != Ran::Busy {
            return Ok(ran);
        }
    }
    panic!("the worker never comes to rest");
}
