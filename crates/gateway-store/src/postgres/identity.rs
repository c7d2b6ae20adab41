//! Orders that are one, and orders that may be.

use super::batch::{Step, run, steps, write_rows};
use super::column::Columns;
use super::load::uuids;
use super::transaction::{commit, turn};
use super::{PostgresStore, Result};
use crate::engine::identity_row::{groups, must_be, overtaken, pair, step};
use crate::{IdentityStore, MatchRound, OrderReference, PairStep, StoreError};
use async_trait::async_trait;
use gateway_model::{MatchKey, OrderId, OrderPair, PairId, PairState, SourceNumber};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

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

    async fn matches(&self, keys: &[MatchKey], from_ms: i64, until_ms: i64, limit: u32) -> Result<Vec<OrderId>> {
        let mut found = BTreeSet::new();
        for key in keys {
            let rows = sqlx::query(sql!("match_key/newest"))
                .bind(key.0.as_str())
                .bind(from_ms)
                .bind(until_ms)
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await?;
            for row in &rows {
                found.insert(Columns::of("match_key", row).order_id()?);
            }
        }
        Ok(found.into_iter().collect())
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
            let orders: Vec<OrderId> = round.keys.iter().map(|(order, _, _)| *order).collect();
            sqlx::query(pg!("match_key/delete")).bind(uuids(&orders)).execute(&mut *tx).await?;
            let rows: Vec<(&MatchKey, i64, OrderId)> = round
                .keys
                .iter()
                .flat_map(|(order, at, keys)| keys.iter().map(move |key| (key, *at, *order)))
                .collect();
            write_rows(&mut tx, sql!("match_key/insert"), &rows, |values, (key, at, order)| {
                values.text(key.0.as_str()).int(*at).uuid(order.0);
            })
            .await?;
            run(&mut tx, written(sql!("order_pair/offer"), &round.offers)).await?;
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
