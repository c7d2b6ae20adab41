//! A store and a bus of their own, a process that is played, and a clock that only the test moves.

use gateway_alert::checks::{
    CheckDeps, ChecksConfig, PollReading, ProcessView, Refusal, Space, WatchedChannel, WatchedDirs, all,
};
use gateway_alert::{Check, Finding};
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Bus, Headers, NewMessage, TopicName, TopicSpec};
use gateway_connector::{BreakerState, PeerClock};
use gateway_model::*;
use gateway_runtime::{TaskHealth, TaskStatus};
use gateway_store::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub fn municipal() -> ChannelId {
    ChannelId::new("municipal-12345").unwrap()
}

/// Seconds after a Monday morning in China (2026-11-23, nine o'clock).
pub fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
    Timestamp::from_second(start.as_second() + seconds).unwrap()
}

pub fn number(n: u64) -> SourceNumber {
    SourceNumber::new(format!("GZ20261123{n:06}")).unwrap()
}

/// What the process would tell.
#[derive(Default)]
pub struct Played {
    pub tasks: Vec<TaskStatus>,
    pub refusals: Vec<Refusal>,
    pub breaker: Option<BreakerState>,
    pub poll: Option<PollReading>,
    pub clock: Option<PeerClock>,
    pub spool: Vec<NodeSpool>,
}

#[derive(Default)]
struct Process(Mutex<Played>);

impl ProcessView for Process {
    fn tasks(&self) -> Vec<TaskStatus> {
        self.0.lock().unwrap().tasks.clone()
    }
    fn refusals(&self) -> Vec<Refusal> {
        self.0.lock().unwrap().refusals.clone()
    }
    fn breakers(&self) -> Vec<(ChannelId, BreakerState)> {
        self.0.lock().unwrap().breaker.into_iter().map(|state| (municipal(), state)).collect()
    }
    fn polls(&self) -> Vec<PollReading> {
        self.0.lock().unwrap().poll.clone().into_iter().collect()
    }
    fn peer_clocks(&self) -> Vec<(ChannelId, PeerClock)> {
        self.0.lock().unwrap().clock.into_iter().map(|clock| (municipal(), clock)).collect()
    }
    fn spool(&self) -> Vec<NodeSpool> {
        self.0.lock().unwrap().spool.clone()
    }
}

pub struct World {
    pub store: Arc<SqliteStore>,
    pub bus: Arc<EmbeddedBus>,
    pub space: Arc<Mutex<Space>>,
    pub deps: CheckDeps,
    process: Arc<Process>,
    pub dir: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(at(0)));
        let options = EmbeddedOptions::in_dir(dir.path().join("bus"));
        let bus = Arc::new(EmbeddedBus::open(options, clock).await.unwrap());
        let spec =
            TopicSpec { name: TopicName::raw(&municipal()), partitions: 2, retention: Duration::from_secs(86_400) };
        bus.ensure_topic(&spec).await.unwrap();
        let store = Arc::new(SqliteStore::open(SqliteOptions::at(dir.path().join("store.db"))).await.unwrap());
        let process = Arc::new(Process::default());
        let space = Arc::new(Mutex::new(Space { free: 500 << 30, total: 1_000 << 30, filesystem: 1 }));
        let probed = space.clone();
        let deps = CheckDeps {
            store: store.clone(),
            bus: bus.clone(),
            process: process.clone(),
            channels: vec![WatchedChannel {
                id: municipal(),
                source: true,
                receiver: true,
                sink: true,
                verifiable: true,
                expires_on: None,
                secret_files: Vec::new(),
            }],
            dirs: WatchedDirs {
                data: dir.path().to_owned(),
                bus: dir.path().join("bus"),
                store: dir.path().to_owned(),
                attachments: dir.path().join("attachments"),
            },
            space: Arc::new(move |_| Ok(*probed.lock().unwrap())),
            whole_comparison_every: Some(Duration::from_secs(3_600)),
        };
        Self { store, bus, space, deps, process, dir }
    }

    pub fn play(&self, change: impl FnOnce(&mut Played)) {
        change(&mut self.process.0.lock().unwrap());
    }

    /// A check with the default settings.
    pub fn check(&self, name: &str) -> Probe {
        self.check_with(name, &ChecksConfig::default())
    }

    pub fn check_with(&self, name: &str, config: &ChecksConfig) -> Probe {
        let (checks, _) = all(&self.deps, config).together();
        let check = checks.into_iter().find(|check| check.name() == name).unwrap();
        Probe { check }
    }

    /// Writes in the pipeline's transaction.
    pub async fn write(&self, fill: impl Fn(&Loaded, &mut IngestWrites) + Send + Sync) {
        let decide = |loaded| {
            let mut writes = IngestWrites::default();
            fill(&loaded, &mut writes);
            writes
        };
        self.store.ingest(IngestRequest::default(), &decide).await.unwrap();
    }

    /// Appends records to the bus.
    pub async fn append(&self, records: usize) {
        let message = NewMessage { key: "one".into(), headers: Headers::new(), payload: vec![0; 100], guard: None };
        self.bus.append(&TopicName::raw(&municipal()), vec![message; records]).await.unwrap();
    }

    /// Takes everything on the bus as processed.
    pub async fn process_all(&self) {
        let topic = TopicName::raw(&municipal());
        let ends = self.bus.end_positions(&topic).await.unwrap();
        self.write(|_, writes| {
            writes.positions.extend(ends.iter().map(|end| FlowPosition {
                topic: topic.as_str().to_owned(),
                partition: end.partition,
                next_offset: end.offset,
            }));
        })
        .await;
    }

    /// An order with a number.
    pub async fn order(&self, number: SourceNumber, day: Day) -> OrderId {
        let id = OrderId::new(at(0));
        self.write(|loaded, writes| {
            writes.orders.push(WorkOrderRow {
                id,
                seq: 1,
                feed_seq: loaded.next_feed_seq,
                created_at: at(0),
                changed_at: at(0),
                state: None,
                round: 0,
                fields: Fields::default(),
                conflicts: Vec::new(),
            });
            writes.numbers.push((id, OrderNumber { channel: municipal(), number: number.clone(), day }));
        })
        .await;
        id
    }
}

/// A record that was polled at a time; `id` is given when it is written.
pub fn raw(id: i64, received_at: Timestamp) -> NewRaw {
    NewRaw {
        id: RawId(id),
        meta: RawMeta {
            channel: municipal(),
            origin: Origin::Poll,
            number: None,
            received_at,
            read_at: received_at,
            topic: "gateway.municipal-12345.raw.v1".into(),
            partition: 0,
            offset: u64::try_from(id).unwrap(),
        },
        body: Vec::new(),
        key_id: "plain".into(),
    }
}

pub fn task(name: &str, health: TaskHealth, since_success_ms: u64) -> TaskStatus {
    let failing = health != TaskHealth::Healthy;
    TaskStatus {
        name: name.into(),
        health,
        rounds: 7,
        failures: u64::from(failing),
        since_success_ms,
        running_ms: None,
        error_code: failing.then(|| "unavailable".to_owned()),
        error: failing.then(|| "can't connect".to_owned()),
    }
}

/// A check under test.
pub struct Probe {
    check: Box<dyn Check>,
}

impl Probe {
    /// What it finds at a time.
    pub async fn look(&mut self, at: Timestamp) -> Vec<Finding> {
        self.check.look(at).await.unwrap()
    }

    /// That it finds nothing.
    #[track_caller]
    pub fn nothing(&mut self, at: Timestamp) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let found = self.look(at).await;
            assert!(found.is_empty(), "at {caller}: {found:?}");
        }
    }

    /// The one thing that it finds.
    #[track_caller]
    pub fn one(&mut self, at: Timestamp) -> impl Future<Output = Finding> {
        let caller = std::panic::Location::caller();
        async move {
            let mut found = self.look(at).await;
            assert_eq!(found.len(), 1, "at {caller}: {found:?}");
            found.remove(0)
        }
    }
}

/// The facts, to compare.
pub fn facts(finding: &Finding) -> BTreeMap<&str, &str> {
    finding.facts.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect()
}
