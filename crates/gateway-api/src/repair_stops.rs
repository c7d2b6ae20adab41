//! Datasets that differ so much that nothing is repaired by itself: shown, and approved by a person.

use crate::extract::Said;
use crate::settling::person;
use crate::state::Channels;
use crate::views::ChinaTime;
use crate::{Problem, Waker};
use axum::Json;
use axum::extract::State;
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
pub(crate) struct Approval {
    channel: ChannelId,
    dataset: Dataset,
    by: String,
}

/// `POST /api/v1/repair-stops/approve`
pub(crate) async fn approve(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    State(channels): State<Channels>,
    Said(approval): Said<Approval>,
) -> Result<Json<Value>, Problem> {
    let by = person(&approval.by)?;
    channels.known(Some(&approval.channel))?;
    let Approval { channel, dataset, .. } = &approval;
    let stops = store.repair_stops().await?;
    if !stops.iter().any(|stop| stop.channel == *channel && stop.dataset == *dataset && stop.is_waiting()) {
        return Err(Problem::not_found("stopped repair", format!("of {dataset} at {channel}"))
            .zh(format!("{channel} 的 {dataset} 没有被暂停的修复")));
    }
    store.approve_repair(channel, *dataset, by, clock.now()).await?;
    waker.job_enqueued(JobKind::Reconcile, channel);
    let stops = store.repair_stops().await?;
    let stop = stops.iter().find(|stop| stop.channel == *channel && stop.dataset == *dataset);
    Ok(Json(stop.map(show).unwrap_or_default()))
}
