//! Adding our own books up again.
//!
//! Days, hours and ten minutes are added up from the items; a month from its kept days, which were. So a month of a million items costs 31 rows.

use super::batch::write_rows;
use super::column::{Columns, from_ms, to_ms};
use super::transaction::{commit, turn};
use super::{PostgresStore, Result};
use crate::engine::book_audit::{FROM_ITEMS, Sums, add_item, damage, missing, month_of};
use crate::engine::book_change::{read_held, read_side};
use crate::{AuditStore, DayAudit};
use async_trait::async_trait;
use gateway_model::{BucketSum, ChannelId, Dataset, Grain, Timestamp, Window};
use sqlx::PgConnection;

/// Which part of the book.
struct Part<'a> {
    channel: &'a ChannelId,
    dataset: Dataset,
    versions: Vec<i64>,
}

impl<'a> Part<'a> {
    fn of(channel: &'a ChannelId, dataset: Dataset, newest_version: u32) -> Result<Self> {
        Ok(Self { channel, dataset, versions: (0..=i64::from(newest_version)).collect() })
    }

    async fn kept(&self, connection: &mut PgConnection, grains: &[Grain], window: Window) -> Result<Sums> {
        let rows = sqlx::query(pg!("book_bucket/kept"))
            .bind(self.channel.as_str())
            .bind(self.dataset.as_str())
            .bind(to_ms(window.start))
            .bind(to_ms(window.end))
            .bind(&self.versions)
            .bind(grains.iter().map(|grain| grain.as_str()).collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
        let mut sums = Sums::new();
        for row in &rows {
            let mut columns = Columns::of("book_bucket", row);
            let (version, grain, start) = (columns.small()?, columns.word()?, columns.int()?);
            let side = read_side(&mut columns)?;
            sums.insert((grain, start, version, side), (columns.int()?, BucketSum(columns.hash()?)));
        }
        Ok(sums)
    }

    async fn of_items(&self, connection: &mut PgConnection, day: Window) -> Result<(u64, Sums)> {
        let rows = sqlx::query(sql!("book_item/in_window"))
            .bind(self.channel.as_str())
            .bind(self.dataset.as_str())
            .bind(to_ms(day.start))
            .bind(to_ms(day.end))
            .fetch_all(connection)
            .await?;
        let mut sums = Sums::new();
        for row in &rows {
            add_item(&mut sums, &read_held(&mut Columns::of("book_item", row))?);
        }
        Ok((rows.len() as u64, sums))
    }

    async fn month_of_days(&self, connection: &mut PgConnection, month: Window) -> Result<Sums> {
        Ok(month_of(self.kept(connection, &[Grain::Day], month).await?, month.start))
    }
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn next_book_day(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        newest_version: u32,
        from: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let part = Part::of(channel, dataset, newest_version)?;
        let mut tx = self.begin_read().await?;
        let item: Option<i64> = sqlx::query_scalar(sql!("book_item/first_from"))
            .bind(channel.as_str())
            .bind(dataset.as_str())
            .bind(to_ms(from))
            .fetch_one(&mut *tx)
            .await?;
        let bucket: Option<i64> = sqlx::query_scalar(pg!("book_bucket/first_from"))
            .bind(channel.as_str())
            .bind(dataset.as_str())
            .bind(to_ms(from))
            .bind(&part.versions)
            .bind(FROM_ITEMS.map(Grain::as_str))
            .fetch_one(&mut *tx)
            .await?;
        let first = [item, bucket].into_iter().flatten().min();
        first.map(|first| Ok(Grain::Day.bucket(from_ms(first)?).start)).transpose()
    }

    async fn audit_day(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        newest_version: u32,
        day: Timestamp,
    ) -> Result<DayAudit> {
        let part = Part::of(channel, dataset, newest_version)?;
        let (day, month) = (Grain::Day.bucket(day), Grain::Month.bucket(day));
        // One snapshot, so that what is written meanwhile is no damage.
        let mut tx = self.begin_read().await?;
        let kept = part.kept(&mut tx, &FROM_ITEMS, day).await?;
        let (items, sums) = part.of_items(&mut tx, day).await?;
        let mut found = damage(&kept, &sums)?;
        let kept = part.kept(&mut tx, &[Grain::Month], month).await?;
        found.extend(damage(&kept, &part.month_of_days(&mut tx, month).await?)?);
        Ok(DayAudit { items, damage: found })
    }

    async fn restore_day(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        newest_version: u32,
        day: Timestamp,
    ) -> Result<()> {
        self.repeated(|| async {
            let part = Part::of(channel, dataset, newest_version)?;
            let (day, month) = (Grain::Day.bucket(day), Grain::Month.bucket(day));
            let mut tx = self.begin_write().await?;
            turn(&mut tx).await?;
            let (_, sums) = part.of_items(&mut tx, day).await?;
            replace(&mut tx, &part, &FROM_ITEMS, day, sums).await?;
            let sums = part.month_of_days(&mut tx, month).await?;
            replace(&mut tx, &part, &[Grain::Month], month, sums).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn missing_offsets(&self, topic: &str, partition: u32, from: u64, to: u64) -> Result<Vec<(u64, u64)>> {
        let bound = |offset| i64::try_from(offset).unwrap_or(i64::MAX);
        let held: Vec<i64> = sqlx::query_scalar(sql!("raw_record/offsets"))
            .bind(topic)
            .bind(i64::from(partition))
            .bind(bound(from))
            .bind(bound(to))
            .fetch_all(&self.pool)
            .await?;
        let found = missing(held, from, to);
        if found.is_empty() {
            return Ok(found);
        }
        // What was archived is accounted for, whether its table is still there or not.
        let runs: Vec<(i64, i64)> = sqlx::query_as(pg!("archived_offset/of"))
            .bind(topic)
            .bind(i64::from(partition))
            .bind(bound(from))
            .bind(bound(to))
            .fetch_all(&self.pool)
            .await?;
        let runs: Vec<(u64, u64)> = runs.into_iter().map(|(a, b)| (a.unsigned_abs(), b.unsigned_abs())).collect();
        Ok(found.into_iter().flat_map(|range| without(range, &runs)).collect())
    }
}

/// A range without ascending runs.
fn without((from, to): (u64, u64), runs: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = Vec::new();
    let mut next = from;
    for (first, end) in runs.iter().copied().filter(|(first, end)| *first < to && *end > from) {
        if first > next {
            left.push((next, first));
        }
        next = next.max(end);
    }
    if next < to {
        left.push((next, to));
    }
    left
}

async fn replace(
    connection: &mut PgConnection,
    part: &Part<'_>,
    grains: &[Grain],
    window: Window,
    mut sums: Sums,
) -> Result<()> {
    sqlx::query(pg!("book_bucket/delete_kept"))
        .bind(part.channel.as_str())
        .bind(part.dataset.as_str())
        .bind(to_ms(window.start))
        .bind(to_ms(window.end))
        .bind(&part.versions)
        .bind(grains.iter().map(|grain| grain.as_str()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    sums.retain(|_, sum| *sum != (0, BucketSum::ZERO));
    let rows: Vec<_> = sums.into_iter().collect();
    write_rows(
        connection,
        sql!("book_bucket/upsert"),
        &rows,
        |values, ((grain, start, version, side), (count, sum))| {
            values
                .text(part.channel.as_str())
                .text(part.dataset.as_str())
                .int(i64::from(*version))
                .text(grain.as_str())
                .int(*start)
                .text(side.as_str())
                .int(*count)
                .bytes(&sum.0);
        },
    )
    .await
}
