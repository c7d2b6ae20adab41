//! Arrivals, and what waits since when.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

fn hour(hours: i64) -> Timestamp {
    at(hours * 3_600)
}

/// Only what the channel sent of itself counts, in the hour in which it was received.
pub async fn arrivals_are_counted_by_hour(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let received = |offset: u64, origin: Origin, at: Timestamp| {
        let mut one = raw(0, offset);
        one.meta.origin = origin;
        one.meta.received_at = at;
        one
    };
    let batches = [
        vec![received(0, Origin::Poll, hour(0)), received(1, Origin::Webhook, at(3_599))],
        vec![
            received(2, Origin::Poll, at(1)),
            received(3, Origin::Poll, hour(1)),
            received(4, Origin::Backfill, hour(1)),
        ],
        vec![received(5, Origin::Reread, hour(2)), received(6, Origin::WebhookConflict, hour(4))],
    ];
    for batch in &batches {
        write(&*store, |loaded, writes| {
            for (id, mut one) in (loaded.next_raw_id..).zip(batch.clone()) {
                one.id = RawId(id);
                writes.raws.push(one);
            }
        })
        .await
        .unwrap();
    }
    let counts = |hours: Vec<ArrivalHour>| hours.into_iter().map(|one| (one.hour_at, one.records)).collect::<Vec<_>>();
    assert_eq!(
        counts(store.arrival_hours(&municipal(), hour(0)).await.unwrap()),
        [(hour(0), 3), (hour(1), 1), (hour(4), 1)]
    );
    assert_eq!(counts(store.arrival_hours(&municipal(), hour(1)).await.unwrap()), [(hour(1), 1), (hour(4), 1)]);
    assert!(store.arrival_hours(&desk(), hour(0)).await.unwrap().is_empty());
    store.prune_arrivals(&[municipal()], hour(1)).await.unwrap();
    assert_eq!(counts(store.arrival_hours(&municipal(), hour(0)).await.unwrap()), [(hour(1), 1), (hour(4), 1)]);
}

/// What was watched adds up, and never to more than the hour.
pub async fn watched_time_is_kept_by_hour(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let watched = |hour_at, watched_ms| WatchedHour { hour_at, watched_ms };
    store.add_watched(&[watched(hour(0), 1_000), watched(hour(1), 3_000_000)]).await.unwrap();
    store.add_watched(&[watched(hour(0), 500), watched(hour(1), 3_000_000)]).await.unwrap();
    let all = [watched(hour(0), 1_500), watched(hour(1), 3_600_000)];
    assert_eq!(store.watched_hours(hour(0)).await.unwrap(), all);
    assert_eq!(store.watched_hours(hour(1)).await.unwrap(), all[1..]);
    store.prune_arrivals(&[], hour(1)).await.unwrap();
    assert_eq!(store.watched_hours(hour(0)).await.unwrap(), all[1..]);
}

/// Deliveries, dead letters and parked records: how many, how many of them overdue, and since when.
pub async fn what_waits_is_told_with_its_age(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 1, 5).await;
    assert!(store.waiting_deliveries(&municipal(), at(900)).await.unwrap().is_empty());
    owe(&*store, 1, Operation::Reply, at(100)).await;
    owe(&*store, 2, Operation::Reply, at(300)).await;
    let held = owe(&*store, 3, Operation::Reply, at(200)).await;
    attempt(&*store, held, reply_item(3, 1), DeliveryState::Held).await;
    let again = owe(&*store, 4, Operation::Reply, at(50)).await;
    attempt(&*store, again, reply_item(4, 1), DeliveryState::Rejected).await;
    let told = async |before| store.waiting_deliveries(&municipal(), before).await.unwrap();
    let waiting = |kind, count, overdue, oldest| Waiting { kind, count, overdue, oldest };
    let held = waiting(DeliveryState::Held, 1, 0, at(701));
    assert_eq!(told(at(300)).await, [held.clone(), waiting(DeliveryState::Owed, 2, 1, at(100))]);
    // A new generation waits since it was asked for, not since the first one was decided.
    store.redeliver(again, at(800)).await.unwrap();
    assert_eq!(told(at(300)).await, [held, waiting(DeliveryState::Owed, 3, 1, at(100))]);
    store.begin_attempts(&[start(again, reply_item(4, 1), at(850))], None).await.unwrap();
    store.end_attempts(&[end(again, DeliveryState::Pending, at(860))], None).await.unwrap();
    assert_eq!(told(at(900)).await[2], waiting(DeliveryState::Pending, 1, 1, at(850)));
    assert!(store.waiting_deliveries(&desk(), at(900)).await.unwrap().is_empty());

    write(&*store, |loaded, writes| {
        for (place, since) in [(0, at(10)), (1, at(20))] {
            let raw_id = RawId(loaded.next_raw_id + place);
            writes.raws.push(raw(raw_id.0, 100 + place as u64));
            writes.park.push(NewPark { raw_id, channel: municipal(), number: number(7), since, changes: 2 });
            writes.dead_letters.push(NewDeadLetter {
                raw_id,
                channel: municipal(),
                number: None,
                code: "undecodable".into(),
                reason: "damaged".into(),
                at: since,
            });
        }
    })
    .await
    .unwrap();
    let records = |count, overdue| vec![Waiting { kind: municipal(), count, overdue, oldest: at(10) }];
    assert_eq!(store.waiting_dead_letters(at(20)).await.unwrap(), records(2, 1));
    assert_eq!(store.waiting_parked(at(20)).await.unwrap(), records(1, 1));
    assert!(store.waiting_parked(at(10)).await.unwrap().is_empty());
}

/// By their bytes, each number once, whatever its day.
pub async fn numbers_are_found_by_range(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 1, 6).await;
    write(&*store, |_, writes| {
        let again = OrderNumber { day: day().tomorrow().unwrap(), ..number_row(3) };
        writes.numbers.push((order_id(3), again));
    })
    .await
    .unwrap();
    let below = |text: Option<&'static str>, limit| {
        let store = store.clone();
        async move { store.numbers_below(&municipal(), text, limit).await.unwrap() }
    };
    assert_eq!(below(None, 2).await, [number(5), number(4)]);
    assert_eq!(below(Some("GZ00000004"), 9).await, [number(3), number(2), number(1)]);
    let between = store.numbers_between(&municipal(), "GZ00000002", "GZ00000004", 9).await.unwrap();
    assert_eq!(between, [number(2), number(3)]);
    assert!(store.numbers_between(&desk(), "", "Z", 9).await.unwrap().is_empty());
}
