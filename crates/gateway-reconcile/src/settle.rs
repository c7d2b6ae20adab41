//! Dead letters that a whole comparison proves harmless.
//!
//! A dead letter is a record that we could not read. What it said was either read again since, or is missing; if a whole comparison that began
//! after it finds nothing missing, the letter has nothing left to tell. Refused: settling letters by their code; a letter is settled by proof.

use crate::config::later;
use crate::error::ReconcileError;
use crate::sweep::{Scope, Sweep};
use crate::tour::Context;
use gateway_model::{DeadLetterId, GapId, GapKind, GapState, Timestamp, format_china};
use gateway_store::{DeadLetterFilter, DeadLetterRow, DeadLetterState, GapRow};
use std::collections::HashSet;

/// A whole comparison whose every difference must still turn out to have been lateness.
pub(crate) struct Settling {
    started_at: Timestamp,
    waiting: HashSet<GapId>,
}

impl Settling {
    /// What a finished sweep is good for: nothing, when an account contradicted itself.
    pub(crate) fn of(sweep: &Sweep) -> Option<Self> {
        (sweep.scope == Scope::Whole && !sweep.doubted)
            .then(|| Self { started_at: sweep.started_at, waiting: sweep.saw.clone() })
    }
}

/// What is not over yet at a channel.
#[derive(Debug, Default, Clone)]
pub(crate) struct Unrest {
    pub(crate) suspected: HashSet<GapId>,
    pub(crate) open: usize,
    pub(crate) repairing: usize,
}

impl Unrest {
    pub(crate) fn of(active: &[GapRow]) -> Self {
        // A picture that its platform lost stays missing, and says nothing of whether the records agree.
        let of_records = |gap: &&GapRow| gap.kind != GapKind::AttachmentMissing;
        let in_state = |state| active.iter().filter(of_records).filter(move |gap| gap.state == state);
        Self {
            suspected: in_state(GapState::Suspected).map(|gap| gap.id).collect(),
            open: in_state(GapState::Open).count(),
            repairing: in_state(GapState::Repairing).count(),
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.suspected.is_empty() && self.open == 0 && self.repairing == 0
    }

    pub(crate) fn active(&self) -> usize {
        self.suspected.len() + self.open + self.repairing
    }
}

/// The oldest open dead letters of the channel.
async fn open_letters(context: &Context) -> Result<Vec<DeadLetterRow>, ReconcileError> {
    let filter = DeadLetterFilter {
        channel: Some(context.channel.clone()),
        state: Some(DeadLetterState::Open),
        ..DeadLetterFilter::default()
    };
    Ok(context.store.dead_letters(&filter, 1_000).await?)
}

/// When the newest of them came.
pub(crate) async fn newest_letter(context: &Context) -> Result<Option<Timestamp>, ReconcileError> {
    Ok(open_letters(context).await?.iter().map(|letter| letter.at).max())
}

/// Whether a comparison that begins at this time can speak for a letter.
fn is_covered(letter: &DeadLetterRow, started_at: Timestamp, allowance_ms: u64) -> bool {
    later(letter.at, allowance_ms) <= started_at
}

/// Settles what a comparison proves. Returns the comparison while it still waits for second looks.
pub(crate) async fn settle(
    context: &Context,
    mut settling: Settling,
    unrest: &Unrest,
    allowance_ms: u64,
) -> Result<Option<Settling>, ReconcileError> {
    if unrest.open > 0 || unrest.repairing > 0 {
        return Ok(None);
    }
    settling.waiting.retain(|id| unrest.suspected.contains(id));
    if !settling.waiting.is_empty() {
        return Ok(Some(settling));
    }
    let letters = open_letters(context).await?;
    let covered = letters.iter().filter(|letter| is_covered(letter, settling.started_at, allowance_ms));
    let ids: Vec<DeadLetterId> = covered.map(|letter| letter.id).collect();
    if !ids.is_empty() {
        let reason = format!("whole comparison of {} in step", format_china(settling.started_at));
        let settled =
            context.writer().settle_dead_letters(&ids, DeadLetterState::Waived, &reason, context.now()).await?;
        tracing::info!(channel = %context.channel, settled, "dead letters settled: {reason}");
    }
    Ok(None)
}
