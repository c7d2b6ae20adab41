//! Faults in which orders take each other's place: numbers given twice, one order lost while another goes, a backup restored.

use std::sync::MutexGuard;

use rand::RngExt as _;

use super::inject::hit;
use super::life::{invented, number_at};
use super::tampering::{difference, is_quiet, rng, tamper, victim};
use super::{BACKUP_REACH_MS, Platform, lock};
use crate::book::Book;
use crate::book::entry::{Entry, Push};
use crate::clock;
use crate::digest::ItemKey;
use crate::faults::FaultKind;
use crate::faults::injected::{Heals, Hit};
use crate::record::state;

/// One chance for each kind that is due.
pub(super) fn tick(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    reused_number(platform, book, now);
    swap_in_bucket(platform, book, now);
    restored_backup(platform, book, now);
}

fn reused_number(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::ReusedNumber;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let mut rng = rng(platform, book, kind);
    let today = clock::wire_time(platform.shown_ms(now));
    let today = clock::day_of(&today);
    let another_day = rng.random_bool(0.5);
    let suits = |held: &crate::book::Held| {
        let same = clock::day_of(&held.order.create_time) == today;
        if another_day {
            !same && is_quiet(held) && book.key_of(&held.order.order_no, today).is_none()
        } else {
            same && !held.order.events.is_empty()
        }
    };
    let Some(key) = victim(platform, book, &mut rng, now, suits) else { return };
    let Some(number) = book.order(&key).map(|held| held.order.order_no.clone()) else { return };
    if !platform.take(book, kind, now) {
        return;
    }
    let options = &platform.options;
    let order = invented(options.kind, options.seed ^ now as u64, number.clone(), platform.shown_ms(now));
    if !another_day {
        tamper(platform, book, (kind, "same_day"), &key, order, true, now);
        return;
    }
    platform.ledger.write(book, &Entry::Create { at: now, order: Box::new(order), hidden: false, push: Push::Record });
    if let Some(place) = book.key_of(&number, today).cloned() {
        let hit = hit(book, &place, "other_day");
        platform.log(book, kind, now, hit);
        platform.plan(book, &place, now);
    }
}

/// The order that goes and the one that is never shown were created within the same ten minutes.
fn swap_in_bucket(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::SwapInBucket;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let mut rng = rng(platform, book, kind);
    let suits = |held: &crate::book::Held| !clock::is_date_only(&held.order.create_time);
    let Some(extra) = victim(platform, book, &mut rng, now, suits) else { return };
    let Some(created) = book.order(&extra).and_then(|held| clock::wire_ms(&held.order.create_time)) else { return };
    if !platform.take(book, kind, now) {
        return;
    }
    let gone = hit(book, &extra, "extra");
    platform.ledger.write(book, &Entry::Delete { at: now, no: extra });
    let group = platform.log(book, kind, now, gone);

    let at = created.div_euclid(600_000) * 600_000 + rng.random_range(0..600) * 1000;
    let number = number_at(platform.options.kind, at, book.next_number);
    let mut order = invented(platform.options.kind, platform.options.seed, number.clone(), at);
    order.state = state::DISPATCHED.to_owned();
    order.unit = "市交通运输局".to_owned();
    platform.ledger.write(book, &Entry::Create { at: now, order: Box::new(order), hidden: true, push: Push::None });
    let lost = Hit { group: Some(group), ..hit(book, &number, "lost") };
    platform.log(book, kind, now, lost);
}

fn restored_backup(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::RestoredBackup;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let mut rng = rng(platform, book, kind);
    let to = now - rng.random_range(BACKUP_REACH_MS / 8..BACKUP_REACH_MS);
    let reuse = rng.random_bool(0.5);
    let touched = book.changed_since(to);
    if touched.is_empty() || !platform.take(book, kind, now) {
        return;
    }
    let before: Vec<_> = touched
        .keys()
        .map(|key| (hit(book, key, ""), book.order(key).map(|held| held.items.clone()).unwrap_or_default()))
        .collect();
    platform.ledger.write(book, &Entry::Restore { at: now, to, reuse });
    lock(&platform.retries).forget();
    let mut group = None;
    for ((key, version), (was, items_before)) in touched.iter().zip(before) {
        // What nobody was shown since is missed by nobody.
        let Some(seen) = lock(&platform.seen).get(key).copied().filter(|seen| Some(seen.version) > *version) else {
            continue;
        };
        let there = book.order(key).is_some();
        let items_after = book.order(key).map(|held| held.items.clone()).unwrap_or_default();
        // What the record does not say any more stays with whoever heard it; what it says otherwise comes again with its next change.
        let after = |key: &ItemKey| {
            items_after.iter().find(|item| item.key == *key).map(|item| (item.digest, item.event_time.as_str()))
        };
        // Nor is what was changed after the order had been shown last: it is again as it was then.
        let shown = |key: &ItemKey| book.account.held_at(key, seen.at);
        let (changed, gone): (Vec<ItemKey>, Vec<ItemKey>) = difference(&items_before, &items_after)
            .into_iter()
            .filter(|key| shown(key) != after(key))
            .partition(|key| after(key).is_some());
        let form = if reuse { "numbers_given_again" } else { "numbers_kept" };
        let order = was.order.clone().or_else(|| hit(book, key, "").order);
        for (form, items) in [(form, changed), (if there { "items_gone" } else { "gone" }, gone)] {
            if items.is_empty() {
                continue;
            }
            let hit = Hit {
                variant: form.to_owned(),
                order: order.clone(),
                items,
                window: Some((to, now)),
                group,
                heals: Heals::LaterChange,
                ..was.clone()
            };
            let id = platform.log(book, kind, now, hit);
            group = group.or(Some(id));
        }
    }
    if group.is_none() {
        // Nobody missed anything; it happened all the same.
        let variant = "unseen".to_owned();
        platform.log(book, kind, now, Hit { variant, window: Some((to, now)), ..Hit::default() });
    }
    for key in touched.keys() {
        platform.plan(book, key, now);
    }
}
