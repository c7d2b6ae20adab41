//! Records and timelines by month: partitions are made when the first row of a month comes.

use super::transaction::TURN;
use super::{PostgresStore, Result};
use crate::IngestWrites;
use gateway_model::{Grain, Timestamp, Window, day_of};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Two below the turn: who makes partitions waits for others who do.
const PARTING: i64 = TURN - 2;

/// The tables that are parted by month.
const PARTED: [&str; 2] = ["raw_record", "order_change"];

/// The months (by their first instant, China time) that are known to have partitions.
#[derive(Debug, Default)]
pub(super) struct Months(Mutex<BTreeSet<Timestamp>>);

impl Months {
    pub(super) fn lacking(&self, months: BTreeSet<Timestamp>) -> Vec<Timestamp> {
        let known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        months.difference(&known).copied().collect()
    }

    fn know(&self, month: Timestamp) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(month);
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
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(PARTING).execute(&mut *tx).await?;
            for table in PARTED {
                let part = name(table, *month);
                let known: bool =
                    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(&part).fetch_one(&mut *tx).await?;
                if !known {
                    sqlx::raw_sql(AssertSqlSafe(make(table, &part, Grain::Month.bucket(*month))))
                        .execute(&mut *tx)
                        .await?;
                }
            }
            tx.commit().await?;
            self.months.know(*month);
        }
        Ok(())
    }
}

fn name(table: &str, month: Timestamp) -> String {
    let day = day_of(month);
    format!("{table}_{:04}_{:02}", day.year(), day.month())
}

/// Made apart and attached, which lets others go on writing; a partition that is made in its place stops them all.
fn make(table: &str, part: &str, month: Window) -> String {
    let (from, to) = (super::column::to_ms(month.start), super::column::to_ms(month.end));
    format!(
        "CREATE TABLE {part} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE);
         ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ({from}) TO ({to});"
    )
}
