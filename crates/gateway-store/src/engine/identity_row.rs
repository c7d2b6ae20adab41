//! Pairs and what was said of them, read back.

use super::Result;
use super::column::{Cells, Columns};
use crate::{PairStep, StoreError};
use gateway_model::{OrderId, OrderPair};
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `queries/order_pair/*.sql`.
pub(crate) fn pair<R: Cells>(row: &R) -> Result<OrderPair> {
    let mut columns = Columns::of("order_pair", row);
    Ok(OrderPair {
        a: columns.order_id()?,
        b: columns.order_id()?,
        state: columns.word()?,
        by: columns.string()?,
        reason: columns.maybe_string()?,
        score: columns.maybe_int()?.and_then(|score| u32::try_from(score).ok()),
        likeness: columns.json()?,
        pending: columns.flag()?,
        at: columns.time()?,
    })
}

/// The columns of `order_pair_step/of`.
pub(crate) fn step<R: Cells>(row: &R) -> Result<PairStep> {
    let mut columns = Columns::of("order_pair_step", row);
    Ok(PairStep {
        pair: columns.id()?,
        at: columns.time()?,
        state: columns.word()?,
        by: columns.string()?,
        reason: columns.maybe_string()?,
    })
}

/// Orders with their leads, without those that are alone.
pub(crate) fn groups<R: Cells>(rows: &[R]) -> Result<BTreeMap<OrderId, OrderId>> {
    let mut leads = BTreeMap::new();
    for row in rows {
        let mut columns = Columns::of("order_alias", row);
        leads.insert(columns.order_id()?, columns.order_id()?);
    }
    let shared: BTreeSet<OrderId> = leads.iter().filter(|(order, lead)| order != lead).map(|(_, lead)| *lead).collect();
    leads.retain(|_, lead| shared.contains(lead));
    Ok(leads)
}

/// Refuses to write over what changed meanwhile.
pub(crate) fn must_be(held: Option<&OrderPair>, was: Option<gateway_model::PairState>, pair: &OrderPair) -> Result<()> {
    let held = held.map(|held| held.state);
    if held == was {
        return Ok(());
    }
    let state = held.map_or("not there", gateway_model::PairState::as_str).to_owned();
    Err(StoreError::WrongState { what: "pair of orders", id: pair.id().to_string(), state })
}

/// Another round was faster.
pub(crate) fn overtaken(from: u64) -> StoreError {
    StoreError::WrongState { what: "place in the feed", id: from.to_string(), state: "passed by another round".into() }
}
