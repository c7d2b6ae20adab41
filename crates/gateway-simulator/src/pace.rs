//! The pace of simulated lives: how many orders a day brings, at which hours, how long people and systems take, and how late what
//! happened shows.
//!
//! Without a pace a platform lives as fast as a demonstration wants it. With one it lives like a real hotline, so that weeks of a
//! driven clock have the rhythm, the long tails and the quiet nights on which habits and watermarks are learnt.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::clock;

const MINUTE_MS: f64 = 60_000.0;
const HOUR_MS: f64 = 60.0 * MINUTE_MS;
const DAY_MS: i64 = 86_400_000;
/// No wait is longer: tails are heavy, not endless.
const LONGEST_MS: f64 = 20.0 * 24.0 * HOUR_MS;

/// How much of a working day's orders each hour brings, relative to the mean hour: quiet nights, a peak in the morning and one
/// after work.
const HOURS: [f64; 24] = [
    0.25, 0.15, 0.10, 0.10, 0.10, 0.20, 0.50, 1.10, 1.80, 2.10, 2.00, 1.60, 1.20, 1.40, 1.80, 1.90, 1.80, 1.50, 1.20,
    1.00, 0.90, 0.70, 0.40, 0.20,
];
/// Saturdays and Sundays bring so much of a working day.
const WEEKEND: f64 = 0.55;

/// A log-normal wait: half of the waits are shorter than `median_ms`; `sigma` is the standard deviation of the logarithm, so one
/// wait in forty is longer than `median · e^(2·sigma)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait {
    /// The median in milliseconds.
    pub median_ms: f64,
    /// Spread of the logarithm; 0 = always the median.
    pub sigma: f64,
}

impl Wait {
    /// A wait of so many minutes in the median.
    pub const fn minutes(minutes: f64, sigma: f64) -> Self {
        Self { median_ms: minutes * MINUTE_MS, sigma }
    }

    /// A wait of so many hours in the median.
    pub const fn hours(hours: f64, sigma: f64) -> Self {
        Self { median_ms: hours * HOUR_MS, sigma }
    }

    /// One wait, in milliseconds; at least 1 s, at most 20 days.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> i64 {
        (self.median_ms * (self.sigma * normal(rng)).exp()).clamp(1_000.0, LONGEST_MS) as i64
    }
}

/// How late what happened shows in listing and push: `share` of the changes are late, by a Pareto-distributed time. Queries by
/// number, listings by event window and manifests come from the main database and are never late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lateness {
    /// Share of the changes that are late at all, 0 to 1.
    pub share: f64,
    /// The shortest lateness in milliseconds.
    pub least_ms: f64,
    /// Tail index: the smaller, the heavier; one late change in 2^`tail` is later than twice the least.
    pub tail: f64,
    /// No lateness is longer, in milliseconds.
    pub most_ms: f64,
}

impl Lateness {
    /// How late one change shows, in milliseconds; 0 = at once.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> i64 {
        if !rng.random_bool(self.share.clamp(0.0, 1.0)) {
            return 0;
        }
        let rest: f64 = 1.0 - rng.random_range(0.0..1.0);
        (self.least_ms * rest.powf(-1.0 / self.tail.max(0.1))).min(self.most_ms) as i64
    }
}

/// The pace of a platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Orders on a mean working day.
    pub orders_per_day: f64,
    /// Whether hours and weekdays differ.
    pub rhythm: bool,
    /// From acceptance to dispatch.
    pub dispatch: Wait,
    /// While an order is with the desk: until something happens beside it (supplement, urge, correction).
    pub overlay: Wait,
    /// From a return asked to its verdict.
    pub verdict: Wait,
    /// From a reply to its review.
    pub review: Wait,
    /// From completion to the visit, or to the archive without one.
    pub visit: Wait,
    /// From the visit to the archive, or to the order to handle again.
    pub archive: Wait,
    /// How late changes show.
    pub lateness: Option<Lateness>,
}

impl Default for Pace {
    /// 1,000 orders a day with rhythm, steps of minutes to days, and one change in fifty late: by 20 s at least, now and then by hours.
    fn default() -> Self {
        Self {
            orders_per_day: 1_000.0,
            rhythm: true,
            dispatch: Wait::minutes(20.0, 1.0),
            overlay: Wait::hours(9.0, 1.2),
            verdict: Wait::hours(5.0, 0.9),
            review: Wait::hours(7.0, 1.0),
            visit: Wait::hours(26.0, 0.9),
            archive: Wait::hours(14.0, 1.0),
            lateness: Some(Lateness { share: 0.02, least_ms: 20_000.0, tail: 0.9, most_ms: 8.0 * HOUR_MS }),
        }
    }
}

impl Pace {
    /// The moment of the next creation after `after_ms`. Arrivals are a Poisson process whose rate follows hour and weekday.
    pub fn next_arrival(&self, rng: &mut ChaCha8Rng, after_ms: i64) -> i64 {
        let per_ms = (self.orders_per_day / DAY_MS as f64).max(1e-12);
        let busiest = if self.rhythm { HOURS.iter().copied().fold(1.0, f64::max) } else { 1.0 };
        let mut at = after_ms as f64;
        // Thinning: candidates at the rate of the busiest hour, each kept with the share that its own hour has of it. A hundred
        // candidates in a row are refused only where the rate is next to nothing.
        for _ in 0..100 {
            let rest: f64 = 1.0 - rng.random_range(0.0..1.0);
            at += -rest.ln() / (per_ms * busiest);
            let load = if self.rhythm { load(at as i64) } else { 1.0 };
            if rng.random_range(0.0..busiest) < load {
                break;
            }
        }
        at as i64 + 1
    }
}

/// The load of a moment relative to the mean hour of a working day.
fn load(at_ms: i64) -> f64 {
    let wire = clock::wire_time(at_ms);
    let hour: usize = wire.get(11..13).and_then(|text| text.parse().ok()).unwrap_or(12);
    // 1970-01-01 was a Thursday; days are counted in China time.
    let weekday = (at_ms + 8 * 3_600_000).div_euclid(DAY_MS).rem_euclid(7);
    let weekend = matches!(weekday, 2 | 3);
    HOURS.get(hour).copied().unwrap_or(1.0) * if weekend { WEEKEND } else { 1.0 }
}

/// The pace of a desk.
#[derive(Clone, Debug, PartialEq)]
pub struct DeskPace {
    /// Until an order is signed for, or refused.
    pub sign: Wait,
    /// Until it is replied to.
    pub reply: Wait,
    /// Until it is completed after the reply.
    pub complete: Wait,
    /// After so many milliseconds the desk asks what became of a command whose effect it did not see.
    pub relook_ms: i64,
}

impl Default for DeskPace {
    /// Signed within hours, replied to within days.
    fn default() -> Self {
        Self {
            sign: Wait::hours(2.0, 0.9),
            reply: Wait::hours(22.0, 0.9),
            complete: Wait::hours(4.0, 0.8),
            relook_ms: 3 * 3_600_000,
        }
    }
}

/// A standard normal number, by Box and Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius: f64 = 1.0 - rng.random_range(0.0..1.0);
    let angle: f64 = rng.random_range(0.0..std::f64::consts::TAU);
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}
