//! The delivery row.

use super::Result;
use super::column::{Cells, Columns};
use crate::DeliveryRow;
use gateway_model::{CommandId, DeliveryId, RawId};

/// A row with what only the store needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredDelivery {
    /// The row.
    pub(crate) row: DeliveryRow,
    /// The version of the projection that the item's digest was made with.
    pub(crate) projection_version: u32,
}

/// Reads the columns of `queries/delivery/*.sql`.
pub(crate) fn read_delivery<R: Cells>(columns: &mut Columns<'_, R>) -> Result<StoredDelivery> {
    let mut row = DeliveryRow {
        id: DeliveryId(columns.int()?),
        order_id: columns.order_id()?,
        destination: columns.id()?,
        from: columns.id()?,
        operation: columns.word()?,
        dataset: columns.word()?,
        part: columns.word()?,
        round: columns.small()?,
        raw_id: RawId(columns.int()?),
        command_id: columns.maybe_uuid()?.map(CommandId),
        state: columns.word()?,
        generation: columns.small()?,
        attempts: columns.small()?,
        unanswered: columns.flag()?,
        next_attempt_at: columns.time()?,
        created_at: columns.time()?,
        first_sent_at: columns.maybe_time()?,
        last_attempt_ended_at: columns.maybe_time()?,
        item: columns.maybe_json()?,
        ask_by: None,
        receipt: None,
        reason_code: None,
        reason: None,
    };
    let projection_version = columns.small()?;
    row.ask_by = columns.maybe_word()?;
    row.receipt = columns.maybe_json()?;
    row.reason_code = columns.maybe_string()?;
    row.reason = columns.maybe_string()?;
    Ok(StoredDelivery { row, projection_version })
}
