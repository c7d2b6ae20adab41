//! Records that wait for their order.

use super::Result;
use super::batch::{list, write_rows};
use super::column::Columns;
use crate::engine::raw_row::read_raw;
use crate::{NewPark, Parked};
use gateway_model::{ChannelId, RawId, SourceNumber, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

pub(super) async fn insert(connection: &mut SqliteConnection, parks: &[NewPark]) -> Result<()> {
    write_rows(connection, sql!("parked_record/insert"), parks, |values, park| {
        values
            .int(park.raw_id.0)
            .text(park.channel.as_str())
            .text(park.number.as_str())
            .time(park.since)
            .int(i64::from(park.changes));
    })
    .await
}

/// Returns how many of them were parked.
pub(super) async fn delete(connection: &mut SqliteConnection, ids: &[RawId]) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query(sql!("parked_record/delete")).bind(list(ids)?).execute(connection).await?;
    Ok(done.rows_affected())
}

pub(super) async fn waiting_for(
    connection: &mut SqliteConnection,
    numbers: &[(&ChannelId, &SourceNumber)],
) -> Result<Vec<Parked>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql!("parked_record/waiting_for")).bind(list(numbers)?).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn before(connection: &mut SqliteConnection, before: Timestamp, limit: u32) -> Result<Vec<Parked>> {
    let rows = sqlx::query(sql!("parked_record/before"))
        .bind(super::column::to_ms(before))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn tallies(connection: &mut SqliteConnection) -> Result<Vec<(ChannelId, u64)>> {
    let rows = sqlx::query(sql!("parked_record/tally")).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of("parked_record", row);
            Ok((columns.id()?, columns.count()?))
        })
        .collect()
}

fn read(row: &SqliteRow) -> Result<Parked> {
    let mut columns = Columns::of("parked_record", row);
    Ok(Parked { number: columns.id()?, since: columns.time()?, raw: read_raw(&mut columns)? })
}
