//! A channel's numbering, learnt from the numbers themselves: `<prefix><yyyymmdd><counter>`, the counter running from day to day anew.
//!
//! Where a counter runs without holes on most days, a hole on a past day is a hint of a lost order. Where it does not (numbers shared with other
//! bureaus, random tails), nothing is concluded. The end of a day can't be seen: what was lost after the last number that came leaves no hole.

use gateway_model::Day;
use std::collections::BTreeMap;

/// Fewer numbers on a day teach nothing.
const LEAST_OF_DAY: usize = 10;
/// Fewer days teach nothing.
const LEAST_DAYS: usize = 3;
/// The share of a numbering's span that is there on a usual day, at least.
const DENSITY: f64 = 0.9;
/// Counters of a day looked at most; a span beyond is no running counter.
const MOST_SPAN: u64 = 100_000;

/// How numbers are built, but for day and counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) prefix: String,
    pub(super) width: usize,
}

/// A number, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) shape: Shape,
    pub(super) day: Day,
    pub(super) counter: u64,
}

/// Counters that are missing, `from` to `to`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Hole {
    pub(super) fn len(self) -> u64 {
        self.to - self.from + 1
    }
}

/// Takes a number apart; `None` for one that is built otherwise. Digits before the day belong to the prefix, so a number can be read in several
/// ways: the one counts whose day lies between `from` and `to`, the first of them.
pub(super) fn parts(number: &str, from: Day, to: Day) -> Option<Parts> {
    let digits = number.bytes().rev().take_while(u8::is_ascii_digit).count();
    let tail = number.len() - digits;
    (tail..number.len().saturating_sub(8)).find_map(|at| {
        let day = |range: std::ops::Range<usize>| number[at + range.start..at + range.end].parse::<i16>().ok();
        let date = Day::new(day(0..4)?, i8::try_from(day(4..6)?).ok()?, i8::try_from(day(6..8)?).ok()?).ok()?;
        let counter = &number[at + 8..];
        if !(3..=9).contains(&counter.len()) || date < from || date > to {
            return None;
        }
        let shape = Shape { prefix: number[..at].to_owned(), width: counter.len() };
        Some(Parts { shape, day: date, counter: counter.parse().ok()? })
    })
}

/// The first text of a day's numbers, and the first after them.
pub(super) fn range_of(shape: &Shape, day: Day) -> (String, String) {
    let start = format!("{}{}", shape.prefix, day.strftime("%Y%m%d"));
    // After the last digit.
    let end = format!("{start}:");
    (start, end)
}

/// Whether counters that were seen on past days (each ascending, each once) run without holes as a rule; then, the first counter of a day.
pub(super) fn runs(days: &BTreeMap<Day, Vec<u64>>) -> Option<u64> {
    let mut densities: Vec<f64> = Vec::new();
    let mut firsts: Vec<u64> = Vec::new();
    for counters in days.values().filter(|counters| counters.len() >= LEAST_OF_DAY) {
        let (Some(first), Some(last)) = (counters.first(), counters.last()) else { continue };
        densities.push(counters.len() as f64 / (last - first + 1) as f64);
        firsts.push(*first);
    }
    if densities.len() < LEAST_DAYS {
        return None;
    }
    densities.sort_by(f64::total_cmp);
    firsts.sort_unstable();
    // The lower median: half the days at least are as dense.
    let usual = densities[(densities.len() - 1) / 2];
    (usual >= DENSITY).then(|| firsts[0])
}

/// What is missing of a day whose counters begin at `first`. Empty for a day whose span is absurd.
pub(super) fn holes(counters: &[u64], first: u64) -> Vec<Hole> {
    let (Some(low), Some(high)) = (counters.first(), counters.last()) else { return Vec::new() };
    if high - low > MOST_SPAN {
        return Vec::new();
    }
    let mut next = first;
    let mut holes = Vec::new();
    for counter in counters {
        if *counter > next {
            holes.push(Hole { from: next, to: counter - 1 });
        }
        next = next.max(counter + 1);
    }
    holes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn day(n: i8) -> Day {
        Day::constant(2026, 11, n)
    }

    #[test]
    fn numbers_are_taken_apart() {
        let of = |number| parts(number, day(1), day(30));
        let gz = Shape { prefix: "GZ".into(), width: 6 };
        assert_eq!(of("GZ20261120000123"), Some(Parts { shape: gz, day: day(20), counter: 123 }));
        // 2026-10-11 is not among the days; the digits before the day belong to the prefix.
        let shape = Shape { prefix: "12345".into(), width: 4 };
        assert_eq!(of("12345202611200007"), Some(Parts { shape, day: day(20), counter: 7 }));
        for other in
            ["GZ20261120", "GZ2026112012", "GZ20261320000123", "GZ-000123", "", "二〇二六", "GZ20261120000123X"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn sparse_numbers_teach_nothing() {
        let dense: BTreeMap<Day, Vec<u64>> = (1..=4).map(|n| (day(n), (1..=40).collect())).collect();
        assert_eq!(runs(&dense), Some(1));
        let shared: BTreeMap<Day, Vec<u64>> = (1..=4).map(|n| (day(n), (1..=40).map(|at| at * 7).collect())).collect();
        assert_eq!(runs(&shared), None);
        let few: BTreeMap<Day, Vec<u64>> = (1..=2).map(|n| (day(n), (1..=40).collect())).collect();
        assert_eq!(runs(&few), None);
    }

    proptest! {
        #[test]
        fn holes_and_counters_make_the_whole(counters in prop::collection::btree_set(1u64..400, 1..200)) {
            let list: Vec<u64> = counters.iter().copied().collect();
            let missing: BTreeSet<u64> = holes(&list, 1).into_iter().flat_map(|hole| hole.from..=hole.to).collect();
            let whole: BTreeSet<u64> = (1..=*list.last().unwrap()).collect();
            prop_assert!(missing.is_disjoint(&counters));
            prop_assert_eq!(missing.union(&counters).copied().collect::<BTreeSet<_>>(), whole);
        }
    }
}
