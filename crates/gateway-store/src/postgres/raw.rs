//! Records exactly as received.

use super::batch::{Step, steps};
use super::column::Columns;
use super::{Result, archive_raw};
use crate::engine::raw_row::read_raw;
use crate::{NewRaw, RawRow};
use gateway_model::{ChannelId, RawId, Timestamp};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn insert(raws: &[NewRaw]) -> Vec<Step<'_>> {
    steps(sql!("raw_record/insert"), raws, |values, raw| {
        let meta = &raw.meta;
        values
            .int(raw.id.0)
            .text(meta.channel.as_str())
            .text(meta.origin.as_str())
            .text(meta.number.as_ref().map(|number| number.as_str()))
            .time(meta.received_at)
            .time(meta.read_at)
            .text(meta.topic.as_str())
            .int(i64::from(meta.partition))
            .count(meta.offset)
            .text(raw.key_id.as_str())
            .bytes(&raw.body);
    })
}

pub(super) async fn get(connection: &mut PgConnection, id: RawId) -> Result<Option<RawRow>> {
    let row: Option<PgRow> = sqlx::query(sql!("raw_record/get")).bind(id.0).fetch_optional(&mut *connection).await?;
    match row {
        Some(row) => Ok(Some(read_raw(&mut Columns::of("raw_record", &row))?)),
        None => Ok(archive_raw::find(connection, [id.0].into()).await?.pop()),
    }
}

/// The records of these ids, also those that are archived; one whose table is not there any more is absent.
pub(super) async fn of(
    connection: &mut PgConnection,
    ids: impl IntoIterator<Item = RawId>,
) -> Result<BTreeMap<RawId, RawRow>> {
    let mut wanted: BTreeSet<i64> = ids.into_iter().map(|id| id.0).collect();
    let rows = sqlx::query(pg!("raw_record/of"))
        .bind(wanted.iter().copied().collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await?;
    let mut found = BTreeMap::new();
    for row in &rows {
        let raw = read_raw(&mut Columns::of("raw_record", row))?;
        wanted.remove(&raw.id.0);
        found.insert(raw.id, raw);
    }
    found.extend(archive_raw::find(connection, wanted).await?.into_iter().map(|raw| (raw.id, raw)));
    Ok(found)
}

/// Receipt and event time of what records above `after` told for the first time, and the newest record that this covers.
pub(super) async fn first_arrivals(
    connection: &mut PgConnection,
    channel: &ChannelId,
    after: RawId,
    span: u32,
) -> Result<(Vec<(Timestamp, Timestamp)>, RawId)> {
    let newest: i64 = sqlx::query_scalar(sql!("raw_record/newest")).fetch_one(&mut *connection).await?;
    let after = after.0.max(newest.saturating_sub(i64::from(span)));
    let rows = sqlx::query(pg!("raw_record/first_arrivals"))
        .bind(channel.as_str())
        .bind(after)
        .bind(newest)
        .fetch_all(connection)
        .await?;
    let mut arrivals = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::of("raw_record", row);
        let (received_at, event_time) = (columns.time()?, columns.moment()?);
        if !event_time.is_date_only() {
            arrivals.push((received_at, event_time.start()));
        }
    }
    Ok((arrivals, RawId(newest)))
}
