//! Looks at gaps of channels that can't name items: their windows' sums are compared again.

use crate::carry::{close, forget, open};
use crate::compare::Tally;
use crate::error::ReconcileError;
use crate::look::Looked;
use crate::repair::{leave, repair};
use crate::sweep::evidence_of;
use crate::tour::{Sums, Tour, total};
use crate::verdict::{Verdict, is_fresh, unrepaired};
use gateway_model::{Digest, GapEvidence, GapKind, GapState, Grain};
use gateway_store::GapRow;

/// Looks at those of the gaps that name no item.
pub(crate) async fn look_at_sums(
    tour: &mut Tour<'_>,
    looked: &mut Looked,
    finest: Grain,
    gaps: &[GapRow],
) -> Result<(), ReconcileError> {
    for gap in gaps.iter().filter(|gap| gap.kind == GapKind::CountMismatch) {
        if tour.is_half_spent() {
            break;
        }
        let steady = tour.steady_sums(gap.dataset, gap.window, finest).await?;
        let Ok(Some((theirs, as_of))) = steady else { continue };
        let ours = total(&tour.our_sums(gap.dataset, gap.window, finest).await?);
        let now = tour.context.now();
        looked.note(gap, None, now);
        let (theirs, ours) = match theirs {
            Sums::Buckets(buckets) => (evidence_of(total(&buckets)), evidence_of(ours)),
            Sums::Count(count) => (count_evidence(count), count_evidence(ours.count)),
        };
        let evidence = GapEvidence { theirs: Some(theirs), ours: Some(ours), as_of, compared_at: now };
        match (gap.state, theirs == ours) {
            (GapState::Suspected, true) => forget(tour, &[gap.id]).await?,
            (GapState::Suspected, false) => {
                if !is_fresh(&gap.evidence, as_of, tour.allowance_ms()) {
                    continue;
                }
                if gap.evidence.theirs == Some(theirs) && gap.evidence.ours == Some(ours) {
                    open(tour, &[(gap, evidence)]).await?;
                } else {
                    tour.context.suspect_again(gap.id, gap.kind, evidence).await?;
                }
            }
            (_, true) => close(tour, gap, None).await?,
            (_, false) => {
                if let Verdict::Repair = unrepaired(gap, now, &tour.context.config) {
                    repair(tour.context, gap).await?;
                } else if let Verdict::Leave(reason) = unrepaired(gap, now, &tour.context.config) {
                    leave(tour.context, gap, &reason, now).await?;
                }
            }
        }
    }
    Ok(())
}

fn count_evidence(count: u64) -> Digest {
    evidence_of(Tally { count, ..Tally::default() })
}
