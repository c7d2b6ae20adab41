//! How PostgreSQL keeps cells: an id as `uuid`.

use crate::engine::column::Cells;
pub(super) use crate::engine::column::{from_ms, to_ms};
use sqlx::Row;
use sqlx::postgres::PgRow;

/// A row, read column by column.
pub(super) type Columns<'r> = crate::engine::column::Columns<'r, PgRow>;

impl Cells for PgRow {
    fn int(&self, at: usize) -> sqlx::Result<Option<i64>> {
        self.try_get(at)
    }

    fn truth(&self, at: usize) -> sqlx::Result<Option<bool>> {
        self.try_get(at)
    }

    fn text(&self, at: usize) -> sqlx::Result<Option<&str>> {
        self.try_get(at)
    }

    fn bytes(&self, at: usize) -> sqlx::Result<Option<&[u8]>> {
        self.try_get(at)
    }

    fn uuid(&self, at: usize) -> sqlx::Result<Option<uuid::Uuid>> {
        self.try_get(at)
    }
}
