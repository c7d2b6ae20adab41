//! The bureau at work on what was dispatched to it (section 2 of `docs/channels/bureau.md`).
//!
//! What comes next is a function of the order as the bureau's book has it: of the state that the origin told, and of the bureau's own. So a restarted
//! process goes on where it was, and what was told late changes what comes next and nothing else. The bureau waits for the origin where
//! the origin has the word: a task begins with its dispatch there, and is closed when the origin shows that it took the reply.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::{Platform, lock};
use crate::book::entry::Edit;
use crate::book::{Book, Held};
use crate::clock;
use crate::data::Row;
use crate::invent;
use crate::record::{Completion, Event, Order, Unit, Visit, state};

const MAIN: &str = "1";
const ASSISTING: &str = "2";
const DAY_MS: i64 = 86_400_000;
/// So long nothing may have happened before the bureau counts as done.
const QUIET_MS: i64 = 1_000;

/// What the bureau does next with an order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The task of a round is there 待签收.
    Register,
    /// It is not ours 退单.
    Refuse,
    /// It is 签收; units get their parts.
    Sign,
    /// More time is asked for 延期.
    Extend,
    /// The origin gave a later deadline.
    Deadline,
    /// A bad rating 差评, or having been late 超期, is appealed against 申诉; by its ground.
    Appeal(&'static str),
    /// A unit moves on.
    Unit(usize),
    /// All units are done 答复.
    Reply,
    /// The origin took the reply 办结.
    Complete,
}

/// Whether the bureau is not done yet: something is planned, or something happened a moment ago.
pub(super) fn is_at_work(platform: &Platform, book: &Book) -> bool {
    let recent = platform.now() - QUIET_MS;
    lock(&platform.planner).next_due().is_some() || book.from_position(0).any(|held| held.changed_at > recent)
}

/// Whether there is anything to do.
pub(super) fn has_work(seed: u64, held: &Held) -> bool {
    next(seed, &held.order).is_some()
}

/// What is done next, as edits of the record.
pub(super) fn work(platform: &Platform, held: &Held, now: i64) -> Option<Vec<Edit>> {
    let seed = platform.options.seed;
    let order = &held.order;
    let upstream = order.upstream.first()?;
    let mut rng = invent::rng_for(seed, &order.order_no, held.version * 2 + 2);
    let id = format!("B{}-{}", order.order_no, held.version);
    let happened = |kind: &str, text: &str| {
        let (kind, time, text) = (kind.to_owned(), clock::wire_time(now), text.to_owned());
        Event { event_id: id.clone(), kind, time, text, round: Some(order.round), ..Event::default() }
    };
    let event = |kind: &str, text: &str| Edit::PutEvent(happened(kind, text));
    let to = |code: &str| Edit::State(code.to_owned());
    Some(match next(seed, order)? {
        Next::Register => vec![
            to(state::DISPATCHED),
            Edit::Round(upstream.round),
            Edit::Unit(upstream.unit.clone()),
            Edit::Deadline(upstream.deadline.clone()),
        ],
        Next::Refuse => vec![to(state::RETURN_ASKED), event("refuse", invent::refusal(&mut rng))],
        Next::Sign => {
            let mut edits = vec![to(state::SIGNED), event("sign", "")];
            edits.extend(units(&mut rng, order, &id, now).into_iter().map(Edit::PutUnit));
            edits
        }
        Next::Extend => {
            let asked = happened("extension", "情况复杂,申请延期办理。");
            let days = rng.random_range(3..=10);
            // Some name the day, others count the days.
            let named = clock::wire_ms(&upstream.deadline).filter(|_| rng.random_bool(0.5));
            let until = named.map(|from| clock::wire_time(from + i64::from(days) * DAY_MS));
            let days = until.is_none().then_some(days);
            vec![Edit::PutEvent(Event { days, until: until.unwrap_or_default(), ..asked })]
        }
        Next::Deadline => vec![Edit::Deadline(upstream.deadline.clone())],
        Next::Appeal(ground) => {
            let asked = happened("appeal", "已按规定办理并答复,申请复核该项考核。");
            vec![Edit::PutEvent(Event { ground: ground.to_owned(), ..asked })]
        }
        Next::Unit(at) => {
            let unit = order.units.get(at)?;
            let next = if unit.state == state::DISPATCHED { state::SIGNED } else { state::REPLIED };
            vec![Edit::PutUnit(Unit { state: next.to_owned(), ..unit.clone() })]
        }
        Next::Reply => {
            let shown = clock::wire_time(now);
            let main = at_work(order).find(|(_, unit)| unit.role == MAIN);
            let main = main.map(|(_, unit)| unit.unit.clone()).unwrap_or_default();
            // Played data has the replies of the first round; without one the order stays open.
            let is_of = |row: &&Row| order.order_no.strip_suffix(&row.number).is_some_and(|front| front.ends_with('-'));
            let played = platform.rows.iter().filter(|_| order.round == 0).find(is_of);
            let completion = match played {
                Some(row) => {
                    let reply = row.reply.clone()?;
                    Completion { round: 0, reply_content: reply.text, reply_time: reply.time, reply_unit: reply.unit }
                }
                None => Completion {
                    round: order.round,
                    reply_content: invent::reply(&mut rng, &order.order_no, order.round),
                    reply_time: if rng.random_bool(0.1) { clock::day_of(&shown).to_owned() } else { shown },
                    reply_unit: main,
                },
            };
            vec![to(state::REPLIED), Edit::PutCompletion(completion)]
        }
        Next::Complete => vec![to(state::COMPLETED), event("complete", "")],
    })
}

/// The units of the round at hand.
fn at_work(order: &Order) -> impl Iterator<Item = (usize, &Unit)> {
    order.units.iter().enumerate().filter(|(_, unit)| unit.round == order.round)
}

/// A main unit, and sometimes one that assists.
fn units(rng: &mut ChaCha8Rng, order: &Order, id: &str, now: i64) -> Vec<Unit> {
    let assisted = rng.random_bool(0.4);
    let roles: &[&str] = if assisted { &[MAIN, ASSISTING] } else { &[MAIN] };
    let unit = |(at, role): (usize, &&str)| Unit {
        unit_task: format!("{id}-u{}", at + 1),
        unit: invent::unit(rng),
        role: (*role).to_owned(),
        state: state::DISPATCHED.to_owned(),
        dispatch_time: clock::wire_time(now),
        round: order.round,
    };
    roles.iter().enumerate().map(unit).collect()
}

fn next(seed: u64, order: &Order) -> Option<Next> {
    let upstream = order.upstream.first()?;
    if order.state.is_empty() || upstream.round > order.round {
        return (upstream.state == state::DISPATCHED).then_some(Next::Register);
    }
    if upstream.round < order.round {
        return None;
    }
    let open = matches!(upstream.state.as_str(), state::DISPATCHED | state::SIGNED | state::RETURN_ASKED);
    // What it decides once for each round.
    let mut rng = invent::rng_for(seed, &order.order_no, (1 << 42) + u64::from(order.round));
    let refuses = order.round == 0 && rng.random_bool(0.05);
    let extends = rng.random_bool(0.1);
    let appeals = rng.random_bool(0.5);
    if upstream.deadline > order.deadline {
        return Some(Next::Deadline);
    }
    match order.state.as_str() {
        state::DISPATCHED if open && refuses => Some(Next::Refuse),
        state::DISPATCHED if open => Some(Next::Sign),
        state::SIGNED if open => {
            let asked = |event: &Event| event.kind == "extension" && event.round == Some(order.round);
            if extends && !order.events.iter().any(asked) {
                return Some(Next::Extend);
            }
            let moves = at_work(order).find(|(_, unit)| unit.state != state::REPLIED);
            Some(moves.map_or(Next::Reply, |(at, _)| Next::Unit(at)))
        }
        state::REPLIED if upstream.state == state::REPLIED => Some(Next::Complete),
        state::REPLIED | state::COMPLETED if appeals => {
            let asked = |event: &Event| event.kind == "appeal" && event.round == Some(order.round);
            ground(order).filter(|_| !order.events.iter().any(asked)).map(Next::Appeal)
        }
        _ => None,
    }
}

/// What may be appealed against in the round at hand.
fn ground(order: &Order) -> Option<&'static str> {
    let is_bad = |visit: &Visit| visit.round == order.round && matches!(visit.satisfaction.as_str(), "4" | "5");
    let is_late = |reply: &Completion| reply.round == order.round && reply.reply_time > order.deadline;
    if order.visits.iter().any(is_bad) {
        Some("1")
    } else {
        (!order.deadline.is_empty() && order.completions.iter().any(is_late)).then_some("2")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Upstream;

    fn dispatched(upstream: &str, round: u32) -> Order {
        let upstream = Upstream { state: upstream.to_owned(), round, ..Upstream::default() };
        Order { order_no: "c-1".to_owned(), upstream: vec![upstream], ..Order::default() }
    }

    #[test]
    fn a_task_begins_with_its_dispatch_and_ends_when_the_origin_took_the_reply() {
        assert!(next(1, &Order::default()).is_none(), "nothing was dispatched");
        assert!(next(1, &dispatched(state::ACCEPTED, 0)).is_none());
        assert!(next(1, &dispatched(state::DISPATCHED, 0)) == Some(Next::Register));
        let replied = Order { state: state::REPLIED.to_owned(), ..dispatched(state::SIGNED, 0) };
        assert!(next(1, &replied).is_none(), "the origin has not shown the reply yet");
        let taken = Order { state: state::REPLIED.to_owned(), ..dispatched(state::REPLIED, 0) };
        assert!(next(1, &taken) == Some(Next::Complete));
        let again = Order { state: state::REPLIED.to_owned(), ..dispatched(state::DISPATCHED, 1) };
        assert!(next(1, &again) == Some(Next::Register), "given back: a new round");
    }
}
