//! Datasets whose automatic repair is stopped.

use super::batch::write_rows;
use super::column::{Columns, to_ms};
use super::{Result, SqliteStore};
use crate::{RepairStop, RepairStopStore, StoreError};
use async_trait::async_trait;
use gateway_model::{ChannelId, Dataset, Timestamp};

#[async_trait]
impl RepairStopStore for SqliteStore {
    async fn stop_repair(&self, stop: &RepairStop) -> Result<()> {
        let mut tx = self.begin_write().await?;
        write_rows(&mut tx, sql!("repair_stop/upsert"), std::slice::from_ref(stop), |values, stop| {
            values
                .text(stop.channel.as_str())
                .text(stop.dataset.as_str())
                .time(stop.since)
                .count(stop.gaps)
                .count(stop.ours)
                .count(stop.theirs);
        })
        .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn repair_stops(&self) -> Result<Vec<RepairStop>> {
        let rows = sqlx::query(sql!("repair_stop/list")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("repair_stop", row);
                Ok(RepairStop {
                    channel: columns.id()?,
                    dataset: columns.word()?,
                    since: columns.time()?,
                    gaps: columns.count()?,
                    ours: columns.count()?,
                    theirs: columns.count()?,
                    approved_at: columns.maybe_time()?,
                    approved_by: columns.maybe_string()?,
                })
            })
            .collect()
    }

    async fn approve_repair(&self, channel: &ChannelId, dataset: Dataset, by: &str, at: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let done = sqlx::query(sql!("repair_stop/approve"))
            .bind(channel.as_str())
            .bind(dataset.as_str())
            .bind(to_ms(at))
            .bind(by)
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "stopped repair", id: format!("{channel} {dataset}") });
        }
        tx.commit().await?;
        Ok(())
    }

    async fn end_repair_stop(&self, channel: &ChannelId, dataset: Dataset) -> Result<()> {
        let mut tx = self.begin_write().await?;
        sqlx::query(sql!("repair_stop/delete")).bind(channel.as_str()).bind(dataset.as_str()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
