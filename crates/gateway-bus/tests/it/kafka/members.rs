//! Members of a group that are late, or come back.

use super::support::Kafka;
use gateway_bus::conformance::{append_one, behind, expect_nothing, fetch_messages, message, new_topic};
use gateway_bus::kafka::KafkaOptions;
use gateway_bus::{Bus, BusError, Consumer, TopicName};
use std::collections::BTreeSet;
use std::time::Duration;

/// Reads until every partition's new message came, and returns which partitions each member read.
async fn read_round(bus: &dyn Bus, topic: &TopicName, members: &mut [&mut dyn Consumer]) -> Vec<BTreeSet<u32>> {
    let mut due = BTreeSet::new();
    for number in 0..16 {
        due.insert(append_one(bus, topic, message(&format!("key-{number}"), "x")).await);
    }
    let mut read = vec![BTreeSet::new(); members.len()];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !due.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "still due: {due:?}");
        for (member, read) in members.iter_mut().zip(&mut read) {
            let fetched = member.fetch(100, Duration::from_millis(20)).await.unwrap();
            for message in &fetched.messages {
                due.remove(&(message.partition, message.offset));
                read.insert(message.partition);
            }
            member.commit(&behind(&fetched.messages)).await.unwrap();
        }
    }
    read
}

/// A member that works on one batch for longer than it may has lost its partitions, and can't undo what its successor committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_too_slow_is_succeeded_and_can_not_undo() {
    let kafka = Kafka::new();
    let kafka = Kafka::with(KafkaOptions { max_poll_ms: 6_000, ..kafka.options });
    let bus = kafka.open_kafka().await;
    let topic = new_topic(&bus, "slow", 1).await;
    for number in 0..10_u8 {
        append_one(&bus, &topic, message("key", [number])).await;
    }
    let topics = std::slice::from_ref(&topic);
    let mut slow = bus.subscribe("slow", topics).await.unwrap();
    let read = fetch_messages(&mut *slow, 5).await;
    slow.commit(&behind(&read[..2])).await.unwrap();
    let mut successor = bus.subscribe("slow", topics).await.unwrap();
    let taken = fetch_messages(&mut *successor, 8).await;
    assert_eq!(taken[0].offset, 2, "from what was committed");
    successor.commit(&behind(&taken)).await.unwrap();
    let late = slow.commit(&behind(&read)).await;
    assert!(matches!(late, Ok(()) | Err(BusError::Unavailable(_))), "{late:?}");
    assert_eq!(bus.committed("slow", &topic).await.unwrap()[0].offset, 10, "nothing goes back");
    drop(successor);
    append_one(&bus, &topic, message("key", "more")).await;
    // The slow one is told, and joins anew.
    let told = slow.fetch(1, Duration::from_secs(10)).await;
    assert!(matches!(&told, Err(BusError::Unavailable(why)) if why.to_string().contains("max_poll_ms")), "{told:?}");
    drop(slow);
    let mut again = bus.subscribe("slow", topics).await.unwrap();
    assert_eq!(fetch_messages(&mut *again, 1).await[0].offset, 10);
}

/// A replica with a name of its own that is started again has its partitions again, and the other's stay where they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_started_again_moves_nothing() {
    let first = Kafka::new();
    let named = |name: &str| {
        Kafka::with(KafkaOptions { instance: Some(name.into()), session_timeout_ms: 30_000, ..first.options.clone() })
    };
    let (one, two) = (named("one"), named("two"));
    let (bus_one, bus_two) = (one.open_kafka().await, two.open_kafka().await);
    let topic = new_topic(&bus_one, "static", 4).await;
    let topics = std::slice::from_ref(&topic);
    let mut member_one = bus_one.subscribe("static", topics).await.unwrap();
    let mut member_two = bus_two.subscribe("static", topics).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let before = loop {
        let read = read_round(&bus_one, &topic, &mut [&mut *member_one, &mut *member_two]).await;
        if read.iter().all(|partitions| partitions.len() == 2) {
            break read;
        }
        assert!(tokio::time::Instant::now() < deadline, "partitions are shared evenly: {read:?}");
    };
    drop(member_one);
    bus_one.close().await;
    drop(bus_one);
    expect_nothing(&mut *member_two).await;
    let bus_one = one.open_kafka().await;
    let mut member_one = bus_one.subscribe("static", topics).await.unwrap();
    for _ in 0..3 {
        let after = read_round(&bus_one, &topic, &mut [&mut *member_one, &mut *member_two]).await;
        assert_eq!(after, before, "each has what it had");
    }
}
