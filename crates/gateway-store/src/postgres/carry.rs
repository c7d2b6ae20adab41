//! What a move writes on this engine, and reads back to compare: pages of rows by `COPY`, each in one transaction with how far the move has come.

use super::batch::storable;
use super::transaction::Tx;
use super::{PostgresOptions, PostgresStore, Result, pool, refusal, schema};
use crate::StoreError;
use crate::carry::{Cell, CopyPage, Kind, Row, Shape};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gateway_model::{Grain, Timestamp};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A move as the target knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: uuid::Uuid,
    pub(crate) source_schema: i64,
    pub(crate) ended: bool,
}

/// How far a table has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Come {
    pub(crate) rows: u64,
    /// The last key, in JSON.
    pub(crate) after: Option<String>,
    pub(crate) whole: bool,
}

/// Why a database with half an installation is not opened.
pub(super) fn half_moved() -> StoreError {
    StoreError::Refused {
        code: "half_moved",
        what: "the database holds half of an installation that is being carried into it".into(),
        remedy:
            "run `hotline-gateway migrate-to` again, which goes on where it ended; or empty the database and begin anew"
                .into(),
    }
}

impl PostgresStore {
    /// Opens the store for a move into it: half an installation is no reason to refuse.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn open_to_move(options: PostgresOptions) -> Result<Self> {
        refusal::check_server(&options).await?;
        let store = Self { pool: pool(&options), limits: options.limits, months: Arc::default(), under: None };
        match schema::check_or_create(&store.pool).await {
            Ok(()) => Ok(store),
            Err(error) => {
                store.pool.close().await;
                Err(refusal::of_opening(error, &options))
            }
        }
    }

    /// Whether half an installation is here.
    pub(super) async fn is_half_moved(&self) -> Result<bool> {
        Ok(sqlx::query_scalar(sql!("moving/unfinished")).fetch_one(&self.pool).await?)
    }

    /// Every table there is, without partitions.
    pub(crate) async fn table_names(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(pg!("moving/tables")).fetch_all(&self.pool).await?)
    }

    /// A table's columns with their types.
    pub(crate) async fn columns(&self, table: &str) -> Result<Vec<(String, String)>> {
        Ok(sqlx::query_as(pg!("moving/columns")).bind(table).fetch_all(&self.pool).await?)
    }

    /// The moves that this store was the target of.
    pub(crate) async fn moves(&self) -> Result<Vec<Known>> {
        let rows: Vec<(uuid::Uuid, i64, Option<i64>)> =
            sqlx::query_as(sql!("moving/list")).fetch_all(&self.pool).await?;
        let known =
            |(id, source_schema, ended): (_, _, Option<i64>)| Known { id, source_schema, ended: ended.is_some() };
        Ok(rows.into_iter().map(known).collect())
    }

    /// Whether a table has a row.
    pub(crate) async fn has_rows(&self, shape: &Shape) -> Result<bool> {
        let text = format!("SELECT EXISTS (SELECT 1 FROM {})", shape.table.name);
        Ok(sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&self.pool).await?)
    }

    /// From here on this store is half of something.
    pub(crate) async fn begin_move(
        &self,
        id: uuid::Uuid,
        source_schema: i64,
        now: i64,
        tables: &[Shape],
    ) -> Result<()> {
        let mut tx = self.begin_write().await?;
        sqlx::query(sql!("moving/begin")).bind(id).bind(source_schema).bind(now).execute(&mut *tx).await?;
        for shape in tables {
            sqlx::query(sql!("moving_table/begin")).bind(shape.table.name).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// How far a table has come.
    pub(crate) async fn come(&self, shape: &Shape) -> Result<Come> {
        let found: Option<(i64, Option<String>, i64)> =
            sqlx::query_as(sql!("moving_table/get")).bind(shape.table.name).fetch_optional(&self.pool).await?;
        let (rows, after, whole) = found.ok_or_else(|| {
            StoreError::damaged(format!("the move into this store does not know table {}", shape.table.name))
        })?;
        Ok(Come { rows: rows.unsigned_abs(), after, whole: whole != 0 })
    }

    /// Writes a page and how far the table has come with it, in one transaction.
    pub(crate) async fn put_page(&self, shape: &Shape, page: CopyPage, from: Option<&str>, to: &str) -> Result<()> {
        let name = shape.table.name;
        let mut tx = self.begin_write().await?;
        let count = i64::try_from(page.rows).unwrap_or(i64::MAX);
        let advanced = sqlx::query(pg!("moving_table/advance"))
            .bind(name)
            .bind(from)
            .bind(count)
            .bind(to)
            .execute(&mut *tx)
            .await?;
        if advanced.rows_affected() != 1 {
            return Err(StoreError::Refused {
                code: "moved_by_another",
                what: format!("another process carries {name} into this store"),
                remedy: "let one end, and run the other again".into(),
            });
        }
        let statement = format!("COPY {name} ({}) FROM STDIN WITH (FORMAT binary)", shape.list());
        let copied = async {
            let mut copy = tx.copy_in_raw(&statement).await?;
            copy.send(page.into_bytes()).await?;
            copy.finish().await
        };
        match copied.await {
            Ok(_) => Ok(tx.commit().await?),
            Err(error) => match StoreError::from(error) {
                StoreError::Damaged { source, .. } => {
                    Err(StoreError::Damaged { what: format!("PostgreSQL does not take rows of {name}"), source })
                }
                other => Err(other),
            },
        }
    }

    /// Makes the partitions that rows at these times need.
    pub(crate) async fn make_months_of(&self, times: &BTreeSet<Timestamp>) -> Result<()> {
        let months = times.iter().map(|at| Grain::Month.bucket(*at).start).collect();
        self.make_months(&self.months.lacking(months)).await
    }

    /// A table's rows are all here.
    pub(crate) async fn end_table(&self, shape: &Shape) -> Result<()> {
        sqlx::query(sql!("moving_table/end")).bind(shape.table.name).execute(&self.pool).await?;
        Ok(())
    }

    /// Ids go on where the source's ended, and none is given again; what is known of the tables is renewed for the planner.
    pub(crate) async fn go_on_after(&self, given: &[(String, i64)]) -> Result<()> {
        let mut tx = self.begin_unhurried("BEGIN").await?;
        let identities: Vec<(String, String)> = sqlx::query_as(pg!("moving/identities")).fetch_all(&mut *tx).await?;
        let last = |table: &str| given.iter().find(|(name, _)| name == table).map_or(0, |(_, last)| *last);
        for (table, column) in &identities {
            let text = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), greatest(s.last, 1), s.last > 0)
                 FROM (SELECT greatest($1, (SELECT coalesce(max({column}), 0) FROM {table})) AS last) AS s"
            );
            sqlx::query(AssertSqlSafe(text)).bind(last(table)).execute(&mut *tx).await?;
        }
        for (name, last) in given.iter().filter(|(name, _)| !identities.iter().any(|(table, _)| table == name)) {
            sqlx::query(pg!("given_id/raise")).bind(name).bind(*last).execute(&mut *tx).await?;
        }
        sqlx::query("ANALYZE").execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// A transaction whose statements may take as long as a table does.
    pub(crate) async fn begin_unhurried(&self, begin: &'static str) -> Result<Tx> {
        let mut tx = self.pool.begin_with(begin).await?;
        sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
        Ok(tx)
    }

    /// The store is whole.
    pub(crate) async fn end_move(&self, id: uuid::Uuid, now: i64) -> Result<()> {
        sqlx::query(sql!("moving/end")).bind(id).bind(now).execute(&self.pool).await?;
        Ok(())
    }
}

/// Begins a look at everything as it is at one moment.
pub(crate) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// All rows in the order of their key.
pub(crate) fn rows<'c>(connection: &'c mut PgConnection, shape: &Shape) -> BoxStream<'c, Result<Row>> {
    let query = sqlx::query(AssertSqlSafe(shape.select(false, |at| format!("${at}"))));
    let kinds: Vec<Kind> = shape.columns.iter().map(|column| column.kind).collect();
    let name = shape.table.name;
    query.fetch(connection).map_err(StoreError::from).map(move |row| read(name, &kinds, &row?)).boxed()
}

/// A cell as this engine can keep it.
pub(crate) fn kept(cell: Cell) -> Cell {
    match cell {
        Cell::Text(text) => match storable(&text) {
            Cow::Borrowed(_) => Cell::Text(text),
            Cow::Owned(text) => Cell::Text(text),
        },
        other => other,
    }
}

fn read(table: &'static str, kinds: &[Kind], row: &PgRow) -> Result<Row> {
    let cell = |(at, kind): (usize, &Kind)| {
        Ok(match kind {
            Kind::Int => row.try_get::<Option<i64>, _>(at)?.map_or(Cell::Null, Cell::Int),
            Kind::Text => row.try_get::<Option<String>, _>(at)?.map_or(Cell::Null, Cell::Text),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at)?.map_or(Cell::Null, Cell::Bytes),
            Kind::Uuid => {
                let id = row.try_get::<Option<uuid::Uuid>, _>(at)?;
                id.map_or(Cell::Null, |id| Cell::Bytes(id.as_bytes().to_vec()))
            }
        })
    };
    let read: std::result::Result<Row, sqlx::Error> = kinds.iter().enumerate().map(cell).collect();
    read.map_err(|source| StoreError::Damaged {
        what: format!("a row of {table} can't be read"),
        source: Some(Box::new(source)),
    })
}
