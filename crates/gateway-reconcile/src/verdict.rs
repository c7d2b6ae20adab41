//! What a look at a suspicion or a gap means. Pure.
//!
//! A suspicion opens only when a newer account of the channel shows the very same difference; anything else begins anew or is forgotten. A gap
//! closes only when an account newer than the one that confirmed it agrees with what we hold now.

use crate::compare::{in_step, same_item};
use crate::config::{ReconcileConfig, later};
use crate::repair::was_unknown;
use gateway_model::{BookItem, DeliveryState, GapEvidence, GapKind, GapState, Timestamp};
use gateway_store::{DeliveryRow, GapRow, StoredItem};

/// What a look saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// What the channel holds under the gap's key.
    pub(crate) theirs: Option<BookItem>,
    /// What our book holds under it.
    pub(crate) ours: Option<StoredItem>,
    /// The delivery, where we sent it.
    pub(crate) delivery: Option<DeliveryRow>,
    /// What the channel holds under the key that the delivery has now; a repeated event has another one.
    pub(crate) delivered: Option<BookItem>,
    /// Whether our book holds the order at all; one that the channel, asked by number, does not have leaves it.
    pub(crate) order_known: bool,
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Wait,
    /// The difference is gone.
    Forget,
    /// It is another difference now: the suspicion begins anew.
    Again,
    /// Confirmed.
    Open,
    /// Verified, or ended otherwise for this reason.
    Close(Option<String>),
    /// The next repair.
    Repair,
    /// Left to a person.
    Leave(String),
}

/// Whether an account is new enough for a second look: made after the first look, or, where the clocks differ, later on the channel's
/// own clock by the whole lateness allowance (which exceeds the age that an account may have).
pub(crate) fn is_fresh(first: &GapEvidence, as_of: Timestamp, allowance_ms: u64) -> bool {
    as_of > first.as_of && (as_of > first.compared_at || as_of >= later(first.as_of, allowance_ms))
}

/// A suspicion at its second look.
pub(crate) fn second_look(gap: &GapRow, seen: &Seen, as_of: Timestamp, allowance_ms: u64) -> Verdict {
    if !is_fresh(&gap.evidence, as_of, allowance_ms) {
        return Verdict::Wait;
    }
    if in_step(seen.theirs.as_ref(), seen.ours.as_ref()) {
        return Verdict::Forget;
    }
    let theirs = seen.theirs.as_ref().map(|item| item.digest);
    let ours = seen.ours.as_ref().map(|held| held.item.digest);
    if theirs == gap.evidence.theirs && ours == gap.evidence.ours { Verdict::Open } else { Verdict::Again }
}

/// An open gap, or one under repair, at a later look.
pub(crate) fn verify(gap: &GapRow, seen: &Seen, as_of: Timestamp, now: Timestamp, config: &ReconcileConfig) -> Verdict {
    if as_of <= gap.evidence.as_of {
        return Verdict::Wait;
    }
    let verdict = if gap.kind.was_sent() { verify_sent(gap, seen, config) } else { verify_held(gap, seen) };
    if let Some(verdict) = verdict {
        return verdict;
    }
    unrepaired(gap, now, config)
}

/// A gap whose difference is still there.
pub(crate) fn unrepaired(gap: &GapRow, now: Timestamp, config: &ReconcileConfig) -> Verdict {
    let started = gap.repair_started_at.unwrap_or(now);
    // Repairs come ever farther apart: what has to come first may itself be waiting to be found.
    let patience = config.repair_patience_ms.saturating_mul(1 << gap.generation.saturating_sub(1).min(6));
    if gap.state != GapState::Repairing || now < later(started, patience) {
        Verdict::Wait
    } else if gap.generation < config.max_generations {
        Verdict::Repair
    } else {
        Verdict::Leave(gave_up(gap))
    }
}

fn verify_held(gap: &GapRow, seen: &Seen) -> Option<Verdict> {
    let ours = seen.ours.as_ref().map(|held| held.item.digest);
    // The source may have changed it again meanwhile; what was missing then has come, and the rest is another difference.
    let caught_up =
        gap.evidence.theirs.is_some() && gap.evidence.theirs != gap.evidence.ours && ours == gap.evidence.theirs;
    (caught_up || in_step(seen.theirs.as_ref(), seen.ours.as_ref())).then_some(Verdict::Close(None))
}

fn verify_sent(gap: &GapRow, seen: &Seen, config: &ReconcileConfig) -> Option<Verdict> {
    // Nothing on both sides is no agreement: a repair takes our item out of the book until it is acknowledged anew.
    if let (Some(theirs), Some(ours)) = (&seen.theirs, &seen.ours)
        && same_item(theirs, &ours.item)
    {
        return Some(Verdict::Close(None));
    }
    let delivery = seen.delivery.as_ref()?;
    if delivery.state.is_in_flight() {
        return Some(Verdict::Wait);
    }
    let stands = match (&delivery.item, &seen.delivered) {
        (Some(sent), Some(theirs)) => same_item(theirs, sent),
        _ => false,
    };
    match delivery.state {
        _ if stands => Some(Verdict::Close(None)),
        DeliveryState::Superseded => {
            Some(Verdict::Close(Some("the delivery was superseded by a newer one".to_owned())))
        }
        DeliveryState::Waived => Some(Verdict::Close(Some("the delivery was waived".to_owned()))),
        DeliveryState::Rejected if was_unknown(delivery) && !seen.order_known => Some(Verdict::Close(Some(
            "the order is gone at the destination, which was asked for it by number".to_owned(),
        ))),
        // What has to come before it in its order may have been sent again only afterwards.
        DeliveryState::Rejected if gap.generation > 0 && gap.generation < config.max_generations => None,
        DeliveryState::Rejected | DeliveryState::DeadLettered if gap.generation > 0 => {
            let code = delivery.reason_code.as_deref().unwrap_or("no code");
            let text = delivery.reason.as_deref().unwrap_or("no reason given");
            Some(Verdict::Leave(format!("sent again, the delivery was {} ({code}): {text}", delivery.state)))
        }
        _ => None,
    }
}

fn gave_up(gap: &GapRow) -> String {
    let times = gap.generation;
    match gap.kind {
        GapKind::DeniedBySource => {
            format!(
                "the source denies it: the order was read again {times} times, and the source's account still lacks the item"
            )
        }
        GapKind::NotHeldByDestination | GapKind::HeldDifferently => {
            format!("after {times} repairs the destination's account still does not show what we sent")
        }
        _ => format!("after {times} repairs the accounts still differ"),
    }
}
