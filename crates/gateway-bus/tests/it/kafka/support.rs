//! The engine on Kafka as the suite sees it.

use super::broker;
use async_trait::async_trait;
use gateway_bus::conformance::BusUnderTest;
use gateway_bus::embedded::EmbeddedOptions;
use gateway_bus::kafka::{KafkaBus, KafkaOptions};
use gateway_bus::spool::{ConflictRule, SpooledBus};
use gateway_bus::{Bus, NewMessage, TopicName};
use gateway_model::{Clock, ManualClock, Timestamp};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Topics of a cluster that tests have to themselves.
pub struct Kafka {
    pub options: KafkaOptions,
    pub clock: Arc<ManualClock>,
}

/// Options for one broker, and names that no other test uses.
pub fn options_at(servers: &str) -> KafkaOptions {
    KafkaOptions {
        prefix: format!("t{:08x}.", rand::random::<u32>()),
        replication: 1,
        min_insync: 1,
        session_timeout_ms: 6_000,
        heartbeat_ms: 100,
        queue_bytes: 1 << 20,
        ..KafkaOptions::at(servers)
    }
}

impl Kafka {
    pub fn new() -> Self {
        Self::with(options_at(&broker::bootstrap_servers()))
    }

    pub fn with(options: KafkaOptions) -> Self {
        Self { options, clock: Arc::new(ManualClock::new(Timestamp::now())) }
    }

    pub async fn open_kafka(&self) -> KafkaBus {
        KafkaBus::open(self.options.clone(), self.clock.clone()).await.unwrap()
    }

    /// The name of a topic on the brokers.
    pub fn name(&self, topic: &TopicName) -> String {
        format!("{}{topic}", self.options.prefix)
    }

    /// A client of an administrator.
    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        let mut config = rdkafka::ClientConfig::new();
        config.set("bootstrap.servers", broker_for_admin(&self.options));
        config.create().unwrap()
    }
}

/// The administrator comes by the plain listener.
fn broker_for_admin(options: &KafkaOptions) -> String {
    if options.security.tls {
        broker::shared().address("PLAINTEXT").to_owned()
    } else {
        options.bootstrap_servers.clone()
    }
}

#[async_trait]
impl BusUnderTest for Kafka {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(self.open_kafka().await)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass_time(&self, time: Duration) {
        self.clock.advance_to(self.clock.now().checked_add(time).unwrap());
    }

    async fn expire(&self, bus: &dyn Bus, topic: &TopicName) {
        // Guards of the suite live for a minute.
        self.pass_time(Duration::from_secs(61)).await;
        let name = self.name(topic);
        let mut ends = TopicPartitionList::new();
        for end in bus.end_positions(topic).await.unwrap() {
            let offset = Offset::Offset(i64::try_from(end.offset).unwrap());
            ends.add_partition_offset(&name, i32::try_from(end.partition).unwrap(), offset).unwrap();
        }
        let deleted = self.admin().delete_records(&ends, &AdminOptions::new()).await.unwrap();
        deleted.elements().iter().for_each(|one| one.error().unwrap());
    }
}

/// The same with a spool before it.
pub struct SpooledKafka {
    kafka: Kafka,
    spool: tempfile::TempDir,
}

impl SpooledKafka {
    pub fn new() -> Self {
        Self { kafka: Kafka::new(), spool: tempfile::tempdir().unwrap() }
    }
}

/// No message of the suite conflicts behind the spool.
struct NoConflicts;

impl ConflictRule for NoConflicts {
    fn request_of<'a>(&self, nonce: &'a str) -> &'a str {
        nonce
    }

    fn resolve(&self, message: NewMessage) -> NewMessage {
        panic!("no conflict was due: {message:?}")
    }
}

#[async_trait]
impl BusUnderTest for SpooledKafka {
    async fn open(&self) -> Arc<dyn Bus> {
        let far = Arc::new(self.kafka.open_kafka().await);
        let options = EmbeddedOptions::in_dir(self.spool.path());
        let (patience, rule, clock) = (Duration::from_secs(60), Arc::new(NoConflicts), self.kafka.clock.clone());
        Arc::new(SpooledBus::open(far, options, patience, rule, clock).await.unwrap())
    }

    fn now(&self) -> Timestamp {
        self.kafka.now()
    }

    async fn pass_time(&self, time: Duration) {
        self.kafka.pass_time(time).await;
    }

    async fn expire(&self, bus: &dyn Bus, topic: &TopicName) {
        self.kafka.expire(bus, topic).await;
    }
}

/// Waits until a condition holds; fails after half a minute with what it was for.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
