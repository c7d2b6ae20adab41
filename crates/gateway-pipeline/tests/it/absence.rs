//! What a source does not hold any more: absent orders, vanished items, corrected days, restored backups, numbers used again.

use crate::convergence::assert_sums;
use crate::deliveries::{REPLY, begin, end, sent};
use crate::peer::{Wire, day, item, ms, number, whole};
use crate::world::{Record, World, command, peer};
use gateway_model::{AskBy, BookSide, DeliveryState, Field, Operation, OrderNumber, OrderState};
use gateway_store::{AttemptStart, DeliveryStore, FlowOutcome, OrderReader};

const STATE: &str = "handling/c0";
const EVENT: &str = "handling/e:1";

fn order(revision: i64) -> Wire {
    whole("N1", revision, &[(STATE, "signed 0"), ("acceptance/c0", "a"), (EVENT, "urge")])
}

fn on_day(day: &str, wire: Wire) -> Wire {
    Wire { day: Some(day.into()), ..wire }
}

/// The items of the book, by place.
async fn booked(world: &World) -> Vec<String> {
    assert_sums(world).await;
    world.book().await.into_keys().collect()
}

/// Whether the only order with this number is absent at the peer.
async fn is_absent(world: &World, text: &str) -> bool {
    world.order(text).await.aggregate.readings.iter().any(|reading| reading.absent_since.is_some())
}

#[tokio::test]
async fn an_absent_order_leaves_the_book_and_stays_readable() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &order(1))).await;
    world.one(Record::absent(10, "N1")).await;
    assert_eq!(booked(&world).await, [""; 0]);
    let view = world.order("N1").await.aggregate;
    let number = OrderNumber { channel: peer(), number: number("N1"), day: day(crate::peer::DAY) };
    assert_eq!(view.readings.len(), 1);
    assert_eq!((&view.readings[0].number, view.readings[0].absent_since), (&number, Some(ms(10))));
    assert!(view.facets.iter().all(|facet| facet.gone_at == Some(ms(10))));
    assert!(view.events.iter().all(|event| event.gone_at == Some(ms(10))));
    assert_eq!((view.order.state, view.order.fields.text(Field::Title)), (Some(OrderState::Signed), Some("a")));
    assert_eq!(world.anomaly("absent_at_source").await, 1);
    let timeline = world.store.timeline(world.id("N1").await).await.unwrap();
    assert_eq!(timeline.last().unwrap().origin.as_str(), "absent");
    // Said again, it is no news; everything is accounted for.
    world.one(Record::absent(20, "N1")).await;
    world.one(Record::absent(21, "N404")).await;
    assert_eq!(world.anomaly("absent_at_source").await, 1);
    assert_eq!((world.tally(FlowOutcome::Applied).await, world.tally(FlowOutcome::Duplicate).await), (4, 2));
    assert_eq!(world.order("N1").await.aggregate.readings[0].absent_since, Some(ms(10)));
}

#[tokio::test]
async fn what_was_read_before_never_revives_it_and_what_was_read_after_does() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &order(1))).await;
    world.one(Record::absent(10, "N1")).await;
    // Late copies, a newer revision and an event that nobody had heard of among them.
    world.one(Record { received: 9, ..Record::poll(2, &order(1)) }).await;
    world.one(Record::push(9, &whole("N1", 7, &[(STATE, "replied 0"), ("handling/e:2", "new")]))).await;
    assert_eq!(booked(&world).await, [""; 0]);
    assert_eq!(world.rereads().await, []);
    // What was under way when the source was asked: nobody can tell, so it is asked again.
    world.one(Record { received: 11, ..Record::poll(9, &order(2)) }).await;
    assert_eq!(booked(&world).await, [""; 0]);
    assert_eq!(world.rereads().await, [("N1".to_owned(), "read_together".to_owned())]);

    // An older revision than the last known: a backup that was restored without the order, and then with it.
    world.one(Record::poll(20, &order(0))).await;
    assert_eq!(booked(&world).await.len(), 3);
    assert!(!is_absent(&world, "N1").await);
    assert!(world.order("N1").await.aggregate.facets.iter().all(|facet| facet.gone_at.is_none()));
    assert_eq!(world.rereads().await, [("N1".to_owned(), "came_back".to_owned())], "a push may be old");
    world.one(Record::absent(30, "N1")).await;
    assert!(is_absent(&world, "N1").await && booked(&world).await.is_empty());
}

#[tokio::test]
async fn an_absence_that_is_older_than_what_is_held_is_asked_about() {
    let mut world = World::new().await;
    world.one(Record::poll(20, &order(1))).await;
    world.one(Record { received: 30, ..Record::absent(10, "N1") }).await;
    assert_eq!(booked(&world).await.len(), 3);
    assert_eq!(world.rereads().await, [("N1".to_owned(), "read_together".to_owned())]);
    assert!(!is_absent(&world, "N1").await);
}

#[tokio::test]
async fn deliveries_in_flight_of_an_absent_order_end_by_the_peers_answer() {
    let mut world = World::new().await;
    let id = sent(&mut world, "a", DeliveryState::Ambiguous).await;
    world.one(Record::absent(5_000, "N1")).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Owed, "it did not arrive, so it is sent again");
    begin(&world, id, 5_001, "a").await;
    end(&world, id, 5_002, DeliveryState::Rejected).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Rejected);
    assert_eq!(booked(&world).await, [""; 0]);
}

#[tokio::test]
async fn what_was_acknowledged_leaves_with_the_order_unless_it_was_later() {
    for (asked, kept) in [(40, 0), (29, 1)] {
        let mut world = World::new().await;
        sent(&mut world, "a", DeliveryState::Acknowledged).await;
        world.one(Record::absent(asked, "N1")).await;
        assert_eq!(booked(&world).await.len(), kept, "asked at {asked}, acknowledged at 30");
    }
}

#[tokio::test]
async fn a_vanished_event_leaves_the_book() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &order(1))).await;
    let without = whole("N1", 1, &[(STATE, "signed 0"), ("acceptance/c0", "a")]);
    // A listing and a push may be older than they look.
    world.feed(&[Record::poll(5, &without), Record::push(6, &without)]).await;
    assert_eq!(booked(&world).await.len(), 3);
    world.one(Record::reread(10, &without)).await;
    assert_eq!(booked(&world).await.len(), 2);
    assert_eq!(world.event("N1", EVENT).await.gone_at, Some(ms(10)));
    assert_eq!(world.anomaly("vanished_at_source").await, 1);
    world.one(Record { received: 9, ..Record::poll(2, &order(1)) }).await;
    assert_eq!(booked(&world).await.len(), 2, "read before");
    world.one(Record::poll(20, &order(1))).await;
    assert_eq!(booked(&world).await.len(), 3, "it came back");
    assert_eq!(world.event("N1", EVENT).await.gone_at, None);
}

#[tokio::test]
async fn a_vanished_reply_says_nothing_any_more() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &whole("N1", 1, &[(STATE, "replied 0"), (REPLY, "theirs")]))).await;
    assert_eq!(world.order("N1").await.aggregate.order.fields.text(Field::ReplyText), Some("theirs"));
    world.one(Record::reread(10, &whole("N1", 2, &[(STATE, "signed 0")]))).await;
    let view = world.order("N1").await.aggregate;
    assert_eq!((view.order.state, view.order.fields.text(Field::ReplyText)), (Some(OrderState::Signed), None));
}

#[tokio::test]
async fn a_record_of_which_a_part_is_unreadable_makes_nothing_vanish() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &order(1))).await;
    let mut damaged = whole("N1", 1, &[(STATE, "signed 0"), ("acceptance/c0", "a")]);
    damaged.items[0].odd = vec!["!handling.e".into()];
    world.one(Record::reread(10, &damaged)).await;
    assert_eq!(booked(&world).await.len(), 3);
}

#[tokio::test]
async fn what_we_delivered_is_not_vanished_by_a_record_that_lacks_it() {
    let mut world = World::new().await;
    sent(&mut world, "a", DeliveryState::Acknowledged).await;
    world.one(Record::poll(40, &whole("N1", 2, &[(STATE, "replied 0"), (REPLY, "a")]))).await;
    world.one(Record::reread(9_000, &whole("N1", 3, &[(STATE, "signed 0")]))).await;
    let book = world.book().await;
    assert_eq!(book["N1 2026-11-23 completion/c0"].0, BookSide::Sent, "its loss must show as a gap");
    assert_eq!(world.anomaly("vanished_at_source").await, 0);
}

/// An event of ours that the peer showed and lost: sent again it has another id, and the old one is nobody's any more.
#[tokio::test]
async fn an_event_of_ours_under_its_former_id_vanishes() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &whole("N1", 1, &[(STATE, "replied 0")]))).await;
    let order = world.id("N1").await;
    world.one(Record::command(&command(1, order, Operation::Complete, 10, ""))).await;
    let id = world.deliveries("N1").await[0].id;
    let start = |key: &str, at| AttemptStart {
        id,
        item: item(&format!("handling/e:{key}"), "done").book_item(&number("N1"), day(crate::peer::DAY)),
        projection_version: 1,
        ask_by: AskBy::Record,
        at: ms(at),
    };
    world.store.begin_attempts(&[start("d1-1", 20)], None).await.unwrap();
    end(&world, id, 30, DeliveryState::Acknowledged).await;
    let shows = |revision, keys: &[&str]| {
        let mut wire = whole("N1", revision, &[(STATE, "completed 0")]);
        wire.items.extend(keys.iter().map(|key| item(&format!("handling/e:{key}"), "done")));
        wire
    };
    world.one(Record::reread(40, &shows(2, &["d1-1"]))).await;
    world.store.redeliver(id, ms(50)).await.unwrap();
    world.store.begin_attempts(&[start("d1-2", 60)], None).await.unwrap();
    // The peer shows the first once more, and that word is in the book.
    world.one(Record::reread(65, &shows(2, &["d1-1"]))).await;
    end(&world, id, 70, DeliveryState::Acknowledged).await;
    assert_eq!(booked(&world).await.len(), 3);
    world.one(Record::reread(9_000, &shows(3, &["d1-2"]))).await;
    assert_eq!(booked(&world).await, ["N1 2026-11-23 handling/c0", "N1 2026-11-23 handling/e:d1-2"]);
}

#[tokio::test]
async fn a_corrected_creation_day_leaves_no_ghost() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &order(1))).await;
    let corrected = on_day("2026-11-22", order(2));
    world.one(Record::poll(5, &corrected)).await;
    assert_eq!(booked(&world).await.len(), 6, "nobody can tell it from a number used again");
    // The account denied the old day, so the source was asked: its answer and the word that there is nothing else.
    world.feed(&[Record::reread(10, &corrected), Record::absent(10, "N1")]).await;
    let booked = booked(&world).await;
    assert!(booked.len() == 3 && booked.iter().all(|key| key.starts_with("N1 2026-11-22")), "{booked:?}");
    assert_eq!(world.anomaly("absent_at_source").await, 1);
    // A partial push belongs to the order that is there, though the other has the later day.
    world.one(Record::push(20, &crate::peer::partial("N1", "handling/e:7", "urge"))).await;
    assert!(world.book().await.contains_key("N1 2026-11-22 handling/e:7"));
    // Whatever the order on the bus.
    let mut other = World::new().await;
    other.feed(&[Record::poll(1, &order(1)), Record::poll(5, &corrected)]).await;
    other.feed(&[Record::absent(10, "N1"), Record::reread(10, &corrected)]).await;
    assert_eq!(self::booked(&other).await, booked);
}

#[tokio::test]
async fn a_restored_backup_wins_when_it_is_read_with_authority() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &order(1))).await;
    let newer = whole("N1", 5, &[(STATE, "replied 0"), ("acceptance/c0", "b"), (EVENT, "urge"), (REPLY, "theirs")]);
    world.one(Record::poll(5, &newer)).await;
    world.one(Record::reread(10, &order(1))).await;
    assert_eq!(booked(&world).await.len(), 3);
    assert_eq!((world.says("N1", STATE).await, world.says("N1", "acceptance/c0").await), ("signed".into(), "a".into()));
    assert_eq!(world.anomaly("regressed_revision").await, 2);
    // Late copies of what the backup does not have.
    world.one(Record { received: 9, ..Record::poll(6, &newer) }).await;
    assert_eq!(booked(&world).await.len(), 3);
}

#[tokio::test]
async fn a_restored_backup_without_our_reply_is_a_gap_and_not_the_end_of_it() {
    let mut world = World::new().await;
    let id = sent(&mut world, "a", DeliveryState::Acknowledged).await;
    world.one(Record::poll(40, &whole("N1", 2, &[(STATE, "replied 0"), (REPLY, "a")]))).await;
    world.one(Record::reread(9_000, &whole("N1", 1, &[(STATE, "signed 0")]))).await;
    assert_eq!(world.book().await["N1 2026-11-23 completion/c0"].0, BookSide::Sent);
    world.store.redeliver(id, ms(9_100)).await.unwrap();
    begin(&world, id, 9_200, "a").await;
    end(&world, id, 9_300, DeliveryState::Acknowledged).await;
    world.one(Record::reread(20_000, &whole("N1", 3, &[(STATE, "replied 0"), (REPLY, "a")]))).await;
    assert_eq!(world.book().await["N1 2026-11-23 completion/c0"].0, BookSide::Sent);
    assert_eq!(booked(&world).await.len(), 2);
}

#[tokio::test]
async fn a_number_used_again_on_another_day_is_another_order() {
    let mut world = World::new().await;
    let (first, second) = (order(1), on_day("2026-11-25", whole("N1", 9, &[(STATE, "dispatched 0")])));
    world.feed(&[Record::poll(1, &first), Record::poll(2, &second)]).await;
    assert_eq!((world.ids("N1").await.len(), booked(&world).await.len()), (2, 4));
    // Both are in the answer, so the absence takes neither away.
    world.feed(&[Record::reread(10, &first), Record::reread(10, &second), Record::absent(10, "N1")]).await;
    assert_eq!(booked(&world).await.len(), 4);
    // Used again on the same day: what stands under the number now replaces what stood there, and it was counted.
    let third = on_day("2026-11-25", whole("N1", 9, &[(STATE, "signed 0"), ("handling/e:5", "new")]));
    world.one(Record::poll(20, &third)).await;
    assert_eq!(world.anomaly("tie").await, 1);
    assert_eq!(world.rereads().await, [("N1".to_owned(), "tie".to_owned())]);
    world.feed(&[Record::reread(30, &first), Record::reread(30, &third)]).await;
    assert_eq!(booked(&world).await.len(), 5);
    assert_eq!(world.rereads().await, []);
}
