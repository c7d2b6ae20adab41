//! How the embedded engine keeps cells: an id as its 16 bytes.

use crate::engine::column::Cells;
pub(super) use crate::engine::column::{from_ms, to_ms};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// A row, read column by column.
pub(super) type Columns<'r> = crate::engine::column::Columns<'r, SqliteRow>;

impl Cells for SqliteRow {
    fn int(&self, at: usize) -> sqlx::Result<Option<i64>> {
        self.try_get(at)
    }

    fn truth(&self, at: usize) -> sqlx::Result<Option<bool>> {
        Ok(Cells::int(self, at)?.map(|value| value != 0))
    }

    fn text(&self, at: usize) -> sqlx::Result<Option<&str>> {
        self.try_get(at)
    }

    fn bytes(&self, at: usize) -> sqlx::Result<Option<&[u8]>> {
        self.try_get(at)
    }

    fn uuid(&self, at: usize) -> sqlx::Result<Option<uuid::Uuid>> {
        let bytes = Cells::bytes(self, at)?;
        bytes.map(uuid::Uuid::from_slice).transpose().map_err(|source| sqlx::Error::Decode(source.into()))
    }
}
