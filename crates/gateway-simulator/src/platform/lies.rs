//! Accounts that lie: for a while everything that the platform says of one dataset is wrong in one way.
//!
//! A lie is told once (`once`: asked again, the platform tells the truth) or lasts (`lasting`), so that asking again does not help.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use rand::RngExt as _;
use serde_json::{Value, json};

use super::{Platform, lock};
use crate::book::Book;
use crate::book::account::{Account, Grain};
use crate::book::sums::{self, Sum};
use crate::clock;
use crate::digest::{self, Dataset, Digest, ItemKey};
use crate::faults::FaultKind;
use crate::faults::injected::Hit;
use crate::invent;

const HOUR_MS: i64 = 3_600_000;
const KINDS: [FaultKind; 5] = [
    FaultKind::ManifestCountLie,
    FaultKind::ManifestTwice,
    FaultKind::ManifestOtherWindow,
    FaultKind::ManifestStale,
    FaultKind::ManifestTruncated,
];

/// A lie of one dataset's accounts.
#[derive(Clone, Copy)]
pub(super) struct Lie {
    kind: FaultKind,
    until_ms: i64,
    /// Of a stale account: the moment that it shows, and whether it says so.
    as_of: i64,
    says_so: bool,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    Count,
    Ids,
    Buckets(Grain),
}

impl Asked {
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "count" => Some(Self::Count),
            "ids" => Some(Self::Ids),
            word => Grain::parse(word).map(Self::Buckets),
        }
    }
}

/// The lie that is told of a dataset now, if any; begins one where it is due.
pub(super) fn lie(
    platform: &Platform,
    book: &mut MutexGuard<'_, Book>,
    dataset: Dataset,
    window: (&str, &str),
    now: i64,
) -> Option<Lie> {
    let current = lock(&platform.lies)[dataset as usize];
    if let Some(lie) = current.filter(|lie| lie.until_ms > now) {
        return Some(lie);
    }
    // A lie about nothing is none: it waits for a question about something.
    if book.account.tally(dataset, window.0, window.1, None) < 2 {
        return None;
    }
    let mut as_of_rng = invent::rng_for(platform.options.seed, "as of", now as u64);
    let as_of = now - as_of_rng.random_range(2 * HOUR_MS..9 * HOUR_MS);
    let total = |moment| book.account.buckets(dataset, window, Grain::Total, moment);
    let possible = |kind: &FaultKind| match kind {
        FaultKind::ManifestStale => total(Some(as_of)) != total(None),
        // Of an empty day it would tell the truth.
        FaultKind::ManifestOtherWindow => book.account.tally(dataset, &shift(window.0), &shift(window.1), None) > 0,
        _ => true,
    };
    let kind = KINDS
        .into_iter()
        .filter(|kind| platform.may_come(book, *kind, now))
        .filter(possible)
        .find(|kind| platform.take(book, *kind, now))?;
    let mut rng = invent::rng_for(platform.options.seed, kind.as_str(), now as u64);
    let once = rng.random_bool(0.25);
    let says_so = kind == FaultKind::ManifestStale && rng.random_bool(0.5);
    let lasts = platform.options.lie_lasts.as_millis() as i64;
    let until_ms = if once { now } else { now + rng.random_range(lasts / 2..=lasts.max(1)) };
    let lie = Lie { kind, until_ms, as_of, says_so };
    lock(&platform.lies)[dataset as usize] = Some(lie);
    let form = match (kind, says_so) {
        (FaultKind::ManifestStale, true) => "old_as_of",
        (FaultKind::ManifestStale, false) => "fresh_as_of",
        _ => "",
    };
    let words = [form, if once { "once" } else { "lasting" }];
    let variant = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    platform.log(
        book,
        kind,
        now,
        Hit { variant, dataset: Some(dataset), window: Some((now, until_ms)), ..Hit::default() },
    );
    Some(lie)
}

/// The account, truthful where there is no lie.
pub(super) fn tell(
    lie: Option<Lie>,
    account: &Account,
    dataset: Dataset,
    (from, to): (&str, &str),
    asked: Asked,
    snapshot: Option<i64>,
    wire: impl Fn(Option<i64>) -> String,
) -> Value {
    let kind = lie.map(|lie| lie.kind);
    let stale = lie.filter(|lie| lie.kind == FaultKind::ManifestStale);
    let moment = stale.map(|lie| lie.as_of).or(snapshot);
    let as_of = wire(stale.filter(|lie| lie.says_so).map(|lie| lie.as_of).or(snapshot));
    // A day earlier, and as long.
    let earlier = (shift(from), shift(to));
    let other =
        kind == Some(FaultKind::ManifestOtherWindow) && account.tally(dataset, &earlier.0, &earlier.1, moment) > 0;
    let (from, to) = if other { (earlier.0.as_str(), earlier.1.as_str()) } else { (from, to) };
    let is = |wanted: FaultKind| kind == Some(wanted);
    let listed = || account.items(dataset, from, to, moment);
    let twice = if is(FaultKind::ManifestTwice) { listed().first().copied() } else { None };
    match asked {
        Asked::Ids => {
            let mut items = listed();
            items.extend(twice);
            if is(FaultKind::ManifestTruncated) {
                items.truncate(items.len() * 2 / 3);
            }
            let item = |(key, digest, time): (&ItemKey, Digest, &str)| json!({"orderNo": key.number, "day": key.day, "part": key.part, "eventTime": time, "digest": hex::encode(digest)});
            json!({"asOf": as_of, "items": items.into_iter().map(item).collect::<Vec<_>>()})
        }
        Asked::Count => {
            let more = usize::from(twice.is_some()) + usize::from(is(FaultKind::ManifestCountLie));
            let count = account.tally(dataset, from, to, moment) + more;
            json!({"asOf": as_of, "buckets": [{"start": from, "count": count}]})
        }
        Asked::Buckets(grain) => {
            let mut buckets = account.buckets(dataset, (from, to), grain, moment);
            let first = buckets.first_entry().filter(|_| is(FaultKind::ManifestCountLie));
            if let Some(mut first) = first {
                first.get_mut().0 += 1;
            }
            if let Some((key, digest, time)) = twice
                && let Some(sum) = grain.start(time, from).and_then(|start| buckets.get_mut(&start))
            {
                sums::merge(sum, &(1, digest::element(key, &digest)));
            }
            if is(FaultKind::ManifestTruncated) {
                truncate(&mut buckets, grain, from, listed().last().copied());
            }
            let bucket =
                |(start, (count, sum)): (String, Sum)| json!({"start": start, "count": count, "sum": hex::encode(sum)});
            json!({"asOf": as_of, "buckets": buckets.into_iter().map(bucket).collect::<Vec<_>>()})
        }
    }
}

/// Leaves out the last item, and of several buckets the last third: coarse accounts say more than fine ones, and both too little.
fn truncate(buckets: &mut BTreeMap<String, Sum>, grain: Grain, from: &str, last: Option<(&ItemKey, Digest, &str)>) {
    if let Some((key, digest, time)) = last
        && let Some(start) = grain.start(time, from)
        && let Some((count, sum)) = buckets.get_mut(&start)
    {
        *count = count.saturating_sub(1);
        digest::subtract(sum, &digest::element(key, &digest));
        if *count == 0 {
            buckets.remove(&start);
        }
    }
    let keep = (buckets.len() * 2 / 3).max(1);
    while buckets.len() > keep {
        buckets.pop_last();
    }
}

fn shift(wire: &str) -> String {
    clock::wire_ms(wire).map_or_else(|| wire.to_owned(), |ms| clock::wire_time(ms - 24 * HOUR_MS))
}
