//! Distinct revisions of facets and any set of events, in any order, repetition and batching, give the same rows.

use crate::history::{arrange, expected, heads, held, play, pushed, said, wire};
use crate::peer::Wire;
use crate::world::{Record, World, deaf, peer};
use gateway_model::{BookSide, BucketSum, Grain};
use gateway_store::{BookStore, FlowOutcome};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A runtime of its own for each case; a case is a whole life of a store.
pub fn run<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(case)
}

pub fn keys(most: usize) -> impl Strategy<Value = Vec<(u32, i64, u8)>> {
    prop::collection::vec((any::<u32>(), 0i64..10_000, any::<u8>()), most)
}

pub fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..9, 1..5)
}

/// The buckets of every grain are what the items add up to.
pub async fn assert_sums(world: &World) {
    let book = world.book().await;
    for grain in Grain::BUCKETS {
        for dataset in gateway_model::Dataset::ALL {
            let mut sums: BTreeMap<_, (u64, BucketSum)> = BTreeMap::new();
            for (_, item) in book.values().filter(|(_, item)| item.key.dataset == dataset) {
                if let Some(start) = grain.bucket_start(item.event_time) {
                    let sum = sums.entry(start).or_default();
                    *sum = (sum.0 + 1, sum.1.plus(item.element()));
                }
            }
            let kept = world.store.buckets(&peer(), dataset, 1, grain, crate::world::ever()).await.unwrap();
            let kept: BTreeMap<_, _> =
                kept.into_iter().map(|bucket| (bucket.start, (bucket.count, bucket.sum))).collect();
            assert_eq!(kept, sums, "{dataset} {grain}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_arrival_gives_the_same_rows(
        versions in prop::collection::vec(said(), 1..7),
        others in prop::collection::vec(said(), 0..4),
        partial: bool,
        order in keys(28),
        batches in sizes(),
    ) {
        run(async {
            let mut mine: Vec<Wire> =
                versions.iter().enumerate().map(|(at, said)| wire("N1", at as i64 + 1, said)).collect();
            let theirs: Vec<Wire> = others.iter().enumerate().map(|(at, said)| wire("M1", at as i64 + 1, said)).collect();
            if partial {
                mine.push(pushed("N1"));
            }
            let mut records: Vec<Record> = mine.iter().map(|wire| Record::poll(1, wire)).collect();
            records.extend(theirs.iter().map(|wire| Record::poll(1, wire).from(deaf())));

            let (mut straight, mut crooked) = (World::new().await, World::new().await);
            // Two sides' numbers of one order; without the second side the order is made by the first record.
            if !theirs.is_empty() {
                for world in [&straight, &crooked] {
                    world.join(&[(peer(), "N1"), (deaf(), "M1")]).await;
                }
            }
            play(&mut straight, &records, &[records.len()]).await;
            let arrival = arrange(records, &order);
            play(&mut crooked, &arrival, &batches).await;

            assert_eq!(held(&crooked, "N1").await, held(&straight, "N1").await);
            let expected = expected("N1", &mine);
            assert_eq!(heads(&crooked, "N1", &peer()).await, expected);
            let book = crooked.book().await;
            assert!(book.values().all(|(side, _)| *side == BookSide::Source));
            let mut booked: Vec<_> = book.into_values().map(|(_, item)| item).collect();
            booked.sort_by(|a, b| a.key.cmp(&b.key));
            assert_eq!(booked, expected);
            assert_sums(&crooked).await;
            assert_eq!(crooked.anomaly("tie").await, 0);

            let stated: u64 = arrival
                .iter()
                .map(|record| serde_json::from_slice::<Wire>(&record.body).unwrap().changes())
                .sum();
            assert_eq!(crooked.captured().await, stated);
            assert_eq!((crooked.in_flight().await, crooked.tally(FlowOutcome::DeadLettered).await), (0, 0));
        });
    }

    /// Several contents under one revision: whatever came first, one authoritative read later both agree with the source.
    #[test]
    fn ties_converge_after_one_reading(
        versions in prop::collection::vec((1i64..4, said()), 1..8),
        truth in said(),
        order in keys(24),
        batches in sizes(),
    ) {
        run(async {
            // The source shows everything that it ever showed, at its last revision.
            let mut all = versions.iter().flat_map(|(_, said)| said.clone()).collect::<Vec<_>>();
            all.extend(truth);
            let truth = wire("N1", 3, &all);
            let records: Vec<Record> =
                versions.iter().map(|(revision, said)| Record::poll(1, &wire("N1", *revision, said))).collect();
            let (mut straight, mut crooked) = (World::new().await, World::new().await);
            play(&mut straight, &records, &[1]).await;
            play(&mut crooked, &arrange(records, &order), &batches).await;
            for world in [&mut straight, &mut crooked] {
                // Where somebody could be in doubt, a reading was asked for.
                let asked = world.rereads().await;
                assert!(world.anomaly("tie").await == 0 || !asked.is_empty());
                world.one(Record::reread(30_000, &truth)).await;
                assert_eq!(heads(world, "N1", &peer()).await, expected("N1", std::slice::from_ref(&truth)));
                assert_sums(world).await;
                assert_eq!(world.rereads().await, []);
            }
            assert_eq!(held(&crooked, "N1").await, held(&straight, "N1").await);
            // And what was read before does not undo it, it is asked about at most.
            let before = held(&crooked, "N1").await;
            for (revision, said) in &versions {
                crooked.one(Record { received: 31_000, ..Record::poll(29_000, &wire("N1", *revision, said)) }).await;
            }
            assert_eq!(held(&crooked, "N1").await, before);
        });
    }
}
