//! Carrying verdicts out: every step of a gap's life goes through here, counted and logged.

use crate::classify::{Sent, kind_of, known_orders, sent_by};
use crate::compare::Difference;
use crate::error::ReconcileError;
use crate::repair::{leave, repair};
use crate::tour::Tour;
use crate::verdict::Verdict;
use gateway_model::{GapEvidence, GapId, GapState};
use gateway_store::GapRow;

/// Forgets suspicions that vanished.
pub(crate) async fn forget(tour: &mut Tour<'_>, ids: &[GapId]) -> Result<(), ReconcileError> {
    if ids.is_empty() {
        return Ok(());
    }
    tour.context.forget_gaps(ids).await?;
    tour.vanished += ids.len() as u64;
    let channel = tour.context.channel.to_string();
    metrics::counter!("gateway_reconcile_vanished_total", "channel" => channel).increment(ids.len() as u64);
    Ok(())
}

/// What remains to be done after a verdict, for many at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Carried {
    /// Nothing.
    Done,
    /// The suspicion is to be forgotten.
    Vanished,
    /// It is to be confirmed, with this evidence.
    Confirmed(GapEvidence),
}

/// Carries a verdict out, but for what is cheaper for many at once.
pub(crate) async fn apply(
    tour: &mut Tour<'_>,
    gap: &GapRow,
    verdict: Verdict,
    difference: &Difference,
    evidence: GapEvidence,
) -> Result<Carried, ReconcileError> {
    let context = tour.context;
    let now = context.now();
    match verdict {
        Verdict::Wait => {}
        Verdict::Forget => return Ok(Carried::Vanished),
        Verdict::Again => {
            let sent = sent_by(context, difference).await?;
            if sent == Sent::InFlight {
                return Ok(Carried::Vanished);
            }
            let order = known_orders(context, std::slice::from_ref(&difference.key.number)).await?;
            let known = order.contains(&(difference.key.number.clone(), difference.key.day));
            context.suspect_again(gap.id, kind_of(difference, sent, known), evidence).await?;
        }
        Verdict::Open => {
            if sent_by(context, difference).await? == Sent::InFlight {
                return Ok(Carried::Vanished);
            }
            return Ok(Carried::Confirmed(evidence));
        }
        Verdict::Close(reason) => close(tour, gap, reason.as_deref()).await?,
        Verdict::Repair => {
            repair(context, gap).await?;
        }
        Verdict::Leave(reason) => leave(context, gap, &reason, now).await?,
    }
    Ok(Carried::Done)
}

/// Confirms suspicions; each joins the group of its outage.
pub(crate) async fn open(tour: &Tour<'_>, confirmed: &[(&GapRow, GapEvidence)]) -> Result<(), ReconcileError> {
    if confirmed.is_empty() {
        return Ok(());
    }
    let context = tour.context;
    let rows: Vec<(GapId, GapEvidence)> = confirmed.iter().map(|(gap, evidence)| (gap.id, *evidence)).collect();
    let groups = context.open_gaps(&rows).await?;
    for ((gap, _), group) in confirmed.iter().zip(groups) {
        let channel = context.channel.to_string();
        metrics::counter!("gateway_reconcile_gaps_opened_total", "channel" => channel, "kind" => gap.kind.as_str())
            .increment(1);
        tracing::warn!(channel = %context.channel, gap = %gap.id, %group, dataset = %gap.dataset, kind = %gap.kind, "sync gap confirmed");
    }
    Ok(())
}

/// Closes a gap.
pub(crate) async fn close(tour: &Tour<'_>, gap: &GapRow, reason: Option<&str>) -> Result<(), ReconcileError> {
    let context = tour.context;
    context.move_gap(gap.id, GapState::Closed, None, reason, context.now()).await?;
    let channel = context.channel.to_string();
    metrics::counter!("gateway_reconcile_gaps_closed_total", "channel" => channel, "kind" => gap.kind.as_str())
        .increment(1);
    tracing::info!(channel = %context.channel, gap = %gap.id, dataset = %gap.dataset, kind = %gap.kind, "sync gap closed");
    Ok(())
}
