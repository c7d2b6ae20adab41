//! The rows of a work order: itself, its numbers, its facets and its events.

use super::Result;
use super::column::{Cells, Columns};
use crate::WorkOrderRow;
use gateway_model::{EventRow, FacetRow, OrderNumber, RawId, Revision};

/// Reads the columns of `queries/work_order/*.sql`.
pub(crate) fn read_order<R: Cells>(columns: &mut Columns<'_, R>) -> Result<WorkOrderRow> {
    Ok(WorkOrderRow {
        id: columns.order_id()?,
        seq: columns.count()?,
        feed_seq: columns.count()?,
        created_at: columns.time()?,
        changed_at: columns.time()?,
        state: columns.maybe_word()?,
        round: columns.small()?,
        fields: columns.json()?,
        conflicts: columns.json()?,
    })
}

/// Reads the columns channel, number, day.
pub(crate) fn read_number<R: Cells>(columns: &mut Columns<'_, R>) -> Result<OrderNumber> {
    Ok(OrderNumber { channel: columns.id()?, number: columns.id()?, day: columns.word()? })
}

/// Reads the columns of `queries/facet/of.sql`.
pub(crate) fn read_facet<R: Cells>(columns: &mut Columns<'_, R>) -> Result<FacetRow> {
    Ok(FacetRow {
        channel: columns.id()?,
        dataset: columns.word()?,
        part: columns.word()?,
        revision: columns.maybe_int()?.map(Revision),
        revision_doubtful: columns.flag()?,
        event_time: columns.moment()?,
        digest: columns.digest()?,
        content_hash: columns.hash()?,
        echo: columns.flag()?,
        fields: columns.json()?,
        unmapped: columns.json()?,
        read_at: columns.time()?,
        received_at: columns.time()?,
        raw_id: RawId(columns.int()?),
        gone_at: columns.maybe_time()?,
    })
}

/// Reads the columns of `queries/order_event/of.sql`.
pub(crate) fn read_event<R: Cells>(columns: &mut Columns<'_, R>) -> Result<EventRow> {
    Ok(EventRow {
        channel: columns.id()?,
        dataset: columns.word()?,
        part: columns.word()?,
        revision: columns.maybe_int()?.map(Revision),
        event_time: columns.moment()?,
        digest: columns.digest()?,
        content_hash: columns.hash()?,
        echo: columns.flag()?,
        fields: columns.json()?,
        read_at: columns.time()?,
        received_at: columns.time()?,
        raw_id: RawId(columns.int()?),
        gone_at: columns.maybe_time()?,
    })
}
