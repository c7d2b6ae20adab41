//! Records that are out: they are shown from the archive while their table is there, and brought back one by one where they are sent again.
//!
//! A delivery is sent from its record, and what is due is read by a join that must not look elsewhere. So whatever makes a delivery owed whose record is
//! out puts a copy of the record back first, into its month's partition (made anew where there is none), in the same transaction. Refused: to attach
//! the whole month again for one delivery, which would stop everybody's reading for a moment and undo what the person who took it out wanted.

use super::Result;
use super::column::Columns;
use super::month::{PARTED, Parted, lock_parts, make};
use crate::engine::raw_row::read_raw;
use crate::{DeliveryRow, Month, RawRow, StoreError};
use gateway_model::RawId;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Records that can't be had, with the month that they were archived with.
pub(super) type Gone = BTreeMap<RawId, Month>;

/// The records parted by month.
const RAWS: &Parted = &PARTED[0];

/// The months that may have one of these records, and whether their table is in the archive.
async fn candidates(connection: &mut PgConnection, ids: &BTreeSet<i64>) -> Result<Vec<(Month, bool)>> {
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
    let rows: Vec<(String, bool)> =
        sqlx::query_as(pg!("archived_month/raw_tables")).bind(first).bind(last).fetch_all(connection).await?;
    let month = |text: String| text.parse().map_err(|_| StoreError::damaged(format!("archived month `{text}`")));
    rows.into_iter().map(|(text, there)| Ok((month(text)?, there))).collect()
}

/// The records of these ids that are in the archive.
pub(super) async fn find(connection: &mut PgConnection, ids: BTreeSet<i64>) -> Result<Vec<RawRow>> {
    let mut found = Vec::new();
    for (month, there) in candidates(connection, &ids).await? {
        if !there {
            continue;
        }
        let part = RAWS.part(month);
        let sql = format!(
            "SELECT r.id, r.channel, r.origin, r.number, r.received_at, r.read_at, r.topic, r.partition, r.bus_offset, r.body
             FROM archive.{part} AS r
             WHERE r.id = ANY ($1)"
        );
        let wanted: Vec<i64> = ids.iter().copied().collect();
        for row in sqlx::query(AssertSqlSafe(sql)).bind(wanted).fetch_all(&mut *connection).await? {
            found.push(read_raw(&mut Columns::of("raw_record", &row))?);
        }
    }
    Ok(found)
}

/// Sees to it that records which deliveries are sent from are attached. Whoever asks has the turn.
pub(super) async fn bring_back(connection: &mut PgConnection, ids: impl IntoIterator<Item = RawId>) -> Result<Gone> {
    let mut missing: BTreeSet<i64> = ids.into_iter().map(|id| id.0).collect();
    if missing.is_empty() {
        return Ok(Gone::new());
    }
    let there: Vec<i64> = sqlx::query_scalar("SELECT id FROM raw_record WHERE id = ANY ($1)")
        .bind(missing.iter().copied().collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await?;
    missing.retain(|id| !there.contains(id));
    let candidates = candidates(connection, &missing).await?;
    for (month, _) in candidates.iter().filter(|(_, there)| *there) {
        if missing.is_empty() {
            break;
        }
        let wanted: Vec<i64> = missing.iter().copied().collect();
        let part = RAWS.part(*month);
        let sql = format!("SELECT id FROM archive.{part} WHERE id = ANY ($1)");
        let found: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(&wanted).fetch_all(&mut *connection).await?;
        if found.is_empty() {
            continue;
        }
        lock_parts(connection).await?;
        make(connection, RAWS, *month).await?;
        let sql = format!("INSERT INTO raw_record SELECT * FROM archive.{part} WHERE id = ANY ($1)");
        sqlx::query(AssertSqlSafe(sql)).bind(&found).execute(&mut *connection).await?;
        tracing::info!(%month, records = found.len(), "records came back from the archive, to be sent again");
        missing.retain(|id| !found.contains(id));
    }
    let Some((month, _)) = candidates.iter().find(|(_, there)| !there) else { return Ok(Gone::new()) };
    Ok(missing.iter().map(|id| (RawId(*id), *month)).collect())
}

/// The code of a delivery that waits for a person because its record can't be had.
pub(super) const STRANDED: &str = "month_archived";

/// What a person is told of a delivery whose record can't be had.
pub(super) async fn gone(connection: &mut PgConnection, row: &DeliveryRow) -> Result<StoreError> {
    let candidates = candidates(connection, &[row.raw_id.0].into()).await?;
    Ok(match candidates.iter().find(|(_, there)| !there) {
        Some((month, _)) => archived(what(row), *month),
        None => StoreError::damaged(format!("{} has no record", what(row))),
    })
}

/// As [`gone`], of a month that is known.
pub(super) fn refused(row: &DeliveryRow, month: Month) -> StoreError {
    archived(what(row), month)
}

fn what(row: &DeliveryRow) -> String {
    format!("delivery {} of order {} to {}", row.id, row.order_id, row.destination)
}

/// That a month's table is not there, or not whole.
pub(super) fn archived(what: String, month: Month) -> StoreError {
    StoreError::Archived { what, month: month.to_string(), table: RAWS.part(month) }
}
