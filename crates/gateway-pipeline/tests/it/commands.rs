//! Commands of the bureau, and what they make owed.

use crate::peer::{ms, whole};
use crate::world::{Record, World, command, desk, peer};
use gateway_model::{
    AskBy, Command, CommandState, Dataset, DeliveryState, Operation, OrderId, OrderState, Origin, Part,
};
use gateway_store::{AttemptResult, AttemptStart, DeadLetterFilter, DeadLetterStore, DeliveryStore, FlowOutcome};

async fn signed(world: &mut World) -> OrderId {
    let wire = whole("N1", 1, &[("acceptance/c0", "a"), ("handling/c0", "signed 0")]);
    world.one(Record::poll(1, &wire)).await;
    world.id("N1").await
}

fn reply(id: u128, order: OrderId, at: i64, text: &str) -> Command {
    command(id, order, Operation::Reply, at, text)
}

#[tokio::test]
async fn a_reply_becomes_the_desks_word_and_is_owed() {
    let mut world = World::new().await;
    let order = signed(&mut world).await;
    let reply = reply(1, order, 10, "已修复");
    world.one(Record::command(&reply)).await;
    assert_eq!(world.verdict(&reply).await, Some(CommandState::Applied));
    let view = world.order("N1").await;
    assert_eq!((view.aggregate.order.state, view.aggregate.order.round), (Some(OrderState::Replied), 0));
    let owed = &view.aggregate.deliveries;
    assert_eq!(owed.len(), 1);
    assert_eq!(
        (owed[0].destination.clone(), owed[0].operation, owed[0].dataset),
        (peer(), Operation::Reply, Dataset::Completion)
    );
    assert_eq!((owed[0].part.clone(), owed[0].command_id), (Part::Cycle(0), Some(reply.id)));
    assert!(world.book().await.values().all(|(_, item)| item.key.dataset != Dataset::Completion), "not there yet");
}

#[tokio::test]
async fn a_repeated_command_is_a_duplicate_in_and_across_batches() {
    let mut world = World::new().await;
    let order = signed(&mut world).await;
    let reply = reply(1, order, 10, "已修复");
    world.feed(&[Record::command(&reply), Record::command(&reply)]).await;
    world.one(Record::command(&reply)).await;
    assert_eq!(world.states("N1").await, [DeliveryState::Owed]);
    assert_eq!(world.tally(FlowOutcome::Duplicate).await, 2);
}

#[tokio::test]
async fn a_command_is_checked_against_the_order_as_it_is_by_now() {
    let mut world = World::new().await;
    let order = signed(&mut world).await;
    // In the same batch, before the command: the platform gave the order back.
    let given_back = whole("N1", 2, &[("handling/c0", "dispatched 1")]);
    let late = reply(1, order, 10, "已修复");
    world.feed(&[Record::poll(9, &given_back), Record::command(&late)]).await;
    assert_eq!(world.verdict(&late).await, Some(CommandState::Refused));
    assert_eq!(world.states("N1").await, []);
    let view = world.order("N1").await;
    assert!(view.aggregate.facets.iter().all(|facet| facet.channel != desk()));
    assert!(view.aggregate.events.is_empty(), "the refusal is the only effect");
    // And a command may follow on another of the same batch.
    let sign = Command { round: 1, ..command(2, order, Operation::Sign, 20, "") };
    let answer = Command { round: 1, ..reply(3, order, 21, "已修复") };
    world.feed(&[Record::command(&sign), Record::command(&answer)]).await;
    assert_eq!(world.verdict(&answer).await, Some(CommandState::Applied));
    assert_eq!(world.states("N1").await, [DeliveryState::Owed, DeliveryState::Owed]);
}

#[tokio::test]
async fn a_command_for_no_order_is_a_dead_letter_and_may_come_again() {
    let mut world = World::new().await;
    let lost = reply(1, OrderId::new(ms(0)), 10, "x");
    world.one(Record::command(&lost)).await;
    assert_eq!(world.verdict(&lost).await, None);
    let letters = world.store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    assert_eq!(letters[0].code, "unknown_order");
    let order = signed(&mut world).await;
    let corrected = Command { order_id: order, ..lost };
    world.one(Record { origin: Origin::Resubmitted, ..Record::command(&corrected) }).await;
    assert_eq!(world.verdict(&corrected).await, Some(CommandState::Applied));
    assert_eq!(world.states("N1").await, [DeliveryState::Owed]);
}

#[tokio::test]
async fn a_newer_reply_supersedes_what_is_not_there_yet() {
    let mut world = World::new().await;
    let order = signed(&mut world).await;
    // In one batch.
    world.feed(&[Record::command(&reply(1, order, 10, "a")), Record::command(&reply(2, order, 11, "b"))]).await;
    assert_eq!(world.states("N1").await, [DeliveryState::Superseded, DeliveryState::Owed]);
    // Stored, tried, and certainly not taken.
    let second = world.deliveries("N1").await[1].clone();
    attempt(&world, second.id.0, DeliveryState::Owed, false).await;
    world.one(Record::command(&reply(3, order, 12, "c"))).await;
    assert_eq!(world.states("N1").await[1..], [DeliveryState::Superseded, DeliveryState::Owed]);
    // Tried, and perhaps taken: it goes its way.
    let third = world.deliveries("N1").await[2].clone();
    attempt(&world, third.id.0, DeliveryState::Owed, true).await;
    world.one(Record::command(&reply(4, order, 13, "d"))).await;
    assert_eq!(world.states("N1").await[2..], [DeliveryState::Owed, DeliveryState::Owed]);
    assert_eq!(world.says_of_desk("N1").await, "d");
}

async fn attempt(world: &World, id: i64, state: DeliveryState, unanswered: bool) {
    let id = gateway_model::DeliveryId(id);
    let item = crate::peer::item("completion/c0", "x")
        .book_item(&crate::peer::number("N1"), crate::peer::day(crate::peer::DAY));
    let start = AttemptStart { id, item, projection_version: 1, ask_by: AskBy::Record, at: ms(20) };
    world.store.begin_attempts(&[start], None).await.unwrap();
    let end = AttemptResult {
        id,
        state,
        receipt: None,
        reason_code: None,
        reason: None,
        unanswered,
        next_attempt_at: ms(20),
        at: ms(21),
    };
    world.store.end_attempts(&[end], None).await.unwrap();
}

/// Another operation, another round and another order are other matters.
#[tokio::test]
async fn what_is_another_matter_is_not_superseded() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &whole("N1", 1, &[("handling/c0", "dispatched 0")]))).await;
    let order = world.id("N1").await;
    world
        .feed(&[
            Record::command(&command(1, order, Operation::Sign, 10, "")),
            Record::command(&reply(2, order, 11, "a")),
            Record::command(&command(3, order, Operation::Complete, 12, "")),
        ])
        .await;
    assert_eq!(world.states("N1").await, [DeliveryState::Owed; 3]);
}

/// A reply that comes out of order after a newer one is no longer the desk's word, and is not sent.
#[tokio::test]
async fn an_overtaken_command_is_not_sent() {
    let mut world = World::new().await;
    let order = signed(&mut world).await;
    world.feed(&[Record::command(&reply(2, order, 11, "new")), Record::command(&reply(1, order, 10, "old"))]).await;
    assert_eq!(world.states("N1").await, [DeliveryState::Owed]);
    assert_eq!(world.says_of_desk("N1").await, "new");
}
