//! The pipeline's transaction, and the flow book's inbound side.

use super::batch::{list, write_rows};
use super::column::Columns;
use super::{Result, SqliteStore, anomaly, dead_letter, history_write, ingest_write, load, park, raw};
use crate::{
    AnomalyTally, FlowOutcome, FlowPosition, FlowTally, IngestRequest, IngestStore, IngestWrites, Loaded,
    NewDeadLetter, Parked, RawRow, StoreError,
};
use async_trait::async_trait;
use gateway_model::{ChannelId, Dataset, RawId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

#[async_trait]
impl IngestStore for SqliteStore {
    async fn ingest(
        &self,
        request: IngestRequest,
        decide: &(dyn Fn(Loaded) -> IngestWrites + Send + Sync),
    ) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let loaded = load::load(&mut tx, &request).await?;
        let writes = decide(loaded);
        ingest_write::write(&mut tx, writes).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn flow_positions(&self) -> Result<Vec<FlowPosition>> {
        let rows = sqlx::query(sql!("flow_position/list")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter().map(read_position).collect()
    }

    async fn flow_tallies(&self) -> Result<Vec<FlowTally>> {
        let rows = sqlx::query(sql!("flow_tally/list")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter().map(read_tally).collect()
    }

    async fn parked_changes(&self) -> Result<Vec<(ChannelId, u64)>> {
        park::tallies(&mut *self.readers.lend().await?).await
    }

    async fn parked_before(&self, before: Timestamp, limit: u32) -> Result<Vec<Parked>> {
        park::before(&mut *self.readers.lend().await?, before, limit).await
    }

    async fn bury_parked(&self, letters: Vec<NewDeadLetter>, tallies: Vec<FlowTally>) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let mut ids: Vec<RawId> = letters.iter().map(|letter| letter.raw_id).collect();
        ids.sort_unstable();
        ids.dedup();
        if park::delete(&mut tx, &ids).await? != ids.len() as u64 {
            let id = ids.iter().map(ToString::to_string).collect::<Vec<_>>();
            return Err(StoreError::WrongState {
                what: "parked record",
                id: id.join(", "),
                state: "no longer parked, at least one of them".into(),
            });
        }
        dead_letter::insert(&mut tx, &letters).await?;
        let at = letters.iter().map(|letter| letter.at).max().unwrap_or_default();
        add_tallies(&mut tx, &tallies, at).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn raw(&self, id: RawId) -> Result<Option<RawRow>> {
        raw::get(&mut *self.readers.lend().await?, id).await
    }

    async fn first_arrivals(
        &self,
        channel: &ChannelId,
        after: RawId,
        span: u32,
    ) -> Result<(Vec<(Timestamp, Timestamp)>, RawId)> {
        raw::first_arrivals(&mut *self.readers.lend().await?, channel, after, span).await
    }

    async fn anomalies(&self) -> Result<Vec<AnomalyTally>> {
        anomaly::tallies(&mut *self.readers.lend().await?).await
    }
}

pub(super) async fn positions(
    connection: &mut SqliteConnection,
    partitions: &[(String, u32)],
) -> Result<Vec<FlowPosition>> {
    let rows = sqlx::query(sql!("flow_position/of")).bind(list(partitions)?).fetch_all(connection).await?;
    rows.iter().map(read_position).collect()
}

/// Positions only go forward.
pub(super) async fn save_positions(connection: &mut SqliteConnection, positions: &[FlowPosition]) -> Result<()> {
    write_rows(connection, sql!("flow_position/upsert"), positions, |values, position| {
        values.text(position.topic.as_str()).int(i64::from(position.partition)).count(position.next_offset);
    })
    .await
}

pub(super) async fn add_tallies(connection: &mut SqliteConnection, tallies: &[FlowTally], at: Timestamp) -> Result<()> {
    history_write::flow(connection, tallies, at).await?;
    write_rows(connection, sql!("flow_tally/add"), tallies, |values, tally| {
        values
            .text(tally.channel.as_str())
            .text(tally.dataset.map_or("", |dataset| dataset.as_str()))
            .text(tally.outcome.as_str())
            .count(tally.changes);
    })
    .await
}

fn read_position(row: &SqliteRow) -> Result<FlowPosition> {
    let mut columns = Columns::of("flow_position", row);
    Ok(FlowPosition { topic: columns.string()?, partition: columns.small()?, next_offset: columns.count()? })
}

fn read_tally(row: &SqliteRow) -> Result<FlowTally> {
    let mut columns = Columns::of("flow_tally", row);
    let channel = columns.id()?;
    let dataset = columns.string()?;
    let outcome = columns.string()?;
    Ok(FlowTally {
        channel,
        dataset: read_dataset(&dataset)?,
        outcome: read_outcome(&outcome)?,
        changes: columns.count()?,
    })
}

/// The dataset of a line; empty for what could not be decoded.
pub(super) fn read_dataset(text: &str) -> Result<Option<Dataset>> {
    match text {
        "" => Ok(None),
        name => Ok(Some(name.parse().map_err(|source| StoreError::Damaged {
            what: format!("the flow book has dataset `{name}`"),
            source: Some(Box::new(source)),
        })?)),
    }
}

pub(super) fn read_outcome(text: &str) -> Result<FlowOutcome> {
    [FlowOutcome::Applied, FlowOutcome::Duplicate, FlowOutcome::DeadLettered]
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| StoreError::damaged(format!("the flow book has outcome `{text}`")))
}
