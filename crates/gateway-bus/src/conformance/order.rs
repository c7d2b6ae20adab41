//! Order, content, waking, and what is refused.

use super::{
    BusUnderTest, PATIENCE, append_one, assert_contiguous, expect_nothing, fetch_messages, message, new_topic, place,
};
use crate::{BusError, Position, TopicName, TopicSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Key, headers and payload come back byte for byte, and the time of appending is the engine's.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn what_comes_out_is_what_went_in(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "content", 3).await;
    let mut sent = Vec::new();
    for (number, payload) in
        [Vec::new(), vec![0; 3], (0..=255).collect::<Vec<u8>>(), vec![7; 100_000]].into_iter().enumerate()
    {
        let mut new = message(&format!("键-{number}"), payload);
        for header in 0..number {
            new.headers.insert(format!("header-{header}"), "值 \"quoted\"\t\n".to_owned());
        }
        let at = place(bus.append(&topic, vec![new.clone()]).await.expect("an append works")[0]);
        sent.push((at, new));
    }
    let mut consumer = bus.subscribe("content", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let read = fetch_messages(&mut *consumer, sent.len()).await;
    for (at, new) in sent {
        let found =
            read.iter().find(|read| (read.partition, read.offset) == at).expect("the message is where the append said");
        assert_eq!((&found.key, &found.headers, &found.payload), (&new.key, &new.headers, &new.payload));
        let age = under_test.now().duration_since(found.appended_at).abs();
        assert!(age.as_secs() < 60, "appended_at is the engine's time, off by {age}");
    }
    expect_nothing(&mut *consumer).await;
}

/// Messages of one key stay in one partition and in order, also when several tasks append at once; offsets are contiguous from 0.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn keeps_order_per_key(under_test: &dyn BusUnderTest) {
    const KEYS: usize = 7;
    const EACH: usize = 60;
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "order", 4).await;
    let tasks: Vec<_> = (0..KEYS)
        .map(|key| {
            let (bus, topic) = (std::sync::Arc::clone(&bus), topic.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while number < EACH {
                    let batch: Vec<_> = (number..(number + 1 + number % 5).min(EACH))
                        .map(|number| message(&format!("key-{key}"), number.to_string()))
                        .collect();
                    number += batch.len();
                    let count = batch.len();
                    let appended = bus.append(&topic, batch).await.expect("an append works");
                    assert_eq!(appended.len(), count);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the task ends");
    }
    let mut consumer = bus.subscribe("order", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let read = fetch_messages(&mut *consumer, KEYS * EACH).await;
    let next = assert_contiguous(&read);
    assert_eq!(next.values().sum::<u64>(), (KEYS * EACH) as u64, "offsets begin at 0");
    let mut seen: BTreeMap<&str, (u32, usize)> = BTreeMap::new();
    for message in &read {
        let (partition, expected) = seen.entry(&message.key).or_insert((message.partition, 0));
        assert_eq!(*partition, message.partition, "a key has one partition");
        assert_eq!(message.payload, expected.to_string().into_bytes(), "messages of {} keep their order", message.key);
        *expected += 1;
    }
    let ends = bus.end_positions(&topic).await.expect("ends are known");
    let expected: Vec<_> =
        ends.iter().map(|end| (end.partition, end.offset)).filter(|(_, offset)| *offset > 0).collect();
    assert_eq!(expected, next.into_iter().collect::<Vec<_>>());
}

/// A fetch that waits returns when something is appended, and returns empty when its time is over.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn a_waiting_fetch_wakes(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "wakes", 2).await;
    let mut consumer = bus.subscribe("wakes", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let empty = consumer.fetch(5, Duration::from_millis(20)).await.expect("a fetch works");
    assert!(empty.messages.is_empty() && empty.lost.is_empty());
    for number in 0..50_u32 {
        let (fetched, at) = tokio::join!(
            consumer.fetch(5, PATIENCE),
            append_one(&*bus, &topic, message(&format!("key-{number}"), number.to_be_bytes()))
        );
        let fetched = fetched.expect("a fetch works").messages;
        assert_eq!(fetched.iter().map(|read| (read.partition, read.offset)).collect::<Vec<_>>(), vec![at]);
    }
}

/// A fetch that is given up at any moment loses nothing.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn a_dropped_fetch_loses_nothing(under_test: &dyn BusUnderTest) {
    const MESSAGES: usize = 200;
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "given-up", 2).await;
    let batch = (0..MESSAGES).map(|number| message(&number.to_string(), vec![0; 2_000])).collect();
    bus.append(&topic, batch).await.expect("an append works");
    let mut consumer = bus.subscribe("given-up", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let mut read = Vec::new();
    for patience in 0..40 {
        let mut fetch = consumer.fetch(3, PATIENCE);
        for _ in 0..patience {
            if let std::task::Poll::Ready(fetched) = futures::poll!(&mut fetch) {
                read.extend(fetched.expect("a fetch works").messages);
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let left = MESSAGES - read.len();
    read.extend(fetch_messages(&mut *consumer, left).await);
    let next = assert_contiguous(&read);
    assert_eq!(next.values().sum::<u64>(), MESSAGES as u64);
    expect_nothing(&mut *consumer).await;
}

/// Many appends at once, more than any queue holds, all end, and each is there once.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn appends_beyond_the_queue_wait(under_test: &dyn BusUnderTest) {
    const APPENDS: usize = 300;
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "pressure", 2).await;
    let tasks: Vec<_> = (0..APPENDS)
        .map(|number| {
            let (bus, topic) = (std::sync::Arc::clone(&bus), topic.clone());
            tokio::spawn(async move { append_one(&*bus, &topic, message(&number.to_string(), vec![1; 20_000])).await })
        })
        .collect();
    let mut places = BTreeSet::new();
    for task in tasks {
        let at = tokio::time::timeout(PATIENCE, task).await.expect("an append ends in time").expect("the task ends");
        assert!(places.insert(at), "{at:?} was given twice");
    }
    let ends = bus.end_positions(&topic).await.expect("ends are known");
    assert_eq!(ends.iter().map(|end| end.offset).sum::<u64>(), APPENDS as u64);
}

/// Earlier topics come first, and later ones still get their turn while the first one always has something.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn later_topics_are_not_starved(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let mut topics = Vec::new();
    for name in ["first", "second", "third"] {
        let topic = new_topic(&*bus, &format!("turns-{name}"), 2).await;
        let batch = (0..400).map(|number| message(&number.to_string(), name)).collect();
        bus.append(&topic, batch).await.expect("an append works");
        topics.push(topic);
    }
    let mut consumer = bus.subscribe("turns", &topics).await.expect("a subscription works");
    let mut counts: BTreeMap<TopicName, usize> = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // An engine that reads over a network has one topic a moment before another: turns count from when the first one is there.
    let mut rounds = 0;
    while rounds < 60 || counts.len() < topics.len() {
        assert!(tokio::time::Instant::now() < deadline, "no topic is starved: {counts:?}");
        let more = (0..5).map(|number| message(&number.to_string(), "first")).collect();
        bus.append(&topics[0], more).await.expect("an append works");
        for message in consumer.fetch(5, PATIENCE).await.expect("a fetch works").messages {
            if rounds > 0 || message.topic == topics[0] {
                *counts.entry(message.topic).or_default() += 1;
            }
        }
        rounds += u32::from(counts.contains_key(&topics[0]));
    }
    let count = |index: usize| counts.get(&topics[index]).copied().unwrap_or(0);
    assert!(count(0) > count(1) + count(2), "the first topic comes first: {counts:?}");
}

/// What can't work is told by its cause.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn bad_requests_are_refused(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let channel = gateway_model::ChannelId::new("suite-never-created").expect("a channel id");
    let unknown = TopicName::raw(&channel);
    let unknown_topic = |error: &BusError| matches!(error, BusError::UnknownTopic(topic) if *topic == unknown);
    assert!(bus.append(&unknown, vec![message("key", "x")]).await.is_err_and(|error| unknown_topic(&error)));
    assert!(
        bus.subscribe("bad", std::slice::from_ref(&unknown)).await.err().is_some_and(|error| unknown_topic(&error))
    );
    assert!(bus.end_positions(&unknown).await.is_err_and(|error| unknown_topic(&error)));
    assert!(bus.committed("bad", &unknown).await.is_err_and(|error| unknown_topic(&error)));

    let refused = |error: BusError| matches!(error, BusError::Refused { .. });
    let none = TopicSpec { name: unknown.clone(), partitions: 0, retention: Duration::from_secs(1) };
    assert!(bus.ensure_topic(&none).await.is_err_and(refused));

    let topic = new_topic(&*bus, "bad", 2).await;
    assert_eq!(bus.append(&topic, Vec::new()).await.expect("nothing to append is no error"), vec![]);
    let again = TopicSpec { name: topic.clone(), partitions: 5, retention: super::RETENTION };
    bus.ensure_topic(&again).await.expect("a topic may be ensured again");
    assert_eq!(
        bus.end_positions(&topic).await.expect("ends are known").len(),
        2,
        "an existing topic keeps its partitions"
    );
    let mut consumer = bus.subscribe("bad", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let past = Position { topic: topic.clone(), partition: 0, offset: 1 };
    assert!(consumer.commit(&[past]).await.is_err_and(refused), "a position past the end would hide messages to come");
    bus.check().await.expect("a bus that works says so");
}

/// After `close` everything answers `Closed`, also a fetch that was waiting, and what was appended is there on reopening.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn closed_is_closed(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "closed", 1).await;
    let mut consumer = bus.subscribe("closed", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let waiting = tokio::spawn(async move { consumer.fetch(1, PATIENCE).await });
    append_one(&*bus, &topic, message("key", "x")).await;
    assert_eq!(waiting.await.expect("the task ends").expect("a fetch works").messages.len(), 1);

    let mut consumer = bus.subscribe("closed-2", std::slice::from_ref(&topic)).await.expect("a subscription works");
    fetch_messages(&mut *consumer, 1).await;
    let (waiting, ()) = tokio::join!(consumer.fetch(1, PATIENCE), bus.close());
    assert!(matches!(waiting, Err(BusError::Closed)), "a waiting fetch is told, got {waiting:?}");
    assert!(matches!(bus.append(&topic, vec![message("key", "y")]).await, Err(BusError::Closed)));
    assert!(matches!(bus.check().await, Err(BusError::Closed)));
    bus.close().await;
    drop((bus, consumer));
    let bus = under_test.open().await;
    assert_eq!(bus.end_positions(&topic).await.expect("ends are known")[0].offset, 1);
}
