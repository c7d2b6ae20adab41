//! The pipeline's transaction, and the flow book's inbound side.

use super::batch::{arrays, last_of_each, write_rows};
use super::column::Columns;
use super::month::lacks_month;
use super::transaction::{Anew, commit, turn};
use super::{PostgresStore, Result, anomaly, dead_letter, history_write, ingest_write, load, park, raw};
use crate::{
    AnomalyTally, FlowOutcome, FlowPosition, FlowTally, IngestRequest, IngestStore, IngestWrites, Loaded,
    NewDeadLetter, Parked, RawRow, StoreError,
};
use async_trait::async_trait;
use gateway_model::{ChannelId, Dataset, RawId, Timestamp};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;

#[async_trait]
impl IngestStore for PostgresStore {
    async fn ingest(
        &self,
        request: IngestRequest,
        decide: &(dyn Fn(Loaded) -> IngestWrites + Send + Sync),
    ) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let loaded = load::load(&mut tx, &request).await?;
            let writes = decide(loaded);
            let months = self.months_of(&writes);
            if !months.is_empty() {
                // Without the turn and the locks: others go on meanwhile.
                tx.rollback().await?;
                self.make_months(&months).await?;
                return Err(Anew::Month.into());
            }
            match ingest_write::write(&mut tx, writes).await {
                Err(error) if lacks_month(&error) => {
                    self.months.forget();
                    return Err(Anew::Month.into());
                }
                written => written?,
            }
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn flow_positions(&self) -> Result<Vec<FlowPosition>> {
        let rows = sqlx::query(sql!("flow_position/list")).fetch_all(&self.pool).await?;
        rows.iter().map(read_position).collect()
    }

    async fn flow_tallies(&self) -> Result<Vec<FlowTally>> {
        let rows = sqlx::query(sql!("flow_tally/list")).fetch_all(&self.pool).await?;
        rows.iter().map(read_tally).collect()
    }

    async fn parked_changes(&self) -> Result<Vec<(ChannelId, u64)>> {
        park::tallies(&mut *self.pool.acquire().await?).await
    }

    async fn parked_before(&self, before: Timestamp, limit: u32) -> Result<Vec<Parked>> {
        park::before(&mut *self.pool.acquire().await?, before, limit).await
    }

    async fn bury_parked(&self, letters: Vec<NewDeadLetter>, tallies: Vec<FlowTally>) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            turn(&mut tx).await?;
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
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn raw(&self, id: RawId) -> Result<Option<RawRow>> {
        raw::get(&mut *self.pool.acquire().await?, id).await
    }

    async fn first_arrivals(
        &self,
        channel: &ChannelId,
        after: RawId,
        span: u32,
    ) -> Result<(Vec<(Timestamp, Timestamp)>, RawId)> {
        raw::first_arrivals(&mut *self.pool.acquire().await?, channel, after, span).await
    }

    async fn anomalies(&self) -> Result<Vec<AnomalyTally>> {
        anomaly::tallies(&mut *self.pool.acquire().await?).await
    }
}

/// Channel, dataset and outcome of a line of the flow book.
pub(super) type FlowLine<'a> = (&'a str, &'a str, &'a str);

pub(super) async fn positions(
    connection: &mut PgConnection,
    partitions: &[(String, u32)],
) -> Result<Vec<FlowPosition>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let keys = arrays(partitions, |values, (topic, partition)| {
        values.text(topic.as_str()).int(i64::from(*partition));
    })?;
    let rows = sqlx::query_with(pg!("flow_position/of"), keys).fetch_all(connection).await?;
    rows.iter().map(read_position).collect()
}

/// Positions only go forward.
pub(super) async fn save_positions(connection: &mut PgConnection, positions: &[FlowPosition]) -> Result<()> {
    let mut ascending: Vec<_> = positions.iter().collect();
    ascending.sort_by_key(|position| position.next_offset);
    let furthest = last_of_each(&ascending, |position| (position.topic.as_str(), position.partition));
    write_rows(connection, sql!("flow_position/upsert"), &furthest, |values, position| {
        values.text(position.topic.as_str()).int(i64::from(position.partition)).count(position.next_offset);
    })
    .await
}

pub(super) async fn add_tallies(connection: &mut PgConnection, tallies: &[FlowTally], at: Timestamp) -> Result<()> {
    let mut sums: BTreeMap<FlowLine<'_>, u64> = BTreeMap::new();
    for tally in tallies {
        let dataset = tally.dataset.map_or("", |dataset| dataset.as_str());
        *sums.entry((tally.channel.as_str(), dataset, tally.outcome.as_str())).or_default() += tally.changes;
    }
    let sums: Vec<_> = sums.into_iter().collect();
    history_write::flow(connection, &sums, at).await?;
    write_rows(connection, sql!("flow_tally/add"), &sums, |values, ((channel, dataset, outcome), changes)| {
        values.text(*channel).text(*dataset).text(*outcome).count(*changes);
    })
    .await
}

fn read_position(row: &PgRow) -> Result<FlowPosition> {
    let mut columns = Columns::of("flow_position", row);
    Ok(FlowPosition { topic: columns.string()?, partition: columns.small()?, next_offset: columns.count()? })
}

fn read_tally(row: &PgRow) -> Result<FlowTally> {
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
