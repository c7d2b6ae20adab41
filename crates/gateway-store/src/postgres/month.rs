//! Records and timelines by month: partitions are made when the first row of a month comes.

use super::transaction::{TURN, commit};
use super::{PostgresStore, Result};
use crate::{IngestWrites, Month, StoreError};
use gateway_model::{Grain, Timestamp};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Two below the turn: who makes or moves partitions waits for others who do. Whoever needs the turn too has it already.
const PARTING: i64 = TURN - 2;

/// The tables that are parted by month, with the column that they are parted by and their key.
pub(super) const PARTED: [Parted; 2] = [
    Parted { table: "raw_record", by: "received_at", key: &["id", "received_at"] },
    Parted { table: "order_change", by: "at", key: &["order_id", "seq", "at"] },
];

/// A table that is parted by month.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parted {
    pub(super) table: &'static str,
    pub(super) by: &'static str,
    pub(super) key: &'static [&'static str],
}

impl Parted {
    /// The name of a month's part.
    pub(super) fn part(&self, month: Month) -> String {
        format!("{}_{}", self.table, month.suffix())
    }

    /// The month's bounds, in milliseconds.
    pub(super) fn bounds(month: Month) -> (i64, i64) {
        let window = month.window();
        (super::column::to_ms(window.start), super::column::to_ms(window.end))
    }

    /// The statement that attaches a month's part.
    pub(super) fn attach(&self, month: Month) -> String {
        let (from, to) = Self::bounds(month);
        format!("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({from}) TO ({to});", self.table, self.part(month))
    }
}

/// How a month's part stands to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// There is none.
    Absent,
    /// It is one.
    Attached,
    /// `DETACH … CONCURRENTLY` was broken off.
    HalfDetached,
    /// A table of that name beside the others, detached and not moved away.
    Loose,
}

impl Part {
    /// How the part of `month` stands, in our own schema.
    pub(super) async fn of(connection: &mut PgConnection, parted: &Parted, month: Month) -> Result<Self> {
        let row: Option<(Option<bool>,)> = sqlx::query_as(pg!("archived_month/part"))
            .bind(parted.part(month))
            .bind(parted.table)
            .fetch_optional(connection)
            .await?;
        Ok(match row {
            None => Part::Absent,
            Some((None,)) => Part::Loose,
            Some((Some(true),)) => Part::HalfDetached,
            Some((Some(false),)) => Part::Attached,
        })
    }
}

/// The months (by their first instant, China time) that are known to have partitions.
#[derive(Debug, Default)]
pub(super) struct Months(Mutex<BTreeSet<Timestamp>>);

impl Months {
    pub(super) fn lacking(&self, months: BTreeSet<Timestamp>) -> Vec<Timestamp> {
        months.difference(&self.known()).copied().collect()
    }

    fn know(&self, month: Timestamp) {
        self.known().insert(month);
    }

    /// Another took a month out: what is known may be wrong.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<Timestamp>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl PostgresStore {
    /// The months of `writes` that are not known to have partitions.
    pub(super) fn months_of(&self, writes: &IngestWrites) -> Vec<Timestamp> {
        let times = writes.raws.iter().map(|raw| raw.meta.received_at).chain(writes.changes.iter().map(|row| row.at));
        self.months.lacking(times.map(|at| Grain::Month.bucket(at).start).collect())
    }

    /// Makes the partitions of months, in a transaction of its own.
    pub(super) async fn make_months(&self, months: &[Timestamp]) -> Result<()> {
        for month in months {
            let mut tx = self.begin_write().await?;
            lock_parts(&mut tx).await?;
            for parted in &PARTED {
                make(&mut tx, parted, Month::of(*month)).await?;
            }
            commit(tx).await?;
            self.months.know(*month);
        }
        Ok(())
    }
}

/// Waits for others who make or move partitions, and keeps them waiting until the transaction ends.
pub(super) async fn lock_parts(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(PARTING).execute(connection).await?;
    Ok(())
}

/// Sees to it that a month has its part of a table. It is made apart and attached, which lets others go on writing; a partition that is made in its place
/// stops them all. A table of its name that somebody detached and left where it was is the month's, and attached again.
pub(super) async fn make(connection: &mut PgConnection, parted: &Parted, month: Month) -> Result<()> {
    let (table, part, attach) = (parted.table, parted.part(month), parted.attach(month));
    let sql = match Part::of(connection, parted, month).await? {
        Part::Attached => return Ok(()),
        Part::Absent => format!("CREATE TABLE {part} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE); {attach}"),
        Part::Loose => attach,
        Part::HalfDetached => format!("ALTER TABLE {table} DETACH PARTITION {part} FINALIZE; {attach}"),
    };
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Whether a row could not be written because its month has no partition: another process took it out since we knew of it.
pub(super) fn lacks_month(error: &StoreError) -> bool {
    let StoreError::Damaged { source: Some(source), .. } = error else { return false };
    let Some(sqlx::Error::Database(database)) = source.downcast_ref::<sqlx::Error>() else { return false };
    // 23514 = a check does not hold; "no partition of relation … found for row" is one.
    database.code().is_some_and(|code| code == "23514")
        && database.table().is_some_and(|table| PARTED.iter().any(|parted| parted.table == table))
}
