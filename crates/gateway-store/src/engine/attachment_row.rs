//! Attachments, read back.

use super::column::{Cells, Columns};
use crate::{AttachmentRow, StoreError};
use gateway_model::{AttachmentId, AttachmentState, ChannelId, RawId};

type Result<T> = std::result::Result<T, StoreError>;

/// The columns of `attachment/get`.
pub(crate) fn attachment<R: Cells>(row: &R) -> Result<AttachmentRow> {
    let mut columns = Columns::of("attachment", row);
    let id: [u8; 16] = columns.bytes()?.try_into().map_err(|_| StoreError::damaged("attachment, column 0 is no id"))?;
    Ok(AttachmentRow {
        id: AttachmentId(id),
        order_id: columns.order_id()?,
        channel: columns.id()?,
        reference: columns.string()?,
        raw_id: RawId(columns.int()?),
        state: columns.word()?,
        digest: columns.maybe_digest()?,
        size_bytes: columns.count()?,
        media_type: columns.maybe_string()?,
        attempts: columns.small()?,
        error: columns.maybe_string()?,
        owed_at: columns.time()?,
        fetched_at: columns.maybe_time()?,
        fetch_at: columns.maybe_time()?,
    })
}

/// The columns of `attachment/tally`.
pub(crate) fn tally<R: Cells>(row: &R) -> Result<(ChannelId, AttachmentState, u64)> {
    let mut columns = Columns::of("attachment", row);
    Ok((columns.id()?, columns.word()?, columns.count()?))
}
