//! What topics are made like, checked for, and brought in line to.

use super::support::{Kafka, eventually};
use gateway_bus::conformance::{append_one, fetch_messages, message};
use gateway_bus::kafka::KafkaOptions;
use gateway_bus::{Bus, BusError, LostOffsets, TopicName, TopicSpec};
use gateway_model::ChannelId;
use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn spec(retention: Duration) -> TopicSpec {
    TopicSpec { name: TopicName::raw(&ChannelId::new("topics").unwrap()), partitions: 3, retention }
}

async fn settings(kafka: &Kafka, topic: &TopicName) -> BTreeMap<String, String> {
    let name = kafka.name(topic);
    let found = kafka.admin().describe_configs([&ResourceSpecifier::Topic(&name)], &AdminOptions::new()).await.unwrap();
    let config = found.into_iter().next().unwrap().unwrap();
    config.entries.into_iter().map(|entry| (entry.name, entry.value.unwrap_or_default())).collect()
}

async fn make(kafka: &Kafka, topic: &TopicName, settings: &[(&str, &str)]) {
    let name = kafka.name(topic);
    let mut new = NewTopic::new(&name, 2, TopicReplication::Fixed(1));
    for (key, value) in settings {
        new = new.set(key, value);
    }
    let made = kafka.admin().create_topics([&new], &AdminOptions::new()).await.unwrap();
    made.into_iter().for_each(|one| drop(one.unwrap()));
}

fn refusal(outcome: Result<(), BusError>) -> String {
    match outcome {
        Err(BusError::Refused { what }) => what,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_topic_is_made_as_asked_for_and_follows_a_new_retention() {
    let kafka = Kafka::new();
    let bus = kafka.open_kafka().await;
    let wanted = spec(14 * DAY);
    bus.ensure_topic(&wanted).await.unwrap();
    let found = settings(&kafka, &wanted.name).await;
    let expected = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "1209600000"),
        ("segment.ms", "86400000"),
        ("min.insync.replicas", "1"),
        ("max.message.bytes", "16781312"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    for (key, value) in expected {
        assert_eq!(found[key], value, "{key}");
    }
    bus.ensure_topic(&TopicSpec { retention: 2 * DAY, ..wanted.clone() }).await.unwrap();
    assert_eq!(settings(&kafka, &wanted.name).await["retention.ms"], "172800000");
    assert_eq!(settings(&kafka, &wanted.name).await["message.timestamp.type"], "LogAppendTime", "the rest stays");
}

#[tokio::test]
async fn a_topic_that_somebody_made_is_brought_in_line_and_keeps_its_other_settings() {
    let kafka = Kafka::new();
    let wanted = spec(DAY);
    make(&kafka, &wanted.name, &[("cleanup.policy", "compact"), ("retention.ms", "-1"), ("flush.messages", "7")]).await;
    let bus = kafka.open_kafka().await;
    bus.ensure_topic(&wanted).await.unwrap();
    let found = settings(&kafka, &wanted.name).await;
    assert_eq!((found["cleanup.policy"].as_str(), found["retention.ms"].as_str()), ("delete", "86400000"));
    assert_eq!(found["flush.messages"], "7");
    assert_eq!(bus.end_positions(&wanted.name).await.unwrap().len(), 2, "it keeps its partitions");
}

#[tokio::test]
async fn topics_that_are_not_ours_to_manage_are_checked_and_the_remedy_is_told() {
    let kafka = Kafka::new();
    let kafka = Kafka::with(KafkaOptions { manage_topics: false, ..kafka.options });
    let wanted = spec(DAY);
    let bus = kafka.open_kafka().await;
    let missing = refusal(bus.ensure_topic(&wanted).await);
    assert!(missing.contains(&kafka.name(&wanted.name)) && missing.contains("3 partitions"), "{missing}");
    make(&kafka, &wanted.name, &[("retention.ms", "-1"), ("message.timestamp.type", "LogAppendTime")]).await;
    let wrong = refusal(bus.ensure_topic(&wanted).await);
    assert!(wrong.contains("retention.ms=-1") && wrong.contains("kafka-configs.sh --alter"), "{wrong}");
    assert!(
        wrong.contains("max.message.bytes=16781312") && !wrong.contains("message.timestamp.type"),
        "all that is wrong, and only that: {wrong}"
    );
}

#[tokio::test]
async fn more_replicas_than_brokers_are_refused_with_what_to_do() {
    let kafka = Kafka::new();
    let kafka = Kafka::with(KafkaOptions { replication: 16, min_insync: 2, ..kafka.options });
    let bus = kafka.open_kafka().await;
    let why = refusal(bus.ensure_topic(&spec(DAY)).await);
    assert!(why.contains("replication = 16") && why.contains("1 broker"), "{why}");
    let kafka = Kafka::with(KafkaOptions { replication: 1, min_insync: 1, ..kafka.options });
    kafka.open_kafka().await.ensure_topic(&spec(DAY)).await.unwrap();
    let why = refusal(bus.ensure_topic(&spec(DAY)).await);
    assert!(why.contains("has 1 replica(s)"), "{why}");
}

/// The broker's own retention, on its own clock: what it drops before it was read is told as lost.
#[tokio::test]
async fn what_retention_drops_is_told_lost() {
    let kafka = Kafka::new();
    let kafka = Kafka::with(KafkaOptions { segment_seconds: 1, ..kafka.options });
    let bus = kafka.open_kafka().await;
    let wanted = TopicSpec { partitions: 1, ..spec(Duration::from_secs(1)) };
    let topic = &wanted.name;
    bus.ensure_topic(&wanted).await.unwrap();
    for number in 0..5_u8 {
        append_one(&bus, topic, message("key", [number])).await;
    }
    // A reader that stands before what is dropped, and has taken nothing of it.
    let first = kafka.admin();
    let name = kafka.name(topic);
    eventually("retention drops everything", async || {
        let (low, high) = {
            let (client, name) = (first.inner(), name.as_str());
            client.fetch_watermarks(name, 0, Duration::from_secs(5)).unwrap()
        };
        low == high
    })
    .await;
    let mut reader = bus.subscribe("late", std::slice::from_ref(topic)).await.unwrap();
    let fetched = reader.fetch(10, Duration::from_secs(30)).await.unwrap();
    assert_eq!(fetched.lost, vec![LostOffsets { topic: topic.clone(), partition: 0, from: 0, to: 5 }]);
    // The next is read, however soon it goes too.
    bus.ensure_topic(&TopicSpec { retention: DAY, ..wanted.clone() }).await.unwrap();
    assert_eq!(append_one(&bus, topic, message("key", "after")).await, (0, 5));
    assert_eq!(fetch_messages(&mut *reader, 1).await[0].offset, 5);
}
