//! Repairs: read the order again, or send again. Never more at once than a mistake could afford.
//!
//! A repair is asked for first and written down afterwards: both ways of repairing are idempotent, so a crash in between costs one more read,
//! while the other order would lose a generation. Repairs are `job` rows and delivery generations; whoever runs them keeps the channel's pace.

use crate::classify::{Sent, sent_by};
use crate::compare::Difference;
use crate::error::ReconcileError;
use crate::gaps;
use crate::tour::Context;
use gateway_model::{Dataset, GapId, GapKind, GapState, Timestamp};
use gateway_store::{GapRow, JobKind, NewJob, StoreError};
use std::collections::{HashMap, HashSet};

/// How many items a dataset has, here and there.
pub(crate) type Sizes = HashMap<Dataset, (u64, u64)>;

/// Begins the repairs of open gaps: those asked for, and the rest as far as that is allowed. Returns how many began.
pub(crate) async fn repair_open(
    context: &Context,
    sizes: &Sizes,
    asked: &HashSet<GapId>,
) -> Result<usize, ReconcileError> {
    if asked.is_empty() && !context.config.auto_repair {
        return Ok(0);
    }
    let open = gaps::in_state(context, GapState::Open).await?;
    let repairing = if open.is_empty() { Vec::new() } else { gaps::in_state(context, GapState::Repairing).await? };
    let stopped = mass_differences(context, sizes, &open, &repairing);
    let automatic = |gap: &GapRow| {
        context.config.auto_repair
            && gap.reason.is_none()
            && gap.generation < context.config.max_generations
            && !stopped.contains(&gap.dataset)
    };
    let repairable = || open.iter().filter(|gap| gap.kind != GapKind::LostOffset);
    let by_hand = repairable().filter(|gap| asked.contains(&gap.id));
    let by_itself = repairable().filter(|gap| !asked.contains(&gap.id) && automatic(gap));
    let due: Vec<&GapRow> = by_hand.chain(by_itself.take(context.config.repairs_per_round)).collect();
    let mut began = 0;
    for gap in due {
        began += usize::from(repair(context, gap).await?);
    }
    Ok(began)
}

/// Begins a repair: the next generation of the gap. `false` when the gap was left as it is, or to a person.
pub(crate) async fn repair(context: &Context, gap: &GapRow) -> Result<bool, ReconcileError> {
    let now = context.now();
    let send_again = match gap.kind {
        GapKind::NotHeldByDestination => gap.delivery_id,
        // The channel's own word first: it may have been changed there on purpose.
        GapKind::HeldDifferently if gap.generation > 0 => gap.delivery_id,
        _ => None,
    };
    if let Some(delivery) = send_again {
        if let Some(row) = context.store.delivery(delivery).await?
            && row.state.is_in_flight()
        {
            return Ok(false);
        }
        match context.store.redeliver(delivery, now).await {
            Ok(()) => {}
            Err(StoreError::WrongState { state, .. }) => {
                let reason = format!("the delivery can't be sent again: it is {state}");
                leave(context, gap, &reason, now).await?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    } else {
        if let Some(key) = &gap.key {
            let difference = Difference { key: key.clone(), theirs: None, ours: None };
            if sent_by(context, &difference).await? == Sent::InFlight {
                return Ok(false);
            }
        }
        let Some(job) = job_for(context, gap, now) else { return Ok(false) };
        context.store.enqueue(&[job]).await?;
    }
    context.store.move_gap(gap.id, GapState::Repairing, None, None, None, now).await?;
    let channel = context.channel.to_string();
    metrics::counter!("gateway_reconcile_repairs_total", "channel" => channel, "kind" => gap.kind.as_str())
        .increment(1);
    tracing::info!(channel = %context.channel, gap = %gap.id, kind = %gap.kind, generation = gap.generation + 1, "repair begun");
    Ok(true)
}

/// Leaves a gap to a person, saying why.
pub(crate) async fn leave(context: &Context, gap: &GapRow, reason: &str, now: Timestamp) -> Result<(), ReconcileError> {
    if gap.state == GapState::Open && gap.reason.as_deref() == Some(reason) {
        return Ok(());
    }
    tracing::warn!(channel = %context.channel, gap = %gap.id, kind = %gap.kind, "left to a person: {reason}");
    context.store.move_gap(gap.id, GapState::Open, None, Some(reason), None, now).await?;
    Ok(())
}

fn job_for(context: &Context, gap: &GapRow, now: Timestamp) -> Option<NewJob> {
    let (kind, subject) = match (&gap.key, gap.kind) {
        (Some(key), _) => (JobKind::Reread, key.number.to_string()),
        (None, GapKind::CountMismatch) => {
            (JobKind::Backfill, format!("{} {} {}", gap.dataset, gap.window.start, gap.window.end))
        }
        (None, _) => return None,
    };
    Some(NewJob { kind, channel: context.channel.clone(), subject, reason: format!("gap_{}", gap.kind), run_at: now })
}

// Datasets with so many gaps that something else must be wrong. A first fill is no such thing: where we hold next to nothing, fetching can't harm.
fn mass_differences(context: &Context, sizes: &Sizes, open: &[GapRow], repairing: &[GapRow]) -> HashSet<Dataset> {
    let config = &context.config;
    let mut stopped = HashSet::new();
    for dataset in Dataset::ALL {
        let (mut gaps, mut missing) = (0u64, 0u64);
        for gap in open.iter().chain(repairing).filter(|gap| gap.dataset == dataset && gap.reason.is_none()) {
            gaps += 1;
            missing += u64::from(matches!(gap.kind, GapKind::MissingOrder | GapKind::MissingItem));
        }
        let (ours, theirs) = sizes.get(&dataset).copied().unwrap_or_default();
        let limit = (ours.max(theirs) as f64 * config.max_repair_share) as u64;
        let first_fill = missing == gaps && ours.saturating_mul(100) < theirs;
        if gaps > limit.max(config.repair_share_floor) && !first_fill {
            let channel = context.channel.to_string();
            metrics::counter!("gateway_reconcile_mass_difference_total", "channel" => channel, "dataset" => dataset.as_str())
                .increment(1);
            tracing::warn!(
                channel = %context.channel, %dataset, gaps, ours, theirs,
                "mass difference: nothing is repaired automatically until a person has looked"
            );
            stopped.insert(dataset);
        }
    }
    stopped
}
