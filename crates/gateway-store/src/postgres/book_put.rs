//! Changing the state book: items and the sums of their buckets, together.
//!
//! One load and one write of items, one load and one write of touched buckets, whatever the number of changes.

use super::Result;
use super::batch::{Values, arrays, write_rows};
use super::column::{Columns, from_ms, to_ms};
use crate::{BookPut, StoreError};
use gateway_model::{BookItem, BookSide, BucketSum, ChannelId, Dataset, Grain, ItemKey, Timestamp, day_of};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;

type Key = (ChannelId, ItemKey);

/// An item as the book holds it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) side: BookSide,
    pub(super) projection_version: u32,
    pub(super) item: BookItem,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct BucketKey {
    channel: ChannelId,
    dataset: Dataset,
    projection_version: u32,
    grain: Grain,
    start_ms: i64,
    side: BookSide,
}

#[derive(Default)]
struct Deltas(BTreeMap<BucketKey, (i64, BucketSum)>);

impl Deltas {
    fn count(&mut self, channel: &ChannelId, held: &Held, adding: bool) {
        let element = held.item.element();
        for grain in Grain::BUCKETS {
            let Some(start) = grain.bucket_start(held.item.event_time) else {
                continue;
            };
            let key = BucketKey {
                channel: channel.clone(),
                dataset: held.item.key.dataset,
                projection_version: held.projection_version,
                grain,
                start_ms: to_ms(start),
                side: held.side,
            };
            let (count, sum) = self.0.entry(key).or_default();
            if adding {
                *count += 1;
                *sum = sum.plus(element);
            } else {
                *count -= 1;
                *sum = sum.minus(element);
            }
        }
    }
}

/// Applies changes; of two for one key the later counts.
pub(super) async fn apply(connection: &mut PgConnection, puts: Vec<BookPut>, at: Timestamp) -> Result<()> {
    if puts.is_empty() {
        return Ok(());
    }
    let mut wanted: BTreeMap<Key, Option<Held>> = BTreeMap::new();
    for put in puts {
        match put {
            BookPut::Put { channel, side, projection_version, item } => {
                let held = Held { side, projection_version, item };
                wanted.insert((channel, held.item.key.clone()), Some(held));
            }
            BookPut::Remove { channel, key } => {
                wanted.insert((channel, key), None);
            }
        }
    }
    let mut before = held(connection, wanted.keys()).await?;
    let mut deltas = Deltas::default();
    let (mut written, mut removed) = (Vec::new(), Vec::new());
    for (key, new) in wanted {
        let old = before.remove(&key);
        if old == new {
            continue;
        }
        if let Some(old) = &old {
            deltas.count(&key.0, old, false);
        }
        match new {
            Some(new) => {
                deltas.count(&key.0, &new, true);
                written.push((key.0, new));
            }
            None => removed.push(key),
        }
    }
    write_items(connection, &written).await?;
    if !removed.is_empty() {
        let keys = arrays(&removed, bind_key)?;
        sqlx::query_with(pg!("book_item/delete"), keys).execute(&mut *connection).await?;
    }
    apply_deltas(connection, deltas, at).await
}

/// Takes an item out of the sent side; what the channel itself said, or a newer delivery of the same key, stays.
pub(super) async fn remove_sent(
    connection: &mut PgConnection,
    channel: &ChannelId,
    item: &BookItem,
    at: Timestamp,
) -> Result<()> {
    let key = (channel.clone(), item.key.clone());
    let held = held(connection, [&key]).await?;
    match held.get(&key) {
        Some(held) if held.side == BookSide::Sent && held.item == *item => {
            let (channel, key) = key;
            apply(connection, vec![BookPut::Remove { channel, key }], at).await
        }
        _ => Ok(()),
    }
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

/// Reads the columns dataset, number, day, part, side, projection_version, event_time, digest.
pub(super) fn read_held(columns: &mut Columns<'_>) -> Result<Held> {
    let key = ItemKey { dataset: columns.word()?, number: columns.id()?, day: columns.word()?, part: columns.word()? };
    let side = read_side(columns)?;
    Ok(Held {
        side,
        projection_version: columns.small()?,
        item: BookItem { key, event_time: columns.moment()?, digest: columns.digest()? },
    })
}

pub(super) fn read_side(columns: &mut Columns<'_>) -> Result<BookSide> {
    let text = columns.string()?;
    [BookSide::Source, BookSide::Sent]
        .into_iter()
        .find(|side| side.as_str() == text)
        .ok_or_else(|| StoreError::damaged(format!("the state book has side `{text}`")))
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

async fn apply_deltas(connection: &mut PgConnection, mut deltas: Deltas, at: Timestamp) -> Result<()> {
    deltas.0.retain(|_, delta| *delta != (0, BucketSum::ZERO));
    if deltas.0.is_empty() {
        return Ok(());
    }
    let mut sums = touched(connection, deltas.0.keys()).await?;
    let mut written = Vec::with_capacity(deltas.0.len());
    let mut emptied = Vec::new();
    for (key, (count, sum)) in deltas.0 {
        let (old_count, old_sum) = sums.remove(&key).unwrap_or_default();
        let new = (old_count + count, old_sum.plus(sum));
        let empty = new == (0, BucketSum::ZERO);
        if !empty && new.0 <= 0 {
            let start = from_ms(key.start_ms)?;
            return Err(StoreError::damaged(format!(
                "the bucket of {} {} {} at {start} does not hold its items",
                key.channel, key.dataset, key.grain
            )));
        }
        if empty {
            emptied.push(key.clone());
        }
        written.push((key, new));
    }
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
    if !emptied.is_empty() {
        let keys = arrays(&emptied, bind_bucket)?;
        sqlx::query_with(pg!("book_bucket/delete_empty"), keys).execute(&mut *connection).await?;
    }
    written.retain(|(key, _)| key.grain == Grain::Day);
    keep_days(connection, &written, at).await
}

/// The days that changed, as they stand now; an empty one stays written down.
async fn keep_days(connection: &mut PgConnection, days: &[(BucketKey, (i64, BucketSum))], at: Timestamp) -> Result<()> {
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
) -> Result<BTreeMap<BucketKey, (i64, BucketSum)>> {
    let rows: Vec<PgRow> =
        sqlx::query_with(pg!("book_bucket/of"), arrays(keys, bind_bucket)?).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of("book_bucket", row);
            let key = BucketKey {
                channel: columns.id()?,
                dataset: columns.word()?,
                projection_version: columns.small()?,
                grain: columns.word()?,
                start_ms: columns.int()?,
                side: read_side(&mut columns)?,
            };
            Ok((key, (columns.int()?, BucketSum(columns.hash()?))))
        })
        .collect()
}
