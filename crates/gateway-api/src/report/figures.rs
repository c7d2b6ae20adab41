//! Percentiles: of kept durations exactly, of histograms to a tenth.

use gateway_store::LatencyDay;
use serde::Serialize;
use std::collections::BTreeMap;

/// Durations summed up, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Durations {
    pub(crate) count: u64,
    pub(crate) p50_ms: Option<u64>,
    pub(crate) p95_ms: Option<u64>,
    pub(crate) max_ms: Option<u64>,
}

impl Durations {
    /// Of durations themselves: nearest rank.
    pub(crate) fn exact(mut durations: Vec<u64>) -> Self {
        durations.sort_unstable();
        let at = |share: u64| {
            let rank = rank(durations.len() as u64, share)?;
            durations.get(usize::try_from(rank).ok()?).copied()
        };
        Self { count: durations.len() as u64, p50_ms: at(50), p95_ms: at(95), max_ms: durations.last().copied() }
    }

    /// Of a leg's buckets: nearest rank, each bucket standing for its middle, but never for more than its longest.
    pub(crate) fn of_buckets<'a>(days: impl IntoIterator<Item = &'a LatencyDay>) -> Self {
        let mut buckets: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for day in days {
            let (count, max_ms) = buckets.entry(day.bucket).or_default();
            *count += day.count;
            *max_ms = (*max_ms).max(day.max_ms);
        }
        let count = buckets.values().map(|(count, _)| count).sum();
        let at = |share: u64| {
            let mut before = rank(count, share)?;
            for (bucket, (count, max_ms)) in &buckets {
                if before < *count {
                    return Some(LatencyDay::middle_ms(*bucket).min(*max_ms));
                }
                before -= count;
            }
            None
        };
        Self { count, p50_ms: at(50), p95_ms: at(95), max_ms: buckets.values().map(|(_, max_ms)| *max_ms).max() }
    }
}

/// The place, from 0, of the nearest rank of a share in per cent; `None` of nothing.
fn rank(count: u64, share: u64) -> Option<u64> {
    (count > 0).then(|| (count * share).div_ceil(100).max(1) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_store::Leg;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let of = |durations: Vec<u64>| {
            let sum = Durations::exact(durations);
            (sum.count, sum.p50_ms, sum.p95_ms, sum.max_ms)
        };
        assert_eq!(of(vec![]), (0, None, None, None));
        assert_eq!(of(vec![7]), (1, Some(7), Some(7), Some(7)));
        assert_eq!(of((1..=100).rev().collect()), (100, Some(50), Some(95), Some(100)));
    }

    #[test]
    fn a_histogram_tells_the_same_to_a_tenth() {
        let durations: Vec<u64> = (1..1_000u64).map(|n| n * n).collect();
        let day = |ms: &u64| LatencyDay {
            leg: Leg::ReceivedToApplied,
            day: "2026-11-24".parse().unwrap(),
            bucket: LatencyDay::bucket_of(*ms),
            count: 1,
            max_ms: *ms,
        };
        let days: Vec<_> = durations.iter().map(day).collect();
        let (exact, shown) = (Durations::exact(durations), Durations::of_buckets(&days));
        assert_eq!((shown.count, shown.max_ms), (exact.count, exact.max_ms));
        for (shown, exact) in [(shown.p50_ms, exact.p50_ms), (shown.p95_ms, exact.p95_ms)] {
            let (shown, exact) = (shown.unwrap() as f64, exact.unwrap() as f64);
            assert!((shown - exact).abs() / exact < 0.1, "{shown} for {exact}");
        }
    }
}
