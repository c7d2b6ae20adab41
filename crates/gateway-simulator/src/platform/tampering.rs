//! Faults that are changes of the book behind everybody's back, for campaigns: edits, deletions, corrected times, events lost and
//! doubled. Each is made on an order that the gateway has had time to see and on which no other fault is in place.

use std::sync::MutexGuard;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::inject::hit;
use super::life::next_update;
use super::{Platform, lock, renumbering, times};
use crate::book::entry::{Edit, Entry, Push};
use crate::book::{Book, Held};
use crate::clock;
use crate::digest::{self, Item, ItemKey};
use crate::faults::FaultKind;
use crate::faults::injected::Hit;
use crate::invent;
use crate::record::{Event, Order, state};

/// How many orders are looked at to find one that suits.
const LOOK: usize = 300;
/// Beyond the overlap: so long ago a change must have been, in ms.
const SEEN_MS: i64 = 60_000;

/// One chance for each kind that is due.
pub(super) fn tick(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    silent_edit(platform, book, now);
    person_edit(platform, book, now);
    missed_event(platform, book, now);
    duplicate_event(platform, book, now);
    deletion(platform, book, now);
    times::tick(platform, book, now);
    renumbering::tick(platform, book, now);
}

/// A generator for the next fault of a kind.
pub(super) fn rng(platform: &Platform, book: &Book, kind: FaultKind) -> ChaCha8Rng {
    let before = book.faults.get(kind.as_str()).copied().unwrap_or(0);
    invent::rng_for(platform.options.seed, kind.as_str(), before)
}

/// A place in the book for a fault.
pub(super) fn victim(
    platform: &Platform,
    book: &Book,
    rng: &mut ChaCha8Rng,
    now: i64,
    suits: impl Fn(&Held) -> bool,
) -> Option<String> {
    let age = platform.options.overlap.as_millis() as i64 + SEEN_MS;
    let horizon = clock::wire_time(now - age);
    let late = lock(&platform.late);
    let seen = lock(&platform.seen);
    let free = |held: &&Held| {
        !held.hidden
            && !held.uploaded
            // What nobody was shown, as in an outage, is missed by nobody.
            && seen.get(&held.key).is_some_and(|seen| seen.version == held.version)
            && held.changed_at < now - age
            && held.order.update_time < horizon
            && !book.injections.is_open(&held.key)
            && late.get(&held.key).is_none_or(|until| *until <= now)
            && suits(held)
    };
    let places = book.len();
    (0..LOOK.min(places))
        .find_map(|_| book.at_position(rng.random_range(0..places)).filter(free))
        .map(|held| held.key.clone())
}

/// Nothing will touch it any more.
pub(super) fn is_quiet(held: &Held) -> bool {
    matches!(held.order.state.as_str(), state::ARCHIVED | state::RETURNED | state::WITHDRAWN)
}

/// The items that differ between two states of an order, under the names of both.
pub(super) fn difference(before: &[Item], after: &[Item]) -> Vec<ItemKey> {
    let only = |these: &[Item], those: &[Item]| -> Vec<ItemKey> {
        these.iter().filter(|item| !those.contains(item)).map(|item| item.key.clone()).collect()
    };
    let mut keys = only(before, after);
    keys.extend(only(after, before));
    keys.sort();
    keys.dedup();
    keys
}

/// Puts another record in the place of an order's, unannounced or announced, and logs it.
pub(super) fn tamper(
    platform: &Platform,
    book: &mut MutexGuard<'_, Book>,
    (kind, variant): (FaultKind, &str),
    key: &str,
    order: Order,
    announced: bool,
    now: i64,
) {
    let Some(held) = book.order(key) else { return };
    let update = announced.then(|| next_update(platform, held, now));
    let hit = Hit {
        items: difference(&held.items, &digest::items_in(platform.options.dress, &order)),
        ..hit(book, key, variant)
    };
    platform.log(book, kind, now, hit);
    let push = if announced { Push::Record } else { Push::None };
    let edits = vec![Edit::Whole(Box::new(order))];
    platform.ledger.write(book, &Entry::Change { at: now, no: key.to_owned(), update, edits, operation: None, push });
    if announced {
        platform.plan(book, key, now);
    }
}

/// The compared fields that are edited in turn.
const EDITS: [&str; 21] = [
    "acceptance.title",
    "handling.unit",
    "completion.replyContent",
    "evaluation.satisfaction",
    "event.text",
    "acceptance.orderType",
    "handling.deadline",
    "evaluation.isSolved",
    "acceptance.category",
    "event.kind",
    "acceptance.content",
    "evaluation.connected",
    "acceptance.sourceType",
    "handling.state",
    "evaluation.opinion",
    "acceptance.address",
    "acceptance.occurTime",
    "acceptance.urgency",
    "handling.round",
    "acceptance.isSecret",
    "acceptance.isAnonymous",
];

fn silent_edit(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::SilentEdit;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let turn = book.faults.get(kind.as_str()).copied().unwrap_or(0) as usize;
    let mut rng = rng(platform, book, kind);
    let Some((what, key)) = (0..EDITS.len()).find_map(|skip| {
        let what = EDITS[(turn + skip) % EDITS.len()];
        let suits = |held: &Held| match what {
            "completion.replyContent" => !held.order.completions.is_empty(),
            "event.text" | "event.kind" => held.order.events.iter().any(is_own),
            // Without lives that go on from it, and where nobody at the desk would act on it.
            "handling.state" | "handling.round" => held.order.state == state::ARCHIVED,
            what => !what.starts_with("evaluation.") || !held.order.visits.is_empty(),
        };
        let quiet = victim(platform, book, &mut rng, now, |held| is_quiet(held) && suits(held));
        Some((what, quiet.or_else(|| victim(platform, book, &mut rng, now, suits))?))
    }) else {
        return;
    };
    let Some(mut order) = book.order(&key).map(|held| held.order.clone()) else { return };
    edit(&mut order, what, &mut rng);
    if platform.take(book, kind, now) {
        tamper(platform, book, (kind, what), &key, order, false, now);
    }
}

/// Whether an event is the platform's own, not one of our operations.
fn is_own(event: &Event) -> bool {
    event.event_id.starts_with('E')
}

/// Edits one field so that it surely differs.
fn edit(order: &mut Order, what: &str, rng: &mut ChaCha8Rng) {
    let other = |now: &str, all: &[&str], rng: &mut ChaCha8Rng| {
        let others: Vec<&str> = all.iter().copied().filter(|code| *code != now).collect();
        invent::pick(rng, &others).to_owned()
    };
    let flip = |flag: &str| if flag == "1" { "0".to_owned() } else { "1".to_owned() };
    let event = order.events.iter_mut().rfind(|event| is_own(event));
    match what {
        "acceptance.orderType" => order.order_type = other(&order.order_type, &["01", "02", "03", "04", "05"], rng),
        "acceptance.category" => order.category.push_str("/复核"),
        "acceptance.title" => order.title = invent::retitle(rng, &order.title),
        "acceptance.content" => order.content.push_str("\n(内容更正)"),
        "acceptance.sourceType" => {
            order.source_type = other(&order.source_type, &["phone", "wechat", "web", "app"], rng)
        }
        "acceptance.address" => order.address.push_str("附近"),
        "acceptance.occurTime" => {
            order.occur_time =
                if order.occur_time.is_empty() { clock::day_of(&order.create_time).to_owned() } else { String::new() };
        }
        "acceptance.urgency" => order.urgency = other(&order.urgency, &["1", "2", "3"], rng),
        "acceptance.isSecret" => order.is_secret = flip(&order.is_secret),
        "acceptance.isAnonymous" => order.is_anonymous = flip(&order.is_anonymous),
        "handling.state" => order.state = state::VISITED.to_owned(),
        "handling.unit" => order.unit.push_str("(调整)"),
        "handling.deadline" => {
            let ms = clock::wire_ms(&order.deadline).or_else(|| clock::wire_ms(&order.create_time)).unwrap_or_default();
            order.deadline = clock::wire_time(ms + 86_400_000);
        }
        "handling.round" => order.round += 1,
        "event.kind" => {
            if let Some(event) = event {
                event.kind = other(&event.kind, &["supplement", "urge", "supervise"], rng);
            }
        }
        "event.text" => {
            if let Some(event) = event {
                event.text.push_str("(补记)");
            }
        }
        "completion.replyContent" => {
            if let Some(completion) = order.completions.last_mut() {
                completion.reply_content.push_str("(已更正)");
            }
        }
        evaluation => {
            if let Some(visit) = order.visits.last_mut() {
                match evaluation {
                    "evaluation.satisfaction" => {
                        visit.satisfaction = other(&visit.satisfaction, &["1", "2", "3", "4", "5"], rng)
                    }
                    "evaluation.isSolved" => visit.is_solved = flip(&visit.is_solved),
                    "evaluation.connected" => visit.connected = flip(&visit.connected),
                    _ => visit.opinion.push_str("(补记)"),
                }
            }
        }
    }
}

fn person_edit(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::PersonEdit;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let mut rng = rng(platform, book, kind);
    let Some(key) = victim(platform, book, &mut rng, now, |_| true) else { return };
    let Some(mut order) = book.order(&key).map(|held| held.order.clone()) else { return };
    order.caller_phone = format!("130{:08}", rng.random_range(0..100_000_000));
    order.caller_name.push('某');
    if platform.take(book, kind, now) {
        tamper(platform, book, (kind, ""), &key, order, false, now);
    }
}

fn missed_event(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::MissedEvent;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let mut rng = rng(platform, book, kind);
    let quiet = victim(platform, book, &mut rng, now, is_quiet);
    let Some(key) = quiet.or_else(|| victim(platform, book, &mut rng, now, |_| true)) else { return };
    let Some(held) = book.order(&key) else { return };
    let mut order = held.order.clone();
    let id = format!("E{key}-m{}", held.version + 1);
    let what = invent::pick(&mut rng, &["urge", "supplement", "supervise"]);
    order.events.push(invent::event(&mut rng, id, what, platform.shown_ms(now)));
    if platform.take(book, kind, now) {
        tamper(platform, book, (kind, ""), &key, order, false, now);
    }
}

fn duplicate_event(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::DuplicateEvent;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let mut rng = rng(platform, book, kind);
    let suits = |held: &Held| held.order.events.iter().any(is_own);
    let Some(key) = victim(platform, book, &mut rng, now, suits) else { return };
    let Some(held) = book.order(&key) else { return };
    let mut order = held.order.clone();
    let Some(mut event) = order.events.iter().rfind(|event| is_own(event)).cloned() else { return };
    event.event_id = format!("{}-d{}", event.event_id, held.version + 1);
    order.events.push(event);
    if platform.take(book, kind, now) {
        tamper(platform, book, (kind, ""), &key, order, true, now);
    }
}

fn deletion(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let kind = FaultKind::Deletion;
    if !platform.may_come(book, kind, now) {
        return;
    }
    let mut rng = rng(platform, book, kind);
    let variant = ["order", "event", "event_announced"][rng.random_range(0..3)];
    let suits = |held: &Held| variant == "order" || held.order.events.iter().any(is_own);
    let Some(key) = victim(platform, book, &mut rng, now, suits) else { return };
    if !platform.take(book, kind, now) {
        return;
    }
    if variant == "order" {
        let hit = hit(book, &key, variant);
        platform.ledger.write(book, &Entry::Delete { at: now, no: key });
        platform.log(book, kind, now, hit);
        return;
    }
    let Some(mut order) = book.order(&key).map(|held| held.order.clone()) else { return };
    if let Some(last) = order.events.iter().rposition(is_own) {
        order.events.remove(last);
    }
    tamper(platform, book, (kind, variant), &key, order, variant == "event_announced", now);
}
