//! What the desk does next with an order, and when: its agenda.
//!
//! The decision is a function of what the gateway shows (state, round) and of the desk's own book, so it can be made again at any
//! time: after a restart, after a refusal, after the order changed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use rand::RngExt as _;
use serde_json::json;

use super::Desk;
use super::book::{Command, DeskBook, Fate, Seen};
use crate::clock;
use crate::invent;

/// How often the desk tries an operation of a round anew after the platform rejected it.
const MAX_ATTEMPTS: u32 = 3;

/// Orders by the moment at which the desk turns to them.
#[derive(Default)]
pub(super) struct Agenda {
    due: BinaryHeap<Reverse<(i64, String)>>,
    planned: HashSet<String>,
    /// Orders that are looked at again later, whether or not they change; not counted as work.
    relook: BinaryHeap<Reverse<(i64, String)>>,
}

impl Agenda {
    /// Puts an order on the agenda, once.
    pub(super) fn add(&mut self, id: &str, at_ms: i64) {
        if self.planned.insert(id.to_owned()) {
            self.due.push(Reverse((at_ms, id.to_owned())));
        }
    }

    /// Looks at an order again at that time.
    pub(super) fn look_again(&mut self, id: &str, at_ms: i64) {
        self.relook.push(Reverse((at_ms, id.to_owned())));
    }

    /// The next order that is due.
    pub(super) fn take(&mut self, now_ms: i64) -> Option<String> {
        if self.due.peek().is_none_or(|Reverse((at, _))| *at > now_ms) {
            return None;
        }
        let Reverse((_, id)) = self.due.pop()?;
        self.planned.remove(&id);
        Some(id)
    }

    /// The next order to look at again.
    pub(super) fn take_relook(&mut self, now_ms: i64) -> Option<String> {
        if self.relook.peek().is_none_or(|Reverse((at, _))| *at > now_ms) {
            return None;
        }
        self.relook.pop().map(|Reverse((_, id))| id)
    }

    /// When the next order is due or looked at again.
    pub(super) fn next_due(&self) -> Option<i64> {
        let at = |heap: &BinaryHeap<Reverse<(i64, String)>>| heap.peek().map(|Reverse((at, _))| *at);
        at(&self.due).into_iter().chain(at(&self.relook)).min()
    }

    /// Orders on the agenda.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

impl Desk {
    /// Plans an order that was just seen, if there is anything to do with it.
    pub(super) fn consider(&self, book: &DeskBook, id: &str) {
        let Some(seen) = book.seen.get(id) else { return };
        let Some((operation, _)) = self.operation(book, seen) else { return };
        let mut rng =
            invent::rng_for(self.options.seed, &seen.number, u64::from(seen.round) * 8 + operation.len() as u64);
        let (wait, (from, to)) = match operation {
            _ if self.replies.is_some() => (None, (0, 60)),
            "reply" => (self.options.pace.as_ref().map(|pace| pace.reply), (300, 2_000)),
            "complete" => (self.options.pace.as_ref().map(|pace| pace.complete), (100, 900)),
            _ => (self.options.pace.as_ref().map(|pace| pace.sign), (100, 900)),
        };
        let wait = match wait {
            Some(wait) => wait.draw(&mut rng),
            None => rng.random_range(from..to),
        };
        super::lock(&self.agenda).add(id, self.now() + wait);
    }

    /// The operation that an order wants now, with its attempt; `None` = nothing to do.
    pub(super) fn operation(&self, book: &DeskBook, seen: &Seen) -> Option<(&'static str, u32)> {
        let open = |operation: &'static str| match book.newest(&seen.id, seen.round, operation) {
            None => Some((operation, 0)),
            Some((command, Fate::Intended, _)) => Some((operation, command.attempt)),
            Some((command, _, true)) if command.attempt + 1 < MAX_ATTEMPTS => Some((operation, command.attempt + 1)),
            Some(_) => None,
        };
        match seen.state.as_str() {
            "dispatched" if self.refuses(seen) => open("refuse"),
            "dispatched" => open("sign"),
            "signed" if self.has_reply(seen) => open("reply"),
            "replied" => open("complete"),
            _ => None,
        }
    }

    /// Real orders are never refused; invented ones sometimes, and not again when the refusal was not agreed to.
    fn refuses(&self, seen: &Seen) -> bool {
        self.replies.is_none()
            && seen.round == 0
            && invent::rng_for(self.options.seed, &seen.number, 7).random_bool(0.05)
    }

    fn has_reply(&self, seen: &Seen) -> bool {
        // An order that is not in the file (an earlier run without data) gets an invented reply.
        self.replies.as_ref().is_none_or(|replies| replies.get(&seen.number).is_none_or(Option::is_some))
    }

    /// The command, exactly as it is sent now and at every repetition.
    pub(super) fn command(&self, seen: &Seen, operation: &str, attempt: u32) -> Command {
        let mut rng = invent::rng_for(self.options.seed, &seen.number, u64::from(seen.round) * 8 + 5);
        let now = clock::wire_time(self.now());
        let real = self.replies.as_ref().and_then(|replies| replies.get(&seen.number)).and_then(Option::as_ref);
        let (at, fields) = match (operation, real) {
            ("reply", Some(reply)) => (reply.time.clone(), json!({"reply_text": reply.text, "reply_unit": reply.unit})),
            ("reply", None) => {
                let at = if rng.random_bool(0.1) { clock::day_of(&now).to_owned() } else { now };
                (
                    at,
                    json!({"reply_text": invent::reply(&mut rng, &seen.number, seen.round), "reply_unit": "市交通运输局"}),
                )
            }
            ("refuse", _) => (now, json!({"event_text": invent::refusal(&mut rng)})),
            _ => (now, json!({})),
        };
        Command {
            key: format!("{}:{operation}:{}:{attempt}", seen.id, seen.round),
            order_id: seen.id.clone(),
            number: seen.number.clone(),
            round: seen.round,
            operation: operation.to_owned(),
            attempt,
            body: json!({
                "operation": operation, "round": seen.round, "at": clock::api_time(&at), "operator": "D001", "fields": fields,
            }),
        }
    }
}
