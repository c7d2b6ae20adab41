//! Reading the state book.

use super::batch::list;
use super::column::{Columns, from_ms, to_ms};
use super::{Result, SqliteStore};
use crate::engine::book_change::read_held;
use crate::{BookStore, StoredItem};
use async_trait::async_trait;
use gateway_model::{Bucket, BucketSum, ChannelId, Dataset, Grain, SourceNumber, Timestamp, Window};
use sqlx::sqlite::SqliteRow;

#[async_trait]
impl BookStore for SqliteStore {
    async fn buckets(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        projection_version: u32,
        grain: Grain,
        window: Window,
    ) -> Result<Vec<Bucket>> {
        let rows = sqlx::query(sql!("book_bucket/list"))
            .bind(channel.as_str())
            .bind(dataset.as_str())
            .bind(i64::from(projection_version))
            .bind(grain.as_str())
            .bind(ceil_ms(window.start))
            .bind(ceil_ms(window.end))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        let mut buckets: Vec<Bucket> = Vec::new();
        for row in &rows {
            let mut columns = Columns::of("book_bucket", row);
            let start = columns.time()?;
            let count = columns.count()?;
            let sum = BucketSum(columns.hash()?);
            match buckets.last_mut() {
                Some(last) if last.start == start => {
                    last.count += count;
                    last.sum = last.sum.plus(sum);
                }
                _ => buckets.push(Bucket { start, count, sum }),
            }
        }
        // Of the last one only the end tells whether it lies in the window whole.
        buckets.retain(|bucket| grain.bucket(bucket.start).end <= window.end);
        Ok(buckets)
    }

    async fn items(&self, channel: &ChannelId, dataset: Dataset, window: Window) -> Result<Vec<StoredItem>> {
        let rows = sqlx::query(sql!("book_item/in_window"))
            .bind(channel.as_str())
            .bind(dataset.as_str())
            .bind(to_ms(window.start))
            .bind(ceil_ms(window.end))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        let mut items = read_items(&rows)?;
        // The index has whole milliseconds, an event time may be finer.
        items.retain(|stored| window.contains(stored.item.event_time.start()));
        Ok(items)
    }

    async fn items_of(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        numbers: &[SourceNumber],
    ) -> Result<Vec<StoredItem>> {
        let mut numbers: Vec<&str> = numbers.iter().map(SourceNumber::as_str).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let rows = sqlx::query(sql!("book_item/of_numbers"))
            .bind(channel.as_str())
            .bind(dataset.as_str())
            .bind(list(numbers)?)
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        read_items(&rows)
    }

    async fn span(&self, channel: &ChannelId) -> Result<Option<Window>> {
        let row = sqlx::query(sql!("book_item/span"))
            .bind(channel.as_str())
            .bind(list(Dataset::ALL.map(Dataset::as_str))?)
            .fetch_one(&mut *self.readers.lend().await?)
            .await?;
        let mut columns = Columns::of("book_item", &row);
        let (first, last) = (columns.maybe_int()?, columns.maybe_int()?);
        Ok(match (first, last) {
            (Some(first), Some(last)) => {
                Some(Window::new(from_ms(first)?, from_ms(last.saturating_add(1)).unwrap_or(Timestamp::MAX)))
            }
            _ => None,
        })
    }
}

fn ceil_ms(at: Timestamp) -> i64 {
    let ms = to_ms(at);
    if at.subsec_nanosecond() % 1_000_000 == 0 { ms } else { ms + 1 }
}

fn read_items(rows: &[SqliteRow]) -> Result<Vec<StoredItem>> {
    rows.iter()
        .map(|row| {
            let held = read_held(&mut Columns::of("book_item", row))?;
            Ok(StoredItem { side: held.side, item: held.item })
        })
        .collect()
}
