//! What holds a month back, and what a month holds.
//!
//! Two looks. The first reads all orders that are not closed, which takes seconds where there are millions: it is made beside everybody's work, on one
//! snapshot. The second is made with the turn, in the transaction that moves the tables, and must be quick: what is parked, dead or owed is found by the
//! few rows that are, and of the orders only those are looked at that changed since the first look's place in the feed.

use super::column::Columns;
use super::month::{PARTED, Part, Parted};
use super::transaction::Tx;
use super::{PostgresStore, Result};
use crate::{Hold, HoldKind, Month};
use gateway_model::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// The first look's own limits: it reads whole tables, which no other statement here does.
const READ_WHOLE: &str =
    "SET LOCAL statement_timeout = '15min'; SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on;
     SET LOCAL enable_mergejoin = on";

/// A run of offsets of one partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) topic: String,
    pub(super) partition: i64,
    pub(super) first: i64,
    pub(super) end: i64,
}

/// What a first look at a month saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) holds: Vec<Hold>,
    /// The place in the feed.
    pub(super) feed: i64,
    pub(super) first_raw: Option<i64>,
    pub(super) last_raw: Option<i64>,
    pub(super) records: i64,
    pub(super) changes: i64,
    pub(super) bytes: i64,
    pub(super) runs: Vec<Run>,
}

impl PostgresStore {
    /// A snapshot to read whole tables on.
    pub(super) async fn begin_look(&self) -> Result<Tx> {
        let mut tx = self.begin_read().await?;
        sqlx::raw_sql(READ_WHOLE).execute(&mut *tx).await?;
        Ok(tx)
    }

    /// The first look at one month whose parts stand so.
    pub(super) async fn look(&self, month: Month, parts: [Part; 2], now: Timestamp) -> Result<Seen> {
        let mut tx = self.begin_look().await?;
        let mut seen = Seen { holds: quick_holds(&mut tx, month, parts[0], now).await?, ..Seen::default() };
        seen.holds.extend(open_orders(&mut tx, &[month], i64::MIN).await?.remove(&month));
        if !seen.holds.is_empty() {
            return Ok(seen);
        }
        seen.feed = sqlx::query_scalar("SELECT coalesce(max(feed_seq), 0) FROM work_order").fetch_one(&mut *tx).await?;
        for (parted, part) in PARTED.iter().zip(parts) {
            if part != Part::Absent {
                seen.measure(&mut tx, parted, month).await?;
            }
        }
        Ok(seen)
    }
}

impl Seen {
    async fn measure(&mut self, connection: &mut PgConnection, parted: &Parted, month: Month) -> Result<()> {
        let part = parted.part(month);
        let size: i64 = sqlx::query_scalar("SELECT pg_total_relation_size(to_regclass($1))")
            .bind(&part)
            .fetch_one(&mut *connection)
            .await?;
        self.bytes += size;
        if parted.table != "raw_record" {
            self.changes =
                sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {part}"))).fetch_one(connection).await?;
            return Ok(());
        }
        let sql = format!("SELECT count(*), min(id), max(id) FROM {part}");
        (self.records, self.first_raw, self.last_raw) =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        // Offsets that follow each other, less their rank, are the same.
        let sql = format!(
            "SELECT topic, partition, min(bus_offset), max(bus_offset) + 1
             FROM (
                 SELECT topic, partition, bus_offset,
                     bus_offset - dense_rank() OVER (PARTITION BY topic, partition ORDER BY bus_offset) AS run
                 FROM {part}
             ) AS o
             GROUP BY topic, partition, run
             ORDER BY topic, partition, min(bus_offset)"
        );
        let rows = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await?;
        let run = |(topic, partition, first, end)| Run { topic, partition, first, end };
        self.runs = rows.into_iter().map(run).collect();
        Ok(())
    }
}

/// What holds a month back beside open orders; its records stand so. Quick: each is found by the few rows that are not over.
pub(super) async fn quick_holds(
    connection: &mut PgConnection,
    month: Month,
    raws: Part,
    now: Timestamp,
) -> Result<Vec<Hold>> {
    let mut holds = Vec::new();
    if month >= Month::of(now) {
        holds.push(Hold { kind: HoldKind::Running, count: 1, first: Vec::new() });
    }
    if raws == Part::Absent {
        return Ok(holds);
    }
    let part = PARTED[0].part(month);
    let newest: bool = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT coalesce((SELECT max(id) FROM {part}) >= (SELECT coalesce(max(id), 0) FROM raw_record), false)"
    )))
    .fetch_one(&mut *connection)
    .await?;
    if newest {
        holds.push(Hold { kind: HoldKind::NewestRecord, count: 1, first: Vec::new() });
    }
    let asked = [
        (
            HoldKind::ParkedRecords,
            format!("SELECT p.raw_id AS id FROM parked_record AS p JOIN {part} AS r ON r.id = p.raw_id"),
        ),
        (
            HoldKind::DeadLetters,
            format!("SELECT d.id FROM dead_letter AS d JOIN {part} AS r ON r.id = d.raw_id WHERE d.state = 'open'"),
        ),
        (
            // The lists of states are those of two indexes.
            HoldKind::Deliveries,
            format!(
                "SELECT d.id FROM delivery AS d JOIN {part} AS r ON r.id = d.raw_id
                 WHERE d.state IN ('owed', 'sending', 'pending', 'ambiguous', 'held')
                 UNION ALL
                 SELECT d.id FROM delivery AS d JOIN {part} AS r ON r.id = d.raw_id
                 WHERE d.state IN ('held', 'rejected', 'dead_lettered') AND d.state <> 'held'"
            ),
        ),
    ];
    for (kind, sql) in asked {
        let sql = format!("SELECT count(*), (array_agg(h.id::text ORDER BY h.id))[1:3] FROM ({sql}) AS h");
        let (count, first): (i64, Option<Vec<String>>) =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        if count > 0 {
            holds.push(Hold { kind, count: count.unsigned_abs(), first: first.unwrap_or_default() });
        }
    }
    Ok(holds)
}

/// The orders that are not closed and hold months back, as far as they changed after a place in the feed.
pub(super) async fn open_orders(
    connection: &mut PgConnection,
    months: &[Month],
    after: i64,
) -> Result<BTreeMap<Month, Hold>> {
    let bounds: Vec<(i64, i64)> = months.iter().map(|month| Parted::bounds(*month)).collect();
    let rows: Vec<PgRow> = sqlx::query(pg!("archived_month/open_orders"))
        .bind(bounds.iter().map(|bounds| bounds.0).collect::<Vec<_>>())
        .bind(bounds.iter().map(|bounds| bounds.1).collect::<Vec<_>>())
        .bind(after)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let first: Vec<String> = sqlx::Row::try_get(row, 2)?;
            let mut columns = Columns::of("archived_month", row);
            let month = Month::of(columns.time()?);
            Ok((month, Hold { kind: HoldKind::OpenOrders, count: columns.count()?, first }))
        })
        .collect()
}
