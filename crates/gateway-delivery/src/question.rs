//! One question: what became of an attempt without an answer.

use crate::policy::{self, Answer};
use crate::worker::Shared;
use gateway_connector::{OutboundDelivery, RequestError};
use gateway_model::{AskBy, Timestamp};
use gateway_store::{AttemptResult, DeliveryRow, JobKind, NewJob, StoreError};
use std::time::Duration;

/// Asks about a delivery that is pending or ambiguous.
///
/// # Errors
/// The store's, where the question could not be prepared or followed up; nothing was changed then.
pub(crate) async fn ask(
    shared: &Shared,
    row: &DeliveryRow,
    outbound: &OutboundDelivery,
) -> Result<AttemptResult, StoreError> {
    let answer = match policy::ask_by(row) {
        AskBy::Receipt => receipt(shared, outbound).await,
        AskBy::Record => Answer::InRecord,
        AskBy::Nothing => Answer::Unaskable,
    };
    count(shared, &answer);
    let ended = attempt_ended_at(shared, row).await?;
    let now = shared.clock.now();
    if policy::wants_reread(row, &answer) {
        // Only what is read after the attempt had time to land says anything.
        let settled = ended.saturating_add(Duration::from_millis(shared.config.settle_after_ms)).unwrap_or(now);
        let job = NewJob {
            kind: JobKind::Reread,
            channel: shared.channel.clone(),
            subject: outbound.number.number.to_string(),
            reason: "delivery_without_answer".to_owned(),
            run_at: now.max(settled),
        };
        shared.jobs.enqueue(&[job]).await?;
    }
    Ok(policy::after_question(row, ended, answer, now, &shared.config))
}

async fn receipt(shared: &Shared, outbound: &OutboundDelivery) -> Answer {
    let Some(sink) = shared.connector.sink() else { return Answer::Unaskable };
    let Ok(permit) = shared.breaker.enter() else { return Answer::None { refused: false, patience: None } };
    match sink.find_outcome(outbound).await {
        Ok(found) => {
            permit.success();
            found.map_or(Answer::Unknown, Answer::Found)
        }
        Err(error) => {
            let patience = match &error {
                RequestError::Throttled { retry_after } => *retry_after,
                _ => None,
            };
            if matches!(error, RequestError::Unavailable { .. } | RequestError::Undecodable { .. }) {
                permit.failure();
            } else {
                permit.success();
            }
            if let Some(until) = patience.and_then(|wait| shared.clock.now().saturating_add(wait).ok()) {
                shared.be_quiet_until(until);
            }
            tracing::debug!(channel = %shared.channel, delivery = %outbound.id, code = error.code(), "a question had no answer");
            Answer::None { refused: matches!(error, RequestError::Business { .. }), patience }
        }
    }
}

/// When the last attempt of this generation ended. An attempt that died with its process ended, for all we know, when it was found.
async fn attempt_ended_at(shared: &Shared, row: &DeliveryRow) -> Result<Timestamp, StoreError> {
    let attempts = shared.deliveries.attempts(row.id).await?;
    let last =
        attempts.iter().filter(|attempt| attempt.generation == row.generation).max_by_key(|attempt| attempt.attempt);
    let known = last.and_then(|attempt| attempt.ended_at);
    Ok(known.or(row.last_attempt_ended_at).or(last.map(|attempt| attempt.started_at)).unwrap_or(row.created_at))
}

fn count(shared: &Shared, answer: &Answer) {
    let word = match answer {
        Answer::Found(_) => "found",
        Answer::Unknown => "unknown",
        Answer::None { .. } => "no_answer",
        Answer::InRecord => "in_record",
        Answer::Unaskable => "unaskable",
    };
    metrics::counter!(
        "gateway_delivery_questions_total",
        "destination" => shared.channel.to_string(),
        "answer" => word
    )
    .increment(1);
}
