//! What is dropped is told, once, and offsets go on.

use super::{BusUnderTest, PATIENCE, append_one, behind, expect_nothing, fetch_messages, message, new_topic};
use crate::{LostOffsets, Position};
use std::time::Duration;

/// Offsets that were dropped before a group read them are reported once a range, reading goes on at the first that is left, and a commit moves past.
/// What a member had in its hands when it was dropped from the log, an engine that reads ahead still hands out: every offset comes as a message or is
/// told lost, once and in order.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn expired_messages_are_reported_lost(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "lost", 1).await;
    let topics = std::slice::from_ref(&topic);
    bus.append(&topic, (0..10_u8).map(|number| message("key", [number])).collect()).await.expect("an append works");
    let mut reader = bus.subscribe("lost", topics).await.expect("a subscription works");
    let read = fetch_messages(&mut *reader, 4).await;
    reader.commit(&behind(&read[..2])).await.expect("a commit works");
    under_test.expire(&*bus, &topic).await;
    assert_eq!(append_one(&*bus, &topic, message("key", "after")).await, (0, 10));

    let lost = |from, to| LostOffsets { topic: topic.clone(), partition: 0, from, to };
    let mut next = 4;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while next < 11 {
        assert!(tokio::time::Instant::now() < deadline, "the message that is left comes");
        let fetched = reader.fetch(10, Duration::from_secs(1)).await.expect("a fetch works");
        for gone in fetched.lost {
            assert_eq!((gone.from, gone.to), (next, 10), "what this member had not read is lost up to what is left");
            next = 10;
        }
        for message in fetched.messages {
            assert_eq!(message.offset, next, "what is not told lost is read");
            next += 1;
        }
    }
    expect_nothing(&mut *reader).await;
    drop((reader, bus));

    // Not committed, so it is told again to whoever goes on, from the committed position.
    let bus = under_test.open().await;
    let mut reader = bus.subscribe("lost", topics).await.expect("a subscription works");
    let fetched = reader.fetch(10, PATIENCE).await.expect("a fetch works");
    assert_eq!(fetched.lost, vec![lost(2, 10)]);
    reader.commit(&[Position { topic: topic.clone(), partition: 0, offset: 10 }]).await.expect("a commit works");
    drop(reader);
    let mut reader = bus.subscribe("lost", topics).await.expect("a subscription works");
    assert_eq!(fetch_messages(&mut *reader, 1).await[0].offset, 10, "a commit moves past what is lost");
}

/// Offsets are never used twice, also when every message is gone and the bus was opened again.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn offsets_go_on_after_all_is_dropped(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "offsets", 1).await;
    for round in 0..3_u64 {
        for number in 0..5 {
            assert_eq!(append_one(&*bus, &topic, message("key", "x")).await, (0, round * 5 + number));
        }
        under_test.expire(&*bus, &topic).await;
    }
    drop(bus);
    let bus = under_test.open().await;
    assert_eq!(bus.end_positions(&topic).await.expect("ends are known")[0].offset, 15);
    assert_eq!(append_one(&*bus, &topic, message("key", "x")).await, (0, 15));
    let mut reader = bus.subscribe("offsets", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let fetched = reader.fetch(10, PATIENCE).await.expect("a fetch works");
    assert_eq!(fetched.lost, vec![LostOffsets { topic: topic.clone(), partition: 0, from: 0, to: 15 }]);
}

/// `drop_expired` leaves what is still within its retention.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn unexpired_messages_stay(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "stay", 2).await;
    bus.append(&topic, (0..50_u8).map(|number| message(&number.to_string(), [number])).collect())
        .await
        .expect("an append works");
    bus.drop_expired().await.expect("dropping works");
    let mut reader = bus.subscribe("stay", std::slice::from_ref(&topic)).await.expect("a subscription works");
    assert_eq!(fetch_messages(&mut *reader, 50).await.len(), 50);
}
