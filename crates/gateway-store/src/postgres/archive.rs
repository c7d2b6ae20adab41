//! Taking a month out and bringing it back.
//!
//! The tables are moved by a plain `DETACH PARTITION` in one transaction with the last look at what may hold the month back and with what is written down
//! of it. Refused: `DETACH … CONCURRENTLY`. It can't be part of a transaction, so something could become owed from a record between the look and the
//! end, a crash leaves half of it, and it waits for every transaction that reads the table, without end where one is forgotten. What the plain one costs
//! is that it must have the tables alone for a moment, and that whoever reads waits behind it while it waits: so it gives up after [`MOMENT`],
//! and tries again a few times. Half of a concurrent one, and tables that a person detached and left where they were, are finished here.
//!
//! A migration that alters one of the parted tables must alter the months in the schema `archive` alike, or they can't be attached again.

use super::archive_look::{Seen, open_orders, quick_holds};
use super::batch::write_rows;
use super::column::{Columns, to_ms};
use super::lease::must_hold;
use super::month::{PARTED, Part, Parted, lock_parts};
use super::transaction::{Tx, commit, turn};
use super::{PostgresStore, Result, archive_raw};
use crate::{ArchiveStore, Hold, LeaseGrant, Month, MonthLeft, MonthPlace, MonthRow, Returning, StoreError, Taking};
use async_trait::async_trait;
use gateway_model::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long the tables are waited for while everybody waits behind us. Less than `deadlock_timeout`, so that we are the one who gives way.
const MOMENT: &str = "SET LOCAL lock_timeout = '500ms'";
/// How often that is tried.
const TRIES: u32 = 6;
/// The rest between two tries.
const REST: Duration = Duration::from_millis(400);
/// The constraint by which a table in the archive is known to keep the month's bounds, so that attaching it reads nothing.
const BOUNDS: &str = "month_bounds";

/// What a try came to.
enum Try<T> {
    Done(T),
    /// Something changed since the first look.
    Anew,
    /// The tables are being read.
    Busy,
}

#[async_trait]
impl ArchiveStore for PostgresStore {
    async fn months(&self, now: Timestamp) -> Result<Vec<MonthRow>> {
        let mut tx = self.begin_look().await?;
        let mut rows = listed(&mut tx).await?;
        let attached: Vec<Month> = rows
            .values()
            .filter(|row| row.place == MonthPlace::Attached || row.beside.is_some())
            .map(|row| row.month)
            .collect();
        let mut open = open_orders(&mut tx, &attached, i64::MIN).await?;
        for month in attached {
            let raws = Part::of(&mut tx, &PARTED[0], month).await?;
            let mut holds = quick_holds(&mut tx, month, raws, now).await?;
            holds.extend(open.remove(&month));
            if let Some(row) = rows.get_mut(&month) {
                row.holds = holds;
            }
        }
        Ok(rows.into_values().collect())
    }

    async fn take_month(&self, month: Month, by: &str, now: Timestamp, under: Option<&LeaseGrant>) -> Result<Taking> {
        for left in (0..TRIES).rev() {
            let parts = parts(&mut *self.pool.acquire().await?, month).await?;
            if parts == [Part::Absent; 2] {
                return Err(StoreError::NotFound { what: "attached month", id: month.to_string() });
            }
            let seen = self.look(month, parts, now).await?;
            if !seen.holds.is_empty() {
                return Ok(Taking::Held(seen.holds));
            }
            match self.take(month, by, now, under, &seen).await.or_else(busy)? {
                Try::Done(taking) => return Ok(taking),
                Try::Busy if left > 0 => tokio::time::sleep(REST).await,
                Try::Anew | Try::Busy => {}
            }
        }
        Ok(Taking::Busy)
    }

    async fn return_month(&self, month: Month) -> Result<Returning> {
        for left in (0..TRIES).rev() {
            self.bind_bounds(month).await?;
            match self.put_back(month).await.or_else(busy)? {
                Try::Done(()) => return Ok(Returning::Returned),
                Try::Busy if left > 0 => tokio::time::sleep(REST).await,
                Try::Anew | Try::Busy => {}
            }
        }
        Ok(Returning::Busy)
    }

    async fn note_months_left(&self, left: &[MonthLeft], under: &LeaseGrant) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            must_hold(&mut tx, under).await?;
            sqlx::query(pg!("month_left/delete_all")).execute(&mut *tx).await?;
            write_rows(&mut tx, pg!("month_left/insert"), left, |values, left| {
                values.show(left.month).json(&left.holds).time(left.looked_at);
            })
            .await?;
            commit(tx).await
        })
        .await
    }

    async fn months_left(&self) -> Result<Vec<MonthLeft>> {
        let rows = sqlx::query(pg!("month_left/list")).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("month_left", row);
                Ok(MonthLeft { month: columns.word()?, holds: columns.json()?, looked_at: columns.time()? })
            })
            .collect()
    }
}

/// A lock that could not be had in the moment, and a deadlock in which we gave way, are no failures.
fn busy<T>(error: StoreError) -> Result<Try<T>> {
    let code = match &error {
        StoreError::Unavailable(cause) => match cause.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Database(database)) => database.code().map(|code| code.into_owned()),
            _ => None,
        },
        _ => None,
    };
    // lock_not_available, deadlock_detected
    if matches!(code.as_deref(), Some("55P03" | "40P01")) { Ok(Try::Busy) } else { Err(error) }
}

async fn parts(connection: &mut PgConnection, month: Month) -> Result<[Part; 2]> {
    let raws = Part::of(connection, &PARTED[0], month).await?;
    Ok([raws, Part::of(connection, &PARTED[1], month).await?])
}

async fn in_archive(connection: &mut PgConnection, part: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(format!("archive.{part}"))
        .fetch_one(connection)
        .await?)
}

/// The months by name, without what holds them back.
async fn listed(connection: &mut PgConnection) -> Result<BTreeMap<Month, MonthRow>> {
    let mut rows: BTreeMap<Month, MonthRow> = BTreeMap::new();
    let empty = |month, place| MonthRow {
        month,
        place,
        records: None,
        changes: None,
        bytes: None,
        beside: None,
        taken_at: None,
        taken_by: None,
        holds: Vec::new(),
    };
    for row in &sqlx::query(pg!("archived_month/list")).fetch_all(&mut *connection).await? {
        let mut columns = Columns::of("archived_month", row);
        let month: Month = columns.word()?;
        let (_, _) = (columns.maybe_int()?, columns.maybe_int()?);
        let mut row = empty(month, MonthPlace::Dropped);
        (row.records, row.changes, row.bytes) =
            (Some(columns.count()?), Some(columns.count()?), Some(columns.count()?));
        (row.taken_at, row.taken_by) = (Some(columns.time()?), Some(columns.string()?));
        rows.insert(month, row);
    }
    let parts: Vec<(bool, String, i64, i64)> =
        sqlx::query_as(pg!("archived_month/parts")).fetch_all(&mut *connection).await?;
    // The archive's first: what is ours as well is beside it.
    let (out, ours): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(out, ..)| *out);
    for (_, name, ..) in out {
        let Some((table, month)) = of_part(&name) else { continue };
        let row = rows.entry(month).or_insert_with(|| empty(month, MonthPlace::Archived));
        if table == PARTED[0].table || row.place != MonthPlace::Dropped || row.records == Some(0) {
            row.place = MonthPlace::Archived;
        }
    }
    for (_, name, counted, bytes) in ours {
        let Some((table, month)) = of_part(&name) else { continue };
        let count = if counted >= 0 { counted } else { count(connection, &name).await? };
        let row = rows.entry(month).or_insert_with(|| empty(month, MonthPlace::Attached));
        let count = count.unsigned_abs();
        if row.place != MonthPlace::Attached {
            if table == PARTED[0].table {
                row.beside = Some(count);
            }
            continue;
        }
        *(if table == PARTED[0].table { &mut row.records } else { &mut row.changes }) = Some(count);
        row.bytes = Some(row.bytes.unwrap_or(0) + bytes.unsigned_abs());
    }
    Ok(rows)
}

async fn count(connection: &mut PgConnection, table: &str) -> Result<i64> {
    Ok(sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(connection).await?)
}

/// The table and month that a part's name tells.
fn of_part(name: &str) -> Option<(&'static str, Month)> {
    PARTED.iter().find_map(|parted| {
        let month = name.strip_prefix(parted.table)?.strip_prefix('_')?;
        Some((parted.table, month.replace('_', "-").parse().ok()?))
    })
}

impl PostgresStore {
    /// The second look, and the move.
    async fn take(
        &self,
        month: Month,
        by: &str,
        now: Timestamp,
        under: Option<&LeaseGrant>,
        seen: &Seen,
    ) -> Result<Try<Taking>> {
        let mut tx = self.begin_write().await?;
        if let Some(lease) = under {
            must_hold(&mut tx, lease).await?;
        }
        turn(&mut tx).await?;
        lock_parts(&mut tx).await?;
        let parts = parts(&mut tx, month).await?;
        if parts == [Part::Absent; 2] {
            return Ok(Try::Anew);
        }
        if parts[0] != Part::Absent {
            let sql = format!("SELECT count(*) FROM {} WHERE id > $1", PARTED[0].part(month));
            let came: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(seen.last_raw.unwrap_or(i64::MIN))
                .fetch_one(&mut *tx)
                .await?;
            if came > 0 {
                return Ok(Try::Anew);
            }
        }
        let mut holds: Vec<Hold> = quick_holds(&mut tx, month, parts[0], now).await?;
        holds.extend(open_orders(&mut tx, &[month], seen.feed).await?.remove(&month));
        if !holds.is_empty() {
            return Ok(Try::Done(Taking::Held(holds)));
        }
        make_archive(&mut tx).await?;
        sqlx::raw_sql(MOMENT).execute(&mut *tx).await?;
        let mut joined = [0, 0];
        for ((parted, part), joined) in PARTED.iter().zip(parts).zip(&mut joined) {
            *joined = take_out(&mut tx, parted, month, part).await?;
        }
        sqlx::query(pg!("archived_month/upsert"))
            .bind(month.to_string())
            .bind(seen.first_raw)
            .bind(seen.last_raw)
            .bind(seen.records - joined[0])
            .bind(seen.changes - joined[1])
            .bind(seen.bytes)
            .bind(to_ms(now))
            .bind(by)
            .execute(&mut *tx)
            .await?;
        write_rows(&mut tx, pg!("archived_offset/upsert"), &seen.runs, |values, run| {
            values.text(&*run.topic).int(run.partition).int(run.first).int(run.end).show(month);
        })
        .await?;
        commit(tx).await?;
        self.months.forget();
        let (records, changes) = (seen.records.unsigned_abs(), seen.changes.unsigned_abs());
        Ok(Try::Done(Taking::Taken { records, changes }))
    }

    /// Lets the server see that the tables in the archive keep the month's bounds, without the turn: attaching them then reads nothing.
    async fn bind_bounds(&self, month: Month) -> Result<()> {
        let mut tx = self.begin_look_to_write().await?;
        let kept: Option<i64> = sqlx::query_scalar("SELECT records FROM archived_month WHERE month = $1")
            .bind(month.to_string())
            .fetch_optional(&mut *tx)
            .await?;
        let mut there = [false; 2];
        for (parted, there) in PARTED.iter().zip(&mut there) {
            let part = parted.part(month);
            *there = in_archive(&mut tx, &part).await?;
            if *there {
                let ((from, to), by) = (Parted::bounds(month), parted.by);
                let sql = format!(
                    "ALTER TABLE archive.{part} DROP CONSTRAINT IF EXISTS {BOUNDS};
                     ALTER TABLE archive.{part} ADD CONSTRAINT {BOUNDS} CHECK ({by} >= {from} AND {by} < {to})"
                );
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
            }
        }
        if kept.is_none() && there == [false; 2] {
            return Err(StoreError::NotFound { what: "archived month", id: month.to_string() });
        }
        let records = if there[0] { count(&mut tx, &format!("archive.{}", PARTED[0].part(month))).await? } else { 0 };
        if kept.is_some_and(|kept| records < kept) {
            return Err(archive_raw::archived(format!("bringing {month} back"), month));
        }
        commit(tx).await
    }

    async fn begin_look_to_write(&self) -> Result<Tx> {
        let mut tx = self.begin_write().await?;
        sqlx::raw_sql("SET LOCAL statement_timeout = '15min'; SET LOCAL enable_seqscan = on").execute(&mut *tx).await?;
        Ok(tx)
    }

    async fn put_back(&self, month: Month) -> Result<Try<()>> {
        let mut tx = self.begin_write().await?;
        turn(&mut tx).await?;
        lock_parts(&mut tx).await?;
        sqlx::raw_sql(MOMENT).execute(&mut *tx).await?;
        let schema: String = sqlx::query_scalar("SELECT quote_ident(current_schema())").fetch_one(&mut *tx).await?;
        for parted in &PARTED {
            let part = parted.part(month);
            if !in_archive(&mut tx, &part).await? {
                continue;
            }
            let beside = Part::of(&mut tx, parted, month).await?;
            if beside != Part::Absent {
                join(&mut tx, parted, month).await?;
                detach(&mut tx, parted, month, beside).await?;
                run(&mut tx, format!("DROP TABLE {part}")).await?;
            }
            run(&mut tx, format!("ALTER TABLE archive.{part} SET SCHEMA {schema}")).await?;
            run(&mut tx, parted.attach(month)).await?;
            run(&mut tx, format!("ALTER TABLE {part} DROP CONSTRAINT IF EXISTS {BOUNDS}")).await?;
        }
        for statement in [pg!("archived_month/delete"), pg!("archived_offset/delete")] {
            sqlx::query(statement).bind(month.to_string()).execute(&mut *tx).await?;
        }
        commit(tx).await?;
        Ok(Try::Done(()))
    }
}

async fn run(tx: &mut Tx, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **tx).await?;
    Ok(())
}

/// Moves a month's part into the archive, or what it has into the table that is there already; of the latter, how many rows were there as well.
async fn take_out(tx: &mut Tx, parted: &Parted, month: Month, part: Part) -> Result<i64> {
    if part == Part::Absent {
        return Ok(0);
    }
    let name = parted.part(month);
    if !in_archive(tx, &name).await? {
        detach(tx, parted, month, part).await?;
        run(tx, format!("ALTER TABLE {name} SET SCHEMA archive")).await?;
        return Ok(0);
    }
    let joined = join(tx, parted, month).await?;
    detach(tx, parted, month, part).await?;
    run(tx, format!("DROP TABLE {name}")).await?;
    Ok(joined)
}

/// Puts what is attached of a month into the archive's table of it. A row that both have is the attached one: it was written last. How many those were.
async fn join(tx: &mut Tx, parted: &Parted, month: Month) -> Result<i64> {
    let name = parted.part(month);
    let same: Vec<String> = parted.key.iter().map(|column| format!("a.{column} = o.{column}")).collect();
    let sql = format!("DELETE FROM archive.{name} AS a USING {name} AS o WHERE {}", same.join(" AND "));
    let same = sqlx::query(AssertSqlSafe(sql)).execute(&mut **tx).await?.rows_affected();
    run(tx, format!("INSERT INTO archive.{name} SELECT * FROM {name}")).await?;
    Ok(i64::try_from(same).unwrap_or(i64::MAX))
}

async fn detach(tx: &mut Tx, parted: &Parted, month: Month, part: Part) -> Result<()> {
    let (table, name) = (parted.table, parted.part(month));
    match part {
        Part::Attached => run(tx, format!("ALTER TABLE {table} DETACH PARTITION {name}")).await,
        Part::HalfDetached => run(tx, format!("ALTER TABLE {table} DETACH PARTITION {name} FINALIZE")).await,
        Part::Loose | Part::Absent => Ok(()),
    }
}

/// Makes the schema, where there is none.
async fn make_archive(tx: &mut Tx) -> Result<()> {
    let (there, may): (bool, bool) = sqlx::query_as(
        "SELECT to_regnamespace('archive') IS NOT NULL, has_database_privilege(current_database(), 'CREATE')",
    )
    .fetch_one(&mut **tx)
    .await?;
    match (there, may) {
        (true, _) => Ok(()),
        (false, true) => run(tx, "CREATE SCHEMA archive".into()).await,
        (false, false) => Err(StoreError::Refused {
            code: "missing_rights",
            what: "the database's user may make no schema, and so no archive for months".into(),
            remedy: "as the database's owner: CREATE SCHEMA archive AUTHORIZATION the user".into(),
        }),
    }
}
