//! The books through time.

use super::batch::list;
use super::column::{Columns, to_ms};
use super::ingest::{read_dataset, read_outcome};
use super::{Result, SqliteStore, account, gap};
use crate::engine::book_change::read_side;
use crate::{
    AccountDay, AccountSpan, BookDay, Days, DeadLetterLife, DeliveryDay, FlowDay, GapRow, GapStep, HistoryStore,
    IncidentLife, LatencyDay, Leg, NewAccount, StoreError,
};
use async_trait::async_trait;
use gateway_model::{BucketSum, ChannelId, Dataset, Day, GapId, Timestamp};
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;

#[async_trait]
impl HistoryStore for SqliteStore {
    async fn record_account(&self, account: &NewAccount) -> Result<()> {
        if account.days.is_none() && account.in_step.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin_write().await?;
        account::write(&mut tx, std::slice::from_ref(account)).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn book_days(&self, channel: &ChannelId, days: Days, as_of: Day) -> Result<Vec<BookDay>> {
        let rows = sqlx::query(sql!("book_day/as_of"))
            .bind(channel.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(as_of.to_string())
            .bind(account::datasets()?)
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("book_day", row);
                Ok(BookDay {
                    dataset: columns.word()?,
                    day: columns.word()?,
                    side: read_side(&mut columns)?,
                    count: columns.count()?,
                    sum: BucketSum(columns.hash()?),
                    changed_at: columns.time()?,
                })
            })
            .collect()
    }

    async fn account_days(&self, channel: &ChannelId, days: Days, as_of: Day) -> Result<Vec<AccountDay>> {
        account::read(&mut *self.readers.lend().await?, channel, &Dataset::ALL, days, as_of).await
    }

    async fn account_spans(&self, channel: &ChannelId, days: Days, as_of: Day) -> Result<Vec<AccountSpan>> {
        let rows = sqlx::query(sql!("account_span/as_of"))
            .bind(channel.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(as_of.to_string())
            .bind(account::datasets()?)
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("account_span", row);
                Ok(AccountSpan {
                    dataset: columns.word()?,
                    days: Days { from: columns.word()?, to: columns.word()? },
                    as_of: columns.time()?,
                    compared_at: columns.time()?,
                })
            })
            .collect()
    }

    async fn flow_days(&self, channel: &ChannelId, days: Days) -> Result<Vec<FlowDay>> {
        let rows = sqlx::query(sql!("flow_day/of"))
            .bind(channel.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(list(Dataset::ALL.map(Dataset::as_str).into_iter().chain([""]))?)
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("flow_day", row);
                Ok(FlowDay {
                    dataset: read_dataset(&columns.string()?)?,
                    day: columns.word()?,
                    outcome: read_outcome(&columns.string()?)?,
                    changes: columns.count()?,
                })
            })
            .collect()
    }

    async fn delivery_days(&self, destination: &ChannelId, days: Days, as_of: Day) -> Result<Vec<DeliveryDay>> {
        let rows = sqlx::query(sql!("delivery_day/as_of"))
            .bind(destination.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(as_of.to_string())
            .bind(account::datasets()?)
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("delivery_day", row);
                Ok(DeliveryDay {
                    dataset: columns.word()?,
                    day: columns.word()?,
                    state: columns.word()?,
                    deliveries: columns.count()?,
                    sent: columns.count()?,
                })
            })
            .collect()
    }

    async fn latency_days(&self, channel: &ChannelId, days: Days) -> Result<Vec<LatencyDay>> {
        let rows = sqlx::query(sql!("latency_day/of"))
            .bind(channel.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(list(Leg::ALL.map(Leg::as_str))?)
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("latency_day", row);
                let leg = columns.string()?;
                Ok(LatencyDay {
                    leg: Leg::ALL
                        .into_iter()
                        .find(|known| known.as_str() == leg)
                        .ok_or_else(|| StoreError::damaged(format!("latency_day has leg `{leg}`")))?,
                    day: columns.word()?,
                    bucket: columns.small()?,
                    count: columns.count()?,
                    max_ms: columns.count()?,
                })
            })
            .collect()
    }

    async fn gap_lives(&self, channel: &ChannelId, before: Timestamp) -> Result<Vec<(GapRow, Vec<GapStep>)>> {
        // One snapshot: a gap and its steps belong together.
        let mut reader = self.readers.lend().await?;
        let mut tx = reader.snapshot().await?;
        let rows =
            sqlx::query(sql!("gap_step/before")).bind(channel.as_str()).bind(to_ms(before)).fetch_all(&mut *tx).await?;
        let mut lives: BTreeMap<GapId, Vec<GapStep>> = BTreeMap::new();
        for row in &rows {
            let (id, step) = read_step(row)?;
            lives.entry(id).or_default().push(step);
        }
        let ids: Vec<GapId> = lives.keys().copied().collect();
        let gaps = gap::load(&mut tx, &ids).await?;
        Ok(gaps
            .into_iter()
            .filter_map(|gap| Some((lives.remove(&gap.id)?, gap)))
            .map(|(steps, gap)| (gap, steps))
            .collect())
    }

    async fn gap_steps(&self, id: GapId) -> Result<Vec<GapStep>> {
        let rows =
            sqlx::query(sql!("gap_step/of")).bind(list([id])?).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter().map(|row| Ok(read_step(row)?.1)).collect()
    }

    async fn dead_letter_lives(
        &self,
        channel: &ChannelId,
        before: Timestamp,
        unsettled_at: Timestamp,
    ) -> Result<Vec<DeadLetterLife>> {
        let rows = sqlx::query(sql!("dead_letter/before"))
            .bind(channel.as_str())
            .bind(to_ms(before))
            .bind(to_ms(unsettled_at))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("dead_letter", row);
                Ok(DeadLetterLife { code: columns.string()?, at: columns.time()?, settled_at: columns.maybe_time()? })
            })
            .collect()
    }

    async fn incident_lives(&self, before: Timestamp, unresolved_at: Timestamp) -> Result<Vec<IncidentLife>> {
        let rows = sqlx::query(sql!("incident_life/before"))
            .bind(to_ms(before))
            .bind(to_ms(unresolved_at))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("incident_life", row);
                let channel = columns.string()?;
                let channel = if channel.is_empty() { None } else { Some(ChannelId::new(channel)) };
                let channel = channel.transpose().map_err(|source| StoreError::Damaged {
                    what: "incident_life has a channel that is none".into(),
                    source: Some(Box::new(source)),
                })?;
                Ok(IncidentLife {
                    channel,
                    code: columns.string()?,
                    opened_at: columns.time()?,
                    resolved_at: columns.maybe_time()?,
                })
            })
            .collect()
    }
}

fn read_step(row: &SqliteRow) -> Result<(GapId, GapStep)> {
    let mut columns = Columns::of("gap_step", row);
    Ok((
        GapId(columns.int()?),
        GapStep {
            at: columns.time()?,
            state: columns.word()?,
            generation: columns.small()?,
            reason: columns.maybe_string()?,
            by: columns.maybe_string()?,
        },
    ))
}
