//! Repairs: read the order again, or send again. Never more at once than a mistake could afford.
//!
//! A repair is asked for first and written down afterwards: both ways of repairing are idempotent, so a crash in between costs one more read,
//! while the other order would lose a generation. Repairs are `job` rows and delivery generations; whoever runs them keeps the channel's pace.

use crate::asked::AskedRepairs;
use crate::classify::{Sent, sent_by};
use crate::compare::Difference;
use crate::config::later;
use crate::error::ReconcileError;
use crate::memory::Memory;
use crate::stop::stopped;
use crate::tour::Context;
use gateway_connector::profile::AnswerClass;
use gateway_model::{DeliveryState, GapKind, GapState, RepairStep, Timestamp};
use gateway_store::{DeliveryRow, GapRow, JobKind, NewJob, StoreError};

/// Begins the repairs of open gaps: those asked for, and the rest as far as that is allowed. Returns how many began.
pub(crate) async fn repair_open(
    context: &Context,
    memory: &mut Memory,
    asked: &mut AskedRepairs<'_>,
) -> Result<usize, ReconcileError> {
    let active = context.active_gaps().await?;
    let unfinished: Vec<&GapRow> =
        active.iter().filter(|gap| gap.state != GapState::Suspected && gap.kind.is_compared()).collect();
    let open: Vec<&GapRow> = unfinished.iter().copied().filter(|gap| gap.state == GapState::Open).collect();
    let stopped = stopped(context, memory, &unfinished).await?;
    let automatic = |gap: &GapRow| {
        context.config.auto_repair
            && gap.reason.is_none()
            && gap.generation < context.config.max_generations
            && !stopped.contains(&gap.dataset)
    };
    let repairable = || open.iter().copied().filter(|gap| gap.kind != GapKind::ManifestUnreliable);
    let by_hand: Vec<&GapRow> = repairable().filter(|gap| asked.gaps.contains(&gap.id)).collect();
    // Asked for in the mass, they come first and keep to what live traffic allows, as those that come by themselves.
    let in_mass = |gap: &GapRow| gap.group_id.is_some_and(|group| asked.groups.wants(group, gap.id));
    let others = || repairable().filter(|gap| !asked.gaps.contains(&gap.id));
    let mut waiting: Vec<&GapRow> = others().filter(|gap| in_mass(gap)).collect();
    waiting.extend(others().filter(|gap| !in_mass(gap) && automatic(gap)));
    // What was sent is sent again in its order: a reply before its signing would be refused.
    waiting.sort_by_key(|gap| {
        let number = gap.key.as_ref().map(|key| key.number.clone());
        gap.delivery_id.filter(|_| gap.kind.was_sent()).map(|delivery| (number, delivery))
    });
    let room = if waiting.is_empty() { 0 } else { room(context, memory).await? };
    waiting.truncate(room);
    let mut began = 0;
    for gap in by_hand.into_iter().chain(waiting) {
        asked.groups.begun(gap);
        began += usize::from(repair(context, gap).await?);
    }
    asked.groups.settle(&open);
    memory.spending.repaired(began as u64, context.now());
    Ok(began)
}

// How many repairs may begin by themselves now. Live traffic goes first: while reads or deliveries of the channel wait already, none.
async fn room(context: &Context, memory: &Memory) -> Result<usize, ReconcileError> {
    let config = &context.config;
    let now = context.now();
    let waiting = context.store.job_tallies().await?;
    let reads: u64 = waiting
        .iter()
        .filter(|(kind, channel, _)| *channel == context.channel && matches!(kind, JobKind::Reread | JobKind::Backfill))
        .map(|(_, _, count)| count)
        .sum();
    let due = context.store.next_due(&context.channel).await?;
    let late = due.is_some_and(|due| now > later(due, config.delivery_wait_max_ms));
    let paused = late || reads >= config.repairs_waiting_max;
    metrics::gauge!("gateway_reconcile_repairs_paused", "channel" => context.channel.to_string()).set(if paused {
        1.0
    } else {
        0.0
    });
    if paused {
        tracing::info!(channel = %context.channel, reads, deliveries_late = late, "repairs wait: live traffic goes first");
        return Ok(0);
    }
    let left = memory.spending.repairs_left(now, config).min(config.repairs_waiting_max - reads);
    Ok(config.repairs_per_round.min(usize::try_from(left).unwrap_or(usize::MAX)))
}

/// Begins a repair: the next generation of the gap. `false` when the gap was left as it is, or to a person.
pub(crate) async fn repair(context: &Context, gap: &GapRow) -> Result<bool, ReconcileError> {
    let now = context.now();
    let step = gap.kind.repair_step(gap.generation, gap.key.is_some(), gap.delivery_id.is_some());
    let sent = match gap.delivery_id.filter(|_| step == RepairStep::SendAgain) {
        Some(delivery) => context.store.delivery(delivery).await?,
        None => None,
    };
    if sent.as_ref().is_some_and(|row| row.state.is_in_flight()) {
        return Ok(false);
    }
    // A destination that does not know the order would refuse it for ever: its record tells whether the order is gone.
    let unknown = sent.as_ref().is_some_and(was_unknown);
    let step = if unknown { RepairStep::ReadAgain } else { step };
    if let Some(delivery) = sent.map(|row| row.id).filter(|_| !unknown) {
        match context.writer().redeliver(delivery, now).await {
            Ok(()) => {}
            Err(StoreError::WrongState { state, .. }) => {
                let reason = format!("the delivery can't be sent again: it is {state}");
                leave(context, gap, &reason, now).await?;
                return Ok(false);
            }
            Err(error @ StoreError::Archived { .. }) => {
                leave(context, gap, &error.to_string(), now).await?;
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
        let Some(job) = job_for(context, gap, step, now) else { return Ok(false) };
        context.writer().enqueue(&[job]).await?;
    }
    context.move_gap(gap.id, GapState::Repairing, None, None, now).await?;
    let channel = context.channel.to_string();
    metrics::counter!("gateway_reconcile_repairs_total", "channel" => channel, "kind" => gap.kind.as_str())
        .increment(1);
    tracing::info!(channel = %context.channel, gap = %gap.id, kind = %gap.kind, generation = gap.generation + 1, "repair begun");
    Ok(true)
}

/// Asks for the order of a gap to be read again.
pub(crate) async fn read_again(context: &Context, gap: &GapRow) -> Result<(), ReconcileError> {
    let job = job_for(context, gap, RepairStep::ReadAgain, context.now());
    Ok(context.writer().enqueue(&job.into_iter().collect::<Vec<_>>()).await?)
}

/// Whether the destination refused a delivery because it does not know the order.
pub(crate) fn was_unknown(delivery: &DeliveryRow) -> bool {
    delivery.state == DeliveryState::Rejected
        && delivery.reason_code.as_deref() == Some(AnswerClass::UnknownOrder.as_str())
}

/// Leaves a gap to a person, saying why.
pub(crate) async fn leave(context: &Context, gap: &GapRow, reason: &str, now: Timestamp) -> Result<(), ReconcileError> {
    if gap.state == GapState::Open && gap.reason.as_deref() == Some(reason) {
        return Ok(());
    }
    tracing::warn!(channel = %context.channel, gap = %gap.id, kind = %gap.kind, "left to a person: {reason}");
    context.move_gap(gap.id, GapState::Open, None, Some(reason), now).await
}

fn job_for(context: &Context, gap: &GapRow, step: RepairStep, now: Timestamp) -> Option<NewJob> {
    let (kind, subject) = match (step, &gap.key) {
        (RepairStep::ReadAgain, Some(key)) => (JobKind::Reread, key.number.to_string()),
        (RepairStep::FetchAgain, _) => {
            (JobKind::Backfill, format!("{} {} {}", gap.dataset, gap.window.start, gap.window.end))
        }
        _ => return None,
    };
    Some(NewJob { kind, channel: context.channel.clone(), subject, reason: format!("gap_{}", gap.kind), run_at: now })
}
