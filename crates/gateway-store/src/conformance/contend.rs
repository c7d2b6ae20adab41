//! Several writers at once, each with a handle of its own: what one decides about is what the others left.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;
use std::collections::BTreeSet;
use std::sync::Arc;

const WRITERS: u64 = 3;
const ROUNDS: u64 = 12;

/// Runs `work` with a handle and number for each writer, all at once.
async fn at_once<F: Future<Output = ()> + Send + 'static>(
    place: &dyn StoreUnderTest,
    work: impl Fn(Arc<dyn Store>, u64) -> F,
) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(work(place.open().await, writer));
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}

/// The next change of an order, decided from what is loaded.
fn next_change(loaded: &Loaded, writes: &mut IngestWrites, n: u64, offset: u64) {
    let head = &loaded.orders.iter().find(|order| order.order.id == order_id(n)).unwrap().order;
    let raw_id = loaded.next_raw_id + writes.raws.len() as i64;
    let feed_seq = loaded.next_feed_seq + writes.orders.len() as u64;
    writes.raws.push(raw(raw_id, offset));
    writes.orders.push(order(n, head.seq + 1, feed_seq));
    writes.changes.push(ChangeRow {
        order_id: order_id(n),
        seq: head.seq + 1,
        at: at(2),
        channel: municipal(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        raw_id: RawId(raw_id),
    });
    writes.tallies.push(applied(1));
}

/// Writers that change the same orders, each in its own order of asking, lose nothing: every change has its own place in the order's sequence.
pub async fn writers_of_one_order_converge(place: &dyn StoreUnderTest) {
    const ORDERS: u64 = 3;
    let store = place.open().await;
    write_orders(&*store, 0, ORDERS).await;
    at_once(place, |store, writer| async move {
        for round in 0..ROUNDS {
            let mut orders: Vec<_> = (0..ORDERS).map(order_id).collect();
            if writer % 2 == 1 {
                orders.reverse();
            }
            let request = IngestRequest { orders, ..IngestRequest::default() };
            let decide = |loaded: Loaded| {
                let mut writes = IngestWrites::default();
                for n in 0..ORDERS {
                    next_change(&loaded, &mut writes, n, ORDERS + (writer * ROUNDS + round) * ORDERS + n);
                }
                writes
            };
            store.ingest(request, &decide).await.unwrap();
        }
    })
    .await;
    let changes = 1 + WRITERS * ROUNDS;
    for n in 0..ORDERS {
        assert_eq!(store.order(order_id(n), false).await.unwrap().unwrap().aggregate.order.seq, changes);
        let seqs: Vec<_> = store.timeline(order_id(n)).await.unwrap().iter().map(|row| row.seq).collect();
        assert_eq!(seqs, (1..=changes).collect::<Vec<_>>());
    }
    let counted: u64 = store.flow_tallies().await.unwrap().iter().map(|one| one.changes).sum();
    assert_eq!(counted, ORDERS * changes);
    let end = ORDERS * changes;
    assert_eq!(store.missing_offsets("raw", 0, 0, end + 5).await.unwrap(), [(end, end + 5)]);
}

/// Writers that meet a number at the same time that nobody has an order for make one order of it between them.
pub async fn a_new_order_is_made_once(place: &dyn StoreUnderTest) {
    at_once(place, |store, writer| async move {
        for n in 0..ROUNDS {
            let request = IngestRequest { numbers: vec![(municipal(), number(n))], ..IngestRequest::default() };
            let offset = writer * ROUNDS + n;
            let decide = |loaded: Loaded| {
                let mut writes = IngestWrites::default();
                writes.raws.push(raw(loaded.next_raw_id, offset));
                let head = match loaded.orders.first() {
                    Some(held) => {
                        WorkOrderRow { seq: held.order.seq + 1, feed_seq: loaded.next_feed_seq, ..held.order.clone() }
                    }
                    None => {
                        // Each writer would give it an id of its own.
                        let id = order_id(1_000 * (writer + 1) + n);
                        writes.numbers.push((id, number_row(n)));
                        WorkOrderRow { id, ..order(n, 1, loaded.next_feed_seq) }
                    }
                };
                writes.orders.push(head);
                writes
            };
            store.ingest(request, &decide).await.unwrap();
        }
    })
    .await;
    let store = place.open().await;
    assert_eq!(store.order_count().await.unwrap(), ROUNDS);
    for n in 0..ROUNDS {
        let ids = store.orders_by_number(&number(n), None).await.unwrap();
        assert_eq!(ids.len(), 1, "number {n}");
        assert_eq!(store.order(ids[0], false).await.unwrap().unwrap().aggregate.order.seq, WRITERS);
    }
}

/// A record that waits for an order while the order is being made is seen by the one or the other.
pub async fn a_waiting_record_misses_no_order(place: &dyn StoreUnderTest) {
    at_once(place, |store, writer| async move {
        for n in 0..ROUNDS {
            let request = IngestRequest { numbers: vec![(municipal(), number(n))], ..IngestRequest::default() };
            let offset = writer * ROUNDS + n;
            let decide = |loaded: Loaded| {
                let mut writes = IngestWrites::default();
                let raw_id = loaded.next_raw_id;
                writes.raws.push(raw(raw_id, offset));
                match loaded.orders.first() {
                    // Writer 0 brings the order, the others something that waits for it.
                    None if writer == 0 => {
                        writes.orders.push(order(n, 1 + loaded.parked.len() as u64, loaded.next_feed_seq));
                        writes.numbers.push((order_id(n), number_row(n)));
                        writes.unpark.extend(loaded.parked.iter().map(|parked| parked.raw.id));
                    }
                    None => writes.park.push(NewPark {
                        raw_id: RawId(raw_id),
                        channel: municipal(),
                        number: number(n),
                        since: at(0),
                        changes: 1,
                    }),
                    Some(held) => {
                        assert!(loaded.parked.is_empty(), "a record waits for an order that is there");
                        writes.orders.push(order(n, held.order.seq + 1, loaded.next_feed_seq));
                    }
                }
                writes
            };
            store.ingest(request, &decide).await.unwrap();
        }
    })
    .await;
    let store = place.open().await;
    assert!(store.parked_changes().await.unwrap().is_empty());
    for n in 0..ROUNDS {
        assert_eq!(store.order(order_id(n), false).await.unwrap().unwrap().aggregate.order.seq, WRITERS, "order {n}");
    }
}

/// Orders, deliveries and their answers from all sides at once: the sums are those of the items, and the outbound tallies those of the deliveries.
pub async fn contending_writers_keep_the_books(place: &dyn StoreUnderTest) {
    at_once(place, |store, writer| async move {
        for round in 0..ROUNDS {
            let n = writer * ROUNDS + round;
            write(&*store, |loaded, writes| add_order(writes, loaded, n, n)).await.unwrap();
            let id = owe(&*store, n, Operation::Reply, at(0)).await;
            attempt(&*store, id, reply_item(n, 1), DeliveryState::Acknowledged).await;
            if round % 3 == 0 {
                store.redeliver(id, at(800)).await.unwrap();
            }
        }
    })
    .await;
    let store = place.open().await;
    let (all, again) = (WRITERS * ROUNDS, WRITERS * ROUNDS.div_ceil(3));
    assert_book_agrees(&*store, &municipal()).await;
    let by_state: Vec<_> =
        store.outbound_tallies().await.unwrap().into_iter().map(|one| (one.state, one.deliveries, one.sent)).collect();
    let expected = BTreeSet::from([
        (DeliveryState::Acknowledged.as_str(), all - again, all - again),
        (DeliveryState::Owed.as_str(), again, again),
    ]);
    assert_eq!(by_state.iter().map(|(state, n, sent)| (state.as_str(), *n, *sent)).collect::<BTreeSet<_>>(), expected);
    assert_eq!(store.items(&municipal(), Dataset::Completion, always()).await.unwrap().len() as u64, all - again);
}

/// Whoever claims at the same time gets different jobs.
pub async fn a_job_is_claimed_once(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let jobs: Vec<_> = (0..ROUNDS)
        .map(|n| NewJob {
            kind: JobKind::Reread,
            channel: municipal(),
            subject: number(n).to_string(),
            reason: "asked".into(),
            run_at: at(0),
        })
        .collect();
    store.enqueue(&jobs).await.unwrap();
    let claimed = Arc::new(std::sync::Mutex::new(Vec::new()));
    let all = claimed.clone();
    at_once(place, move |store, _| {
        let all = all.clone();
        async move {
            for _ in 0..ROUNDS {
                let mine = store.claim_jobs(JobKind::Reread, &municipal(), at(1), at(60), 2).await.unwrap();
                all.lock().unwrap().extend(mine.into_iter().map(|job| job.id));
            }
        }
    })
    .await;
    let mut claimed = claimed.lock().unwrap().clone();
    claimed.sort_unstable();
    let distinct: BTreeSet<_> = claimed.iter().copied().collect();
    assert_eq!((claimed.len() as u64, distinct.len() as u64), (ROUNDS, ROUNDS));
}
