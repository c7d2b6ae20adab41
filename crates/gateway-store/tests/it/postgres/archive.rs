//! What holds a month back, and what is whole while it is out.

use super::archive_scene::*;
use super::place::Place;
use gateway_model::*;
use gateway_store::*;

/// January and February closed, March with the newest record.
async fn scene(place: &Place) -> (PostgresStore, RawId) {
    let store = place.try_open().await.unwrap();
    let january = order(&store, 0, noon("2025-01"), OrderState::Visited).await;
    order(&store, 1, noon("2025-02"), OrderState::Archived).await;
    order(&store, 2, noon("2025-03"), OrderState::Dispatched).await;
    (store, january)
}

/// The month is held by just this, and is where it was; then it would be free.
async fn is_held(store: &PostgresStore, kind: HoldKind) {
    assert_eq!(holds(store, "2025-01").await, [(kind, 1)]);
    match take(store, "2025-01").await {
        Taking::Held(holds) => assert_eq!(holds.iter().map(|hold| hold.kind).collect::<Vec<_>>(), [kind]),
        other => panic!("{kind:?}: {other:?}"),
    }
    assert_eq!(place(store, "2025-01").await.0, MonthPlace::Attached);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_with_the_newest_record_or_not_over_stays() {
    let place = Place::new();
    let (store, _) = scene(&place).await;
    assert_eq!(holds(&store, "2025-03").await, [(HoldKind::NewestRecord, 1), (HoldKind::OpenOrders, 1)],);
    assert!(matches!(take(&store, "2025-03").await, Taking::Held(_)));
    let during = store.take_month(month("2025-02"), "a test", noon("2025-02"), None).await.unwrap();
    let Taking::Held(during) = during else { panic!("{during:?}") };
    assert_eq!(during[0].kind, HoldKind::Running);
    // A late record has the highest id, so that its month is kept, not the latest one.
    order(&store, 3, noon("2025-01"), OrderState::Visited).await;
    is_held(&store, HoldKind::NewestRecord).await;
    assert_eq!(holds(&store, "2025-03").await, [(HoldKind::OpenOrders, 1)]);
    assert!(matches!(
        store.take_month(month("2019-07"), "a test", now(), None).await,
        Err(StoreError::NotFound { what: "attached month", .. })
    ));
    assert!(matches!(store.return_month(month("2025-01")).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_still_be_asked_for_holds_its_month_back() {
    let place = Place::new();
    let (store, january) = scene(&place).await;
    assert_eq!(holds(&store, "2025-01").await, []);

    write(&store, |_, writes| {
        writes.park.push(NewPark {
            raw_id: january,
            channel: channel(),
            number: number(7),
            since: noon("2025-01"),
            changes: 1,
        });
    })
    .await
    .unwrap();
    is_held(&store, HoldKind::ParkedRecords).await;
    write(&store, |_, writes| writes.unpark.push(january)).await.unwrap();

    write(&store, |_, writes| {
        writes.dead_letters.push(NewDeadLetter {
            raw_id: january,
            channel: channel(),
            number: None,
            code: "unmapped_code".into(),
            reason: "no such code".into(),
            at: noon("2025-01"),
        });
    })
    .await
    .unwrap();
    is_held(&store, HoldKind::DeadLetters).await;
    let letter = store.dead_letters(&DeadLetterFilter::default(), 1).await.unwrap()[0].id;
    store.settle_dead_letters(&[letter], DeadLetterState::Waived, "known", now()).await.unwrap();

    let owed = owe(&store, 0, january).await;
    is_held(&store, HoldKind::Deliveries).await;
    send(&store, 0, owed, DeliveryState::Rejected).await;
    // It waits for a person, who may send it again.
    is_held(&store, HoldKind::Deliveries).await;
    store.waive_delivery(owed, "told by telephone", now()).await.unwrap();
    assert_eq!(holds(&store, "2025-01").await, []);

    // A channel's last word on an open order.
    let open = |seq, state| {
        let store = &store;
        async move {
            write(store, move |loaded, writes| {
                writes.orders.push(row(0, seq, loaded.next_feed_seq, noon("2025-01"), state));
            })
            .await
            .unwrap();
        }
    };
    open(2, OrderState::Dispatched).await;
    is_held(&store, HoldKind::OpenOrders).await;
    // The channel has said something since; but its timeline has a line of that month.
    write(&store, |loaded, writes| {
        let raw_id = RawId(loaded.next_raw_id);
        writes.raws.push(record(raw_id.0, 3, noon("2025-03")));
        writes.facets.push((order_id(0), facet(raw_id, noon("2025-03"))));
        writes.orders.push(row(0, 3, loaded.next_feed_seq, noon("2025-01"), OrderState::Dispatched));
        writes.changes.push(change(0, 2, noon("2025-03"), raw_id));
    })
    .await
    .unwrap();
    is_held(&store, HoldKind::OpenOrders).await;
    open(4, OrderState::Withdrawn).await;
    assert_eq!(must_take(&store, "2025-01").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_but_the_timeline_is_whole_while_a_month_is_out_and_that_too_when_it_is_back() {
    let place = Place::new();
    let (store, january) = scene(&place).await;
    let sent = owe(&store, 0, january).await;
    send(&store, 0, sent, DeliveryState::Acknowledged).await;
    let before = whole(&store, 3).await;
    let timeline = store.timeline(order_id(0)).await.unwrap();
    assert_eq!(timeline.len(), 1);
    let numbers = [OrderNumber { channel: channel(), number: number(0), day: day_of(noon("2025-01")) }];
    let trace = store.order_trace(order_id(0), &numbers, &[january]).await.unwrap();

    assert_eq!(must_take(&store, "2025-01").await, 1);
    assert_eq!(super::archive_scene::place(&store, "2025-01").await, (MonthPlace::Archived, Some(1), None));
    assert_eq!(whole(&store, 3).await, before);
    assert!(store.timeline(order_id(0)).await.unwrap().is_empty());
    assert_eq!(store.order_trace(order_id(0), &numbers, &[january]).await.unwrap(), trace);
    assert!(matches!(
        store.take_month(month("2025-01"), "a test", now(), None).await,
        Err(StoreError::NotFound { .. })
    ));
    // Ids go on after the newest that is there.
    assert_eq!(order(&store, 3, noon("2025-04"), OrderState::Visited).await, RawId(4));
    let before = whole(&store, 4).await;

    must_return(&store, "2025-01").await;
    assert_eq!(super::archive_scene::place(&store, "2025-01").await, (MonthPlace::Attached, Some(1), None));
    assert_eq!(whole(&store, 4).await, before);
    assert_eq!(store.timeline(order_id(0)).await.unwrap(), timeline);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_whose_table_was_dropped_is_accounted_for_and_told() {
    let place = Place::new();
    let (store, january) = scene(&place).await;
    let [sent, refused] = [owe(&store, 0, january).await, owe(&store, 0, january).await];
    send(&store, 0, sent, DeliveryState::Acknowledged).await;
    send(&store, 0, refused, DeliveryState::Acknowledged).await;
    must_take(&store, "2025-01").await;
    place.run("CREATE TABLE kept AS TABLE archive.raw_record_2025_01").await;
    place.run("DROP TABLE archive.raw_record_2025_01").await;

    assert_eq!(super::archive_scene::place(&store, "2025-01").await, (MonthPlace::Dropped, Some(1), None));
    assert_eq!(store.raw(january).await.unwrap(), None);
    // Not lost: the audit of the bus's offsets has nothing to say.
    assert_eq!(store.missing_offsets("raw", 0, 0, 5).await.unwrap(), [(3, 5)]);
    // What is to be sent again is refused, with the order, the month and what to do.
    let again = store.redeliver(sent, now()).await.unwrap_err();
    assert!(matches!(&again, StoreError::Archived { month, .. } if month == "2025-01"), "{again:?}");
    let text = again.to_string();
    for told in [&order_id(0).to_string(), "2025-01", "archive.raw_record_2025_01", "restore it from its dump"] {
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(store.delivery(sent).await.unwrap().unwrap().state, DeliveryState::Acknowledged);
    // A peer that refuses what it had taken, and a channel's old word that is owed only now: they wait for a person, and nobody else waits.
    let row = store.delivery(refused).await.unwrap().unwrap();
    let verdict = RowVerdict { key: DeliveryKey::of(&row), said: Err(("no_such_order".into(), "unknown".into())) };
    let hearing = Hearing { max_generations: 3, at: now(), under: None, note: None };
    store.take_verdicts(&channel(), &[verdict], hearing).await.unwrap();
    let late = owe(&store, 0, january).await;
    for id in [refused, late] {
        let row = store.delivery(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::DeadLettered, Some("month_archived")));
        assert!(row.reason.unwrap().contains("2025-01"));
    }
    let left = store.return_month(month("2025-01")).await;
    assert!(matches!(left, Err(StoreError::Archived { .. })), "{left:?}");

    // Restored from its dump it comes back.
    place.run("CREATE TABLE archive.raw_record_2025_01 (LIKE raw_record INCLUDING DEFAULTS)").await;
    assert!(matches!(store.return_month(month("2025-01")).await, Err(StoreError::Archived { .. })));
    place.run("INSERT INTO archive.raw_record_2025_01 SELECT * FROM kept").await;
    must_return(&store, "2025-01").await;
    store.redeliver(late, now()).await.unwrap();
    assert_eq!(store.due_deliveries(&channel(), now(), 10).await.unwrap()[0].delivery.id, late);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_sent_again_has_its_record_back() {
    let place = Place::new();
    let (store, january) = scene(&place).await;
    let sent = owe(&store, 0, january).await;
    send(&store, 0, sent, DeliveryState::Acknowledged).await;
    must_take(&store, "2025-01").await;

    store.redeliver(sent, now()).await.unwrap();
    let due = store.due_deliveries(&channel(), now(), 10).await.unwrap();
    assert_eq!((due[0].delivery.id, due[0].raw.id), (sent, january));
    assert!(due[0].raw.body.is_some());
    assert_eq!(super::archive_scene::place(&store, "2025-01").await, (MonthPlace::Archived, Some(1), Some(1)));
    assert_eq!(holds(&store, "2025-01").await, [(HoldKind::Deliveries, 1)]);
    assert!(matches!(take(&store, "2025-01").await, Taking::Held(_)));
    send(&store, 0, sent, DeliveryState::Acknowledged).await;
    // What is attached beside the month joins it: it is the same record.
    must_take(&store, "2025-01").await;
    assert_eq!(super::archive_scene::place(&store, "2025-01").await, (MonthPlace::Archived, Some(1), None));

    // An older word of a channel, owed only now.
    let late = owe(&store, 0, january).await;
    assert_eq!(store.due_deliveries(&channel(), now(), 10).await.unwrap()[0].delivery.id, late);
    // It comes back with the copy beside it.
    must_return(&store, "2025-01").await;
    assert_eq!(store.due_deliveries(&channel(), now(), 10).await.unwrap()[0].raw.id, january);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_forwarded_is_told_whole_while_a_month_is_out() {
    let place = Place::new();
    let (store, january) = scene(&place).await;
    let forward = |n: u64, raw_id| {
        let store = &store;
        async move {
            write(store, move |loaded, writes| {
                writes.new_deliveries.push(NewDelivery {
                    id: DeliveryId(loaded.next_delivery_id),
                    order_id: order_id(n),
                    destination: desk(),
                    from: channel(),
                    operation: Operation::Forward,
                    dataset: Dataset::Acceptance,
                    part: Part::Cycle(0),
                    round: 0,
                    raw_id,
                    command_id: None,
                    created_at: noon("2025-01"),
                });
            })
            .await
            .unwrap();
        }
    };
    forward(0, january).await;
    forward(1, RawId(2)).await;
    send(&store, 0, DeliveryId(1), DeliveryState::Acknowledged).await;
    let scope = ForwardedScope { owed_from: Timestamp::MIN, owed_before: Timestamp::MAX, upto: DeliveryId(9) };
    let before = store.forwarded(&desk(), scope, DeliveryId(0), 10).await.unwrap();
    assert_eq!(before.len(), 2);
    must_take(&store, "2025-01").await;
    assert_eq!(store.forwarded(&desk(), scope, DeliveryId(0), 10).await.unwrap(), before);
    // A file of everything that lacks something is worse than none.
    place.run("DROP TABLE archive.raw_record_2025_01").await;
    let lacking = store.forwarded(&desk(), scope, DeliveryId(0), 10).await;
    assert!(matches!(lacking, Err(StoreError::Archived { .. })), "{lacking:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_lost_the_lease_takes_nothing_out() {
    let place = Place::new();
    let (store, _) = scene(&place).await;
    let first = store.acquire_lease("archive", "a", noon("2026-01"), noon("2026-01")).await.unwrap().unwrap();
    let second = store.acquire_lease("archive", "b", now(), noon("2027-01")).await.unwrap().unwrap();
    let stale = store.take_month(month("2025-01"), "a", now(), Some(&first)).await;
    assert!(matches!(stale, Err(StoreError::LeaseLost { .. })), "{stale:?}");
    assert_eq!(super::archive_scene::place(&store, "2025-01").await.0, MonthPlace::Attached);
    let hold = Hold { kind: HoldKind::OpenOrders, count: 3, first: vec!["x".into()] };
    let left = [MonthLeft { month: month("2025-03"), holds: vec![hold], looked_at: now() }];
    assert!(matches!(store.note_months_left(&left, &first).await, Err(StoreError::LeaseLost { .. })));
    assert_eq!(store.months_left().await.unwrap(), []);
    store.note_months_left(&left, &second).await.unwrap();
    assert_eq!(store.months_left().await.unwrap(), left);
    store.note_months_left(&[], &second).await.unwrap();
    assert_eq!(store.months_left().await.unwrap(), []);
    assert!(matches!(
        store.take_month(month("2025-01"), "b", now(), Some(&second)).await.unwrap(),
        Taking::Taken { records: 1, changes: 1 }
    ));
}
