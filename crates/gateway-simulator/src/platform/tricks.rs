//! Faults that are changes of the book or of the process, tried once a tick: silent edits, edits in one second, A→B→A, page drift
//! in bulk, restart. They are real changes: the book is right, only the announcing is not.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use super::life::next_update;
use super::plan::FollowUp;
use super::{Platform, lock};
use crate::book::entry::{Edit, Entry, Push};
use crate::book::{Book, Held};
use crate::clock;
use crate::faults::{FaultKind, FaultPlan};
use crate::invent;
use crate::record::state;

/// How many orders are looked at to find one that suits.
const LOOK: usize = 200;

/// One chance for each.
pub(super) fn tick(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    if matches!(platform.options.faults, FaultPlan::Campaign { .. }) {
        super::disruption::tick(platform, book, now);
        super::tampering::tick(platform, book, now);
    } else {
        silent_edit(platform, book, now);
    }
    same_second(platform, book, now);
    aba_edit(platform, book, now);
    bulk(platform, book, now);
    if !book.is_empty() && platform.inject(book, FaultKind::PlatformRestart, now) {
        platform.restart.store(true, Ordering::SeqCst);
    }
}

/// Finds an order that suits, beginning at a place that moves with time.
fn find(book: &Book, now: i64, suits: impl Fn(&Held) -> bool) -> Option<String> {
    let start = if book.len() > LOOK { (now as usize / 7) % (book.len() - LOOK) } else { 0 };
    book.from_position(start)
        .take(LOOK)
        .find(|held| !held.hidden && !held.uploaded && suits(held))
        .map(|held| held.key.clone())
}

/// A compared field edited behind everybody's back, on an order that no poll overlap can still see and that nothing else will touch.
fn silent_edit(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let age = platform.options.overlap.as_millis() as i64 + 1_000;
    let horizon = clock::wire_time(now - age);
    let quiet = |held: &Held| {
        matches!(held.order.state.as_str(), state::ARCHIVED | state::RETURNED | state::WITHDRAWN | state::COMPLETED)
    };
    let old = |held: &Held| held.changed_at < now - age && held.order.update_time < horizon;
    let found = find(book, now, |held| old(held) && quiet(held)).or_else(|| find(book, now, old));
    let Some(number) = found else { return };
    if !platform.inject_on(book, FaultKind::SilentEdit, &number, "", now) {
        return;
    }
    let Some(held) = book.order(&number) else { return };
    let mut rng = invent::rng_for(platform.options.seed, &number, held.version * 2 + 2);
    let edit = match now % 3 {
        0 => Edit::Title(invent::retitle(&mut rng, &held.order.title)),
        1 => Edit::Address(invent::readdress(&mut rng)),
        _ => Edit::Unit(format!("{}(调整)", held.order.unit)),
    };
    let entry =
        Entry::Change { at: now, no: number, update: None, edits: vec![edit], operation: None, push: Push::None };
    platform.ledger.write(book, &entry);
}

/// An order with which something may be tried now: seen by the gateway some seconds ago, dated like the rest.
fn lively(held: &Held, now: i64) -> bool {
    held.changed_at < now - 2_000 && held.order.update_time < clock::wire_time(now)
}

/// Two edits with the same update time; the second comes when the first may have been read already.
fn same_second(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    if !platform.may_come(book, FaultKind::SameSecond, now) {
        return;
    }
    let Some(number) = find(book, now, |held| lively(held, now)) else { return };
    if !platform.inject_on(book, FaultKind::SameSecond, &number, "", now) {
        return;
    }
    let Some(held) = book.order(&number) else { return };
    let mut rng = invent::rng_for(platform.options.seed, &number, held.version * 2 + 2);
    let update = next_update(platform, held, now);
    let first = vec![Edit::Address(invent::readdress(&mut rng))];
    let second =
        vec![Edit::Address(invent::readdress(&mut rng)), Edit::Title(invent::retitle(&mut rng, &held.order.title))];
    write_now(platform, book, &number, &update, first, now);
    lock(&platform.planner).follow_ups.push(FollowUp {
        due_ms: now + 300,
        number,
        update: Some(update),
        edits: second,
    });
}

/// A title changed and changed back a good second later.
fn aba_edit(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    if !platform.may_come(book, FaultKind::AbaEdit, now) {
        return;
    }
    let Some(number) = find(book, now + 701, |held| lively(held, now)) else { return };
    if !platform.inject_on(book, FaultKind::AbaEdit, &number, "", now) {
        return;
    }
    let Some(held) = book.order(&number) else { return };
    let title = held.order.title.clone();
    let update = next_update(platform, held, now);
    write_now(platform, book, &number, &update, vec![Edit::Title(format!("{title}(暂)"))], now);
    lock(&platform.planner).follow_ups.push(FollowUp {
        due_ms: now + 1_200,
        number,
        update: None,
        edits: vec![Edit::Title(title)],
    });
}

fn write_now(
    platform: &Platform,
    book: &mut MutexGuard<'_, Book>,
    number: &str,
    update: &str,
    edits: Vec<Edit>,
    now: i64,
) {
    let entry = Entry::Change {
        at: now,
        no: number.to_owned(),
        update: Some(update.to_owned()),
        edits,
        operation: None,
        push: Push::Record,
    };
    platform.ledger.write(book, &entry);
    platform.plan(book, number, now);
}

/// When page drift is due and the gateway never needed a second page: a bulk change of deadlines (批量延期) that fills more than
/// one, unpushed as bulk changes are. The next listing then has pages to drift.
fn bulk(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let size = platform.page_size.load(Ordering::SeqCst);
    if size == 0 || book.len() < size + 20 || !lock(&platform.faults).is_due(FaultKind::PageDrift, now) {
        return;
    }
    platform.page_size.store(0, Ordering::SeqCst);
    let deadline = format!("{} 18:00:00", clock::day_of(&clock::wire_time(now + 40 * 86_400_000)));
    let numbers: Vec<String> = book
        .from_position(0)
        .filter(|held| !held.hidden && !held.uploaded)
        .take(size + 20)
        .map(|held| held.key.clone())
        .collect();
    for number in numbers {
        let Some(held) = book.order(&number) else { continue };
        let update = Some(next_update(platform, held, now));
        let edits = vec![Edit::Deadline(deadline.clone())];
        platform.ledger.write(
            book,
            &Entry::Change { at: now, no: number.clone(), update, edits, operation: None, push: Push::None },
        );
        platform.plan(book, &number, now);
    }
}

/// Records of the page just read change before the next page is asked for.
pub(super) fn drift(platform: &Platform, book: &mut MutexGuard<'_, Book>, numbers: &[String], now: i64) {
    for number in numbers {
        let Some(held) = book.order(number).filter(|held| !held.uploaded) else { continue };
        let mut rng = invent::rng_for(platform.options.seed, number, held.version * 2 + 2);
        let update = next_update(platform, held, now);
        write_now(platform, book, number, &update, vec![Edit::Address(invent::readdress(&mut rng))], now);
    }
}
