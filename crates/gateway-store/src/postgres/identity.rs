//! Orders that are one, and orders that may be.

use super::batch::{Step, arrays, run, steps};
use super::column::Columns;
use super::load::uuids;
use super::transaction::{commit, turn};
use super::{PostgresStore, Result};
use crate::engine::identity_row::{
    KeyRow, changes, channels, groups, kept, key_rows, left, like, must_be, overtaken, pair, step, wanted,
};
use crate::{Comparable, IdentityStore, MatchPage, MatchRound, OrderReference, PairStep, StoreError};
use async_trait::async_trait;
use gateway_model::{OrderId, OrderPair, PairId, PairState, SourceNumber};
use sqlx::{Arguments, PgConnection};
use std::collections::BTreeMap;

#[async_trait]
impl IdentityStore for PostgresStore {
    async fn pair(&self, id: &PairId) -> Result<Option<OrderPair>> {
        let row = sqlx::query(sql!("order_pair/get")).bind(id.as_str()).fetch_optional(&self.pool).await?;
        row.as_ref().map(pair).transpose()
    }

    async fn pairs(&self, state: PairState, after: Option<&PairId>, limit: u32) -> Result<Vec<OrderPair>> {
        let rows = sqlx::query(sql!("order_pair/list"))
            .bind(state.as_str())
            .bind(after.map(PairId::as_str))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(pair).collect()
    }

    async fn pairs_of(&self, orders: &[OrderId]) -> Result<Vec<OrderPair>> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(pg!("order_pair/of_orders")).bind(uuids(orders)).fetch_all(&self.pool).await?;
        rows.iter().map(pair).collect()
    }

    async fn pair_steps(&self, id: &PairId) -> Result<Vec<PairStep>> {
        let rows = sqlx::query(sql!("order_pair_step/of")).bind(id.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(step).collect()
    }

    async fn decide_pair(&self, decided: &OrderPair, was: Option<PairState>) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            turn(&mut tx).await?;
            let id = decided.id();
            let held = sqlx::query(sql!("order_pair/get")).bind(id.as_str()).fetch_optional(&mut *tx).await?;
            must_be(held.as_ref().map(pair).transpose()?.as_ref(), was, decided)?;
            let orders = super::load::aggregates(&mut tx, &[decided.a, decided.b]).await?;
            if orders.len() < 2 {
                return Err(StoreError::NotFound { what: "order", id: format!("of pair {id}") });
            }
            let said = [PairStep::to(decided)];
            let rows = [upsert(std::slice::from_ref(decided)), told(&said)];
            run(&mut tx, rows.into_iter().flatten()).await?;
            commit(tx).await
        })
        .await
    }

    async fn pending_pairs(&self, limit: u32) -> Result<Vec<OrderPair>> {
        let rows = sqlx::query(sql!("order_pair/pending")).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        rows.iter().map(pair).collect()
    }

    async fn groups_of(&self, orders: &[OrderId]) -> Result<BTreeMap<OrderId, OrderId>> {
        groups_of(&mut *self.pool.acquire().await?, orders).await
    }

    async fn match_position(&self) -> Result<u64> {
        let row = sqlx::query(sql!("match_position/get")).fetch_one(&self.pool).await?;
        Columns::of("match_position", &row).count()
    }

    async fn match_changes(&self, after: u64, limit: u32) -> Result<MatchPage> {
        let rows = sqlx::query(sql!("match_subject/changed"))
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        changes(after, &rows)
    }

    async fn matches(&self, asked: &[&Comparable], limit: u32) -> Result<Vec<(usize, Comparable)>> {
        let wanted: Vec<_> = wanted(asked).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = arrays(&wanted, |values, one| {
            values.int(one.asked).bytes(&one.key.0).text(one.channel.as_str()).int(one.from_ms).int(one.until_ms);
        })?;
        wanted
            .add(i64::from(limit))
            .map_err(|source| StoreError::Damaged { what: "a limit can't be told".into(), source: Some(source) })?;
        let rows = sqlx::query_with(pg!("match_subject/like"), wanted).fetch_all(&self.pool).await?;
        rows.iter().map(like).collect()
    }

    async fn save_matches(&self, round: &MatchRound) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            turn(&mut tx).await?;
            let moved = sqlx::query(sql!("match_position/move"))
                .bind(i64::try_from(round.from).unwrap_or(i64::MAX))
                .bind(i64::try_from(round.to).unwrap_or(i64::MAX))
                .execute(&mut *tx)
                .await?;
            if moved.rows_affected() != 1 {
                return Err(overtaken(round.from));
            }
            let (gone, new) = key_rows(round);
            let (left, kept, channels) = (left(round), kept(round), channels(round));
            let rows = [
                keys(sql!("match_key/delete"), &gone),
                keys(sql!("match_key/insert"), &new),
                steps(sql!("match_subject/delete"), &left, |values, order| {
                    values.uuid(order.0);
                }),
                steps(sql!("match_subject/upsert"), &kept, |values, entry| {
                    values
                        .uuid(entry.comparable.order_id.0)
                        .text(entry.comparable.channel.as_str())
                        .show(&entry.part)
                        .bytes(&entry.content_hash)
                        .uuid(entry.lead.0)
                        .int(entry.comparable.subject.at_ms())
                        .bytes(&entry.comparable.subject.to_bytes());
                }),
                steps(sql!("match_channel/insert"), &channels, |values, channel| {
                    values.text(channel.as_str());
                }),
                written(sql!("order_pair/offer"), &round.offers),
            ];
            run(&mut tx, rows.into_iter().flatten()).await?;
            commit(tx).await
        })
        .await
    }
}

/// Every order of the groups of `orders`, with its lead.
pub(super) async fn groups_of(connection: &mut PgConnection, orders: &[OrderId]) -> Result<BTreeMap<OrderId, OrderId>> {
    if orders.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(pg!("order_alias/groups_of")).bind(uuids(orders)).fetch_all(connection).await?;
    groups(&rows)
}

/// The orders that have one of the numbers at any channel.
pub(super) async fn named(connection: &mut PgConnection, numbers: &[SourceNumber]) -> Result<Vec<OrderId>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<&str> = numbers.iter().map(SourceNumber::as_str).collect();
    let rows = sqlx::query(pg!("order_number/named")).bind(numbers).fetch_all(connection).await?;
    rows.iter().map(|row| Columns::of("order_number", row).order_id()).collect()
}

/// The pairs of which both orders are among these.
pub(super) async fn among(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Vec<OrderPair>> {
    let rows = sqlx::query(pg!("order_pair/among")).bind(uuids(orders)).fetch_all(connection).await?;
    rows.iter().map(pair).collect()
}

fn keys<'w>(statement: &'static str, rows: &'w [KeyRow<'w>]) -> Vec<Step<'w>> {
    steps(statement, rows, |values, (key, channel, at, order)| {
        values.bytes(&key.0).text(channel.as_str()).int(*at).uuid(order.0);
    })
}

fn written<'w>(statement: &'static str, rows: &'w [OrderPair]) -> Vec<Step<'w>> {
    steps(statement, rows, |values, pair| {
        values
            .show(pair.id())
            .uuid(pair.a.0)
            .uuid(pair.b.0)
            .text(pair.state.as_str())
            .text(pair.by.as_str())
            .text(pair.reason.as_deref())
            .int(pair.score.map(i64::from))
            .json(&pair.likeness)
            .flag(pair.pending)
            .time(pair.at);
    })
}

/// Pairs written with a batch.
pub(super) fn upsert(rows: &[OrderPair]) -> Vec<Step<'_>> {
    written(sql!("order_pair/upsert"), rows)
}

/// What was said of pairs.
pub(super) fn told(rows: &[PairStep]) -> Vec<Step<'_>> {
    steps(sql!("order_pair_step/insert"), rows, |values, step| {
        values
            .text(step.pair.as_str())
            .time(step.at)
            .text(step.state.as_str())
            .text(step.by.as_str())
            .text(step.reason.as_deref());
    })
}

/// Leads written with a batch.
pub(super) fn aliases(rows: &[(OrderId, OrderId)]) -> Vec<Step<'_>> {
    steps(sql!("order_alias/upsert"), rows, |values, (order, lead)| {
        values.uuid(order.0).uuid(lead.0);
    })
}

/// References written with a batch.
pub(super) fn references<'w>(rows: &'w [&'w OrderReference]) -> Vec<Step<'w>> {
    steps(sql!("order_reference/upsert"), rows, |values, row| {
        values.uuid(row.order_id.0).text(row.channel.as_str()).text(row.number.as_ref().map(SourceNumber::as_str));
    })
}
