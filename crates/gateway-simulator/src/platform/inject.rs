//! Whether a fault is injected, and the log of those that were.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use super::{LATE_COMPLETES, Platform, Seen, lock};
use crate::book::Book;
use crate::book::entry::Entry;
use crate::clock;
use crate::faults::injected::Hit;
use crate::faults::{FaultKind, FaultPlan};

impl Platform {
    /// Whether it is worth looking for a place for a fault of this kind.
    pub(super) fn may_come(&self, book: &Book, kind: FaultKind, now: i64) -> bool {
        !book.stopped && lock(&self.faults).may_come(kind, now)
    }

    /// Whether to inject a fault now; the caller does, and logs it.
    pub(super) fn take(&self, book: &Book, kind: FaultKind, now: i64) -> bool {
        !book.stopped && lock(&self.faults).take(kind, now)
    }

    /// Whether to inject a fault now; when so, it is counted and journalled.
    pub(super) fn inject(&self, book: &mut MutexGuard<'_, Book>, kind: FaultKind, now: i64) -> bool {
        let taken = self.take(book, kind, now);
        if taken {
            self.log(book, kind, now, Hit::default());
        }
        taken
    }

    /// As [`Self::inject`], of a fault that hits one order.
    pub(super) fn inject_on(
        &self,
        book: &mut MutexGuard<'_, Book>,
        kind: FaultKind,
        key: &str,
        variant: &str,
        now: i64,
    ) -> bool {
        let taken = self.take(book, kind, now);
        if taken {
            let hit = hit(book, key, variant);
            self.log(book, kind, now, hit);
        }
        taken
    }

    /// Counts and journals a fault; in a campaign with everything that is known of it. Returns its number there.
    pub(super) fn log(&self, book: &mut MutexGuard<'_, Book>, kind: FaultKind, now: i64, hit: Hit) -> u64 {
        let campaign = matches!(self.options.faults, FaultPlan::Campaign { .. });
        let no = hit.key.clone();
        let injected = campaign.then(|| Box::new(book.injections.prepare(kind, now, hit)));
        let id = injected.as_ref().map_or(0, |injected| injected.id);
        self.ledger.write(book, &Entry::Fault { kind: kind.as_str().to_owned(), injected, no });
        id
    }

    /// Whether to answer this `complete` late: the first ones of a process always, where the plan has late answers at all. No receipt of it can be
    /// asked for, so these are the late answers that are hard to get over, and chance alone might bring none.
    pub(super) fn late_complete(&self, book: &mut MutexGuard<'_, Book>, now: i64) -> bool {
        let kind = FaultKind::LateAnswer;
        let wanted = !book.stopped && self.late_completes.load(Ordering::SeqCst) < LATE_COMPLETES;
        let taken = wanted && lock(&self.faults).force(kind, now);
        if taken {
            self.late_completes.fetch_add(1, Ordering::SeqCst);
            self.log(book, kind, now, Hit::default());
        }
        taken
    }

    /// Notes that orders were shown as they are now.
    pub(super) fn shown<'a>(
        &self,
        book: &mut MutexGuard<'_, Book>,
        keys: impl Iterator<Item = &'a String>,
        fetched: bool,
        at: i64,
    ) {
        let mut seen = lock(&self.seen);
        let mut orders = Vec::new();
        for key in keys {
            if let Some(version) = book.order(key).map(|held| held.version) {
                seen.insert(key.clone(), Seen { version, at });
            }
            if book.injections.is_open(key) {
                orders.push(key.clone());
            }
        }
        if !orders.is_empty() {
            self.ledger.write(book, &Entry::Shown { at, orders, fetched });
        }
    }
}

/// What a fault on an order as a whole hits.
pub(super) fn hit(book: &Book, key: &str, variant: &str) -> Hit {
    let Some(held) = book.order(key) else {
        return Hit { variant: variant.to_owned(), key: Some(key.to_owned()), ..Hit::default() };
    };
    let day = clock::day_of(&held.order.create_time).to_owned();
    Hit {
        variant: variant.to_owned(),
        key: Some(key.to_owned()),
        order: Some((held.order.order_no.clone(), day)),
        update_time: held.order.update_time.clone(),
        items: held.items.iter().map(|item| item.key.clone()).collect(),
        ..Hit::default()
    }
}
