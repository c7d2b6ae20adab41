//! What a channel's word proves or contradicts of what we delivered to it, and which side of the book it lands on.

use crate::peer::{DAY, Wire, day, item, ms, number, whole};
use crate::world::{Record, SETTLE_MS, World, command};
use gateway_model::{AskBy, BookSide, DeliveryId, DeliveryState, Operation, OrderId, Receipt, ReceiptSource};
use gateway_pipeline::Defences;
use gateway_store::{AttemptResult, AttemptStart, DeliveryRow, DeliveryStore};

pub const REPLY: &str = "completion/c0";
const BOOKED: &str = "N1 2026-11-23 completion/c0";

fn signed(revision: i64) -> Wire {
    whole("N1", revision, &[("handling/c0", "signed 0")])
}

fn shows(revision: i64, text: &str) -> Wire {
    whole("N1", revision, &[("handling/c0", "replied 0"), (REPLY, text)])
}

async fn order(world: &mut World) -> OrderId {
    world.one(Record::poll(1, &signed(1))).await;
    world.id("N1").await
}

pub async fn reply(world: &mut World, order: OrderId, id: u128, at: i64, text: &str) -> DeliveryId {
    world.one(Record::command(&command(id, order, Operation::Reply, at, text))).await;
    world.deliveries("N1").await.last().unwrap().id
}

pub async fn begin(world: &World, id: DeliveryId, at: i64, text: &str) {
    let item = item(REPLY, text).book_item(&number("N1"), day(DAY));
    let start = AttemptStart { id, item, projection_version: 1, ask_by: AskBy::Record, at: ms(at) };
    world.store.begin_attempts(&[start], None).await.unwrap();
}

pub async fn end(world: &World, id: DeliveryId, at: i64, state: DeliveryState) {
    let acknowledged = state == DeliveryState::Acknowledged;
    let receipt = Receipt { receipt_number: None, received_at: None, source: ReceiptSource::Answer };
    let result = AttemptResult {
        id,
        state,
        receipt: acknowledged.then_some(receipt),
        reason_code: (!acknowledged).then(|| "timeout".to_owned()),
        reason: None,
        unanswered: state == DeliveryState::Ambiguous,
        next_attempt_at: ms(at),
        at: ms(at),
    };
    world.store.end_attempts(&[result], None).await.unwrap();
}

/// A reply that was sent from 20 to 30 and ended so.
pub async fn sent(world: &mut World, text: &str, state: DeliveryState) -> DeliveryId {
    let order = order(world).await;
    let id = reply(world, order, 1, 10, text).await;
    begin(world, id, 20, text).await;
    end(world, id, 30, state).await;
    id
}

async fn side(world: &World) -> Option<(BookSide, String)> {
    let held = world.book().await.remove(BOOKED)?;
    let text = ["a", "b", "c", "own"]
        .into_iter()
        .find(|text| item(REPLY, text).book_item(&number("N1"), day(DAY)).digest == held.1.digest);
    Some((held.0, text.unwrap().to_owned()))
}

fn on(side: BookSide, text: &str) -> Option<(BookSide, String)> {
    Some((side, text.to_owned()))
}

#[tokio::test]
async fn what_we_sent_said_back_is_a_receipt_and_no_change_of_theirs() {
    for state in [DeliveryState::Ambiguous, DeliveryState::Pending, DeliveryState::Held, DeliveryState::Owed] {
        let mut world = World::new().await;
        let id = sent(&mut world, "a", state).await;
        world.one(Record::poll(40, &shows(2, "a"))).await;
        let row = world.delivery(id).await;
        assert_eq!((row.state, row.receipt.unwrap().source), (DeliveryState::Acknowledged, ReceiptSource::Echo));
        assert!(world.facet("N1", REPLY).await.echo);
        assert_eq!(side(&world).await, on(BookSide::Sent, "a"));
        let view = world.order("N1").await.aggregate;
        assert_eq!(view.deliveries.len(), 1, "nothing goes back");
        assert_eq!(view.order.conflicts, []);
    }
}

#[tokio::test]
async fn an_attempt_under_way_is_proved_too() {
    let mut world = World::new().await;
    let order = order(&mut world).await;
    let id = reply(&mut world, order, 1, 10, "a").await;
    begin(&world, id, 20, "a").await;
    world.one(Record::push(25, &shows(2, "a"))).await;
    end(&world, id, 30, DeliveryState::Ambiguous).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Acknowledged);
    assert_eq!(side(&world).await, on(BookSide::Sent, "a"));
}

#[tokio::test]
async fn what_we_never_sent_is_their_own_word_though_it_is_equal() {
    let mut world = World::new().await;
    let order = order(&mut world).await;
    let id = reply(&mut world, order, 1, 10, "a").await;
    begin(&world, id, 20, "other").await;
    end(&world, id, 21, DeliveryState::Rejected).await;
    world.one(Record::poll(40, &shows(2, "own"))).await;
    assert_eq!(side(&world).await, on(BookSide::Source, "own"));
    assert!(!world.facet("N1", REPLY).await.echo);
}

#[tokio::test]
async fn without_the_defence_an_echo_proves_nothing() {
    let mut world = World::with(Defences { reread_on_tie: true, echo: false }).await;
    let id = sent(&mut world, "a", DeliveryState::Ambiguous).await;
    world.one(Record::reread(30 + SETTLE_MS, &shows(2, "a"))).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Ambiguous);
    assert_eq!(side(&world).await, on(BookSide::Source, "a"));
}

/// A head said again proves too: the record came before we had asked.
#[tokio::test]
async fn a_repetition_proves_and_turns_the_side() {
    let mut world = World::new().await;
    let order = order(&mut world).await;
    world.one(Record::poll(5, &shows(2, "a"))).await;
    assert_eq!(side(&world).await, on(BookSide::Source, "a"));
    // The platform said "replied"; the desk learns of it only now, its reply is on the way.
    let id = reply(&mut world, order, 1, 10, "a").await;
    begin(&world, id, 20, "a").await;
    end(&world, id, 30, DeliveryState::Ambiguous).await;
    world.one(Record::poll(40, &shows(2, "a"))).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Acknowledged);
    assert_eq!(side(&world).await, on(BookSide::Sent, "a"));
    assert!(world.facet("N1", REPLY).await.echo);
}

/// Away from ours and back: the book comes back with it.
#[tokio::test]
async fn an_edit_over_our_word_and_back_again_moves_the_book_both_ways() {
    let mut world = World::new().await;
    sent(&mut world, "a", DeliveryState::Acknowledged).await;
    world.one(Record::poll(40, &shows(2, "a"))).await;
    assert_eq!(side(&world).await, on(BookSide::Sent, "a"));
    world.one(Record::poll(50, &shows(3, "own"))).await;
    assert_eq!(side(&world).await, on(BookSide::Source, "own"));
    world.one(Record::poll(60, &shows(4, "a"))).await;
    assert_eq!(side(&world).await, on(BookSide::Sent, "a"));
    assert!(world.facet("N1", REPLY).await.echo);
}

#[tokio::test]
async fn an_older_word_of_ours_does_not_hide_that_the_newer_was_lost() {
    let mut world = World::new().await;
    sent(&mut world, "a", DeliveryState::Acknowledged).await;
    let order = world.id("N1").await;
    let id = reply(&mut world, order, 2, 40, "b").await;
    begin(&world, id, 41, "b").await;
    end(&world, id, 42, DeliveryState::Acknowledged).await;
    world.one(Record::poll(50, &shows(3, "b"))).await;
    world.one(Record::poll(60, &shows(4, "a"))).await;
    assert_eq!(side(&world).await, on(BookSide::Sent, "b"), "the account will show the difference");
    // Also after a word of their own in between.
    world.one(Record::poll(70, &shows(5, "own"))).await;
    world.one(Record::poll(80, &shows(6, "a"))).await;
    assert_eq!(side(&world).await, on(BookSide::Sent, "b"));
}

#[tokio::test]
async fn what_was_read_before_we_were_acknowledged_does_not_hide_us() {
    let mut world = World::new().await;
    sent(&mut world, "a", DeliveryState::Acknowledged).await;
    world.one(Record { received: 40, ..Record::poll(25, &shows(2, "own")) }).await;
    assert_eq!(side(&world).await, on(BookSide::Sent, "a"));
    assert!(!world.facet("N1", REPLY).await.echo);
    world.one(Record::poll(50, &shows(3, "own"))).await;
    world.one(Record::reread(60, &shows(3, "own"))).await;
    assert_eq!(side(&world).await, on(BookSide::Source, "own"), "read again, it is theirs");
}

/// A repair takes our item out of the book; what the channel turns out to hold comes back in.
#[tokio::test]
async fn an_authoritative_repetition_puts_the_head_back_into_the_book() {
    let mut world = World::new().await;
    let id = sent(&mut world, "a", DeliveryState::Acknowledged).await;
    world.one(Record::poll(40, &shows(2, "a"))).await;
    world.store.redeliver(id, ms(50)).await.unwrap();
    assert_eq!(side(&world).await, None);
    world.one(Record::poll(60, &shows(2, "a"))).await;
    assert_eq!(side(&world).await, None, "a listing may be a copy from before");
    begin(&world, id, 61, "a").await;
    end(&world, id, 62, DeliveryState::Rejected).await;
    world.one(Record::reread(70, &shows(2, "a"))).await;
    assert_eq!(side(&world).await, on(BookSide::Source, "a"));
}

#[tokio::test]
async fn a_second_generation_is_proved_only_by_what_was_read_after_it() {
    let mut world = World::new().await;
    let id = sent(&mut world, "a", DeliveryState::Acknowledged).await;
    world.one(Record::poll(40, &shows(2, "a"))).await;
    world.store.redeliver(id, ms(50)).await.unwrap();
    world.one(Record::poll(55, &shows(2, "a"))).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Owed);
    begin(&world, id, 60, "a").await;
    // Read after the end of the first generation, before the end of this attempt.
    world.one(Record::poll(61, &shows(2, "a"))).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Sending);
    end(&world, id, 65, DeliveryState::Ambiguous).await;
    world.one(Record { received: 90, ..Record::poll(64, &shows(2, "a")) }).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Ambiguous);
    world.one(Record::poll(80, &shows(2, "a"))).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Acknowledged);
    assert_eq!(side(&world).await, on(BookSide::Sent, "a"));
}

#[tokio::test]
async fn an_order_read_again_without_it_is_sent_it_again() {
    let mut world = World::new().await;
    let id = sent(&mut world, "a", DeliveryState::Ambiguous).await;
    world.one(Record::reread(30 + SETTLE_MS - 1, &signed(1))).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Ambiguous, "it may still land");
    world.one(Record::poll(30 + SETTLE_MS + 5, &signed(1))).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Ambiguous, "a listing may be a copy from before");
    world.one(Record::reread(30 + SETTLE_MS, &signed(1))).await;
    let row: DeliveryRow = world.delivery(id).await;
    assert_eq!(
        (row.state, row.generation, row.reason_code.as_deref()),
        (DeliveryState::Owed, 1, Some("not_in_record"))
    );
    assert!(row.unanswered, "a refusal of the next attempt may still be the echo of one that lands late");
}

#[tokio::test]
async fn an_order_read_again_with_something_else_in_its_place_refuses_it() {
    let mut world = World::new().await;
    let id = sent(&mut world, "a", DeliveryState::Ambiguous).await;
    world.one(Record::reread(30 + SETTLE_MS, &shows(2, "own"))).await;
    let row = world.delivery(id).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::Rejected, Some("held_differently")));
    assert_eq!(side(&world).await, on(BookSide::Source, "own"));
}

/// What did not become the head says nothing for certain.
#[tokio::test]
async fn a_tie_contradicts_nothing() {
    let mut world = World::new().await;
    let id = sent(&mut world, "a", DeliveryState::Ambiguous).await;
    let at = 30 + SETTLE_MS;
    world.one(Record::push(at + 10, &shows(2, "b"))).await;
    world.rereads().await;
    world.one(Record { received: at + 20, ..Record::reread(at, &shows(2, "c")) }).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Ambiguous);
    assert_eq!(world.rereads().await.len(), 1);
}

/// Only what can't be asked for otherwise is contradicted by the record.
#[tokio::test]
async fn another_order_and_another_way_of_asking_are_left_alone() {
    let mut world = World::new().await;
    let id = sent(&mut world, "a", DeliveryState::Ambiguous).await;
    let other = Wire { day: Some("2026-12-24".into()), ..signed(9) };
    world.one(Record::reread(30 + SETTLE_MS, &other)).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Ambiguous, "the number's other order");
}

/// Sent and said back within one batch: the row is there before what became of it.
#[tokio::test]
async fn a_command_and_its_successor_in_one_batch_leave_one_owed() {
    let mut world = World::new().await;
    let order = order(&mut world).await;
    world
        .feed(&[
            Record::command(&command(1, order, Operation::Reply, 10, "a")),
            Record::poll(11, &shows(2, "own")),
            Record::command(&command(2, order, Operation::Reply, 12, "b")),
        ])
        .await;
    assert_eq!(world.states("N1").await, [DeliveryState::Superseded, DeliveryState::Owed]);
    assert_eq!(side(&world).await, on(BookSide::Source, "own"));
    let order = world.order("N1").await.aggregate.order;
    assert_eq!(order.conflicts.len(), 1, "desk and peer differ on the reply");
    assert_eq!(order.fields.text(gateway_model::Field::ReplyText), Some("b"), "the desk's word counts");
}
