//! What an answer of a destination means for a delivery. Pure; everything that is decided about an attempt is decided here.
//!
//! | seen | becomes |
//! |---|---|
//! | acknowledged | acknowledged |
//! | refused | rejected; but ambiguous after an attempt without an answer, since that one may be why |
//! | forwarded, and the order is unknown there | owed, after a wait: its acceptance is on its way or was lost, and comes (again) before it |
//! | certainly not taken | owed, after a wait; not before the time that the peer asked for |
//! | no answer, or "already submitted" | ambiguous: the peer is asked, never just sent to again |
//! | asked by receipt: found | acknowledged |
//! | asked by receipt: unknown, and the attempt had time to land | owed, same generation and key |
//! | … to an attempt answered "already submitted" | its record is read again for our content; without it, rejected |
//! | asked by record | a job reads the order again; the pipeline acknowledges it, or owes it again |
//! | asked, but the peer answers nobody, or nothing that we sign | asked again until it does |
//! | can't be asked, the question is refused, or nothing is found out for long | held for a person |
//!
//! **A refusal is believed when it comes a second time** in one generation: between the two the peer was asked and knew nothing of ours. That ends
//! every circle of refusal and question without a counter of its own.

use crate::DeliveryConfig;
use gateway_connector::{Outcome, Reason};
use gateway_model::{AskBy, Dataset, DeliveryState, Operation, Receipt, Timestamp};
use gateway_store::{AttemptResult, AttemptRow, DeliveryRow};
use std::time::Duration;

/// The code by which a sink says that the peer has an answer to this order already, maybe another one.
pub const ALREADY_SUBMITTED: &str = "already_submitted";

/// The code by which a sink says that the peer does not know the order.
const UNKNOWN_ORDER: &str = "unknown_order";

/// What asking brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The peer has it.
    Found(Receipt),
    /// The peer knows nothing of it.
    Unknown,
    /// The peer did not answer the question.
    None {
        /// Whether it refused this question. Else it answers nobody just now, or none of ours (an outage, its clock or our credentials wrong): that is
        /// the channel's trouble and shows as such, and the question is asked again when it is over.
        refused: bool,
        /// For how long the peer asks for patience.
        patience: Option<Duration>,
    },
    /// It shows in the order's record, which is being read again.
    InRecord,
    /// There is no way of asking.
    Unaskable,
}

/// What an attempt means. `now` is when it ended; `earlier` are the delivery's attempts before it.
#[must_use]
pub fn after_attempt(
    row: &DeliveryRow,
    earlier: &[AttemptRow],
    outcome: Outcome,
    now: Timestamp,
    config: &DeliveryConfig,
) -> AttemptResult {
    let ask_at = later(now, Duration::from_millis(config.ask_min_ms));
    match outcome {
        Outcome::Acknowledged(receipt) => acknowledged(row, receipt, now),
        Outcome::Pending(_) => {
            AttemptResult { state: DeliveryState::Pending, next_attempt_at: ask_at, ..plain(row, now) }
        }
        Outcome::Rejected(reason) if waits_for_acceptance(row, &reason) => {
            let wait = config.retry.wait_after(row.attempts.saturating_add(1), None);
            AttemptResult { next_attempt_at: later(now, wait), ..told(row, DeliveryState::Owed, reason, now) }
        }
        Outcome::Rejected(reason) if row.unanswered && !was_refused_before(row, earlier, &reason) => {
            AttemptResult { next_attempt_at: ask_at, ..told(row, DeliveryState::Ambiguous, reason, now) }
        }
        Outcome::Rejected(reason) => told(row, DeliveryState::Rejected, reason, now),
        Outcome::NotTaken { reason, not_before } => {
            let wait = config.retry.wait_after(row.attempts.saturating_add(1), None);
            let next = later(now, wait).max(not_before.unwrap_or(now));
            AttemptResult { next_attempt_at: next, ..told(row, DeliveryState::Owed, reason, now) }
        }
        Outcome::Ambiguous(reason) if reason.code == ALREADY_SUBMITTED => {
            let believed = was_refused_before(row, earlier, &reason);
            let state = if believed { DeliveryState::Rejected } else { DeliveryState::Ambiguous };
            AttemptResult { next_attempt_at: ask_at, ..told(row, state, reason, now) }
        }
        Outcome::Ambiguous(reason) => AttemptResult {
            unanswered: true,
            next_attempt_at: ask_at,
            ..told(row, DeliveryState::Ambiguous, reason, now)
        },
    }
}

/// What a question about the attempt that ended at `ended` means.
#[must_use]
pub fn after_question(
    row: &DeliveryRow,
    ended: Timestamp,
    answer: Answer,
    now: Timestamp,
    config: &DeliveryConfig,
) -> AttemptResult {
    let age = Duration::try_from(now.duration_since(ended)).unwrap_or_default();
    let settle = Duration::from_millis(config.settle_after_ms);
    let wait = age
        .max(Duration::from_millis(config.ask_min_ms))
        .min(Duration::from_millis(config.ask_max_ms.max(config.ask_min_ms)));
    let too_long = age >= Duration::from_millis(config.hold_after_ms);
    // The reason stays that of the attempt: it is what people look for. So does its end: what is read after it is what tells.
    let plain = || AttemptResult { next_attempt_at: now, ..plain(row, ended) };
    let later_on = |wait: Duration| AttemptResult { next_attempt_at: later(now, wait), ..plain() };
    let held = |code: &str, text: &str| told(row, DeliveryState::Held, Reason::new(code, text), ended);
    let already = row.reason_code.as_deref() == Some(ALREADY_SUBMITTED);
    match answer {
        Answer::Found(receipt) => acknowledged(row, receipt, ended),
        Answer::Unknown if row.state == DeliveryState::Pending => {
            if too_long {
                held("no_outcome", "the destination took it and never told the outcome")
            } else {
                later_on(wait)
            }
        }
        Answer::Unknown if already => {
            let believed = age >= Duration::from_millis(config.already_submitted_after_ms);
            if believed { AttemptResult { state: DeliveryState::Rejected, ..plain() } } else { later_on(wait) }
        }
        Answer::Unknown if age >= settle => AttemptResult { state: DeliveryState::Owed, ..plain() },
        Answer::Unknown => later_on(settle.saturating_sub(age)),
        Answer::None { refused, patience } => {
            if too_long && refused {
                held("no_answer", "the destination does not say what became of it")
            } else {
                later_on(wait.max(patience.unwrap_or_default()))
            }
        }
        Answer::InRecord if too_long => held("no_echo", "the order's record never showed whether it arrived"),
        Answer::InRecord => later_on(wait),
        Answer::Unaskable => held("unaskable", "an attempt had no answer, and the destination can't be asked"),
    }
}

/// Whether the answer makes it necessary to read the order again: to find what can't be asked for, or what a "no" may overlook.
#[must_use]
pub fn wants_reread(row: &DeliveryRow, answer: &Answer) -> bool {
    match answer {
        Answer::InRecord => true,
        Answer::Unknown => row.reason_code.as_deref() == Some(ALREADY_SUBMITTED),
        _ => false,
    }
}

/// It can't be sent now or ever.
#[must_use]
pub fn unsendable(row: &DeliveryRow, reason: Reason, now: Timestamp) -> AttemptResult {
    told(row, DeliveryState::DeadLettered, reason, now)
}

/// The destination has no number for the order yet.
#[must_use]
pub fn numberless(row: &DeliveryRow, now: Timestamp, config: &DeliveryConfig) -> AttemptResult {
    let age = Duration::try_from(now.duration_since(row.created_at)).unwrap_or_default();
    let reason = Reason::new("no_number", "the destination has no number for the order");
    if age >= Duration::from_millis(config.hold_after_ms) {
        return told(row, DeliveryState::Held, reason, now);
    }
    let (least, most) = (Duration::from_millis(config.ask_min_ms), Duration::from_millis(config.ask_max_ms));
    AttemptResult {
        next_attempt_at: later(now, age.min(most).max(least)),
        ..told(row, DeliveryState::Owed, reason, now)
    }
}

/// It was begun and not sent: the lease had run out meanwhile, as after this process was stopped.
#[must_use]
pub fn unsent(row: &DeliveryRow, now: Timestamp) -> AttemptResult {
    let reason = Reason::new("lease_over", "the right to deliver had run out before it was sent");
    AttemptResult { next_attempt_at: now, ..told(row, DeliveryState::Owed, reason, now) }
}

/// How to ask about a delivery.
#[must_use]
pub fn ask_by(row: &DeliveryRow) -> AskBy {
    row.ask_by.unwrap_or(AskBy::Nothing)
}

/// An item of an order that the destination does not know. The order is made there by its acceptance, which the same rules owe and which was
/// acknowledged or is in flight: lost there, it is sent again by a gap. A refusal for good would lose the rest of the order with it.
fn waits_for_acceptance(row: &DeliveryRow, reason: &Reason) -> bool {
    row.operation == Operation::Forward && row.dataset != Dataset::Acceptance && reason.code == UNKNOWN_ORDER
}

fn was_refused_before(row: &DeliveryRow, earlier: &[AttemptRow], reason: &Reason) -> bool {
    earlier.iter().any(|attempt| {
        attempt.generation == row.generation && attempt.reason_code.as_deref() == Some(reason.code.as_str())
    })
}

fn acknowledged(row: &DeliveryRow, receipt: Receipt, now: Timestamp) -> AttemptResult {
    AttemptResult {
        state: DeliveryState::Acknowledged,
        receipt: Some(receipt),
        reason_code: None,
        reason: None,
        ..plain(row, now)
    }
}

fn told(row: &DeliveryRow, state: DeliveryState, reason: Reason, now: Timestamp) -> AttemptResult {
    AttemptResult { state, reason_code: Some(reason.code), reason: Some(reason.text), ..plain(row, now) }
}

/// Everything stays as it is.
fn plain(row: &DeliveryRow, now: Timestamp) -> AttemptResult {
    AttemptResult {
        id: row.id,
        state: row.state,
        receipt: None,
        reason_code: row.reason_code.clone(),
        reason: row.reason.clone(),
        unanswered: row.unanswered,
        next_attempt_at: now,
        at: now,
    }
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(now)
}
