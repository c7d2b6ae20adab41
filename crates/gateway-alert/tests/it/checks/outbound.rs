//! Deliveries and receipts.

use super::world::*;
use gateway_connector::BreakerState;
use gateway_model::*;
use gateway_store::*;

/// Owes a reply; returns its id.
async fn owe(world: &World, n: u64, created_at: Timestamp) -> DeliveryId {
    let order_id = world.order(number(n), day_of(at(0))).await;
    let id = std::sync::Mutex::new(DeliveryId(0));
    world
        .write(|loaded, writes| {
            let raw_id = RawId(loaded.next_raw_id);
            writes.raws.push(raw(raw_id.0, at(0)));
            *id.lock().unwrap() = DeliveryId(loaded.next_delivery_id);
            writes.new_deliveries.push(NewDelivery {
                id: DeliveryId(loaded.next_delivery_id),
                order_id,
                destination: municipal(),
                from: ChannelId::new("desk").unwrap(),
                operation: Operation::Reply,
                dataset: Dataset::Completion,
                part: Part::Cycle(0),
                round: 0,
                raw_id,
                command_id: None,
                created_at,
            });
        })
        .await;
    id.into_inner().unwrap()
}

async fn attempt(world: &World, id: DeliveryId, n: u64, state: DeliveryState, when: Timestamp) {
    let item = BookItem {
        key: ItemKey { dataset: Dataset::Completion, number: number(n), day: day_of(at(0)), part: Part::Cycle(0) },
        event_time: Moment::At(at(0)),
        digest: Digest([7; 32]),
    };
    let start = AttemptStart { id, item, projection_version: 1, ask_by: AskBy::Receipt, at: when };
    world.store.begin_attempts(&[start], None).await.unwrap();
    end(world, id, state, when).await;
}

async fn end(world: &World, id: DeliveryId, state: DeliveryState, when: Timestamp) {
    let receipt = Receipt { receipt_number: None, received_at: None, source: ReceiptSource::Answer };
    let result = AttemptResult {
        id,
        state,
        receipt: (state == DeliveryState::Acknowledged).then_some(receipt),
        reason_code: None,
        reason: None,
        unanswered: state == DeliveryState::Ambiguous,
        next_attempt_at: when,
        at: when,
    };
    world.store.end_attempts(&[result], None).await.unwrap();
}

#[tokio::test]
async fn deliveries_that_do_not_go_out_are_stuck() {
    let world = World::new().await;
    let mut check = world.check("delivery_stuck");
    let first = owe(&world, 1, at(0)).await;
    owe(&world, 2, at(1_000)).await;
    check.nothing(at(1_800)).await;
    let found = check.one(at(1_801)).await;
    assert_eq!((found.count, found.since, found.severity), (1, at(0), Severity::Warning));
    assert_eq!(facts(&found), [("deliveries", "1"), ("oldest_s", "1801"), ("waiting", "2")].into());
    attempt(&world, first, 1, DeliveryState::Acknowledged, at(1_802)).await;
    // The other waits for longer than what ends it, and not for what begins it.
    assert_eq!(check.one(at(1_950)).await.since, at(0), "one trouble, since its beginning");
    check.nothing(at(1_899)).await;
    check.nothing(at(1_950)).await;
    assert_eq!(check.one(at(16_000)).await.severity, Severity::Critical);
}

#[tokio::test]
async fn held_ones_are_told_at_once_and_until_they_are_decided() {
    let world = World::new().await;
    let (mut held, mut stuck) = (world.check("deliveries_held"), world.check("delivery_stuck"));
    let id = owe(&world, 1, at(0)).await;
    held.nothing(at(1)).await;
    attempt(&world, id, 1, DeliveryState::Held, at(50)).await;
    let found = held.one(at(51)).await;
    assert_eq!((found.count, found.since), (1, at(50)));
    stuck.nothing(at(90_000)).await;
    world.store.waive_delivery(id, "asked them", at(60)).await.unwrap();
    held.nothing(at(61)).await;
}

#[tokio::test]
async fn receipts_that_do_not_come_are_overdue() {
    let world = World::new().await;
    let mut check = world.check("receipts_overdue");
    let id = owe(&world, 1, at(0)).await;
    attempt(&world, id, 1, DeliveryState::Pending, at(10)).await;
    check.nothing(at(7_200)).await;
    let found = check.one(at(7_201)).await;
    assert_eq!((found.code, found.count, found.since), ("receipts_overdue", 1, at(0)));
    end(&world, id, DeliveryState::Acknowledged, at(7_300)).await;
    check.nothing(at(7_301)).await;
}

#[tokio::test]
async fn refusals_are_told_by_their_share_of_what_ended_lately() {
    let world = World::new().await;
    let mut check = world.check("deliveries_rejected");
    let mut n = 0;
    let mut some = async |state: DeliveryState, count: u64, when: Timestamp| {
        for _ in 0..count {
            n += 1;
            let id = owe(&world, n, when).await;
            attempt(&world, id, n, state, when).await;
        }
    };
    // What was refused before the first look is not news.
    some(DeliveryState::Rejected, 9, at(0)).await;
    check.nothing(at(1)).await;
    some(DeliveryState::Acknowledged, 16, at(50)).await;
    some(DeliveryState::Rejected, 4, at(50)).await;
    check.nothing(at(100)).await;
    some(DeliveryState::Rejected, 1, at(150)).await;
    let found = check.one(at(200)).await;
    assert_eq!((found.count, found.since), (5, at(1)));
    let expected = [("rejected", "5"), ("ended", "21"), ("percent", "24"), ("window_s", "3600")];
    assert_eq!(facts(&found), expected.into());
    some(DeliveryState::Acknowledged, 20, at(250)).await;
    assert_eq!(facts(&check.one(at(300)).await)["percent"], "12", "between the shares it stays");
    some(DeliveryState::Acknowledged, 20, at(350)).await;
    check.nothing(at(400)).await;
    // Out of the window it is forgotten.
    check.nothing(at(9_000)).await;
    some(DeliveryState::Rejected, 5, at(9_050)).await;
    assert_eq!(check.one(at(9_100)).await.count, 5);
    check.nothing(at(13_000)).await;
}

#[tokio::test]
async fn an_open_breaker_is_told_after_a_minute_and_a_short_trial_does_not_end_it() {
    let world = World::new().await;
    let mut check = world.check("breaker_open");
    let set = |state| world.play(|played| played.breaker = Some(state));
    set(BreakerState::Closed { failures: 2 });
    check.nothing(at(0)).await;
    set(BreakerState::Open { for_ms: 10_000 });
    check.nothing(at(10)).await;
    set(BreakerState::HalfOpen);
    check.nothing(at(69)).await;
    set(BreakerState::Open { for_ms: 10_000 });
    let found = check.one(at(70)).await;
    assert_eq!((found.since, facts(&found)["open_s"]), (at(10), "60"));
    set(BreakerState::Closed { failures: 0 });
    check.one(at(80)).await;
    set(BreakerState::Open { for_ms: 10_000 });
    assert_eq!(check.one(at(90)).await.since, at(10));
    set(BreakerState::Closed { failures: 0 });
    check.one(at(100)).await;
    check.nothing(at(160)).await;
}
