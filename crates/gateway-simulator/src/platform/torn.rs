//! Torn pages: a page of the listing that lacks records and says that it is whole.

use std::sync::MutexGuard;

use rand::RngExt as _;

use super::inject::hit;
use super::{Platform, lock};
use crate::book::Book;
use crate::faults::FaultKind;
use crate::faults::injected::Hit;
use crate::invent;

/// A page is torn from so many records on.
const LEAST: usize = 4;

/// The records that a page is to lack, where it is to be torn: its last ones (`tail`), which the next poll brings where it begins at
/// what was seen, or those before its last one (`middle`), which such a poll passes over. Preferably it lacks what no push has shown; what one
/// has shown is not missed (`seen`).
pub(super) fn tear(
    platform: &Platform,
    book: &mut MutexGuard<'_, Book>,
    keys: &[String],
    now: i64,
) -> Option<Vec<String>> {
    let kind = FaultKind::TornPage;
    if keys.len() < LEAST || !platform.take(book, kind, now) {
        return None;
    }
    let mut rng = invent::rng_for(platform.options.seed, "torn", book.injections.all().len() as u64);
    let count = rng.random_range(1..=(keys.len() / 2).min(3));
    let unseen = |key: &&String| {
        let version = book.order(key).map(|held| held.version);
        version > lock(&platform.seen).get(*key).map(|seen| seen.version)
    };
    // The page's last record shows how far the page goes; without it the next poll begins earlier.
    let before_last = &keys[..keys.len() - 1];
    let missed: Vec<String> = before_last.iter().rev().filter(unseen).take(count).cloned().collect();
    let torn = if missed.is_empty() { keys[keys.len() - count..].to_vec() } else { missed };
    let form = |key: &String| match (unseen(&key), keys.last() == Some(key)) {
        (false, _) => "seen",
        (true, true) => "tail",
        (true, false) => "middle",
    };
    let hits: Vec<Hit> = torn.iter().map(|key| hit(book, key, form(key))).collect();
    let mut group = None;
    for made in hits {
        group = group.or(Some(platform.log(book, kind, now, Hit { group, ..made })));
    }
    Some(torn)
}
