//! Arrivals by hour, and what waits since when.

use super::batch::write_rows;
use super::column::{Columns, to_ms};
use super::{Result, SqliteStore};
use crate::{ArrivalHour, NewRaw, Waiting, WaitingDeliveries, WaitingRecords, WatchStore, WatchedHour};
use async_trait::async_trait;
use gateway_model::{ChannelId, Grain, Origin, SourceNumber, Timestamp};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// Counts what channels sent of themselves: one row for each channel and hour of a batch, whatever its size.
pub(super) async fn count_arrivals(connection: &mut SqliteConnection, raws: &[NewRaw]) -> Result<()> {
    let mut hours: BTreeMap<(&ChannelId, Timestamp), u64> = BTreeMap::new();
    for raw in raws {
        if matches!(raw.meta.origin, Origin::Poll | Origin::Webhook | Origin::WebhookConflict) {
            *hours.entry((&raw.meta.channel, Grain::Hour.bucket(raw.meta.received_at).start)).or_default() += 1;
        }
    }
    let hours: Vec<_> = hours.into_iter().collect();
    write_rows(connection, sql!("arrival_hour/add"), &hours, |values, ((channel, hour), records)| {
        values.text(channel.as_str()).time(*hour).count(*records);
    })
    .await
}

#[async_trait]
impl WatchStore for SqliteStore {
    async fn arrival_hours(&self, channel: &ChannelId, from: Timestamp) -> Result<Vec<ArrivalHour>> {
        let rows = sqlx::query(sql!("arrival_hour/of"))
            .bind(channel.as_str())
            .bind(to_ms(from))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("arrival_hour", row);
                Ok(ArrivalHour { hour_at: columns.time()?, records: columns.count()? })
            })
            .collect()
    }

    async fn watched_hours(&self, from: Timestamp) -> Result<Vec<WatchedHour>> {
        let rows = sqlx::query(sql!("watched_hour/since"))
            .bind(to_ms(from))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("watched_hour", row);
                Ok(WatchedHour { hour_at: columns.time()?, watched_ms: columns.count()? })
            })
            .collect()
    }

    async fn add_watched(&self, hours: &[WatchedHour]) -> Result<()> {
        let mut tx = self.begin_write().await?;
        write_rows(&mut tx, sql!("watched_hour/add"), hours, |values, hour| {
            values.time(hour.hour_at).count(hour.watched_ms);
        })
        .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn prune_arrivals(&self, channels: &[ChannelId], before: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        for channel in channels {
            sqlx::query(sql!("arrival_hour/prune"))
                .bind(channel.as_str())
                .bind(to_ms(before))
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query(sql!("watched_hour/prune")).bind(to_ms(before)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn waiting_deliveries(&self, destination: &ChannelId, before: Timestamp) -> Result<Vec<WaitingDeliveries>> {
        let rows = sqlx::query(sql!("delivery/waiting"))
            .bind(destination.as_str())
            .bind(to_ms(before))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("delivery", row);
                Ok(Waiting {
                    kind: columns.word()?,
                    count: columns.count()?,
                    overdue: columns.count()?,
                    oldest: columns.time()?,
                })
            })
            .collect()
    }

    async fn waiting_dead_letters(&self, before: Timestamp) -> Result<Vec<WaitingRecords>> {
        let rows = sqlx::query(sql!("dead_letter/waiting"))
            .bind(to_ms(before))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("dead_letter", row);
                Ok(Waiting {
                    kind: columns.id()?,
                    count: columns.count()?,
                    overdue: columns.count()?,
                    oldest: columns.time()?,
                })
            })
            .collect()
    }

    async fn waiting_parked(&self, before: Timestamp) -> Result<Vec<WaitingRecords>> {
        let rows = sqlx::query(sql!("parked_record/waiting"))
            .bind(to_ms(before))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("parked_record", row);
                let (kind, count) = (columns.id()?, columns.count()?);
                Ok(Waiting { kind, count, overdue: count, oldest: columns.time()? })
            })
            .collect()
    }

    async fn numbers_below(&self, channel: &ChannelId, below: Option<&str>, limit: u32) -> Result<Vec<SourceNumber>> {
        // Above every character that a number can begin with.
        let below = below.map_or_else(|| char::MAX.to_string(), str::to_owned);
        let rows = sqlx::query(sql!("order_number/below"))
            .bind(channel.as_str())
            .bind(below)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(|row| Columns::of("order_number", row).id()).collect()
    }

    async fn numbers_between(
        &self,
        channel: &ChannelId,
        from: &str,
        to: &str,
        limit: u32,
    ) -> Result<Vec<SourceNumber>> {
        let rows = sqlx::query(sql!("order_number/between"))
            .bind(channel.as_str())
            .bind(from)
            .bind(to)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(|row| Columns::of("order_number", row).id()).collect()
    }
}
