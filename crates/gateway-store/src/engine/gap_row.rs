//! The gap row, and which steps a gap may take.

use super::Result;
use super::column::{Cells, Columns};
use crate::{GapRow, NewGap, StoreError};
use gateway_model::{DeliveryId, GapEvidence, GapGroupId, GapId, GapState, ItemKey, Timestamp, Window};

/// Reads the columns of `queries/gap/*.sql`.
pub(crate) fn read_gap<R: Cells>(row: &R) -> Result<GapRow> {
    let mut columns = Columns::of("gap", row);
    let id = GapId(columns.int()?);
    let channel = columns.id()?;
    let dataset = columns.word()?;
    let kind = columns.word()?;
    let state = columns.word()?;
    let (number, day, part) = (columns.maybe_id()?, columns.maybe_word()?, columns.maybe_word()?);
    let key = match (number, day, part) {
        (Some(number), Some(day), Some(part)) => Some(ItemKey { dataset, number, day, part }),
        (None, None, None) => None,
        _ => return Err(StoreError::damaged(format!("gap {id} has half a key"))),
    };
    Ok(GapRow {
        id,
        channel,
        dataset,
        kind,
        state,
        key,
        window: Window::new(columns.time()?, columns.time()?),
        delivery_id: columns.maybe_int()?.map(DeliveryId),
        evidence: GapEvidence {
            theirs: columns.maybe_digest()?,
            ours: columns.maybe_digest()?,
            as_of: columns.time()?,
            compared_at: columns.time()?,
        },
        generation: columns.small()?,
        first_seen_at: columns.time()?,
        opened_at: columns.maybe_time()?,
        repair_started_at: columns.maybe_time()?,
        ended_at: columns.maybe_time()?,
        reason: columns.maybe_string()?,
        by: columns.maybe_string()?,
        group_id: columns.maybe_int()?.map(GapGroupId),
        detail: columns.maybe_string()?,
    })
}

/// The refusal of a step from where the gap stands.
pub(crate) fn wrong_state(gap: &GapRow) -> StoreError {
    StoreError::WrongState { what: "gap", id: gap.id.to_string(), state: gap.state.to_string() }
}

/// Moves the gap on, with the times that belong to the step.
pub(crate) fn step(gap: &mut GapRow, to: GapState, at: Timestamp) -> Result<()> {
    use GapState::{Closed, Open, Repairing, Suspected, Waived};
    let allowed = match gap.state {
        Suspected => matches!(to, Open),
        Open | Repairing => matches!(to, Open | Repairing | Closed | Waived),
        Waived => matches!(to, Open | Closed),
        Closed => false,
    };
    if !allowed {
        return Err(wrong_state(gap));
    }
    gap.state = to;
    gap.ended_at = None;
    match to {
        Suspected => {}
        Open => gap.opened_at = gap.opened_at.or(Some(at)),
        Repairing => {
            gap.generation += 1;
            gap.repair_started_at = Some(at);
        }
        Closed | Waived => gap.ended_at = Some(at),
    }
    Ok(())
}

/// A new suspicion.
pub(crate) fn suspected(id: GapId, gap: &NewGap) -> GapRow {
    GapRow {
        id,
        channel: gap.channel.clone(),
        dataset: gap.dataset,
        kind: gap.kind,
        state: GapState::Suspected,
        key: gap.key.clone(),
        window: gap.window,
        delivery_id: gap.delivery_id,
        evidence: gap.evidence,
        generation: 0,
        first_seen_at: gap.at,
        opened_at: None,
        repair_started_at: None,
        ended_at: None,
        reason: None,
        by: None,
        group_id: None,
        detail: gap.detail.clone(),
    }
}
