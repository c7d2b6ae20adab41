//! Deliveries: those that wait for a person, reading one with its attempts, sending it again, waiving it.

use crate::auth::Caller;
use crate::extract::{PageSize, Params, Said, Segment};
use crate::settling::Settling;
use crate::state::Channels;
use crate::views::{ChinaTime, DeliveryView};
use crate::{Problem, Waker};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use gateway_model::{ChannelId, Clock, DeliveryId, OrderNumber};
use gateway_store::{DeliveryRow, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

async fn load(store: &dyn Store, segment: &Segment) -> Result<DeliveryRow, Problem> {
    let id = DeliveryId(segment.row_id("delivery")?);
    store.delivery(id).await?.ok_or_else(|| Problem::not_found("delivery", id))
}

async fn show(store: &dyn Store, row: &DeliveryRow) -> Result<Json<Value>, Problem> {
    let attempts: Vec<_> = store
        .attempts(row.id)
        .await?
        .iter()
        .map(|attempt| {
            json!({
                "generation": attempt.generation, "attempt": attempt.attempt, "started_at": ChinaTime(attempt.started_at),
                "ended_at": attempt.ended_at.map(ChinaTime), "outcome": attempt.outcome, "reason_code": attempt.reason_code,
            })
        })
        .collect();
    Ok(Json(json!({"delivery": DeliveryView::from(row), "attempts": attempts})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeftParams {
    channel: Option<ChannelId>,
    after: Option<DeliveryId>,
    limit: Option<u32>,
}

/// A delivery, with the numbers by which people know its order.
#[derive(Serialize)]
struct WithNumbers<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    numbers: Option<&'a Vec<OrderNumber>>,
}

/// `GET /api/v1/deliveries`: those that wait for a person.
pub(crate) async fn left(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    Params(params): Params<LeftParams>,
) -> Result<Json<Value>, Problem> {
    channels.known(params.channel.as_ref())?;
    let page = PageSize::new(params.limit)?;
    let after = params.after.unwrap_or(DeliveryId(0));
    let (rows, more) = page.cut(store.deliveries_left(params.channel.as_ref(), after, page.and_one()).await?);
    let ids: BTreeSet<_> = rows.iter().map(|row| row.order_id).collect();
    let orders = store.orders(&ids.into_iter().collect::<Vec<_>>(), false).await?;
    let numbers: HashMap<_, _> =
        orders.into_iter().map(|view| (view.aggregate.order.id, view.aggregate.numbers)).collect();
    let deliveries: Vec<_> = rows
        .iter()
        .map(|row| WithNumbers { delivery: DeliveryView::from(row), numbers: numbers.get(&row.order_id) })
        .collect();
    Ok(Json(json!({"deliveries": deliveries, "more": more})))
}

/// `GET /api/v1/deliveries/{id}`
pub(crate) async fn one(State(store): State<Arc<dyn Store>>, segment: Segment) -> Result<Json<Value>, Problem> {
    let row = load(&*store, &segment).await?;
    show(&*store, &row).await
}

/// `POST /api/v1/deliveries/{id}/redeliver`
pub(crate) async fn redeliver(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    segment: Segment,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let row = load(&*store, &segment).await?;
    store.redeliver(row.id, clock.now()).await?;
    waker.delivery_owed(&row.destination);
    let row = load(&*store, &segment).await?;
    Ok((StatusCode::ACCEPTED, show(&*store, &row).await?))
}

/// `POST /api/v1/deliveries/{id}/waive`
pub(crate) async fn waive(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    Extension(caller): Extension<Caller>,
    segment: Segment,
    Said(settling): Said<Settling>,
) -> Result<Json<Value>, Problem> {
    let reason = settling.sentence(caller)?;
    let row = load(&*store, &segment).await?;
    store.waive_delivery(row.id, &reason, clock.now()).await?;
    let row = load(&*store, &segment).await?;
    show(&*store, &row).await
}
