//! Property: from sums to items, exactly the symmetric difference is found, whatever grains the channel offers.

use crate::peer::{buckets_of, listed};
use gateway_model::{
    BookItem, BookSide, Dataset, Grain, ItemKey, Moment, Part, SourceNumber, Timestamp, Window, digest_of_pairs,
};
use gateway_reconcile::ReconcileConfig;
use gateway_reconcile::compare::{Difference, Differing, Tally, diff, in_step, narrow};
use gateway_reconcile::descend::{Descent, Ladder, Step, halving_grain, middle};
use gateway_store::StoredItem;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn start() -> i64 {
    "2024-02-28T20:00:00+08:00".parse::<Timestamp>().unwrap().as_second()
}

fn item(n: u16, second: i64, date_only: bool, digest: u8) -> BookItem {
    let at = Timestamp::from_second(start() + second).unwrap();
    let day = Moment::At(at).day();
    // As channels do: the event time is among the compared fields.
    let digest = digest_of_pairs([
        ("time", if date_only { day.to_string() } else { second.to_string() }.as_str()),
        ("text", digest.to_string().as_str()),
    ]);
    BookItem {
        key: ItemKey {
            dataset: Dataset::Handling,
            number: SourceNumber::new(format!("N{n}")).unwrap(),
            day: Moment::At(Timestamp::from_second(start()).unwrap()).day(),
            part: Part::Cycle(0),
        },
        event_time: if date_only { Moment::On(day) } else { Moment::At(at) },
        digest,
    }
}

prop_compose! {
    fn any_item()(
        n in 0u16..400,
        // Close together, a few days, many months; some at China midnight.
        second in prop_oneof![0i64..7_200, 0i64..5 * 86_400, 0i64..40_000_000, (0i64..9).prop_map(|day| 14_400 + day * 86_400)],
        date_only in prop::bool::weighted(0.2),
        digest in 0u8..2,
    ) -> BookItem {
        item(n, second, date_only, digest)
    }
}

fn book(items: Vec<BookItem>) -> BTreeMap<ItemKey, BookItem> {
    items.into_iter().map(|item| (item.key.clone(), item)).collect()
}

fn held(items: &BTreeMap<ItemKey, BookItem>, window: Window) -> Vec<StoredItem> {
    listed(items.values(), window).into_iter().map(|item| StoredItem { side: BookSide::Source, item }).collect()
}

/// Walks down as a sweep does; returns the keys found, and how many items were listed.
fn found(
    ours: &BTreeMap<ItemKey, BookItem>,
    theirs: &BTreeMap<ItemKey, BookItem>,
    grains: &[Grain],
    config: &ReconcileConfig,
    days: i64,
) -> (BTreeSet<ItemKey>, usize) {
    let ladder = Ladder::new(grains, config);
    let end = Timestamp::from_second(start() + days * 86_400).unwrap();
    let mut steps = vec![ladder.first(Window::new(Timestamp::from_second(start()).unwrap(), end)).unwrap()];
    let (mut keys, mut ids) = (BTreeSet::new(), 0);
    while let Some(step) = steps.pop() {
        if step.grain == Grain::Ids {
            let list = listed(theirs.values(), step.window);
            ids += list.len();
            for Difference { key, .. } in diff(&held(ours, step.window), &list) {
                // As the sweep does: what we lack here we may hold elsewhere.
                let ours = ours.get(&key).map(|item| StoredItem { side: BookSide::Source, item: item.clone() });
                let theirs = theirs.get(&key);
                assert!(!in_step(theirs, ours.as_ref()) || !list.iter().any(|item| item.key == key));
                if !in_step(theirs, ours.as_ref()) {
                    keys.insert(key);
                }
            }
            continue;
        }
        if step.half.is_some() {
            steps.extend(halved(&ladder, &step, ours, theirs).steps);
            continue;
        }
        let (our_sums, their_sums) =
            (buckets_of(ours.values(), step.grain, step.window), buckets_of(theirs.values(), step.grain, step.window));
        let differing = narrow(step.grain, step.window, &our_sums, &their_sums);
        let descent = ladder.descend(&step, Timestamp::UNIX_EPOCH, &differing);
        assert!(descent.unnamed.is_empty());
        steps.extend(descent.steps);
    }
    (keys, ids)
}

/// As a sweep does: the channel tells one half, the other is what is left.
fn halved(
    ladder: &Ladder,
    step: &Step,
    ours: &BTreeMap<ItemKey, BookItem>,
    theirs: &BTreeMap<ItemKey, BookItem>,
) -> Descent {
    let grain = halving_grain(step.window).unwrap();
    let at = middle(step.window, grain, &buckets_of(ours.values(), grain, step.window)).unwrap();
    assert!(at > step.window.start && at < step.window.end);
    let tally = |items: &BTreeMap<ItemKey, BookItem>, window| {
        Tally::of(items.values().filter(|item| Window::contains(&window, item.event_time.start())))
    };
    let (first, second) = (Window::new(step.window.start, at), Window::new(at, step.window.end));
    let whole = step.parents.as_ref().unwrap().buckets[0];
    let said = tally(theirs, first);
    let first = Differing { window: first, ours: tally(ours, first), theirs: said };
    let second = Differing { window: second, ours: tally(ours, second), theirs: whole.theirs.minus(said) };
    ladder.split(step, Timestamp::UNIX_EPOCH, [first, second])
}

fn symmetric(ours: &BTreeMap<ItemKey, BookItem>, theirs: &BTreeMap<ItemKey, BookItem>) -> BTreeSet<ItemKey> {
    let held = |item: &BookItem| StoredItem { side: BookSide::Source, item: item.clone() };
    let keys: BTreeSet<&ItemKey> = ours.keys().chain(theirs.keys()).collect();
    keys.into_iter().filter(|key| !in_step(theirs.get(*key), ours.get(*key).map(held).as_ref())).cloned().collect()
}

fn ladders() -> impl Strategy<Value = Vec<Grain>> {
    let all = [Grain::Total, Grain::Month, Grain::Day, Grain::Hour, Grain::TenMinutes];
    prop::sample::subsequence(all.to_vec(), 1..=5).prop_map(|mut grains| {
        grains.push(Grain::Ids);
        grains
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn narrowing_finds_exactly_the_symmetric_difference(
        common in prop::collection::vec(any_item(), 0..120),
        only_ours in prop::collection::vec(any_item(), 0..6),
        only_theirs in prop::collection::vec(any_item(), 0..6),
        grains in ladders(),
        list_below in prop_oneof![Just(0u64), Just(3), Just(24)],
        merge_between in prop_oneof![Just(0u32), Just(24)],
        halving_splits in prop_oneof![Just(0u32), Just(1), Just(5)],
        long: bool,
    ) {
        // Date-only items are absent from hours, so a channel whose coarsest grain is finer than a day can't account for them at all.
        let coarse_enough = grains[0] <= Grain::Day;
        let timed = |items: Vec<BookItem>| items.into_iter().filter(|item| coarse_enough || !item.event_time.is_date_only()).collect::<Vec<_>>();
        let days = if long { 480 } else { 90 };
        let inside = |items: Vec<BookItem>| {
            let end = start() + days * 86_400;
            timed(items).into_iter().filter(|item| item.event_time.start().as_second() < end).collect::<Vec<_>>()
        };
        let (common, only_ours, only_theirs) = (inside(common), inside(only_ours), inside(only_theirs));
        let ours = book(common.iter().cloned().chain(only_ours).collect());
        let theirs = book(common.into_iter().chain(only_theirs).collect());
        let config = ReconcileConfig { list_below_items: list_below, merge_between_buckets: merge_between, halving_splits, ..ReconcileConfig::default() };
        let (keys, ids) = found(&ours, &theirs, &grains, &config, days);
        let expected = symmetric(&ours, &theirs);
        prop_assert_eq!(&keys, &expected);
        if expected.is_empty() {
            prop_assert_eq!(ids, 0, "ids are listed only where sums differ");
        }
    }
}

#[test]
fn a_date_only_difference_is_found_by_one_tiny_list() {
    let many: Vec<BookItem> = (0..300).map(|n| item(n, 20_000 + i64::from(n) * 60, false, 0)).collect();
    let ours = book(many.clone());
    let mut theirs = book(many);
    let lost = item(399, 20_000, true, 0);
    theirs.insert(lost.key.clone(), lost.clone());
    let grains = [Grain::Month, Grain::Day, Grain::Hour, Grain::TenMinutes, Grain::Ids];
    let (keys, ids) = found(&ours, &theirs, &grains, &ReconcileConfig::default(), 480);
    assert_eq!(keys, BTreeSet::from([lost.key]));
    assert_eq!(ids, 1, "only the first second of the day is listed");
}

#[test]
fn a_lost_and_a_duplicated_item_in_one_bucket_are_both_found() {
    let many: Vec<BookItem> = (0..300).map(|n| item(n, i64::from(n) * 10, false, 0)).collect();
    let mut ours = book(many.clone());
    let mut theirs = book(many);
    let (lost, kept) = (item(7, 70, false, 0), item(8, 80, false, 0));
    ours.remove(&lost.key);
    theirs.remove(&kept.key);
    let grains = [Grain::Day, Grain::Hour, Grain::TenMinutes, Grain::Ids];
    let (keys, ids) = found(&ours, &theirs, &grains, &ReconcileConfig::default(), 90);
    assert_eq!(keys, BTreeSet::from([lost.key, kept.key]), "the counts agree, the sums do not");
    assert!(ids < 61, "only the ten minutes are listed, not all 300: {ids}");
}
