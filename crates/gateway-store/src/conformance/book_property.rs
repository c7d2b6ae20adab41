//! Bucket arithmetic against an oracle that knows only the items.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug, Clone)]
enum Op {
    Put { n: u64, side: BookSide, version: u32, event_time: Moment, content: u8 },
    Remove { n: u64 },
}

type Oracle = BTreeMap<ItemKey, (BookSide, u32, BookItem)>;

fn op() -> impl Strategy<Value = Op> {
    // Few keys and times that lie at the edges of buckets, so that most operations meet.
    let times = prop::sample::select(vec![
        "2026-11-30T23:59:59.999+08:00",
        "2026-12-01T00:00:00+08:00",
        "2026-12-01T00:09:59+08:00",
        "2026-12-01T00:10:00+08:00",
        "2026-12-01T08:00:00+08:00",
        "2026-12-01",
        "2026-11-30",
        "2011-02-28",
        "1969-12-31T23:50:00+08:00",
        "2099-12-31T23:59:59+08:00",
    ]);
    let side = prop::sample::select(vec![BookSide::Source, BookSide::Sent]);
    prop_oneof![
        5 => (0..8u64, side, 1..3u32, times, 0..3u8).prop_map(|(n, side, version, time, content)| Op::Put {
            n,
            side,
            version,
            event_time: parse_moment(time).unwrap(),
            content,
        }),
        2 => (0..8u64).prop_map(|n| Op::Remove { n }),
    ]
}

/// Random puts, moves and removals on both sides, in batches: at all four grains and for every version the kept sums are those of the items.
pub async fn sums_equal_their_items_whatever_happened(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let runtime = tokio::runtime::Handle::current();
    let case = AtomicU32::new(0);
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&vec(vec(op(), 1..12), 1..8), |batches| {
                // A channel of its own keeps the cases apart.
                let channel = channel(&format!("case-{}", case.fetch_add(1, Ordering::Relaxed)));
                runtime.block_on(check(&*store, &channel, &batches))
            })
            .unwrap();
    });
}

async fn check(store: &dyn Store, channel: &ChannelId, batches: &[Vec<Op>]) -> Result<(), TestCaseError> {
    let mut oracle = Oracle::new();
    for batch in batches {
        let puts: Vec<BookPut> = batch.iter().map(|op| apply(&mut oracle, channel, op)).collect();
        let puts = &puts;
        write(store, |_, writes| writes.book.clone_from(puts)).await.unwrap();
        for version in 1..3 {
            let items = oracle.values().filter(|(_, of, _)| *of == version).map(|(_, _, item)| item);
            for grain in Grain::BUCKETS {
                let kept = store
                    .buckets(channel, Dataset::Acceptance, version, grain, Window::new(Timestamp::MIN, Timestamp::MAX))
                    .await
                    .unwrap();
                prop_assert_eq!(kept, recomputed(items.clone(), grain), "version {} by {}", version, grain);
            }
        }
    }
    let window = Window::new(Timestamp::MIN, Timestamp::MAX);
    let mut items = store.items(channel, Dataset::Acceptance, window).await.unwrap();
    items.sort_by(|a, b| a.item.key.cmp(&b.item.key));
    let expected: Vec<_> = oracle.into_values().map(|(side, _, item)| StoredItem { side, item }).collect();
    prop_assert_eq!(items, expected);
    Ok(())
}

fn apply(oracle: &mut Oracle, channel: &ChannelId, op: &Op) -> BookPut {
    match op {
        Op::Put { n, side, version, event_time, content } => {
            let item = BookItem { key: key(*n), event_time: *event_time, digest: digest(*content) };
            oracle.insert(item.key.clone(), (*side, *version, item.clone()));
            put(channel, *side, *version, item)
        }
        Op::Remove { n } => {
            oracle.remove(&key(*n));
            BookPut::Remove { channel: channel.clone(), key: key(*n) }
        }
    }
}
