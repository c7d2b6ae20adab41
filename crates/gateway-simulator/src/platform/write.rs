//! Writing (section 4 of the wire contract): sign 签收, reply 答复, refuse 退单, complete 办结, with the state rules.

use serde::Deserialize;
use serde_json::json;

use super::Platform;
use super::life::next_update;
use super::server::Answer;
use crate::book::entry::{Edit, Entry, Operation, Push};
use crate::clock;
use crate::faults::FaultKind;
use crate::record::{Completion, Event, Order, state};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    sign_time: Option<String>,
    round: Option<u32>,
    reply_content: Option<String>,
    reply_time: Option<String>,
    reply_unit: Option<String>,
    refuse_time: Option<String>,
    reason: Option<String>,
    complete_time: Option<String>,
}

enum Verdict {
    Done(Vec<Edit>),
    AlreadySubmitted,
    Forbidden,
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
        let Some(held) = book.order(number) else { return Answer::refused(1002, "工单不存在") };
        let edits = match judge(&held.order, operation, &body, request_id) {
            Verdict::Done(edits) => edits,
            Verdict::AlreadySubmitted => return Answer::refused(1001, "重复提交"),
            Verdict::Forbidden => return Answer::refused(1003, "状态不允许"),
            Verdict::Invalid(field) => return Answer::invalid(field),
        };
        let now = self.now();
        let update = next_update(held, now);
        let version = held.version;
        let lost = operation == "reply" && self.inject(&mut book, FaultKind::LostReply);
        let done = Operation {
            request_id: request_id.to_owned(),
            operation: operation.to_owned(),
            order_no: number.to_owned(),
            receipt_no: format!("R{number}-{version}-{}", book.operations.len() + 1),
            received_at: clock::wire_time(now),
            lost,
        };
        let answer = receipt(&done);
        let entry = if lost {
            Entry::Change {
                at: now,
                no: number.to_owned(),
                update: None,
                edits: Vec::new(),
                operation: Some(done),
                push: Push::None,
            }
        } else {
            Entry::Change {
                at: now,
                no: number.to_owned(),
                update: Some(update),
                edits,
                operation: Some(done),
                push: Push::Record,
            }
        };
        self.ledger.write(&mut book, &entry);
        self.plan(&book, number, now);
        answer
    }
}

fn receipt(operation: &Operation) -> Answer {
    Answer::data(json!({"receiptNo": operation.receipt_no, "receivedAt": operation.received_at}))
}

fn judge(order: &Order, operation: &str, body: &Body, request_id: &str) -> Verdict {
    let current = order.state.as_str();
    let time = |text: &Option<String>| text.clone().filter(|text| clock::wire_ms(text).is_some());
    let event = |kind: &str, time: String, text: String| {
        Edit::Event(Event { event_id: request_id.to_owned(), kind: kind.to_owned(), time, text })
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
        _ => Verdict::Invalid("operation"),
    }
}
