//! The feed of changed orders, and timelines.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

async fn change_again(store: &dyn Store, n: u64) {
    write(store, |loaded, writes| writes.orders.push(order(n, 2, loaded.next_feed_seq))).await.unwrap();
}

/// A page ends where the next begins; an order that changes again comes again, later.
pub async fn the_feed_gives_every_change_once(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let empty = store.orders_after(0, 10, false).await.unwrap();
    assert_eq!((empty.next, empty.more), (0, false));
    write_orders(&*store, 0, 5).await;
    let page = store.orders_after(0, 2, false).await.unwrap();
    let ids = |page: &OrderPage| page.orders.iter().map(|view| view.aggregate.order.id).collect::<Vec<_>>();
    assert_eq!(ids(&page), [order_id(0), order_id(1)]);
    assert!(page.more);
    change_again(&*store, 0).await;
    let rest = store.orders_after(page.next, 10, true).await.unwrap();
    assert_eq!(ids(&rest), [order_id(2), order_id(3), order_id(4), order_id(0)]);
    assert!(!rest.more);
    assert_eq!(rest.orders[0].aggregate.facets.len(), 1);
    let end = store.orders_after(rest.next, 10, false).await.unwrap();
    assert_eq!((end.orders.len(), end.next), (0, rest.next));
    let exact = store.orders_after(0, 5, false).await.unwrap();
    assert_eq!((exact.orders.len(), exact.more), (5, false));
}

/// A reader that follows the feed while two handles write sees every order's last change.
pub async fn the_feed_skips_nothing_while_it_is_written(place: &dyn StoreUnderTest) {
    const ORDERS: u64 = 60;
    let reader = place.open().await;
    let mut writers = Vec::new();
    for parity in 0..2 {
        let store = place.open().await;
        writers.push(tokio::spawn(async move {
            for n in (0..ORDERS).filter(|n| n % 2 == parity) {
                write(&*store, |loaded, writes| add_order(writes, loaded, n, n)).await.unwrap();
                change_again(&*store, n).await;
            }
        }));
    }
    let mut last = std::collections::BTreeMap::new();
    let mut after = 0;
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let page = reader.orders_after(after, 3, false).await.unwrap();
        for view in &page.orders {
            let order = &view.aggregate.order;
            assert!(order.feed_seq > after, "the feed went back");
            last.insert(order.id, order.seq);
            after = order.feed_seq;
        }
        assert_eq!(page.next, after);
        if done && !page.more {
            break;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(last.len() as u64, ORDERS);
    assert!(last.values().all(|seq| *seq == 2));
}

/// Changes ascend, with the origin of their record.
pub async fn the_timeline_tells_where_each_change_came_from(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    write(&*store, |loaded, writes| {
        let mut record = raw(loaded.next_raw_id, 2);
        record.meta.origin = Origin::Webhook;
        writes.raws.push(record);
        writes.changes.push(ChangeRow {
            order_id: order_id(0),
            seq: 2,
            at: at(5),
            channel: municipal(),
            dataset: Dataset::Handling,
            part: Part::Event(EventId::new("E1").unwrap()),
            raw_id: RawId(loaded.next_raw_id),
        });
    })
    .await
    .unwrap();
    let timeline = store.timeline(order_id(0)).await.unwrap();
    let lines: Vec<_> = timeline.iter().map(|row| (row.seq, row.origin, row.raw_id)).collect();
    assert_eq!(lines, [(1, Origin::Poll, RawId(1)), (2, Origin::Webhook, RawId(3))]);
    assert_eq!(timeline[1].part.to_string(), "e:E1");
    assert!(store.timeline(order_id(9)).await.unwrap().is_empty());
}
