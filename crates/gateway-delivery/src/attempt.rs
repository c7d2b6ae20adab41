//! One attempt: send, and say what it means.

use crate::policy;
use crate::worker::Shared;
use gateway_connector::{OutboundDelivery, Outcome, Reason, Sink};
use gateway_store::{AttemptResult, AttemptRow, DeliveryRow};

/// Sends a delivery whose attempt was written down.
pub(crate) async fn send(shared: &Shared, row: &DeliveryRow, outbound: &OutboundDelivery) -> AttemptResult {
    let outcome = match shared.connector.sink() {
        Some(sink) => through_breaker(shared, sink, outbound).await,
        None => {
            Outcome::NotTaken { reason: Reason::new("no_sink", "the channel takes no deliveries"), not_before: None }
        }
    };
    count(shared, row, &outcome);
    if let Outcome::NotTaken { not_before: Some(until), .. } = &outcome {
        shared.be_quiet_until(*until);
    }
    let earlier = earlier(shared, row, &outcome).await;
    policy::after_attempt(row, &earlier, outcome, shared.clock.now(), &shared.config)
}

async fn through_breaker(shared: &Shared, sink: &dyn Sink, outbound: &OutboundDelivery) -> Outcome {
    let permit = match shared.breaker.enter() {
        Ok(permit) => permit,
        Err(open) => {
            let reason = Reason::new("breaker_open", open.to_string());
            return Outcome::NotTaken { reason, not_before: None };
        }
    };
    let outcome = sink.deliver(outbound).await;
    if is_failure_of_the_peer(&outcome) {
        permit.failure();
    } else {
        permit.success();
    }
    outcome
}

/// Earlier attempts matter only where a refusal may be the echo of one.
async fn earlier(shared: &Shared, row: &DeliveryRow, outcome: &Outcome) -> Vec<AttemptRow> {
    let matters = match outcome {
        Outcome::Rejected(_) => row.unanswered,
        Outcome::Ambiguous(reason) => reason.code == policy::ALREADY_SUBMITTED,
        _ => false,
    };
    if !matters || row.attempts == 0 {
        return Vec::new();
    }
    // Without them the refusal is not believed yet, and the peer is asked once more: the safe side.
    let attempts = shared.deliveries.attempts(row.id).await.unwrap_or_default();
    attempts.into_iter().filter(|attempt| attempt.ended_at.is_some()).collect()
}

/// A refusal, a wish for patience and refused credentials are answers; they say that the peer is there.
fn is_failure_of_the_peer(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Acknowledged(_) | Outcome::Pending(_) | Outcome::Rejected(_) => false,
        Outcome::NotTaken { reason, not_before } => {
            let answered =
                matches!(reason.code.as_str(), "throttled" | "unauthorized") || reason.code.starts_with("http_4");
            not_before.is_none() && !answered
        }
        Outcome::Ambiguous(reason) => reason.code != policy::ALREADY_SUBMITTED,
    }
}

fn count(shared: &Shared, row: &DeliveryRow, outcome: &Outcome) {
    let word = match outcome {
        Outcome::Acknowledged(_) => "acknowledged",
        Outcome::Pending(_) => "pending",
        Outcome::Rejected(_) => "rejected",
        Outcome::NotTaken { .. } => "not_taken",
        Outcome::Ambiguous(_) => "ambiguous",
    };
    metrics::counter!(
        "gateway_delivery_attempts_total",
        "destination" => shared.channel.to_string(),
        "operation" => row.operation.as_str(),
        "outcome" => word
    )
    .increment(1);
}
