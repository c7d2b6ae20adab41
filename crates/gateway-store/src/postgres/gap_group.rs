//! Groups of gaps: joined when a gap is confirmed, over with their last unfinished one.

use super::column::{Columns, to_ms};
use super::gap::{load, save};
use super::transaction::{commit, turn};
use super::{PostgresStore, Result, history_write};
use crate::engine::gap_row::{step, wrong_state};
use crate::{GapGroupFilter, GapGroupRow, GapGroupStore, GapRow, GapTally, StoreError};
use async_trait::async_trait;
use gateway_model::{ChannelId, GapEvidence, GapGroupId, GapId, GapState, Timestamp, Window};
use sqlx::PgConnection;
use std::collections::BTreeMap;

#[async_trait]
impl GapGroupStore for PostgresStore {
    async fn open_gaps(
        &self,
        confirmed: &[(GapId, GapEvidence)],
        group_within_ms: u64,
        at: Timestamp,
    ) -> Result<Vec<GapGroupId>> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            turn(&mut tx).await?;
            let ids: Vec<GapId> = confirmed.iter().map(|(id, _)| *id).collect();
            let mut rows: BTreeMap<GapId, GapRow> =
                load(&mut tx, &ids).await?.into_iter().map(|gap| (gap.id, gap)).collect();
            let mut groups = Vec::with_capacity(confirmed.len());
            for (id, evidence) in confirmed {
                let Some(gap) = rows.get_mut(id) else {
                    return Err(StoreError::NotFound { what: "gap", id: id.to_string() });
                };
                if gap.state != GapState::Suspected {
                    return Err(wrong_state(gap));
                }
                step(gap, GapState::Open, at)?;
                gap.evidence = *evidence;
                let group = join(&mut tx, gap, group_within_ms, at).await?;
                gap.group_id = Some(group);
                groups.push(group);
            }
            let rows: Vec<GapRow> = rows.into_values().collect();
            save(&mut tx, &rows).await?;
            history_write::gap_steps(&mut tx, &rows.iter().collect::<Vec<_>>(), at).await?;
            commit(tx).await?;
            Ok(groups)
        })
        .await
    }

    async fn gap_groups(&self, filter: &GapGroupFilter, limit: u32) -> Result<Vec<GapGroupRow>> {
        let mut tx = self.begin_read().await?;
        let statement = if filter.unfinished { sql!("gap_group/list_unfinished") } else { sql!("gap_group/list") };
        let rows = sqlx::query(statement)
            .bind(filter.after.map_or(i64::MIN, |id| id.0))
            .bind(filter.channel.as_ref().map(ChannelId::as_str))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        let mut groups = BTreeMap::new();
        for row in &rows {
            let mut columns = Columns::of("gap_group", row);
            let group = GapGroupRow {
                id: GapGroupId(columns.int()?),
                channel: columns.id()?,
                direction: columns.word()?,
                opened_at: columns.time()?,
                last_opened_at: columns.time()?,
                ended_at: columns.maybe_time()?,
                tallies: Vec::new(),
            };
            groups.insert(group.id, group);
        }
        let tally = if filter.count_unfinished { pg!("gap_group/tally_unfinished") } else { pg!("gap_group/tally") };
        let rows =
            sqlx::query(tally).bind(groups.keys().map(|id| id.0).collect::<Vec<_>>()).fetch_all(&mut *tx).await?;
        for row in &rows {
            let mut columns = Columns::of("gap", row);
            let id = GapGroupId(columns.int()?);
            let tally = GapTally {
                dataset: columns.word()?,
                kind: columns.word()?,
                state: columns.word()?,
                left: columns.truth()?,
                tried: columns.truth()?,
                count: columns.count()?,
                window: Window::new(columns.time()?, columns.time()?),
                opened_at: columns.time()?,
            };
            if let Some(group) = groups.get_mut(&id) {
                group.tallies.push(tally);
            }
        }
        Ok(groups.into_values().collect())
    }
}

/// The group that a gap belongs to that is confirmed now.
pub(super) async fn join(
    connection: &mut PgConnection,
    gap: &GapRow,
    group_within_ms: u64,
    at: Timestamp,
) -> Result<GapGroupId> {
    let direction = gap.kind.direction();
    let youngest = sqlx::query(sql!("gap_group/youngest"))
        .bind(gap.channel.as_str())
        .bind(direction.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = youngest {
        let mut columns = Columns::of("gap_group", &row);
        let (id, last) = (columns.int()?, columns.int()?);
        let within = i64::try_from(group_within_ms).unwrap_or(i64::MAX);
        if to_ms(at).saturating_sub(last) < within {
            sqlx::query(sql!("gap_group/join")).bind(id).bind(to_ms(at)).execute(connection).await?;
            return Ok(GapGroupId(id));
        }
    }
    let id: i64 = sqlx::query_scalar(sql!("gap_group/insert"))
        .bind(gap.channel.as_str())
        .bind(direction.as_str())
        .bind(to_ms(at))
        .fetch_one(connection)
        .await?;
    Ok(GapGroupId(id))
}

/// Follows a gap that moved: its group is over with its last unfinished gap.
pub(super) async fn settle(connection: &mut PgConnection, group: GapGroupId, at: Timestamp) -> Result<()> {
    sqlx::query(sql!("gap_group/settle")).bind(group.0).bind(to_ms(at)).execute(connection).await?;
    Ok(())
}
