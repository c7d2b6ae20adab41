//! Gaps and comparisons.

use super::batch::{list, write_rows};
use super::column::{Columns, to_ms};
use super::gap_group::{join, settle};
use super::{Result, SqliteStore, Tx, account, history_write, lease};
use crate::engine::gap_row::{read_gap, step, suspected, wrong_state};
use crate::{Comparison, ComparisonKind, GapFilter, GapRow, GapStore, LeaseGrant, NewGap, ReconcileRound, StoreError};
use async_trait::async_trait;
use gateway_model::{ChannelId, GapEvidence, GapId, GapKind, GapState, SourceNumber, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;

/// A gap that is opened by itself joins the youngest group that confirmed one in the past hour.
const MOVED_WITHIN_MS: u64 = 3_600_000;

#[async_trait]
impl GapStore for SqliteStore {
    async fn suspect(&self, gaps: &[NewGap]) -> Result<Vec<GapId>> {
        if gaps.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin_write().await?;
        // The sequence, not the largest id: a forgotten suspicion's id is not given again.
        let first: i64 = sqlx::query_scalar(sql!("gap/next_id")).fetch_one(&mut *tx).await?;
        let rows: Vec<GapRow> = (first..).zip(gaps).map(|(id, gap)| suspected(GapId(id), gap)).collect();
        save(&mut tx, &rows).await?;
        tx.commit().await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    async fn forget(&self, ids: &[GapId]) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let gaps = load(&mut tx, ids).await?;
        if let Some(gap) = gaps.iter().find(|gap| gap.state != GapState::Suspected) {
            return Err(wrong_state(gap));
        }
        sqlx::query(sql!("gap/delete")).bind(list(ids)?).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn suspect_again(&self, id: GapId, kind: GapKind, evidence: GapEvidence, at: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let mut gap = load_one(&mut tx, id).await?;
        if gap.state != GapState::Suspected {
            return Err(wrong_state(&gap));
        }
        gap.kind = kind;
        gap.evidence = evidence;
        gap.first_seen_at = at;
        save(&mut tx, &[gap]).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn move_gap(
        &self,
        id: GapId,
        to: GapState,
        evidence: Option<GapEvidence>,
        reason: Option<&str>,
        by: Option<&str>,
        at: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let before = load_one(&mut tx, id).await?;
        let mut gap = before.clone();
        step(&mut gap, to, at)?;
        if gap.group_id.is_none() {
            gap.group_id = Some(join(&mut tx, &gap, MOVED_WITHIN_MS, at).await?);
        }
        let group = gap.group_id;
        gap.evidence = evidence.unwrap_or(gap.evidence);
        gap.reason = reason.map(str::to_owned);
        gap.by = by.map(str::to_owned);
        history_write::gap_step(&mut tx, &before, &gap, at).await?;
        save(&mut tx, &[gap]).await?;
        if let Some(group) = group {
            settle(&mut tx, group, at).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn gap(&self, id: GapId) -> Result<Option<GapRow>> {
        let mut connection = self.readers.lend().await?;
        Ok(load(&mut connection, &[id]).await?.pop())
    }

    async fn gaps(&self, filter: &GapFilter, limit: u32) -> Result<Vec<GapRow>> {
        let statement = match (filter.group, &filter.number, filter.state) {
            (Some(_), _, _) => sql!("gap/list_of_group"),
            (None, Some(_), _) => sql!("gap/list_of_number"),
            (None, None, Some(_)) => sql!("gap/list_in_state"),
            (None, None, None) => sql!("gap/list"),
        };
        let rows = sqlx::query(statement)
            .bind(filter.after.map_or(i64::MIN, |id| id.0))
            .bind(filter.channel.as_ref().map(ChannelId::as_str))
            .bind(i64::from(limit))
            .bind(filter.state.map(GapState::as_str))
            .bind(filter.number.as_ref().map(SourceNumber::as_str))
            .bind(filter.group.map(|id| id.0))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(read_gap).collect()
    }

    async fn active_gaps(&self, channel: &ChannelId, after: Option<GapId>, limit: u32) -> Result<Vec<GapRow>> {
        let rows = sqlx::query(sql!("gap/list_active"))
            .bind(channel.as_str())
            .bind(after.map_or(i64::MIN, |id| id.0))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(read_gap).collect()
    }

    async fn gap_tallies(&self) -> Result<Vec<(ChannelId, GapKind, GapState, u64)>> {
        let rows = sqlx::query(sql!("gap/tally")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("gap", row);
                Ok((columns.id()?, columns.word()?, columns.word()?, columns.count()?))
            })
            .collect()
    }

    async fn save_comparison(&self, comparison: &Comparison) -> Result<()> {
        let mut tx = self.begin_write().await?;
        write_comparisons(&mut tx, std::slice::from_ref(comparison)).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn save_reconcile_round(&self, round: &ReconcileRound, lease: &LeaseGrant) -> Result<()> {
        let mut tx = self.begin_write().await?;
        lease::must_hold(&mut tx, lease).await?;
        account::write(&mut tx, &round.accounts).await?;
        write_comparisons(&mut tx, &round.comparisons).await?;
        if let Some((name, value)) = &round.checkpoint {
            lease::write_checkpoint(&mut tx, &round.channel, name, value, round.at).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn last_comparison(&self, channel: &ChannelId, kind: ComparisonKind) -> Result<Option<Comparison>> {
        let row = sqlx::query(sql!("comparison/last"))
            .bind(channel.as_str())
            .bind(kind.as_str())
            .fetch_optional(&mut *self.readers.lend().await?)
            .await?;
        row.as_ref().map(read_comparison).transpose()
    }

    async fn comparisons(&self, channel: &ChannelId, limit: u32) -> Result<Vec<Comparison>> {
        let rows = sqlx::query(sql!("comparison/list"))
            .bind(channel.as_str())
            .bind(i64::from(limit))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(read_comparison).collect()
    }

    async fn comparison_totals(&self) -> Result<(u64, u64, u64)> {
        let row = sqlx::query(sql!("comparison_total/sum")).fetch_one(&mut *self.readers.lend().await?).await?;
        let mut columns = Columns::of("comparison_total", &row);
        Ok((columns.count()?, columns.count()?, columns.count()?))
    }
}

async fn write_comparisons(connection: &mut SqliteConnection, comparisons: &[Comparison]) -> Result<()> {
    write_rows(connection, sql!("comparison/insert"), comparisons, |values, row| {
        values
            .text(row.channel.as_str())
            .time(row.started_at)
            .time(row.ended_at)
            .flag(row.kind == ComparisonKind::Whole)
            .flag(row.in_step)
            .count(row.calls)
            .count(row.bytes)
            .count(row.vanished)
            .text(row.kind.as_str());
    })
    .await?;
    // By channel first: the same row twice in one statement would be changed once only.
    let mut totals: BTreeMap<&ChannelId, (u64, u64, u64)> = BTreeMap::new();
    for row in comparisons {
        let (calls, bytes, vanished) = totals.entry(&row.channel).or_default();
        (*calls, *bytes, *vanished) = (*calls + row.calls, *bytes + row.bytes, *vanished + row.vanished);
    }
    let totals: Vec<_> = totals.into_iter().collect();
    write_rows(connection, sql!("comparison_total/add"), &totals, |values, (channel, (calls, bytes, vanished))| {
        values.text(channel.as_str()).count(*calls).count(*bytes).count(*vanished);
    })
    .await
}

fn read_comparison(row: &SqliteRow) -> Result<Comparison> {
    let mut columns = Columns::of("comparison", row);
    Ok(Comparison {
        channel: columns.id()?,
        started_at: columns.time()?,
        ended_at: columns.time()?,
        kind: read_kind(&mut columns)?,
        in_step: columns.flag()?,
        calls: columns.count()?,
        bytes: columns.count()?,
        vanished: columns.count()?,
    })
}

fn read_kind(columns: &mut Columns<'_>) -> Result<ComparisonKind> {
    let text = columns.string()?;
    ComparisonKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| StoreError::damaged(format!("a comparison is of kind `{text}`")))
}

pub(super) async fn load(connection: &mut SqliteConnection, ids: &[GapId]) -> Result<Vec<GapRow>> {
    let rows = sqlx::query(sql!("gap/of")).bind(list(ids)?).fetch_all(connection).await?;
    rows.iter().map(read_gap).collect()
}

async fn load_one(tx: &mut Tx, id: GapId) -> Result<GapRow> {
    load(tx, &[id]).await?.pop().ok_or_else(|| StoreError::NotFound { what: "gap", id: id.to_string() })
}

pub(super) async fn save(connection: &mut SqliteConnection, gaps: &[GapRow]) -> Result<()> {
    write_rows(connection, sql!("gap/upsert"), gaps, |values, gap| {
        let key = gap.key.as_ref();
        values
            .int(gap.id.0)
            .text(gap.channel.as_str())
            .text(gap.dataset.as_str())
            .text(gap.kind.as_str())
            .text(gap.state.as_str())
            .text(key.map(|key| key.number.as_str()))
            .text(key.map(|key| key.day.to_string()).as_deref())
            .text(key.map(|key| key.part.to_string()).as_deref())
            .int(to_ms(gap.window.start))
            .int(to_ms(gap.window.end))
            .int(gap.delivery_id.map(|id| id.0))
            .maybe_bytes(gap.evidence.theirs.as_ref().map(|digest| &digest.0[..]))
            .maybe_bytes(gap.evidence.ours.as_ref().map(|digest| &digest.0[..]))
            .time(gap.evidence.as_of)
            .time(gap.evidence.compared_at)
            .int(i64::from(gap.generation))
            .time(gap.first_seen_at)
            .maybe_time(gap.opened_at)
            .maybe_time(gap.repair_started_at)
            .maybe_time(gap.ended_at)
            .text(gap.reason.as_deref())
            .text(gap.by.as_deref())
            .int(gap.group_id.map(|id| id.0))
            .text(gap.detail.as_deref());
    })
    .await
}
