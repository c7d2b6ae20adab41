//! Changing the state book: items and the sums of their buckets, together.
//!
//! One load and one write of items, one load and one write of touched buckets, whatever the number of changes.

use super::Result;
use super::batch::{Values, arrays, write_rows};
use super::column::{Columns, from_ms};
use crate::BookPut;
use crate::engine::book_change::{BookChange, BucketKey, Held, Key, Sum, is_empty, read_bucket, read_held, wanted};
use gateway_model::{BookItem, BookSide, ChannelId, Grain, Timestamp, day_of};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;

/// Applies changes; of two for one key the later counts.
pub(super) async fn apply(connection: &mut PgConnection, puts: Vec<BookPut>, at: Timestamp) -> Result<()> {
    if puts.is_empty() {
        return Ok(());
    }
    let wanted = wanted(puts);
    let before = held(connection, wanted.keys()).await?;
    let change = BookChange::of(wanted, before);
    write_items(connection, &change.written).await?;
    if !change.removed.is_empty() {
        let keys = arrays(&change.removed, bind_key)?;
        sqlx::query_with(pg!("book_item/delete"), keys).execute(&mut *connection).await?;
    }
    write_sums(connection, change, at).await
}

/// Takes items out of the sent side; what the channel itself said, or a newer delivery of the same key, stays.
pub(super) async fn remove_sent(
    connection: &mut PgConnection,
    items: Vec<(ChannelId, BookItem)>,
    at: Timestamp,
) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let items: Vec<_> = items.into_iter().map(|(channel, item)| ((channel, item.key.clone()), item)).collect();
    let held = held(connection, items.iter().map(|(key, _)| key)).await?;
    let sent = items
        .into_iter()
        .filter(|(key, item)| held.get(key).is_some_and(|held| held.side == BookSide::Sent && held.item == *item));
    let removes = sent.map(|((channel, key), _)| BookPut::Remove { channel, key }).collect();
    apply(connection, removes, at).await
}

fn bind_key(values: &mut Values, (channel, key): &Key) {
    values.text(channel.as_str()).text(key.dataset.as_str()).text(key.number.as_str()).show(key.day).show(&key.part);
}

async fn held<'a>(
    connection: &mut PgConnection,
    keys: impl IntoIterator<Item = &'a Key>,
) -> Result<BTreeMap<Key, Held>> {
    let rows = sqlx::query_with(pg!("book_item/of"), arrays(keys, bind_key)?).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of("book_item", row);
            let channel = columns.id()?;
            let held = read_held(&mut columns)?;
            Ok(((channel, held.item.key.clone()), held))
        })
        .collect()
}

async fn write_items(connection: &mut PgConnection, items: &[(ChannelId, Held)]) -> Result<()> {
    write_rows(connection, sql!("book_item/upsert"), items, |values, (channel, held)| {
        let key = &held.item.key;
        values
            .text(channel.as_str())
            .text(key.dataset.as_str())
            .text(key.number.as_str())
            .show(key.day)
            .show(&key.part)
            .text(held.side.as_str())
            .int(i64::from(held.projection_version))
            .show(held.item.event_time)
            .time(held.item.event_time.start())
            .flag(held.item.event_time.is_date_only())
            .bytes(&held.item.digest.0);
    })
    .await
}

async fn write_sums(connection: &mut PgConnection, change: BookChange, at: Timestamp) -> Result<()> {
    if change.touched().len() == 0 {
        return Ok(());
    }
    let kept = touched(connection, change.touched()).await?;
    let mut written = change.sums(kept)?;
    write_rows(connection, sql!("book_bucket/upsert"), &written, |values, (key, (count, sum))| {
        values
            .text(key.channel.as_str())
            .text(key.dataset.as_str())
            .int(i64::from(key.projection_version))
            .text(key.grain.as_str())
            .int(key.start_ms)
            .text(key.side.as_str())
            .int(*count)
            .bytes(&sum.0);
    })
    .await?;
    let emptied: Vec<_> = written.iter().filter(|(_, sum)| is_empty(sum)).map(|(key, _)| key).collect();
    if !emptied.is_empty() {
        let keys = arrays(emptied, bind_bucket)?;
        sqlx::query_with(pg!("book_bucket/delete_empty"), keys).execute(&mut *connection).await?;
    }
    written.retain(|(key, _)| key.grain == Grain::Day);
    keep_days(connection, &written, at).await
}

/// The days that changed, as they stand now; an empty one stays written down.
async fn keep_days(connection: &mut PgConnection, days: &[(BucketKey, Sum)], at: Timestamp) -> Result<()> {
    let as_of_day = day_of(at);
    let starts = days.iter().map(|(key, _)| from_ms(key.start_ms)).collect::<Result<Vec<_>>>()?;
    let rows: Vec<_> = days.iter().zip(starts).collect();
    write_rows(connection, sql!("book_day/upsert"), &rows, |values, ((key, (count, sum)), start)| {
        values
            .text(key.channel.as_str())
            .text(key.dataset.as_str())
            .show(day_of(*start))
            .text(key.side.as_str())
            .int(i64::from(key.projection_version))
            .show(as_of_day)
            .int(*count)
            .bytes(&sum.0)
            .time(at);
    })
    .await
}

fn bind_bucket(values: &mut Values, key: &BucketKey) {
    values
        .text(key.channel.as_str())
        .text(key.dataset.as_str())
        .int(i64::from(key.projection_version))
        .text(key.grain.as_str())
        .int(key.start_ms)
        .text(key.side.as_str());
}

async fn touched(
    connection: &mut PgConnection,
    keys: impl Iterator<Item = &BucketKey>,
) -> Result<BTreeMap<BucketKey, Sum>> {
    let rows: Vec<PgRow> =
        sqlx::query_with(pg!("book_bucket/of"), arrays(keys, bind_bucket)?).fetch_all(connection).await?;
    rows.iter().map(|row| read_bucket(&mut Columns::of("book_bucket", row))).collect()
}
