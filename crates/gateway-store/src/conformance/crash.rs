//! Killed at any moment: the work of the victim, and the audit of what it left.
//!
//! The engine's test binary starts itself as a child that runs [`write_until_killed`], kills it with signal 9, and calls
//! [`assert_left_whole`] on the same place.

use super::StoreUnderTest;
use super::fixture::*;
use super::identity::{assert_matches_whole, match_and_decide};
use crate::*;
use gateway_model::*;
use std::io::Write;

/// Orders by batch.
const BATCH: u64 = 20;

/// Ingests batches for ever, deliveries and their attempts between them, and prints the number of batches after each one.
pub async fn write_until_killed(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    store.recover_sending(&municipal(), at(0), None).await.unwrap();
    let mut batch = store.flow_positions().await.unwrap().first().map_or(0, |one| one.next_offset / BATCH);
    loop {
        let from = batch * BATCH;
        write(&*store, |loaded, writes| {
            for n in from..from + BATCH {
                add_order(writes, loaded, n, n);
                writes.new_deliveries.push(NewDelivery {
                    id: DeliveryId(loaded.next_delivery_id + (n - from) as i64),
                    order_id: order_id(n),
                    destination: municipal(),
                    from: desk(),
                    operation: Operation::Reply,
                    dataset: Dataset::Completion,
                    part: Part::Cycle(0),
                    round: 0,
                    raw_id: RawId(loaded.next_raw_id),
                    command_id: None,
                    created_at: at(0),
                });
            }
        })
        .await
        .unwrap();
        batch += 1;
        println!("batch {batch}");
        std::io::stdout().flush().unwrap();
        let due = store.due_deliveries(&municipal(), at(1), BATCH as u32).await.unwrap();
        let starts: Vec<_> = due
            .iter()
            .filter(|work| work.delivery.state == DeliveryState::Owed)
            .map(|work| {
                let n = work.number.as_ref().unwrap().number.as_str()[2..].parse().unwrap();
                start(work.delivery.id, reply_item(n, 1), at(2))
            })
            .collect();
        store.begin_attempts(&starts, None).await.unwrap();
        let results: Vec<_> =
            due.iter().map(|work| end(work.delivery.id, DeliveryState::Acknowledged, at(3))).collect();
        store.end_attempts(&results, None).await.unwrap();
        match_and_decide(&*store, batch).await;
    }
}

/// After a kill: whole batches, at least the `reported` ones, and every book agrees with every other.
pub async fn assert_left_whole(place: &dyn StoreUnderTest, reported: u64) {
    let store = place.open().await;
    let position = store.flow_positions().await.unwrap().first().map_or(0, |one| one.next_offset);
    assert_eq!(position % BATCH, 0, "a part of a batch is accounted for");
    assert!(position / BATCH >= reported, "batch {reported} was reported, {position} records are accounted for");
    let count = position;
    assert_eq!(store.order_count().await.unwrap(), count);
    let applied: u64 = store.flow_tallies().await.unwrap().iter().map(|one| one.changes).sum();
    assert_eq!(applied, count);
    assert_eq!(store.raw(RawId(count as i64 + 1)).await.unwrap(), None);
    let mut seen = 0;
    let mut after = 0;
    loop {
        let page = store.orders_after(after, 200, false).await.unwrap();
        for view in &page.orders {
            let held = &view.aggregate;
            assert_eq!((held.numbers.len(), held.facets.len(), held.deliveries.len()), (1, 1, 1));
            let record = store.raw(held.facets[0].raw_id).await.unwrap().unwrap();
            assert_eq!(record.meta.number, Some(held.numbers[0].number.clone()));
            seen += 1;
        }
        after = page.next;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, count);
    let items = store.items(&municipal(), Dataset::Acceptance, always()).await.unwrap();
    assert_eq!(items.len() as u64, count);
    let tallies = store.outbound_tallies().await.unwrap();
    assert_eq!(tallies.iter().map(|one| one.deliveries).sum::<u64>(), count);
    let acknowledged: u64 =
        tallies.iter().filter(|one| one.state == DeliveryState::Acknowledged).map(|one| one.deliveries).sum();
    let sent = store.items(&municipal(), Dataset::Completion, always()).await.unwrap();
    assert_eq!(sent.len() as u64, acknowledged);
    assert_book_agrees(&*store, &municipal()).await;
    assert_matches_whole(&*store).await;
    store.close().await;
}
