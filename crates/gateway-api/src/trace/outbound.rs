//! What went out of an order: owed, every attempt, the receipt.

use super::stage::Stage;
use crate::report::Language;
use crate::views::ChinaTime;
use gateway_model::format_china;
use gateway_store::{AttemptRow, DeliveryRow};
use serde_json::json;

/// A delivery with its attempts.
pub(super) fn push(stages: &mut Vec<Stage>, delivery: &DeliveryRow, attempts: &[AttemptRow], l: Language) {
    let name = format!("{} {}", l.say("投递", "delivery"), delivery.id);
    let rule = format!("{} → {}", delivery.from, delivery.destination);
    let now = l.delivery_state(delivery.state);
    let reason = delivery.reason.as_deref().map_or_else(String::new, |reason| format!(", {reason}"));
    stages.push(Stage {
        at: delivery.created_at,
        rank: 5,
        kind: "owed",
        text: format!(
            "{name} {} {}: {} {rule} #{}; {} {now}{reason}",
            l.say("应投递", "owed:"),
            l.operation(delivery.operation),
            l.say("路由规则", "by the route"),
            delivery.raw_id,
            l.say("现为", "now"),
        ),
        details: json!({
            "delivery_id": delivery.id, "destination": delivery.destination, "operation": delivery.operation, "dataset": delivery.dataset,
            "part": delivery.part, "round": delivery.round, "raw_id": delivery.raw_id, "command_id": delivery.command_id,
            "route": {"from": delivery.from, "dataset": delivery.dataset, "to": delivery.destination},
            "state": delivery.state, "generation": delivery.generation, "reason_code": delivery.reason_code, "reason": delivery.reason,
        }),
    });
    for attempt in attempts {
        let took_ms = attempt
            .ended_at
            .and_then(|ended| u64::try_from(ended.as_millisecond() - attempt.started_at.as_millisecond()).ok());
        let outcome = attempt.outcome.map_or(l.say("进行中", "under way"), |outcome| l.delivery_state(outcome));
        let took = took_ms.map_or_else(String::new, |ms| format!(", {} {}", l.say("用时", "took"), l.duration(ms)));
        let code = attempt.reason_code.as_deref().map_or_else(String::new, |code| format!(" ({code})"));
        let which = match l {
            Language::Zh => format!("第 {} 代第 {} 次尝试", attempt.generation, attempt.attempt),
            Language::En => format!("generation {} attempt {}", attempt.generation, attempt.attempt),
        };
        stages.push(Stage {
            at: attempt.started_at,
            rank: 6,
            kind: "attempt",
            text: format!("{name} {which}: {outcome}{code}{took}"),
            details: json!({
                "delivery_id": delivery.id, "destination": delivery.destination, "generation": attempt.generation,
                "attempt": attempt.attempt, "ended_at": attempt.ended_at.map(ChinaTime), "took_ms": took_ms, "outcome": attempt.outcome,
                "reason_code": attempt.reason_code,
            }),
        });
    }
    // Told when we learnt it: the destination's own time is by another clock, often cut to the second, and would come before the attempt.
    let receipt = delivery.receipt.as_ref();
    let at = receipt.and_then(|receipt| delivery.last_attempt_ended_at.or(receipt.received_at));
    if let (Some(receipt), Some(at)) = (receipt, at) {
        let number = receipt.receipt_number.as_deref().unwrap_or_default();
        let theirs = receipt.received_at.map_or_else(String::new, |at| {
            format!(
                ", {} {}",
                l.say("对端时间", "by its clock"),
                format_china(at).trim_end_matches("+08:00").replace('T', " ")
            )
        });
        stages.push(Stage {
            at,
            rank: 7,
            kind: "receipt",
            text: format!("{name} {} {number}{theirs}", l.say("回执", "receipt")),
            details: json!({
                "delivery_id": delivery.id, "destination": delivery.destination, "receipt_number": receipt.receipt_number,
                "received_at": receipt.received_at.map(ChinaTime), "source": receipt.source,
            }),
        });
    }
}
