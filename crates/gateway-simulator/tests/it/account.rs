//! The account: kept sums equal sums made anew, now and at any past moment, and cost what their buckets cost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateway_simulator::book::account::{Account, Grain};
use gateway_simulator::clock::{sort_time, wire_time};
use gateway_simulator::digest::{Dataset, Digest, Item, ItemKey, add, element, subtract};
use proptest::prelude::*;

const GRAINS: [Grain; 5] = [Grain::Total, Grain::Month, Grain::Day, Grain::Hour, Grain::TenMinutes];

fn key(number: u8) -> ItemKey {
    let (number, day, part) = (format!("N{number}"), "2026-11-02".to_owned(), "c0".to_owned());
    ItemKey { dataset: Dataset::Completion, number, day, part }
}

/// A moment of two months in minutes, or a day alone.
fn time(minutes: i64, date_only: bool) -> String {
    let full = wire_time(1_793_548_800_000 + minutes * 60_000);
    if date_only { full[..10].to_owned() } else { full }
}

type Brute = BTreeMap<String, (usize, Digest)>;

fn brute(items: &BTreeMap<u8, (String, Digest)>, from: &str, to: &str, grain: Grain) -> Brute {
    let mut buckets = Brute::new();
    for (number, (time, digest)) in items {
        let sortable = sort_time(time);
        if sortable.as_str() >= from
            && sortable.as_str() < to
            && let Some(start) = grain.start(time, from)
        {
            let (count, sum) = buckets.entry(start).or_default();
            *count += 1;
            add(sum, &element(&key(*number), digest));
        }
    }
    buckets
}

proptest! {
    #[test]
    fn kept_sums_equal_sums_made_anew(
        steps in prop::collection::vec((0..12u8, 0..90_000i64, any::<bool>(), any::<bool>(), any::<u8>()), 1..40),
        ends in (0..90_000i64, 0..90_000i64, 0..3u8), at in 0..40usize,
    ) {
        let mut account = Account::default();
        let mut items: BTreeMap<u8, (String, Digest)> = BTreeMap::new();
        let mut moments = Vec::new();
        for (moment, (number, minutes, date_only, gone, seed)) in steps.into_iter().enumerate() {
            let item = |time: &str, digest| Item { key: key(number), event_time: time.to_owned(), digest };
            let before: Vec<Item> = items.remove(&number).map(|(time, digest)| item(&time, digest)).into_iter().collect();
            let after: Vec<Item> = if gone { Vec::new() } else { vec![item(&time(minutes, date_only), [seed; 32])] };
            items.extend(after.iter().map(|item| (number, (item.event_time.clone(), item.digest))));
            account.replace(&before, after, moment as i64);
            moments.push(items.clone());
        }
        let (from, to) = (ends.0.min(ends.1), ends.0.max(ends.1));
        let round = |minutes: i64| match ends.2 { 0 => minutes, 1 => minutes / 10 * 10, _ => minutes / 1440 * 1440 };
        let (from, to) = (time(round(from), false), time(round(to), false));
        let at = at.min(moments.len() - 1);
        for grain in GRAINS {
            let now = account.buckets(Dataset::Completion, (&from, &to), grain, None);
            prop_assert_eq!(now, brute(&items, &from, &to, grain), "{:?} now", grain);
            let then = account.buckets(Dataset::Completion, (&from, &to), grain, Some(at as i64));
            prop_assert_eq!(then, brute(&moments[at], &from, &to, grain), "{:?} then", grain);
        }
        let listed = account.items(Dataset::Completion, &from, &to, Some(at as i64)).len();
        prop_assert_eq!(listed, account.tally(Dataset::Completion, &from, &to, Some(at as i64)));
        for number in 0..12u8 {
            let held = account.held_at(&key(number), at as i64).map(|(digest, time)| (time.to_owned(), digest));
            prop_assert_eq!(held.as_ref(), moments[at].get(&number));
        }
    }

    #[test]
    fn what_is_added_can_be_taken_back(sum in any::<[u8; 32]>(), element in any::<[u8; 32]>()) {
        let mut both = sum;
        add(&mut both, &element);
        subtract(&mut both, &element);
        prop_assert_eq!(both, sum);
    }
}

#[test]
fn a_whole_comparison_over_a_hundred_thousand_items_takes_milliseconds() {
    let mut account = Account::default();
    for number in 0..100_000i64 {
        let key = ItemKey { number: format!("N{number}"), ..key(0) };
        let item = Item { key, event_time: wire_time(1_793_548_800_000 + number * 24_000), digest: [number as u8; 32] };
        account.replace(&[], vec![item], number);
    }
    let range = ("2026-11-01 00:00:00", "2026-12-01 00:00:00");
    let begun = Instant::now();
    for _ in 0..20 {
        for grain in GRAINS {
            assert!(!account.buckets(Dataset::Completion, range, grain, None).is_empty());
        }
        assert!(account.tally(Dataset::Completion, range.0, range.1, Some(99_000)) < 100_000);
        assert!(account.held_at(&ItemKey { number: "N99999".to_owned(), ..key(0) }, 100_000).is_some());
    }
    // 120 accounts; even an unoptimized build on a busy machine is far below what a scan would take.
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}
