//! Datasets that differ so much that nothing is repaired by itself: shown, and approved by a person.

use crate::extract::read_json;
use crate::views::ChinaTime;
use crate::{ApiConfig, Code, Problem, Waker};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use gateway_model::{ChannelId, Clock, Dataset};
use gateway_store::{JobKind, RepairStop, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn show(stop: &RepairStop) -> Value {
    json!({
        "channel": stop.channel, "dataset": stop.dataset, "since": ChinaTime(stop.since), "gaps": stop.gaps,
        "ours": stop.ours, "theirs": stop.theirs, "waiting": stop.is_waiting(),
        "approved_at": stop.approved_at.map(ChinaTime), "approved_by": stop.approved_by,
    })
}

/// `GET /api/v1/repair-stops`
pub(crate) async fn list(State(store): State<Arc<dyn Store>>) -> Result<Json<Value>, Problem> {
    let stops: Vec<_> = store.repair_stops().await?.iter().map(show).collect();
    Ok(Json(json!({ "repair_stops": stops })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    channel: ChannelId,
    dataset: Dataset,
    by: String,
}

/// `POST /api/v1/repair-stops/approve`
pub(crate) async fn approve(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    State(config): State<Arc<ApiConfig>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let approval: Approval = read_json(&headers, body, 4096, config.body_timeout()).await?;
    let by = approval.by.trim();
    if by.is_empty() || by.len() > 128 || by.chars().any(char::is_control) {
        return Err(Problem::new(Code::MalformedBody, "`by` (up to 128 bytes) says who approves"));
    }
    let Approval { channel, dataset, .. } = &approval;
    let stops = store.repair_stops().await?;
    if !stops.iter().any(|stop| stop.channel == *channel && stop.dataset == *dataset && stop.is_waiting()) {
        return Err(Problem::not_found("stopped repair", format!("of {dataset} at {channel}")));
    }
    store.approve_repair(channel, *dataset, by, clock.now()).await?;
    waker.job_enqueued(JobKind::Reconcile, channel);
    let stops = store.repair_stops().await?;
    let stop = stops.iter().find(|stop| stop.channel == *channel && stop.dataset == *dataset);
    Ok(Json(stop.map(show).unwrap_or_default()))
}
