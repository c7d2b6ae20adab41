//! The pipeline's transaction.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// Every kind of row comes back equal, also from another handle.
pub async fn a_batch_is_read_back_as_it_was_written(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let event = EventRow {
        channel: municipal(),
        dataset: Dataset::Handling,
        part: Part::Event(EventId::new("E17").unwrap()),
        revision: None,
        event_time: Moment::On(day()),
        digest: digest(3),
        content_hash: [4; 32],
        echo: true,
        fields: [(Field::EventKind, FieldValue::from("urge"))].into_iter().collect(),
        read_at: at(2),
        received_at: at(3),
        raw_id: RawId(1),
        gone_at: Some(at(5)),
    };
    let person = PersonRow {
        order_id: order_id(1),
        channel: municipal(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        fields: [(Field::RequesterName, FieldValue::from("某某"))].into_iter().collect(),
        key_id: "plain".into(),
    };
    let full = WorkOrderRow {
        conflicts: vec![Conflict {
            field: Field::ReplyText,
            part: Part::Cycle(0),
            values: vec![ConflictingValue { channel: desk(), value: "已修复".into() }],
        }],
        ..order(1, 1, 1)
    };
    let reading = NumberReading { number: number_row(1), whole_read_at: at(4), absent_since: Some(at(4)) };
    let (full, event, person, reading) = (&full, &event, &person, &reading);
    write(&*store, |loaded, writes| {
        add_order(writes, loaded, 1, 0);
        writes.orders[0] = full.clone();
        writes.events.push((order_id(1), event.clone()));
        writes.readings.push((order_id(1), reading.clone()));
        writes.persons.push(person.clone());
    })
    .await
    .unwrap();
    let raw_row = store.raw(RawId(1)).await.unwrap().unwrap();
    assert_eq!(raw_row.meta, raw(1, 0).meta);
    assert_eq!(raw_row.body, Some(raw(1, 0).body));
    assert_eq!(store.raw(RawId(2)).await.unwrap(), None);

    let request = IngestRequest {
        partitions: vec![("raw".into(), 0), ("raw".into(), 1)],
        numbers: vec![(municipal(), number(1)), (municipal(), number(1)), (desk(), number(1))],
        orders: vec![order_id(1), order_id(99)],
        commands: Vec::new(),
        ..IngestRequest::default()
    };
    let expected = OrderAggregate {
        order: full.clone(),
        numbers: vec![number_row(1)],
        readings: vec![reading.clone()],
        facets: vec![facet(1)],
        events: vec![event.clone()],
        deliveries: Vec::new(),
    };
    for store in [store, place.open().await] {
        let loaded = load(&*store, request.clone()).await;
        assert_eq!(loaded.orders, std::slice::from_ref(&expected));
        let positions: Vec<_> = loaded.positions.iter().map(|one| (one.partition, one.next_offset)).collect();
        assert_eq!(positions, [(0, 1), (1, 0)]);
        assert_eq!((loaded.next_raw_id, loaded.next_feed_seq, loaded.next_delivery_id), (2, 2, 1));
        let view = store.order(order_id(1), true).await.unwrap().unwrap();
        assert_eq!(view.aggregate, expected);
        assert_eq!(view.persons, std::slice::from_ref(person));
        assert!(store.order(order_id(1), false).await.unwrap().unwrap().persons.is_empty());
        assert_eq!(store.order(order_id(2), true).await.unwrap(), None);
        assert_eq!(store.order_count().await.unwrap(), 1);
    }
}

/// Facets, events, persons and the head row are replaced, never mixed; a number that is there stays with its order.
pub async fn an_order_is_replaced_whole(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    let newer = WorkOrderRow { state: None, round: 2, fields: Fields::new(), ..order(1, 2, 3) };
    let word = FacetRow { revision: None, event_time: Moment::On(day()), unmapped: BTreeMap::new(), ..facet(2) };
    let (newer, word) = (&newer, &word);
    let reading = |absent_since| NumberReading { number: number_row(1), whole_read_at: at(4), absent_since };
    for absent_since in [Some(at(4)), None] {
        write(&*store, |_, writes| writes.readings.push((order_id(1), reading(absent_since)))).await.unwrap();
    }
    write(&*store, |_, writes| {
        writes.orders.push(newer.clone());
        writes.facets.push((order_id(1), word.clone()));
        writes.numbers.push((order_id(1), number_row(0)));
    })
    .await
    .unwrap();
    let held = store.order(order_id(1), false).await.unwrap().unwrap().aggregate;
    assert_eq!(held.order, *newer);
    assert_eq!(held.facets, std::slice::from_ref(word));
    assert_eq!(held.readings, [reading(None)], "a number said again keeps its reading");
    assert_eq!(held.numbers, [number_row(1)], "the number of order 0 stays with order 0");
}

/// The ids of new rows go on where the last committed ones ended.
pub async fn ids_go_on_after_reopening(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 3).await;
    owe(&*store, 0, Operation::Reply, at(0)).await;
    store.close().await;
    let loaded = load(&*place.open().await, IngestRequest::default()).await;
    assert_eq!((loaded.next_raw_id, loaded.next_feed_seq, loaded.next_delivery_id), (4, 4, 2));
}

/// An error late in the batch undoes everything before it.
pub async fn a_failed_batch_leaves_nothing(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    let failed = write(&*store, |loaded, writes| {
        add_order(writes, loaded, 2, 2);
        writes.delivery_updates.push(DeliveryUpdate {
            id: DeliveryId(77),
            state: DeliveryState::Superseded,
            receipt: None,
            next_attempt_at: None,
            reason_code: None,
            reason: None,
        });
    })
    .await;
    assert!(matches!(failed, Err(StoreError::NotFound { what: "delivery", .. })), "{failed:?}");
    // The same place on the bus cannot be kept twice.
    let twice = write(&*store, |loaded, writes| add_order(writes, loaded, 5, 1)).await;
    assert!(matches!(twice, Err(StoreError::Damaged { .. })), "{twice:?}");
    assert_whole(&*store, 2).await;
    write_orders(&*store, 2, 3).await;
    assert_whole(&*store, 3).await;
}

/// A batch whose caller goes away is there whole or not at all, and the store goes on.
pub async fn a_dropped_batch_is_whole_or_absent(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let mut held = 0;
    for polls in 1..40 {
        let batch = write(&*store, |loaded, writes| (held..held + 5).for_each(|n| add_order(writes, loaded, n, n)));
        drop_after(polls, batch).await;
        // An engine may need its turn to end what was dropped, one way or the other.
        store.check().await.unwrap();
        let count = store.order_count().await.unwrap();
        assert!(count == held || count == held + 5, "{count} orders, {held} before a batch of 5");
        held = count;
        assert_whole(&*store, held).await;
    }
}

/// Polls a future so often and drops it.
pub(super) async fn drop_after<F: Future>(polls: u32, future: F) {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 || future.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        Poll::Pending
    })
    .await;
}

/// That exactly the first `count` orders of [`write_orders`] are held, in all books.
async fn assert_whole(store: &dyn Store, count: u64) {
    assert_eq!(store.order_count().await.unwrap(), count);
    let position = store.flow_positions().await.unwrap().first().map_or(0, |one| one.next_offset);
    assert_eq!(position, count);
    let applied: u64 = store.flow_tallies().await.unwrap().iter().map(|one| one.changes).sum();
    assert_eq!(applied, count);
    let id = i64::try_from(count).unwrap();
    assert!(count == 0 || store.raw(RawId(id)).await.unwrap().is_some());
    assert_eq!(store.raw(RawId(id + 1)).await.unwrap(), None);
    assert_eq!(store.items(&municipal(), Dataset::Acceptance, always()).await.unwrap().len() as u64, count);
    assert_book_agrees(store, &municipal()).await;
}

/// A position never goes back.
pub async fn positions_only_go_forward(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    for next_offset in [5, 3, 9, 9] {
        write(&*store, |_, writes| {
            writes.positions.push(FlowPosition { topic: "raw".into(), partition: 2, next_offset });
        })
        .await
        .unwrap();
    }
    let positions = store.flow_positions().await.unwrap();
    assert_eq!(positions, [FlowPosition { topic: "raw".into(), partition: 2, next_offset: 9 }]);
}

/// Lines of the flow book are sums.
pub async fn tallies_add_up(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let unknown =
        |changes| FlowTally { channel: municipal(), dataset: None, outcome: FlowOutcome::DeadLettered, changes };
    for _ in 0..2 {
        write(&*store, |_, writes| writes.tallies = vec![applied(3), unknown(1), applied(4)]).await.unwrap();
    }
    let mut tallies = store.flow_tallies().await.unwrap();
    tallies.sort_by_key(|tally| tally.changes);
    assert_eq!(tallies, [unknown(2), applied(14)]);
}

/// Counts go on when rows are capped.
pub async fn anomalies_are_counted_without_end(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let odd = |subject: &str, second| NewAnomaly {
        channel: municipal(),
        kind: "unknown_code".into(),
        subject: subject.into(),
        order_id: Some(order_id(0)),
        raw_id: RawId(1),
        at: at(second),
    };
    write_orders(&*store, 0, 1).await;
    for round in 0..3 {
        write(&*store, |_, writes| {
            writes.anomalies = (0..50).map(|second| odd("state", round * 100 + second)).collect();
            writes.anomalies.push(odd("urgency", 0));
        })
        .await
        .unwrap();
    }
    let seen: Vec<_> =
        store.anomalies().await.unwrap().into_iter().map(|one| (one.subject, one.count, one.last_at)).collect();
    assert_eq!(seen, [("state".to_owned(), 150, at(249)), ("urgency".to_owned(), 3, at(0))]);
}

/// A number finds its orders of all days, at one side or at any.
pub async fn orders_are_found_by_any_number(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    // The number comes round again on another day; the desk has one of its own.
    let later = OrderNumber { day: day().tomorrow().unwrap(), ..number_row(0) };
    let own = OrderNumber { channel: desk(), ..number_row(0) };
    let (later, own) = (&later, &own);
    write(&*store, |_, writes| {
        writes.numbers = vec![(order_id(1), later.clone()), (order_id(1), own.clone())];
    })
    .await
    .unwrap();
    let all = store.orders_by_number(&number(0), None).await.unwrap();
    assert_eq!(all, [order_id(0), order_id(1)]);
    let desk_only = store.orders_by_number(&number(0), Some(&desk())).await.unwrap();
    assert_eq!(desk_only, [order_id(1)]);
    assert!(store.orders_by_number(&number(7), None).await.unwrap().is_empty());
    let request = IngestRequest { numbers: vec![(municipal(), number(0))], ..IngestRequest::default() };
    assert_eq!(load(&*store, request).await.orders.len(), 2);
}

/// How late records came: only what was told for the first time, by itself, with a time of day.
pub async fn first_arrivals_tell_how_late_records_come(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write(&*store, |loaded, writes| {
        (1..=6).for_each(|n| add_order(writes, loaded, n, n));
        writes.raws[2].meta.origin = Origin::Reread;
        writes.facets[3].1.event_time = Moment::On(day());
        writes.raws[4].meta.received_at = at(90);
    })
    .await
    .unwrap();
    // The second record of an order is not its first.
    write(&*store, |loaded, writes| {
        let id = loaded.next_raw_id;
        writes.raws.push(NewRaw { meta: RawMeta { number: Some(number(6)), ..raw(id, 7).meta }, ..raw(id, 7) });
        writes.facets.push((order_id(6), facet(id)));
        writes.changes.push(ChangeRow {
            order_id: order_id(6),
            seq: 2,
            at: at(2),
            channel: municipal(),
            dataset: Dataset::Acceptance,
            part: Part::Cycle(0),
            raw_id: RawId(id),
        });
    })
    .await
    .unwrap();
    let (arrivals, newest) = store.first_arrivals(&municipal(), RawId(0), 100).await.unwrap();
    assert_eq!(arrivals, [(at(1), at(0)), (at(1), at(0)), (at(90), at(0))]);
    assert_eq!(newest, RawId(7));
    assert_eq!(store.first_arrivals(&municipal(), newest, 100).await.unwrap(), (Vec::new(), newest));
    assert_eq!(store.first_arrivals(&municipal(), RawId(0), 3).await.unwrap().0, [(at(90), at(0))]);
    assert_eq!(store.first_arrivals(&desk(), RawId(0), 100).await.unwrap().0, []);
}
