//! The suite that every engine of the bus must pass.
//!
//! An engine's tests implement [`BusUnderTest`] and call the functions of these modules, one test each; a function panics where the engine breaks
//! the contract. Nothing here knows which engine it runs against: time is moved and retention forced through the trait. Every function uses
//! topics and groups of its own, so that all can share one server. Waits are for a condition, with a deadline of [`PATIENCE`].

mod durability;
mod groups;
mod guards;
mod model;
mod order;
mod retention;

pub use durability::{acknowledged_survives_reopen, append_and_report, positions_survive_reopen, verify_reported};
pub use groups::{
    a_dropped_member_hands_over, a_member_that_joins_gets_its_share, groups_are_independent,
    rewind_repeats_what_was_not_committed,
};
pub use guards::{guard_answers_in_one_batch, guard_expires, guard_repeats_and_conflicts, guard_survives_reopen};
pub use model::{Step, follows_the_model, steps};
pub use order::{
    a_dropped_fetch_loses_nothing, a_waiting_fetch_wakes, appends_beyond_the_queue_wait, bad_requests_are_refused,
    closed_is_closed, keeps_order_per_key, later_topics_are_not_starved, what_comes_out_is_what_went_in,
};
pub use retention::{expired_messages_are_reported_lost, offsets_go_on_after_all_is_dropped, unexpired_messages_stay};

use crate::{Appended, Bus, Consumer, Fetched, Guard, Message, NewMessage, Position, TopicName, TopicSpec};
use async_trait::async_trait;
use gateway_model::{ChannelId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the suite waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long topics of the suite keep messages, in their engine's time.
pub const RETENTION: Duration = Duration::from_secs(3600);

/// An engine, as the suite sees it.
#[async_trait]
pub trait BusUnderTest: Send + Sync {
    /// Opens the bus, or opens it again: what an earlier instance made durable is there. An earlier one is dropped without `close` before.
    async fn open(&self) -> Arc<dyn Bus>;

    /// The time that the engine goes by.
    fn now(&self) -> Timestamp;

    /// Lets this much time pass for the engine.
    async fn pass_time(&self, time: Duration);

    /// Makes everything that was appended to the topic so far fall out of its retention, and returns when it is gone. May let time pass.
    async fn expire(&self, bus: &dyn Bus, topic: &TopicName);
}

/// Creates a topic whose name no other test uses.
///
/// # Panics
/// When the engine can't create it.
pub async fn new_topic(bus: &dyn Bus, name: &str, partitions: u32) -> TopicName {
    let channel = ChannelId::new(format!("suite-{name}")).expect("a channel id");
    let topic = TopicName::raw(&channel);
    bus.ensure_topic(&TopicSpec { name: topic.clone(), partitions, retention: RETENTION })
        .await
        .expect("a topic is created");
    topic
}

/// A message with a payload.
#[must_use]
pub fn message(key: &str, payload: impl Into<Vec<u8>>) -> NewMessage {
    NewMessage { key: key.to_owned(), headers: BTreeMap::new(), payload: payload.into(), guard: None }
}

/// A message with a guard that lives for a minute.
#[must_use]
pub fn guarded(now: Timestamp, nonce: &str, digest: u8) -> NewMessage {
    let until = now.checked_add(Duration::from_secs(60)).expect("a time within the calendar");
    let guard = Guard { nonce: nonce.to_owned(), digest: [digest; 32], until };
    NewMessage { guard: Some(guard), ..message("key", [digest]) }
}

/// The place of an appended message.
///
/// # Panics
/// When it was not appended.
#[must_use]
pub fn place(appended: Appended) -> (u32, u64) {
    match appended {
        Appended::At { partition, offset } => (partition, offset),
        other => panic!("expected a message to be appended, got {other:?}"),
    }
}

/// Appends one message and returns its place.
///
/// # Panics
/// When that fails.
pub async fn append_one(bus: &dyn Bus, topic: &TopicName, message: NewMessage) -> (u32, u64) {
    let appended = bus.append(topic, vec![message]).await.expect("an append works");
    assert_eq!(appended.len(), 1, "one outcome for each message");
    place(appended[0])
}

/// Fetches until `count` messages came.
///
/// # Panics
/// When they don't come in time, or lost offsets are reported.
pub async fn fetch_messages(consumer: &mut dyn Consumer, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while messages.len() < count {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        assert!(!left.is_zero(), "{} of {count} messages came in time", messages.len());
        let Fetched { messages: more, lost } =
            consumer.fetch(count - messages.len(), left).await.expect("a fetch works");
        assert!(lost.is_empty(), "nothing was dropped, yet lost: {lost:?}");
        messages.extend(more);
    }
    messages
}

/// Asserts that nothing is to be read now.
///
/// # Panics
/// When there is.
pub async fn expect_nothing(consumer: &mut dyn Consumer) {
    let fetched = consumer.fetch(10, Duration::ZERO).await.expect("a fetch works");
    assert!(fetched.messages.is_empty() && fetched.lost.is_empty(), "nothing was due, got {fetched:?}");
}

/// The positions behind these messages.
#[must_use]
pub fn behind(messages: &[Message]) -> Vec<Position> {
    let mut next: BTreeMap<(&TopicName, u32), u64> = BTreeMap::new();
    for message in messages {
        let entry = next.entry((&message.topic, message.partition)).or_default();
        *entry = (*entry).max(message.offset + 1);
    }
    next.into_iter().map(|((topic, partition), offset)| Position { topic: topic.clone(), partition, offset }).collect()
}

/// Asserts that messages of each partition follow one another without a hole or a step back, and returns the next offset of each.
///
/// # Panics
/// When they don't.
pub fn assert_contiguous(messages: &[Message]) -> BTreeMap<u32, u64> {
    let mut next = BTreeMap::new();
    for message in messages {
        if let Some(expected) = next.insert(message.partition, message.offset + 1) {
            assert_eq!(message.offset, expected, "offsets of partition {} are contiguous", message.partition);
        }
    }
    next
}
