//! What a move reads of this engine: its columns, its rows by key, and the ids it has given.

use super::{Result, SqliteStore, schema};
use crate::StoreError;
use crate::carry::{Cell, Kind, Row, Shape};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};
use std::ops::DerefMut;

impl SqliteStore {
    /// A connection that only reads.
    pub(crate) async fn lend(&self) -> Result<impl DerefMut<Target = SqliteConnection> + '_> {
        self.readers.lend().await
    }

    /// Every table there is.
    pub(crate) async fn table_names(&self) -> Result<Vec<String>> {
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        Ok(sqlx::query_scalar(names).fetch_all(&mut *self.readers.lend().await?).await?)
    }

    /// A table's columns with their types.
    pub(crate) async fn columns(&self, table: &str) -> Result<Vec<(String, String)>> {
        let columns = "SELECT name, type FROM pragma_table_info($1) ORDER BY cid";
        Ok(sqlx::query_as(columns).bind(table).fetch_all(&mut *self.readers.lend().await?).await?)
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, shape: &Shape) -> Result<u64> {
        let text = format!("SELECT count(*) FROM {}", shape.table.name);
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut *self.readers.lend().await?).await?;
        Ok(count.unsigned_abs())
    }

    /// The largest id ever given of each table that gives none again.
    pub(crate) async fn given_ids(&self) -> Result<Vec<(String, i64)>> {
        Ok(sqlx::query_as("SELECT name, seq FROM sqlite_sequence ORDER BY name")
            .fetch_all(&mut *self.readers.lend().await?)
            .await?)
    }

    /// Channel, dataset and newest projection version of every part of the book.
    pub(crate) async fn book_parts(&self) -> Result<Vec<(String, String, i64)>> {
        Ok(sqlx::query_as(sql!("moving/book_parts")).fetch_all(&mut *self.readers.lend().await?).await?)
    }

    /// The newest migration.
    pub(crate) fn newest_migration() -> i64 {
        schema::newest()
    }
}

/// Rows in the order of their key, after one where it is given.
pub(crate) fn rows<'c>(
    connection: &'c mut SqliteConnection,
    shape: &Shape,
    after: &[Cell],
) -> BoxStream<'c, Result<Row>> {
    let mut query = sqlx::query(AssertSqlSafe(shape.select(!after.is_empty(), |_| "?".to_owned())));
    for cell in after {
        query = match cell.clone() {
            Cell::Null => query.bind(None::<i64>),
            Cell::Int(value) => query.bind(value),
            Cell::Text(text) => query.bind(text),
            Cell::Bytes(bytes) => query.bind(bytes),
        };
    }
    let kinds: Vec<Kind> = shape.columns.iter().map(|column| column.kind).collect();
    let name = shape.table.name;
    let rows = query.fetch(connection).map_err(StoreError::from);
    rows.map(move |row| read(name, &kinds, &row?)).boxed()
}

fn read(table: &'static str, kinds: &[Kind], row: &SqliteRow) -> Result<Row> {
    let cell = |(at, kind): (usize, &Kind)| {
        Ok(match kind {
            Kind::Int => row.try_get::<Option<i64>, _>(at)?.map_or(Cell::Null, Cell::Int),
            Kind::Text => row.try_get::<Option<String>, _>(at)?.map_or(Cell::Null, Cell::Text),
            Kind::Bytes | Kind::Uuid => row.try_get::<Option<Vec<u8>>, _>(at)?.map_or(Cell::Null, Cell::Bytes),
        })
    };
    let read: std::result::Result<Row, sqlx::Error> = kinds.iter().enumerate().map(cell).collect();
    read.map_err(|source| StoreError::Damaged {
        what: format!("a row of {table} can't be read"),
        source: Some(Box::new(source)),
    })
}
