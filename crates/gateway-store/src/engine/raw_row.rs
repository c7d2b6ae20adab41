//! The raw record row.

use super::Result;
use super::column::{Cells, Columns};
use crate::{RawMeta, RawRow};
use gateway_model::RawId;

/// Reads the columns id, channel, origin, number, received_at, read_at, topic, partition, bus_offset, body.
pub(crate) fn read_raw<R: Cells>(columns: &mut Columns<'_, R>) -> Result<RawRow> {
    Ok(RawRow {
        id: RawId(columns.int()?),
        meta: RawMeta {
            channel: columns.id()?,
            origin: columns.word()?,
            number: columns.maybe_id()?,
            received_at: columns.time()?,
            read_at: columns.time()?,
            topic: columns.string()?,
            partition: columns.small()?,
            offset: columns.count()?,
        },
        body: columns.maybe_bytes()?,
    })
}
