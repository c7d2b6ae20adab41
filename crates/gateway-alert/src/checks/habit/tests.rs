//! Months of arrivals with the rhythm of day and week: never a false alarm, and a stop is found in time.

use super::*;
use proptest::prelude::*;

const JUDGEMENT: Judgement = Judgement { share: 0.3, improbable: 1e-6, longest: 72 };

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// How a channel sends.
#[derive(Debug, Clone, Copy)]
struct Regime {
    /// Records a day, as a rule.
    daily: f64,
    /// How unequal whole days are: the standard deviation of the logarithm of a day's factor.
    days_vary: f64,
    /// How unequal hours are.
    hours_vary: f64,
    /// Records come in bursts of so many.
    burst: u64,
    /// One day of so many is a holiday with four tenths of the usual; 0 = none.
    holiday_every: i64,
}

/// The share of a day's records in an hour of the week: quiet nights, busy mornings, half on Saturdays and Sundays.
fn rhythm(hour: i64) -> f64 {
    const DAY: [f64; 24] = [
        0.8, 0.5, 0.4, 0.3, 0.3, 0.6, 1.5, 4.0, 8.0, 9.0, 8.0, 6.0, 4.0, 6.0, 8.0, 8.0, 7.0, 6.0, 5.0, 5.0, 4.0, 3.0,
        2.0, 1.2,
    ];
    let sum: f64 = DAY.iter().sum();
    let weekend = if (hour / 24).rem_euclid(7) >= 5 { 0.5 } else { 1.0 };
    DAY[hour.rem_euclid(24) as usize] / sum * weekend
}

fn arrivals(regime: Regime, hours: i64, random: &mut Random) -> Vec<u64> {
    let mut day_factor = 1.0;
    (0..hours)
        .map(|hour| {
            if hour % 24 == 0 {
                let holiday =
                    regime.holiday_every > 0 && (hour / 24) % regime.holiday_every == regime.holiday_every - 1;
                day_factor = (regime.days_vary * random.normal()).exp() * if holiday { 0.4 } else { 1.0 };
            }
            let factor = day_factor * (regime.hours_vary * random.normal()).exp();
            random.poisson(regime.daily * rhythm(hour) * factor / regime.burst as f64) * regime.burst
        })
        .collect()
}

/// What is known in the middle of each quarter of the last hour of `seen`.
fn known(seen: &[u64], quarter: u64) -> Hours {
    let keep = usize::try_from((WEEKS + 5) * WEEK).unwrap();
    let from = seen.len().saturating_sub(keep);
    let last = seen.len() - 1;
    let hours = (from..=last).map(|at| {
        let part = if at == last { quarter as f64 / 4.0 } else { 1.0 };
        (i64::try_from(at).unwrap(), Hour { records: (seen[at] as f64 * part) as u64, watched: part })
    });
    Hours(hours.collect())
}

fn silence(hours: &Hours, now: i64, not_before: i64) -> Option<Silence> {
    hours.silence(now, not_before, hours.burstiness(now), JUDGEMENT)
}

const REGIMES: [Regime; 6] = [
    Regime { daily: 100.0, days_vary: 0.0, hours_vary: 0.0, burst: 1, holiday_every: 0 },
    Regime { daily: 1_000.0, days_vary: 0.15, hours_vary: 0.3, burst: 1, holiday_every: 30 },
    Regime { daily: 3_000.0, days_vary: 0.2, hours_vary: 0.3, burst: 1, holiday_every: 11 },
    Regime { daily: 30_000.0, days_vary: 0.25, hours_vary: 0.4, burst: 1, holiday_every: 45 },
    Regime { daily: 2_000.0, days_vary: 0.2, hours_vary: 0.2, burst: 10, holiday_every: 30 },
    Regime { daily: 20.0, days_vary: 0.2, hours_vary: 0.3, burst: 1, holiday_every: 30 },
];

#[test]
fn months_of_arrivals_raise_no_false_alarm() {
    let mut looks = 0;
    for (seed, regime) in (1..).zip(REGIMES) {
        let mut random = Random(seed);
        let mut hours = Hours::default();
        let mut bursty = 1.0;
        for (now, records) in (0..).zip(arrivals(regime, 26 * WEEK, &mut random)) {
            hours.0.insert(now, Hour { records, watched: 1.0 });
            if now % 24 == 0 {
                bursty = hours.burstiness(now);
            }
            assert_eq!(hours.silence(now, i64::MIN, bursty, JUDGEMENT), None, "{regime:?}, hour {now}, {bursty}");
            looks += i32::from(hours.habit(now, 2).is_some());
        }
    }
    assert!(looks > 20_000);
}

#[test]
fn a_stop_is_found_within_a_working_day_and_its_end_is_seen() {
    // Records a day, and within how many hours a stop on a Tuesday at nine is found: the busier, the sooner.
    for (regime, within) in REGIMES.into_iter().zip([30, 9, 6, 4, 15, 72 * 7]) {
        let mut random = Random(99);
        let start = usize::try_from(20 * WEEK + 24 + 9).unwrap();
        let mut seen = arrivals(regime, 21 * WEEK, &mut random);
        let usual: Vec<u64> = seen[start..].to_vec();
        seen.truncate(start);
        let mut found = None;
        for hour in 0..within {
            seen.push(0);
            let now = i64::try_from(seen.len()).unwrap() - 1;
            if let Some(silence) = silence(&known(&seen, 4), now, i64::MIN) {
                found = Some((hour, silence));
                break;
            }
        }
        if regime.daily < 50.0 {
            // Twenty a day: a night and a morning without any are chance; that is what the configured silence is for.
            continue;
        }
        let (hour, silence) = found.unwrap_or_else(|| panic!("{regime:?} was not found within {within} h"));
        assert!(!known(&seen, 4).recovered(i64::try_from(seen.len()).unwrap() - 1, JUDGEMENT));
        assert!(silence.from <= i64::try_from(start).unwrap() && silence.expected > 20.0, "{silence:?}");
        let back = usual.iter().skip(usize::try_from(hour).unwrap() + 1).enumerate().find_map(|(after, records)| {
            seen.push(*records);
            let now = i64::try_from(seen.len()).unwrap() - 1;
            known(&seen, 4).recovered(now, JUDGEMENT).then_some(after)
        });
        assert!(back.is_some_and(|after| after <= 12), "{regime:?} came back and was not seen: {back:?}");
    }
}

#[test]
fn a_trickle_is_silence_too() {
    let regime = REGIMES[2];
    let mut random = Random(7);
    let start = usize::try_from(20 * WEEK + 24 + 9).unwrap();
    let mut seen = arrivals(regime, 21 * WEEK, &mut random);
    for records in &mut seen[start..] {
        *records /= 20;
    }
    let found = (start..start + 8)
        .find(|now| silence(&known(&seen[..=*now], 4), i64::try_from(*now).unwrap(), i64::MIN).is_some());
    assert!(found.is_some());
}

#[test]
fn without_two_weeks_there_is_no_habit() {
    let seen: Vec<u64> = (0..2 * WEEK - 1).map(|hour| if hour < WEEK { 100 } else { 0 }).collect();
    let now = i64::try_from(seen.len()).unwrap() - 1;
    assert_eq!(silence(&known(&seen, 4), now, i64::MIN), None);
}

#[test]
fn hours_in_which_nobody_watched_say_nothing() {
    let mut random = Random(3);
    let mut seen = arrivals(REGIMES[2], 20 * WEEK + 24 + 9, &mut random);
    seen.extend([0; 12]);
    let now = i64::try_from(seen.len()).unwrap() - 1;
    let mut hours = known(&seen, 4);
    assert!(silence(&hours, now, i64::MIN).is_some());
    assert_eq!(silence(&hours, now, now + 1), None, "nor those before a time that is settled");
    for hour in now - 11..=now {
        hours.0.remove(&hour);
    }
    assert_eq!(silence(&hours, now, i64::MIN), None);
}

proptest! {
    #[test]
    fn the_bound_is_above_the_tail_and_falls_with_the_mean(count in 0u32..60, mean in 0.01f64..200.0) {
        let exact: f64 = (0..=count).scan(-mean, |term, n| {
            let now = *term;
            *term += (mean / f64::from(n + 1)).ln();
            Some(now.exp())
        }).sum();
        let bound = ln_tail(f64::from(count), mean);
        prop_assert!(bound <= 0.0 && bound.exp() >= exact * 0.999_999, "{} < {exact}", bound.exp());
        prop_assert!(ln_tail(f64::from(count), mean * 1.5) <= bound);
        prop_assert!(ln_tail(f64::from(count + 1), mean) >= bound);
    }

    #[test]
    fn more_arrivals_never_make_a_silence(seed in 1u64..500, extra in prop::collection::vec(0u64..50, 24)) {
        let mut random = Random(seed);
        let mut seen = arrivals(REGIMES[1], 6 * WEEK, &mut random);
        let len = seen.len();
        for records in &mut seen[len - 24..] {
            *records /= 4;
        }
        let now = i64::try_from(len).unwrap() - 1;
        let before = silence(&known(&seen, 4), now, now - 23);
        for (records, more) in seen[len - 24..].iter_mut().zip(&extra) {
            *records += more;
        }
        let after = silence(&known(&seen, 4), now, now - 23);
        // Burstiness is of the past; more of what is judged can only calm.
        if before.is_none() {
            prop_assert_eq!(after, None);
        }
    }
}
