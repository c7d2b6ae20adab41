//! Writing (section 4 of the wire contract): sign 签收, reply 答复, refuse 退单, complete 办结, extend 申请延期, appeal 申诉, with the state rules.

use std::sync::MutexGuard;

use serde::Deserialize;
use serde_json::json;

use super::Platform;
use super::inject::hit;
use super::life::next_update;
use super::overlay;
use super::server::{Answer, Way};
use crate::book::Book;
use crate::book::entry::{Edit, Entry, Operation, Push};
use crate::clock;
use crate::digest::{Dataset, ItemKey};
use crate::faults::FaultKind;
use crate::faults::injected::{Heals, Hit};
use crate::record::{Completion, Event, Order, state};

/// The body of an operation, of whichever it is.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    pub(super) apply_time: Option<String>,
    pub(super) appeal_time: Option<String>,
    pub(super) days: Option<u32>,
    pub(super) until: Option<String>,
    pub(super) ground: Option<String>,
    pub(super) sign_time: Option<String>,
    pub(super) round: Option<u32>,
    pub(super) reply_content: Option<String>,
    pub(super) reply_time: Option<String>,
    pub(super) reply_unit: Option<String>,
    pub(super) refuse_time: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) complete_time: Option<String>,
    pub(super) event_id: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) time: Option<String>,
    pub(super) text: Option<String>,
}

/// What the platform says to an operation.
pub(super) enum Verdict {
    Done(Vec<Edit>),
    AlreadySubmitted,
    Forbidden,
    /// By a code of its own.
    Refused(u16, &'static str),
    Invalid(&'static str),
}

impl Platform {
    /// `POST /gateway/orders/{orderNo}/{operation}`
    pub(super) fn operate(&self, number: &str, operation: &str, request_id: &str, body: &[u8]) -> Answer {
        if request_id.is_empty() || request_id.len() > 128 {
            return Answer::invalid("X-Request-Id");
        }
        let Ok(body) = serde_json::from_slice::<Body>(body) else { return Answer::invalid("body") };
        let mut book = self.ledger.lock();
        if let Some(earlier) = book.operations.get(request_id) {
            let same = earlier.operation == operation && earlier.order_no == number;
            return match (same, operation) {
                (false, _) => Answer::invalid("X-Request-Id"),
                (true, "complete") => Answer::refused(1003, "状态不允许"),
                (true, _) => receipt(earlier),
            };
        }
        // Where a number was given more than once, it means the order that got it last.
        let place = book.keys(number).last().cloned();
        let Some((place, held)) = place.and_then(|place| Some((place.clone(), book.order(&place)?))) else {
            return Answer::refused(1002, "工单不存在");
        };
        if held.uploaded {
            // What a city uploaded is handled where it came from.
            return Answer::refused(1003, "状态不允许");
        }
        let shown = clock::wire_time(self.shown_ms(self.now()));
        let verdict = match operation {
            "extend" => overlay::extend(&held.order, &body, request_id, &shown),
            "appeal" => overlay::appeal(&held.order, &body, request_id, &shown),
            _ => judge(&held.order, operation, &body, request_id),
        };
        let mut edits = match verdict {
            Verdict::Done(edits) => edits,
            Verdict::AlreadySubmitted => return Answer::refused(1001, "重复提交"),
            Verdict::Forbidden => return Answer::refused(1003, "状态不允许"),
            Verdict::Refused(code, why) => return Answer::refused(code, why),
            Verdict::Invalid(field) => return Answer::invalid(field),
        };
        let now = self.now();
        let update = next_update(self, held, now);
        let version = held.version;
        let fault = self.lose(&mut book, &place, operation, &edits, now);
        let lost = matches!(fault, Some(FaultKind::LostReply | FaultKind::LostOperation));
        if fault == Some(FaultKind::LostEvent) {
            edits.retain(|edit| !matches!(edit, Edit::Event(_)));
        }
        let done = Operation {
            request_id: request_id.to_owned(),
            operation: operation.to_owned(),
            order_no: number.to_owned(),
            receipt_no: format!("R{number}-{version}-{}", book.operations.len() + 1),
            received_at: clock::wire_time(self.shown_ms(now)),
            lost,
            refused: false,
            receipt_from: (fault == Some(FaultKind::LostReceipt)).then(|| receipt_from(version, now)),
        };
        let mut answer = receipt(&done);
        if fault == Some(FaultKind::LostReceipt) {
            answer.way = Way::Lost;
        }
        let (update, edits, push) =
            if lost { (None, Vec::new(), Push::None) } else { (Some(update), edits, Push::Record) };
        let entry = Entry::Change { at: now, no: place.clone(), update, edits, operation: Some(done), push };
        self.ledger.write(&mut book, &entry);
        self.plan(&book, &place, now);
        answer
    }

    /// Which fault befalls an operation that is about to be done.
    fn lose(
        &self,
        book: &mut MutexGuard<'_, Book>,
        place: &str,
        operation: &str,
        edits: &[Edit],
        now: i64,
    ) -> Option<FaultKind> {
        let kinds: &[FaultKind] = match operation {
            "reply" | "result" => &[FaultKind::LostReply, FaultKind::LostReceipt],
            "complete" => &[FaultKind::LostOperation, FaultKind::LostEvent],
            _ => &[FaultKind::LostOperation, FaultKind::LostEvent, FaultKind::LostReceipt],
        };
        let kind = kinds.iter().copied().find(|kind| self.take(book, *kind, now))?;
        let made = hit(book, place, operation);
        let version = book.order(place).map_or(0, |held| held.version);
        // What the operation should have made: the item that is owed.
        let (number, day) = made.order.clone().unwrap_or_default();
        let owed = |dataset, part| ItemKey { dataset, number: number.clone(), day: day.clone(), part };
        let items = edits.iter().filter_map(|edit| match edit {
            Edit::Event(event) => Some(owed(Dataset::Handling, format!("e:{}", event.event_id))),
            Edit::Completion(completion) => Some(owed(Dataset::Completion, format!("c{}", completion.round))),
            _ => None,
        });
        let variant = match kind {
            FaultKind::LostReceipt if for_ever(version) => format!("{operation}_for_ever"),
            FaultKind::LostReceipt => format!("{operation}_for_hours"),
            _ => operation.to_owned(),
        };
        let hit = Hit { variant, items: items.collect(), heals: Heals::Redone, ..made };
        self.log(book, kind, now, hit);
        Some(kind)
    }
}

/// From when on a receipt that was lost is known: for ever not, or some hours later.
fn receipt_from(version: u64, now: i64) -> i64 {
    if for_ever(version) { i64::MAX } else { now + (1 + version as i64 % 6) * 3_600_000 }
}

fn for_ever(version: u64) -> bool {
    version.is_multiple_of(2)
}

/// The answer to what was done.
pub(super) fn receipt(operation: &Operation) -> Answer {
    Answer::data(json!({"receiptNo": operation.receipt_no, "receivedAt": operation.received_at}))
}

/// What the bureau did or answered, told to where the citizen wrote (section 2 of `docs/channels/web-12328.md`): always taken, each once.
fn hear(order: &Order, operation: &str, body: &Body) -> Verdict {
    let time = |text: &Option<String>| text.clone().filter(|text| clock::wire_ms(text).is_some());
    let current = order.state.as_str();
    let mut edits = Vec::new();
    if operation == "result" {
        let (Some(round), Some(at)) = (body.round, time(&body.reply_time)) else {
            return Verdict::Invalid("round, replyTime");
        };
        let Some(content) = body.reply_content.clone().filter(|text| !text.is_empty()) else {
            return Verdict::Invalid("replyContent");
        };
        if order.completions.iter().any(|completion| completion.round == round) {
            return Verdict::AlreadySubmitted;
        }
        // The citizen sees the result, and is asked for a rating.
        if matches!(current, state::ACCEPTED | state::DISPATCHED | state::SIGNED) {
            edits.push(Edit::State(state::COMPLETED.to_owned()));
        }
        let unit = body.reply_unit.clone().unwrap_or_default();
        edits.push(Edit::Completion(Completion { round, reply_content: content, reply_time: at, reply_unit: unit }));
    } else {
        let needed = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (Some(event_id), Some(kind), Some(at)) = (needed(&body.event_id), needed(&body.kind), time(&body.time))
        else {
            return Verdict::Invalid("eventId, kind, time");
        };
        if order.events.iter().any(|event| event.event_id == event_id) {
            return Verdict::AlreadySubmitted;
        }
        if kind == "sign" && matches!(current, state::ACCEPTED | state::DISPATCHED) {
            edits.push(Edit::State(state::SIGNED.to_owned()));
        }
        edits.push(Edit::Event(Event {
            event_id,
            kind,
            time: at,
            text: body.text.clone().unwrap_or_default(),
            ..Event::default()
        }));
    }
    Verdict::Done(edits)
}

fn judge(order: &Order, operation: &str, body: &Body, request_id: &str) -> Verdict {
    let current = order.state.as_str();
    let time = |text: &Option<String>| text.clone().filter(|text| clock::wire_ms(text).is_some());
    let event = |kind: &str, time: String, text: String| {
        Edit::Event(Event { event_id: request_id.to_owned(), kind: kind.to_owned(), time, text, ..Event::default() })
    };
    let to = |code: &str| Edit::State(code.to_owned());
    match operation {
        "sign" => {
            let Some(at) = time(&body.sign_time) else { return Verdict::Invalid("signTime") };
            if current != state::DISPATCHED {
                return Verdict::Forbidden;
            }
            Verdict::Done(vec![to(state::SIGNED), event("sign", at, String::new())])
        }
        "reply" => {
            let (Some(round), Some(at)) = (body.round, time(&body.reply_time)) else {
                return Verdict::Invalid("round, replyTime");
            };
            let Some(content) = body.reply_content.clone().filter(|text| !text.is_empty()) else {
                return Verdict::Invalid("replyContent");
            };
            if order.completions.iter().any(|completion| completion.round == round) {
                return Verdict::AlreadySubmitted;
            }
            if current != state::SIGNED || round != order.round {
                return Verdict::Forbidden;
            }
            let unit = body.reply_unit.clone().unwrap_or_default();
            let completion = Completion { round, reply_content: content, reply_time: at, reply_unit: unit };
            Verdict::Done(vec![to(state::REPLIED), Edit::Completion(completion)])
        }
        "refuse" => {
            let Some(at) = time(&body.refuse_time) else { return Verdict::Invalid("refuseTime") };
            if !matches!(current, state::DISPATCHED | state::SIGNED) {
                return Verdict::Forbidden;
            }
            Verdict::Done(vec![to(state::RETURN_ASKED), event("refuse", at, body.reason.clone().unwrap_or_default())])
        }
        "complete" => {
            let Some(at) = time(&body.complete_time) else { return Verdict::Invalid("completeTime") };
            if current != state::REPLIED {
                return Verdict::Forbidden;
            }
            Verdict::Done(vec![to(state::COMPLETED), event("complete", at, String::new())])
        }
        "progress" | "result" => hear(order, operation, body),
        _ => Verdict::Invalid("operation"),
    }
}
