//! Overlays: extensions 延期 and appeals 申诉 (section 4 of `docs/channels/municipal-12345.md`), asked by an operation and decided by the platform.
//!
//! Both are rows of events: the request, and later the decision. What stands open is what was asked last and not decided since, so nothing is kept
//! beside the record.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::write::{Body, Verdict};
use crate::book::entry::Edit;
use crate::clock;
use crate::invent;
use crate::record::{Event, Order, state};

/// The answer to an extension that can't be asked for: the deadline has passed, or the last one is not decided yet.
pub(super) const NO_EXTENSION: u16 = 1005;
/// The answer to an appeal without a ground, or against what was appealed against before.
pub(super) const NO_GROUND: u16 = 1006;

const DAY_MS: i64 = 86_400_000;
const BAD_RATING: &str = "1";
const OVERDUE: &str = "2";

/// What is asked, and how it is granted and denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Extension,
    Appeal,
}

impl Asked {
    const ALL: [Self; 2] = [Self::Extension, Self::Appeal];

    /// The kinds of its events: asked, granted, denied.
    fn kinds(self) -> [&'static str; 3] {
        match self {
            Self::Extension => ["extension", "extension_approved", "extension_denied"],
            Self::Appeal => ["appeal", "appeal_upheld", "appeal_rejected"],
        }
    }

    /// The request that waits for its decision.
    fn open(self, order: &Order) -> Option<&Event> {
        let [asked, ..] = self.kinds();
        let newest = order.events.iter().rev().find(|event| self.kinds().contains(&event.kind.as_str()));
        newest.filter(|event| event.kind == asked)
    }
}

/// Whether the platform owes a decision.
pub(super) fn is_open(order: &Order) -> bool {
    Asked::ALL.into_iter().any(|asked| asked.open(order).is_some())
}

/// Decides what stands open.
pub(super) fn decide(rng: &mut ChaCha8Rng, order: &Order, id: &str, now: i64) -> Option<Vec<Edit>> {
    let asked = Asked::ALL.into_iter().find(|asked| asked.open(order).is_some())?;
    let request = asked.open(order)?;
    let [_, granted, denied] = asked.kinds();
    let at_work = matches!(order.state.as_str(), state::DISPATCHED | state::SIGNED);
    let possible = asked == Asked::Appeal || at_work;
    let grants = possible && rng.random_bool(0.6);
    let mut event = invent::event(rng, id.to_owned(), if grants { granted } else { denied }, now);
    if grants && asked == Asked::Extension {
        event.until = until(order, request);
        return Some(vec![Edit::Deadline(event.until.clone()), Edit::Event(event)]);
    }
    Some(vec![Edit::Event(event)])
}

/// The deadline that a granted extension gives: the one asked for, or so many days after the present one.
fn until(order: &Order, request: &Event) -> String {
    if !request.until.is_empty() {
        return request.until.clone();
    }
    let from = clock::wire_ms(&order.deadline).or_else(|| clock::wire_ms(&request.time)).unwrap_or_default();
    clock::wire_time(from + i64::from(request.days.unwrap_or_default()) * DAY_MS)
}

/// `extend`, at the moment when it arrives.
pub(super) fn extend(order: &Order, body: &Body, request_id: &str, now: &str) -> Verdict {
    let Some(time) = time(&body.apply_time) else { return Verdict::Invalid("applyTime") };
    let Some(text) = body.reason.clone().filter(|text| !text.is_empty()) else { return Verdict::Invalid("reason") };
    let until = match (body.days, &body.until) {
        (Some(days), None) if (1..=366).contains(&days) => String::new(),
        (None, Some(until)) if clock::wire_ms(until).is_some() && *until > order.deadline => until.clone(),
        _ => return Verdict::Invalid("days, until"),
    };
    if !matches!(order.state.as_str(), state::DISPATCHED | state::SIGNED) {
        return Verdict::Forbidden;
    }
    if !order.deadline.is_empty() && clock::sort_time(&order.deadline).as_str() < now {
        return Verdict::Refused(NO_EXTENSION, "已超过办理时限,不能申请延期");
    }
    if Asked::Extension.open(order).is_some() {
        return Verdict::Refused(NO_EXTENSION, "上一次延期申请尚未审批");
    }
    let event = Event {
        event_id: request_id.to_owned(),
        kind: "extension".to_owned(),
        time,
        text,
        days: body.days,
        until,
        ..Event::default()
    };
    Verdict::Done(vec![Edit::Event(event)])
}

/// `appeal`, at the moment when it arrives.
pub(super) fn appeal(order: &Order, body: &Body, request_id: &str, now: &str) -> Verdict {
    let (Some(round), Some(time)) = (body.round, time(&body.appeal_time)) else {
        return Verdict::Invalid("round, appealTime");
    };
    let Some(text) = body.reason.clone().filter(|text| !text.is_empty()) else { return Verdict::Invalid("reason") };
    let ground = body.ground.clone().unwrap_or_default();
    let grounds = match ground.as_str() {
        BAD_RATING => bad_ratings(order).filter(|of| *of <= round).count(),
        OVERDUE => usize::from(is_overdue(order, now)),
        _ => return Verdict::Invalid("ground"),
    };
    let before = order.events.iter().filter(|event| event.kind == "appeal" && event.ground == ground).count();
    if Asked::Appeal.open(order).is_some() || before >= grounds {
        return Verdict::Refused(NO_GROUND, "无可申诉的差评或超期,或已申诉");
    }
    let (event_id, kind) = (request_id.to_owned(), "appeal".to_owned());
    Verdict::Done(vec![Edit::Event(Event { event_id, kind, time, text, ground, ..Event::default() })])
}

fn time(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| clock::wire_ms(text).is_some())
}

/// The rounds with a bad rating 差评, each as often as it was rated so.
fn bad_ratings(order: &Order) -> impl Iterator<Item = u32> {
    order.visits.iter().filter(|visit| matches!(visit.satisfaction.as_str(), "4" | "5")).map(|visit| visit.round)
}

/// Whether the order was answered after its deadline, or is not by now 超期.
fn is_overdue(order: &Order, now: &str) -> bool {
    let deadline = clock::sort_time(&order.deadline);
    let answered = order.completions.iter().find(|completion| completion.round == order.round);
    !order.deadline.is_empty()
        && answered.map_or(deadline.as_str() < now, |completion| clock::sort_time(&completion.reply_time) > deadline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Visit;

    const NOW: &str = "2026-12-01 09:00:00";

    fn order(state: &str) -> Order {
        Order { state: state.to_owned(), deadline: "2026-12-14 23:59:59".to_owned(), ..Order::default() }
    }

    fn asks(days: u32) -> Body {
        Body {
            apply_time: Some(NOW.to_owned()),
            reason: Some("情况复杂".to_owned()),
            days: Some(days),
            ..Body::default()
        }
    }

    fn done(order: &mut Order, verdict: Verdict) {
        let Verdict::Done(edits) = verdict else { panic!("it is taken") };
        edits.iter().for_each(|edit| edit.apply(order));
    }

    #[test]
    fn an_extension_is_asked_before_the_deadline_one_at_a_time() {
        let mut at = order(state::SIGNED);
        assert!(matches!(extend(&at, &asks(5), "k", "2026-12-15 00:00:00"), Verdict::Refused(NO_EXTENSION, _)));
        assert!(matches!(extend(&at, &asks(0), "k", NOW), Verdict::Invalid(_)));
        assert!(matches!(extend(&order(state::REPLIED), &asks(5), "k", NOW), Verdict::Forbidden));
        let verdict = extend(&at, &asks(5), "k", NOW);
        done(&mut at, verdict);
        assert!(is_open(&at));
        assert!(matches!(extend(&at, &asks(5), "k2", NOW), Verdict::Refused(NO_EXTENSION, _)), "not decided yet");
    }

    #[test]
    fn a_decision_closes_it_and_a_granted_one_moves_the_deadline() {
        let mut seen = [false; 2];
        for seed in 0..20 {
            let mut at = order(state::SIGNED);
            let verdict = extend(&at, &asks(5), "k", NOW);
            done(&mut at, verdict);
            let edits = decide(&mut invent::rng_for(seed, "n", 1), &at, "E1", 1_796_000_000_000).expect("a decision");
            edits.iter().for_each(|edit| edit.apply(&mut at));
            assert!(!is_open(&at));
            let last = at.events.last().expect("a decision");
            let granted = last.kind == "extension_approved";
            assert_eq!(at.deadline, if granted { "2026-12-19 23:59:59" } else { "2026-12-14 23:59:59" });
            assert_eq!(last.until, if granted { at.deadline.as_str() } else { "" });
            seen[usize::from(granted)] = true;
        }
        assert_eq!(seen, [true; 2], "both happen");
    }

    #[test]
    fn an_appeal_needs_a_ground_and_each_ground_is_heard_once() {
        let mut at = order(state::VISITED);
        let body = Body {
            appeal_time: Some(NOW.to_owned()),
            reason: Some("已按规定办理".to_owned()),
            round: Some(0),
            ground: Some(BAD_RATING.to_owned()),
            ..Body::default()
        };
        assert!(matches!(appeal(&at, &body, "k", NOW), Verdict::Refused(NO_GROUND, _)));
        at.visits.push(Visit { visit_no: 1, satisfaction: "5".to_owned(), ..Visit::default() });
        let verdict = appeal(&at, &body, "k", NOW);
        done(&mut at, verdict);
        let edits = decide(&mut invent::rng_for(1, "n", 1), &at, "E1", 1_796_000_000_000).expect("a decision");
        edits.iter().for_each(|edit| edit.apply(&mut at));
        assert!(matches!(appeal(&at, &body, "k2", NOW), Verdict::Refused(NO_GROUND, _)), "it was heard");
        let overdue = Body { ground: Some(OVERDUE.to_owned()), ..body };
        assert!(matches!(appeal(&at, &overdue, "k3", NOW), Verdict::Refused(NO_GROUND, _)));
        let verdict = appeal(&at, &overdue, "k3", "2026-12-15 00:00:00");
        done(&mut at, verdict);
    }
}
