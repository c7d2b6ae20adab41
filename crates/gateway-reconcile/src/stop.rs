//! Mass differences: a dataset of which too large a share differs is repaired no further until a person has answered.
//!
//! A restored backup, a wrong channel or a changed digest make everything differ at once, and repairing all of it by itself could destroy what is
//! right. The stop is a row of the store: it survives a restart, is shown, and ends when a person approves or the difference is gone.

use crate::error::ReconcileError;
use crate::memory::Memory;
use crate::tour::Context;
use gateway_model::{Dataset, GapKind};
use gateway_store::{GapRow, RepairStop};
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// Brings the stops of the channel up to date; returns the datasets of which nothing may be repaired by itself.
pub(crate) async fn stopped(
    context: &Context,
    memory: &Memory,
    unfinished: &[&GapRow],
) -> Result<HashSet<Dataset>, ReconcileError> {
    // Only who holds the lease stops anything: what was seen to be free of stops stays so until something differs.
    if unfinished.is_empty() && !context.may_have_stops.load(Ordering::Relaxed) {
        return Ok(HashSet::new());
    }
    let held = context.store.repair_stops().await?;
    let held = held.into_iter().filter(|stop| stop.channel == context.channel);
    let mut stops: Vec<RepairStop> = Vec::new();
    for stop in held {
        if unfinished.iter().any(|gap| gap.dataset == stop.dataset) {
            stops.push(stop);
            continue;
        }
        tracing::info!(channel = %context.channel, dataset = %stop.dataset, "the mass difference is gone");
        context.writer().end_repair_stop(&context.channel, stop.dataset).await?;
    }
    for dataset in Dataset::ALL {
        if stops.iter().any(|stop| stop.dataset == dataset) {
            continue;
        }
        if let Some(stop) = mass_difference(context, memory, unfinished, dataset) {
            context.writer().stop_repair(&stop).await?;
            stops.push(stop);
        }
    }
    context.may_have_stops.store(!stops.is_empty(), Ordering::Relaxed);
    Ok(stops.iter().filter(|stop| stop.is_waiting()).map(|stop| stop.dataset).collect())
}

// So many gaps that something else must be wrong. A first fill is no such thing: where we hold next to nothing, fetching can't harm.
fn mass_difference(context: &Context, memory: &Memory, unfinished: &[&GapRow], dataset: Dataset) -> Option<RepairStop> {
    let config = &context.config;
    let (mut gaps, mut missing) = (0u64, 0u64);
    for gap in unfinished.iter().filter(|gap| gap.dataset == dataset && gap.reason.is_none()) {
        gaps += 1;
        missing += u64::from(matches!(gap.kind, GapKind::MissingOrder | GapKind::MissingItem));
    }
    let (ours, theirs) = memory.sizes.get(&dataset).copied().unwrap_or_default();
    let limit = (ours.max(theirs) as f64 * config.max_repair_share) as u64;
    let first_fill = missing == gaps && ours.saturating_mul(100) < theirs;
    if gaps <= limit.max(config.repair_share_floor) || first_fill {
        return None;
    }
    let channel = context.channel.to_string();
    metrics::counter!("gateway_reconcile_mass_difference_total", "channel" => channel, "dataset" => dataset.as_str())
        .increment(1);
    tracing::warn!(
        channel = %context.channel, %dataset, gaps, ours, theirs,
        "mass difference: nothing is repaired automatically until a person has answered"
    );
    Some(RepairStop {
        channel: context.channel.clone(),
        dataset,
        since: context.now(),
        gaps,
        ours,
        theirs,
        approved_at: None,
        approved_by: None,
    })
}
