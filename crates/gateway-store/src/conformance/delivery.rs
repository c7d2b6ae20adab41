//! What is due, and in which order.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

async fn due(store: &dyn Store, now: i64) -> Vec<DeliveryId> {
    let work = store.due_deliveries(&municipal(), at(now), 100).await.unwrap();
    work.into_iter().map(|work| work.delivery.id).collect()
}

/// Of an order one at a time, the first that is in flight; another destination and another order don't wait for it.
pub async fn only_the_oldest_delivery_of_an_order_is_due(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    let sign = owe(&*store, 0, Operation::Sign, at(10)).await;
    let reply = owe(&*store, 0, Operation::Reply, at(11)).await;
    let other = owe(&*store, 1, Operation::Sign, at(12)).await;
    assert_eq!(due(&*store, 9).await, []);
    assert_eq!(due(&*store, 20).await, [sign, other]);
    assert_eq!(store.next_due(&municipal()).await.unwrap(), Some(at(10)));
    assert_eq!(store.next_due(&desk()).await.unwrap(), None);
    assert!(store.due_deliveries(&desk(), at(20), 10).await.unwrap().is_empty());
    assert_eq!(store.due_deliveries(&municipal(), at(20), 1).await.unwrap().len(), 1);

    let work = store.due_deliveries(&municipal(), at(20), 1).await.unwrap().remove(0);
    assert_eq!(work.number, Some(number_row(0)));
    assert_eq!((work.raw.id, work.raw.body), (RawId(1), Some(raw(1, 0).body)));
    assert_eq!((work.delivery.state, work.delivery.generation), (DeliveryState::Owed, 1));
    assert!(work.delivery.idempotency_key().starts_with(&format!("d{sign}-1-")));

    // A failed attempt blocks the order until it ends, whatever its next time.
    store.begin_attempts(&[start(sign, reply_item(0, 1), at(20))], None).await.unwrap();
    store.end_attempts(&[end(sign, DeliveryState::Owed, at(60))], None).await.unwrap();
    assert_eq!(due(&*store, 59).await, [other]);
    assert_eq!(due(&*store, 60).await, [other, sign]);
    attempt(&*store, sign, reply_item(0, 1), DeliveryState::Acknowledged).await;
    assert_eq!(due(&*store, 60).await, [reply, other]);
}

/// A forwarded acceptance makes the order at the destination: it goes before what became owed earlier, and nothing goes before it.
pub async fn a_forwarded_acceptance_goes_first(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    let state = owe_item(&*store, 0, Operation::Forward, Dataset::Handling, at(10)).await;
    let acceptance = owe_item(&*store, 0, Operation::Forward, Dataset::Acceptance, at(20)).await;
    assert_eq!(due(&*store, 9).await, []);
    assert_eq!(store.next_due(&municipal()).await.unwrap(), Some(at(20)));
    assert_eq!(due(&*store, 30).await, [acceptance]);
    store.waive_delivery(acceptance, "by li", at(30)).await.unwrap();
    assert_eq!(due(&*store, 30).await, [state]);
    // Never two of an order at once: one that is under way ends first.
    store.begin_attempts(&[start(state, reply_item(0, 1), at(31))], None).await.unwrap();
    let again = owe_item(&*store, 0, Operation::Forward, Dataset::Acceptance, at(20)).await;
    assert_eq!(due(&*store, 40).await, []);
    store.end_attempts(&[end(state, DeliveryState::Owed, at(30))], None).await.unwrap();
    assert_eq!(due(&*store, 40).await, [again]);
    store.waive_delivery(again, "by li", at(40)).await.unwrap();
    // A command is no acceptance, whatever its dataset.
    let sign = owe_item(&*store, 0, Operation::Sign, Dataset::Acceptance, at(20)).await;
    assert_eq!(due(&*store, 40).await, [state]);
    store.waive_delivery(state, "by li", at(40)).await.unwrap();
    assert_eq!(due(&*store, 40).await, [sign]);
}

/// Nothing overtakes what is under way or waits for a person; what waits for an answer is due to be asked for.
pub async fn sending_and_held_block_but_are_not_due(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    let first = owe(&*store, 0, Operation::Sign, at(10)).await;
    let second = owe(&*store, 0, Operation::Reply, at(10)).await;
    store.begin_attempts(&[start(first, reply_item(0, 1), at(20))], None).await.unwrap();
    assert_eq!(due(&*store, 99).await, []);
    assert_eq!(store.next_due(&municipal()).await.unwrap(), None, "nothing falls due by time alone");
    for (state, expected) in
        [(DeliveryState::Ambiguous, vec![first]), (DeliveryState::Pending, vec![first]), (DeliveryState::Held, vec![])]
    {
        store.end_attempts(&[end(first, state, at(30))], None).await.unwrap();
        assert_eq!(due(&*store, 99).await, expected, "{state}");
        let next = store.next_due(&municipal()).await.unwrap();
        assert_eq!(next, (!expected.is_empty()).then(|| at(30)), "{state}");
    }
    store.waive_delivery(first, "by li", at(40)).await.unwrap();
    assert_eq!(due(&*store, 99).await, [second]);
}

/// The longest due first, whatever its age, so that retries don't starve the rest.
pub async fn due_ones_come_in_the_order_they_fell_due(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 4).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(owe(&*store, n, Operation::Sign, at(40 - n as i64 * 10)).await);
    }
    ids.reverse();
    assert_eq!(due(&*store, 100).await, ids);
    assert_eq!(store.next_due(&municipal()).await.unwrap(), Some(at(10)));
    assert_eq!(due(&*store, 20).await, ids[..2]);
}

/// Numbers come round again: the latest counts; none where the destination has none.
pub async fn a_delivery_knows_the_newest_number_at_its_destination(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    write(&*store, |_, writes| {
        for (n, after) in [(5, 1), (4, 2), (6, 0)] {
            let day = day().checked_add(jiff::Span::new().days(after)).unwrap();
            writes.numbers.push((order_id(0), OrderNumber { day, ..number_row(n) }));
        }
    })
    .await
    .unwrap();
    owe(&*store, 0, Operation::Sign, at(0)).await;
    let work = store.due_deliveries(&municipal(), at(20), 1).await.unwrap().remove(0);
    assert_eq!(work.number.unwrap().number, number(4));

    write(&*store, |loaded, writes| {
        writes.orders.push(order(1, 1, loaded.next_feed_seq));
        writes.numbers.push((order_id(1), OrderNumber { channel: desk(), ..number_row(9) }));
    })
    .await
    .unwrap();
    owe(&*store, 1, Operation::Sign, at(1)).await;
    let work = store.due_deliveries(&municipal(), at(20), 9).await.unwrap();
    assert_eq!(work[1].number, None);
}

/// Begun once, counted once; the item and the way of asking are kept; a wrong one stops the whole call.
pub async fn an_attempt_begins_only_from_owed(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    let (first, second) =
        (owe(&*store, 0, Operation::Reply, at(0)).await, owe(&*store, 1, Operation::Reply, at(0)).await);
    store.begin_attempts(&[start(first, reply_item(0, 1), at(5))], None).await.unwrap();
    let row = store.delivery(first).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempts, row.first_sent_at), (DeliveryState::Sending, 1, Some(at(5))));
    assert_eq!((row.item, row.ask_by), (Some(reply_item(0, 1)), Some(AskBy::Receipt)));
    let both = [start(second, reply_item(1, 1), at(6)), start(first, reply_item(0, 1), at(6))];
    let refused = store.begin_attempts(&both, None).await;
    assert!(matches!(refused, Err(StoreError::WrongState { .. })), "{refused:?}");
    assert_eq!(state_of(&*store, second).await, DeliveryState::Owed);
    let unknown = store.begin_attempts(&[start(DeliveryId(99), reply_item(0, 1), at(6))], None).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
    assert_eq!(store.delivery(DeliveryId(99)).await.unwrap(), None);
    let some = store.deliveries(&[DeliveryId(99), first]).await.unwrap();
    assert_eq!(some.iter().map(|row| row.id).collect::<Vec<_>>(), [first]);

    store.end_attempts(&[end(first, DeliveryState::Owed, at(7))], None).await.unwrap();
    store.begin_attempts(&[start(first, reply_item(0, 2), at(9))], None).await.unwrap();
    let row = store.delivery(first).await.unwrap().unwrap();
    assert_eq!((row.attempts, row.first_sent_at, row.item), (2, Some(at(5)), Some(reply_item(0, 2))));
    let attempts = store.attempts(first).await.unwrap();
    let times: Vec<_> = attempts.iter().map(|one| (one.attempt, one.started_at, one.ended_at)).collect();
    assert_eq!(times, [(1, at(5), Some(at(7))), (2, at(9), None)]);
    assert_eq!(attempts[0].outcome, Some(DeliveryState::Owed));
    assert_eq!(attempts[0].reason_code.as_deref(), Some("timeout"));
    assert!(store.attempts(second).await.unwrap().is_empty());
}
