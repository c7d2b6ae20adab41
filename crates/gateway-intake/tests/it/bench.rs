//! A bus, a store, a clock and a channel, and what stands on the bus afterwards.

use crate::bus::FaultyBus;
use crate::channel::FakeChannel;
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Bus, Envelope, TopicName, TopicSpec};
use gateway_intake::ChannelIntake;
use gateway_model::{ChannelId, Clock, ManualClock, Timestamp};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{SqliteOptions, SqliteStore};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub struct Bench {
    dir: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub bus: Arc<FaultyBus>,
    pub store: Arc<SqliteStore>,
    pub channel: Arc<FakeChannel>,
}

pub fn id() -> ChannelId {
    ChannelId::new("municipal-12345").unwrap()
}

/// Seconds after the beginning of the tests' time.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

impl Bench {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(at(0)));
        let options = EmbeddedOptions::in_dir(dir.path().join("bus"));
        let bus = EmbeddedBus::open(options, clock.clone()).await.unwrap();
        for name in [TopicName::raw(&id()), TopicName::raw_backfill(&id())] {
            let spec = TopicSpec { name, partitions: 2, retention: Duration::from_secs(86_400) };
            bus.ensure_topic(&spec).await.unwrap();
        }
        let store = SqliteStore::open(SqliteOptions::at(dir.path().join("store.db"))).await.unwrap();
        let channel = Arc::new(FakeChannel::new(clock.clone()));
        Self { dir, clock, bus: Arc::new(FaultyBus::new(bus)), store: Arc::new(store), channel }
    }

    pub fn intake(&self) -> ChannelIntake {
        ChannelIntake {
            channel: id(),
            connector: self.channel.clone(),
            bus: self.bus.clone(),
            clock: self.clock.clone() as Arc<dyn Clock>,
        }
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub fn set_time(&self, second: i64) {
        self.clock.advance_to(at(second));
    }

    /// Everything that stands on a topic.
    pub async fn on(&self, topic: TopicName) -> Vec<Envelope> {
        let mut consumer = self.bus.subscribe("look", std::slice::from_ref(&topic)).await.unwrap();
        let mut all = Vec::new();
        let end: u64 = self.bus.end_positions(&topic).await.unwrap().iter().map(|position| position.offset).sum();
        while (all.len() as u64) < end {
            let fetched = consumer.fetch(1_000, Duration::from_secs(5)).await.unwrap();
            assert!(!fetched.messages.is_empty(), "what was appended can be read");
            all.extend(fetched.messages.into_iter().map(|message| Envelope::from_message(message).unwrap()));
        }
        all
    }

    pub async fn raw(&self) -> Vec<Envelope> {
        self.on(TopicName::raw(&id())).await
    }

    /// What was appended to the raw topic, as texts in order of content.
    pub async fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<String> =
            self.raw().await.into_iter().map(|one| String::from_utf8(one.payload).unwrap()).collect();
        bodies.sort();
        bodies
    }
}

pub fn round() -> Round {
    Round { stopping: CancellationToken::new() }
}

/// Rounds until there is nothing more to do at once.
pub async fn run(task: &mut dyn Task) -> Result<(), TaskError> {
    for _ in 0..1_000 {
        if task.run(&round()).await? != Ran::Busy {
            return Ok(());
        }
    }
    panic!("the task never comes to rest");
}
