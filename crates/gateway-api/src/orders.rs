//! Reading orders: the feed, one order, its timeline.

use crate::attachments;
use crate::auth::{Caller, Right};
use crate::cursor;
use crate::duplicates::{group, whole};
use crate::extract::{PageSize, Params, Segment};
use crate::order_json::{OrderJson, Shown};
use crate::state::Channels;
use crate::views::{ChinaTime, DeliveryView};
use crate::{Code, Problem};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use gateway_model::{ChannelId, OrderId, SourceNumber};
use gateway_store::{OrderView, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedParams {
    after: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    person: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderParams {
    channel: Option<String>,
    #[serde(default)]
    person: bool,
}

fn shown(caller: Caller, persons: bool) -> Result<Shown, Problem> {
    if persons {
        caller.must(Right::ReadPersons)?;
    }
    Ok(Shown { persons, unmapped: caller.must(Right::ReadPersons).is_ok() })
}

/// `GET /api/v1/orders`
pub(crate) async fn feed(
    State(store): State<Arc<dyn Store>>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<FeedParams>,
) -> Result<Response, Problem> {
    let shown = shown(caller, params.person)?;
    let after = params.after.as_deref().map_or(Ok(0), cursor::read)?;
    let page = store.orders_after(after, PageSize::new(params.limit)?.rows(), params.person).await?;
    let ids: Vec<_> = page.orders.iter().map(|view| view.aggregate.order.id).collect();
    let groups = store.groups_of(&ids).await?;
    let orders: Vec<_> = page.orders.iter().map(|view| OrderJson::new(view, shown).grouped(&groups)).collect();
    Ok(Json(json!({"orders": orders, "next": cursor::write(page.next), "more": page.more})).into_response())
}

/// `GET /api/v1/orders/{id}`
pub(crate) async fn one(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    Extension(caller): Extension<Caller>,
    segment: Segment,
    Params(params): Params<OrderParams>,
) -> Result<Response, Problem> {
    let shown = shown(caller, params.person)?;
    let view = find(&*store, &channels, &segment.0, params.channel, params.person).await?;
    let members = group(&*store, view.aggregate.order.id).await?;
    let mut verifications = Vec::new();
    for member in &members {
        verifications.extend(store.verifications(*member).await?);
    }
    let groups = store.groups_of(&members).await?;
    let pairs = store.pairs_of(&members).await?;
    let attachments = attachments::of_orders(&*store, &members).await?;
    let order = OrderJson::new(&view, shown).grouped(&groups).paired(&pairs).verified(&verifications);
    let order = order.attached(attachments);
    Ok(Json(order).into_response())
}

/// `GET /api/v1/orders/{id}/timeline`
pub(crate) async fn timeline(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    segment: Segment,
    Params(params): Params<OrderParams>,
) -> Result<Json<Value>, Problem> {
    let view = find(&*store, &channels, &segment.0, params.channel, false).await?;
    let id = view.aggregate.order.id;
    let mut rows = Vec::new();
    for member in group(&*store, id).await? {
        rows.extend(store.timeline(member).await?);
    }
    rows.sort_by_key(|row| row.at);
    let timeline: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "seq": row.seq, "at": ChinaTime(row.at), "channel": row.channel, "dataset": row.dataset,
                "part": row.part, "raw_id": row.raw_id, "origin": row.origin,
            })
        })
        .collect();
    let deliveries: Vec<_> = view.aggregate.deliveries.iter().map(DeliveryView::from).collect();
    Ok(Json(json!({"order_id": id, "timeline": timeline, "deliveries": deliveries})))
}

/// How many orders of one number are shown to choose from.
const CANDIDATES: usize = 20;

/// The order that a text names: the gateway's id, or any side's number.
pub(crate) async fn find(
    store: &dyn Store,
    channels: &Channels,
    text: &str,
    channel: Option<String>,
    persons: bool,
) -> Result<OrderView, Problem> {
    let unknown = || Problem::not_found("order", "with this id or number").zh("没有这个编号的工单");
    let channel = channel.map(ChannelId::new).transpose().map_err(|error| Problem::parameter(error.to_string()))?;
    channels.known(channel.as_ref())?;
    if let Ok(id) = text.parse::<OrderId>()
        && let Some((view, _)) = whole(store, id, persons).await?
    {
        return Ok(view);
    }
    // A text that can't be a number names nothing.
    let Ok(number) = SourceNumber::new(text) else { return Err(unknown()) };
    let mut ids = store.orders_by_number(&number, channel.as_ref()).await?;
    let groups = store.groups_of(&ids).await?;
    // Orders that are one are one here too.
    ids.iter_mut().for_each(|id| *id = *groups.get(id).unwrap_or(id));
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [] => Err(unknown()),
        [id] => Ok(whole(store, *id, persons).await?.ok_or_else(unknown)?.0),
        several => {
            let mut candidates = Vec::new();
            for id in several.iter().take(CANDIDATES) {
                if let Some(view) = store.order(*id, false).await? {
                    let order = &view.aggregate.order;
                    candidates.push(json!({
                        "id": order.id, "numbers": view.aggregate.numbers, "state": order.state, "created_at": ChinaTime(order.created_at),
                    }));
                }
            }
            let detail = format!("{} orders have this number: ask by id, or narrow by `channel`", several.len());
            Err(Problem::new(Code::AmbiguousNumber, detail).with("candidates", Value::Array(candidates)))
        }
    }
}
