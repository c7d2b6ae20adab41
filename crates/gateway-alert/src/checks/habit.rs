//! The arithmetic of silence: a channel's habit by hour and weekday, and whether what came lately can still be chance.
//!
//! The habit of an hour is what came at the same hour of the same weekday in past weeks: the median is what is usual, the lower quartile what is
//! little but has happened. Where there are few weeks, the hours beside it count too. Arrivals are not Poisson: they come in bursts, days differ,
//! holidays halve them. So silence is not "less than usual" but "less than a share of the usual, and less than what has happened, for so long
//! that chance would bring it once in a million": the tail of a Poisson law (Chernoff's bound, which overstates it) over every stretch that ends
//! now, after dividing by the burstiness that the past shows. A short full stop and a long trickle are found alike, a holiday is not.
//!
//! Refused: a fixed threshold by channel (wrong at night or wrong by day), and a learnt model that nobody can follow. What is told can be
//! recomputed by hand from two numbers: expected and seen.

use std::collections::BTreeMap;

/// Hours of a week.
const WEEK: i64 = 168;
/// Weeks that make the habit.
pub(super) const WEEKS: i64 = 9;
/// With fewer weeks, the hours beside count too.
const ENOUGH_WEEKS: usize = 5;
/// An hour that was watched for less teaches nothing.
const LEAST_WATCHED: f64 = 0.5;
/// Burstiness that is believed, at most.
const MOST_BURSTY: f64 = 20.0;
/// Burstiness where the past is too short to tell.
const UNKNOWN_BURSTY: f64 = 3.0;
/// The median of a squared standard normal value.
const MEDIAN_SQUARE: f64 = 0.455;

/// An hour of the past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hour {
    /// Records that came.
    pub(super) records: u64,
    /// For which share of it somebody was there to see, 0 to 1.
    pub(super) watched: f64,
}

/// What a whole hour brings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Habit {
    /// As a rule.
    pub(super) usual: f64,
    /// In one of four.
    pub(super) low: f64,
}

/// What is judged silence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judgement {
    /// Less than this share of the usual is too little.
    pub(super) share: f64,
    /// The probability below which it is not chance.
    pub(super) improbable: f64,
    /// The longest stretch, in hours.
    pub(super) longest: i64,
}

/// Too little came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Silence {
    /// The first hour of the stretch.
    pub(super) from: i64,
    /// What was usual for it.
    pub(super) expected: f64,
    /// What came.
    pub(super) seen: u64,
}

/// A channel's hours, by their number since 1970. An hour that is absent was not watched.
#[derive(Debug, Clone, Default)]
pub(super) struct Hours(pub(super) BTreeMap<i64, Hour>);

impl Hours {
    /// The habit of an hour, from the same hour of the weeks before it; `None` where fewer than `least` of them were watched.
    pub(super) fn habit(&self, hour: i64, least: usize) -> Option<Habit> {
        let rate = |hour: i64| {
            let hour = self.0.get(&hour).filter(|hour| hour.watched >= LEAST_WATCHED)?;
            Some(hour.records as f64 / hour.watched)
        };
        let weeks = (1..=WEEKS).map(|week| hour - week * WEEK);
        let mut rates: Vec<f64> = weeks.clone().filter_map(rate).collect();
        if rates.len() < least.max(1) {
            return None;
        }
        if rates.len() < ENOUGH_WEEKS {
            rates.extend(weeks.flat_map(|hour| [hour - 1, hour + 1]).filter_map(rate));
        }
        rates.sort_by(f64::total_cmp);
        Some(Habit { usual: rates[(rates.len() - 1) / 2], low: rates[(rates.len() - 1) / 4] })
    }

    /// How much more than a Poisson law's the arrivals scatter from hour to hour, at least 1. The differences of neighbours count, so that a
    /// whole day above or below its habit does not; their median, so that an outage does not.
    pub(super) fn burstiness(&self, now: i64) -> f64 {
        let mut squares = Vec::new();
        let mut before: Option<(f64, f64)> = None;
        for hour in now - 4 * WEEK..now {
            let watched = self.0.get(&hour).filter(|hour| hour.watched > 0.99);
            let off = watched.zip(self.habit(hour, 1)).and_then(|(seen, habit)| {
                (habit.usual >= 1.0).then_some((seen.records as f64 - habit.usual, habit.usual))
            });
            if let (Some((a, habit_a)), Some((b, habit_b))) = (before, off) {
                squares.push((b - a).powi(2) / (habit_a + habit_b));
            }
            before = off;
        }
        if squares.len() < 24 {
            return UNKNOWN_BURSTY;
        }
        squares.sort_by(f64::total_cmp);
        (squares[squares.len() / 2] / MEDIAN_SQUARE).clamp(1.0, MOST_BURSTY)
    }

    /// Whether too little came in some stretch that ends with the present hour and begins at `not_before` at the earliest; the least probable
    /// one. `None` while there is no habit yet, or what came can be chance. `bursty` is [`Hours::burstiness`], which changes slowly.
    pub(super) fn silence(&self, now: i64, not_before: i64, bursty: f64, judgement: Judgement) -> Option<Silence> {
        let (mut usual, mut floor, mut seen) = (0.0, 0.0, 0u64);
        let mut worst: Option<(f64, Silence)> = None;
        for hour in (not_before.max(now - judgement.longest + 1)..=now).rev() {
            let Some((watched, habit)) = self.0.get(&hour).zip(self.habit(hour, 2)) else { continue };
            usual += habit.usual * watched.watched;
            floor += (habit.usual * judgement.share).min(habit.low) * watched.watched;
            seen += watched.records;
            let chance = ln_tail(seen as f64 / bursty, floor / bursty);
            if chance < judgement.improbable.ln() && worst.is_none_or(|(least, _)| chance < least) {
                worst = Some((chance, Silence { from: hour, expected: usual, seen }));
            }
        }
        worst.map(|(_, silence)| silence)
    }

    /// Whether what comes is as it should be again: in the shortest stretch up to now that should have brought three records at least, enough came.
    pub(super) fn recovered(&self, now: i64, judgement: Judgement) -> bool {
        let (mut floor, mut seen) = (0.0, 0u64);
        for hour in (now - judgement.longest + 1..=now).rev() {
            let Some((watched, habit)) = self.0.get(&hour).zip(self.habit(hour, 2)) else { continue };
            floor += (habit.usual * judgement.share).min(habit.low) * watched.watched;
            seen += watched.records;
            if floor >= 3.0 {
                return seen as f64 >= floor;
            }
        }
        false
    }

    /// The last hour in which something came.
    pub(super) fn last_arrival(&self) -> Option<i64> {
        self.0.iter().rev().find(|(_, hour)| hour.records > 0).map(|(at, _)| *at)
    }
}

/// The logarithm of an upper bound of the probability that a Poisson law of this mean gives `count` or less (Chernoff); 0 where that is usual.
fn ln_tail(count: f64, mean: f64) -> f64 {
    if count >= mean {
        return 0.0;
    }
    let entropy = if count > 0.0 { count * (count / mean).ln() } else { 0.0 };
    count - mean - entropy
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
