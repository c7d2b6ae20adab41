//! Corrected times: the time of creation, of an event, of a reply or of a visit becomes another one, within its ten minutes, in
//! other ten minutes of the day, or on another day. The first three forms are of the creation time, which no sum of a day holds.

use std::sync::MutexGuard;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::Platform;
use super::tampering::{rng, tamper, victim};
use crate::book::{Book, Held};
use crate::clock;
use crate::faults::FaultKind;
use crate::record::Order;

const DAY_MS: i64 = 86_400_000;
const SLOT_MS: i64 = 600_000;

/// Which time, and where to; the last is told like any change.
const FORMS: [&str; 13] = [
    "create_within_bucket",
    "event_within_bucket",
    "reply_other_day",
    "visit_other_bucket",
    "create_other_bucket",
    "event_other_bucket",
    "reply_within_bucket",
    "visit_other_day",
    "create_other_day",
    "event_other_day",
    "reply_other_bucket",
    "visit_within_bucket",
    "announced",
];

/// The next form for which an order suits.
pub(super) fn tick(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::EventTimeCorrected;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let turn = book.faults.get(kind.as_str()).copied().unwrap_or(0) as usize;
    let mut rng = rng(platform, book, kind);
    let Some((form, key)) = (0..FORMS.len()).find_map(|skip| {
        let form = FORMS[(turn + skip) % FORMS.len()];
        // A time of day is needed, except to go to another day.
        let suits = |held: &Held| {
            let mut order = held.order.clone();
            time_of(&mut order, form).is_some_and(|time| form.ends_with("_day") || !clock::is_date_only(time))
        };
        Some((form, victim(platform, book, &mut rng, now, suits)?))
    }) else {
        return;
    };
    let Some(mut order) = book.order(&key).map(|held| held.order.clone()) else { return };
    if let Some(time) = time_of(&mut order, form) {
        *time = corrected(time, form, &mut rng);
    }
    let moved = clock::day_of(&order.create_time).to_owned();
    let taken = book.key_of(&order.order_no, &moved).is_some_and(|place| *place != key);
    if !taken && platform.take(book, kind, now) {
        tamper(platform, book, (kind, form), &key, order, form == "announced", now);
    }
}

fn time_of<'a>(order: &'a mut Order, form: &str) -> Option<&'a mut String> {
    match form.split('_').next() {
        Some("create") => Some(&mut order.create_time),
        Some("reply") => order.completions.last_mut().map(|completion| &mut completion.reply_time),
        Some("visit") => order.visits.last_mut().map(|visit| &mut visit.visit_time),
        _ => order.events.last_mut().map(|event| &mut event.time),
    }
}

fn corrected(time: &str, form: &str, rng: &mut ChaCha8Rng) -> String {
    let Some(ms) = clock::wire_ms(time) else { return time.to_owned() };
    if form.ends_with("_day") {
        let moved = clock::wire_time(ms - rng.random_range(1..4) * DAY_MS);
        return if clock::is_date_only(time) { clock::day_of(&moved).to_owned() } else { moved };
    }
    // Buckets are those of China time, whose offset is a whole number of ten minutes.
    let begin = ms.div_euclid(SLOT_MS) * SLOT_MS;
    let within = (ms - begin + rng.random_range(1..600) * 1000).rem_euclid(SLOT_MS);
    if form.ends_with("within_bucket") {
        return clock::wire_time(begin + within);
    }
    let midnight = clock::wire_ms(clock::day_of(time)).unwrap_or(begin);
    let slot = (begin - midnight) / SLOT_MS;
    let other = if slot == 0 { 1 } else { rng.random_range(0..slot) };
    clock::wire_time(midnight + other * SLOT_MS + within)
}
