//! Sharing partitions within a group, handing them over, and going back.

use super::{BusUnderTest, PATIENCE, append_one, behind, expect_nothing, fetch_messages, message, new_topic};
use crate::{Bus, Consumer, TopicName};
use std::collections::BTreeSet;
use std::time::Duration;

/// Appends until every partition has a new message, and returns the places.
async fn fill(bus: &dyn Bus, topic: &TopicName, partitions: u32) -> BTreeSet<(u32, u64)> {
    let mut places = BTreeSet::new();
    let mut number = 0_u32;
    while (0..partitions).any(|partition| !places.iter().any(|(found, _)| *found == partition)) {
        places.insert(append_one(bus, topic, message(&format!("key-{number}"), number.to_be_bytes())).await);
        number += 1;
    }
    places
}

/// Fetches of both members in turn until all places came; commits as it goes. Returns the partitions that each member read.
async fn drain(members: &mut [Box<dyn Consumer>], mut due: BTreeSet<(u32, u64)>) -> Vec<BTreeSet<u32>> {
    let mut read = vec![BTreeSet::new(); members.len()];
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !due.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "still due: {due:?}");
        for (member, read) in members.iter_mut().zip(&mut read) {
            let fetched = member.fetch(3, Duration::from_millis(10)).await.expect("a fetch works");
            assert!(fetched.lost.is_empty());
            for message in &fetched.messages {
                assert!(due.remove(&(message.partition, message.offset)), "{message:?} came twice or out of the blue");
                read.insert(message.partition);
            }
            member.commit(&behind(&fetched.messages)).await.expect("a commit works");
        }
    }
    read
}

/// A second member gets its share of the partitions, everything comes to one of both, and nothing twice where each commits before it fetches.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn a_member_that_joins_gets_its_share(under_test: &dyn BusUnderTest) {
    const PARTITIONS: u32 = 4;
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "share", PARTITIONS).await;
    let topics = std::slice::from_ref(&topic);
    let mut members = vec![bus.subscribe("share", topics).await.expect("a subscription works")];
    let due = fill(&*bus, &topic, PARTITIONS).await;
    assert_eq!(drain(&mut members, due).await[0].len(), PARTITIONS as usize, "one member reads everything");

    members.push(bus.subscribe("share", topics).await.expect("a subscription works"));
    // Engines differ in how many fetches a hand-over takes; shares are even once it is over.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let due = fill(&*bus, &topic, PARTITIONS).await;
        let read = drain(&mut members, due).await;
        if read.iter().all(|partitions| partitions.len() == PARTITIONS as usize / 2) {
            assert!(read[0].is_disjoint(&read[1]));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "partitions are shared evenly: {read:?}");
    }
    members.remove(0);
    let due = fill(&*bus, &topic, PARTITIONS).await;
    assert_eq!(drain(&mut members, due).await[0].len(), PARTITIONS as usize, "who stays reads everything");
}

/// What a member had fetched and not committed when it was dropped comes to its successor, from the committed position on and in order; a waiting
/// successor is woken.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn a_dropped_member_hands_over(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "hand-over", 1).await;
    let topics = std::slice::from_ref(&topic);
    bus.append(&topic, (0..10_u8).map(|number| message("key", [number])).collect()).await.expect("an append works");
    let mut first = bus.subscribe("hand-over", topics).await.expect("a subscription works");
    let read = fetch_messages(&mut *first, 7).await;
    first.commit(&behind(&read[..4])).await.expect("a commit works");
    let mut second = bus.subscribe("hand-over", topics).await.expect("a subscription works");
    let (taken, ()) = tokio::join!(fetch_messages(&mut *second, 6), async { drop(first) });
    assert_eq!(taken.iter().map(|message| message.offset).collect::<Vec<_>>(), (4..10).collect::<Vec<_>>());
    second.commit(&behind(&taken)).await.expect("a commit works");
    expect_nothing(&mut *second).await;
}

/// `rewind` repeats what was fetched and not committed, and nothing before it.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn rewind_repeats_what_was_not_committed(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "rewind", 1).await;
    bus.append(&topic, (0..10_u8).map(|number| message("key", [number])).collect()).await.expect("an append works");
    let mut consumer = bus.subscribe("rewind", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let read = fetch_messages(&mut *consumer, 10).await;
    expect_nothing(&mut *consumer).await;
    consumer.commit(&behind(&read[..6])).await.expect("a commit works");
    consumer.rewind().await.expect("a rewind works");
    let again = fetch_messages(&mut *consumer, 4).await;
    assert_eq!(again.iter().map(|message| message.offset).collect::<Vec<_>>(), vec![6, 7, 8, 9]);
    expect_nothing(&mut *consumer).await;
}

/// Groups don't take messages from one another.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn groups_are_independent(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "groups", 2).await;
    bus.append(&topic, (0..10_u8).map(|number| message(&number.to_string(), [number])).collect())
        .await
        .expect("an append works");
    for group in ["groups-a", "groups-b"] {
        let mut consumer = bus.subscribe(group, std::slice::from_ref(&topic)).await.expect("a subscription works");
        let read = fetch_messages(&mut *consumer, 10).await;
        consumer.commit(&behind(&read)).await.expect("a commit works");
    }
}
