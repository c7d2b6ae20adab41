//! Sync gaps: list, show, repair, waive. Repair is the reconciler's work; here it is only asked for.

use crate::extract::{PageSize, Params, Said, Segment};
use crate::gap_groups::{Stops, known_group};
use crate::reconcile::enqueue;
use crate::settling::Settling;
use crate::state::Channels;
use crate::views::ChinaTime;
use crate::{Code, Problem, Waker};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gateway_model::{ChannelId, Clock, GapGroupId, GapId, GapState, SourceNumber, Timestamp};
use gateway_store::{GapFilter, GapGroupFilter, GapRow, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Unfinished groups are few: one for each outage.
const MOST_GROUPS: u32 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GapParams {
    channel: Option<ChannelId>,
    state: Option<GapState>,
    number: Option<SourceNumber>,
    group: Option<GapGroupId>,
    after: Option<GapId>,
    limit: Option<u32>,
}

fn show(row: &GapRow, stops: &Stops, now: Timestamp) -> Value {
    let key = row.key.as_ref();
    let standing = stops.standing(row, now);
    let ended_at = row.ended_at.map(ChinaTime);
    json!({
        "id": row.id, "channel": row.channel, "dataset": row.dataset, "kind": row.kind, "state": row.state,
        "number": key.map(|key| &key.number), "day": key.map(|key| key.day), "part": key.map(|key| &key.part),
        "window": {"start": ChinaTime(row.window.start), "end": ChinaTime(row.window.end)},
        "delivery_id": row.delivery_id,
        "first_seen_at": ChinaTime(row.first_seen_at), "opened_at": row.opened_at.map(ChinaTime),
        "repair_started_at": row.repair_started_at.map(ChinaTime), "closed_at": ended_at, "generation": row.generation,
        "evidence": {
            "theirs": row.evidence.theirs, "ours": row.evidence.ours,
            "as_of": ChinaTime(row.evidence.as_of), "compared_at": ChinaTime(row.evidence.compared_at),
        },
        "reason": row.reason, "by": row.by, "group_id": row.group_id, "detail": row.detail,
        "owner": standing.map(|(owner, _)| owner), "severity": standing.map(|(_, severity)| severity),
    })
}

async fn load(store: &dyn Store, segment: &Segment) -> Result<GapRow, Problem> {
    let id = GapId(segment.row_id("gap")?);
    store.gap(id).await?.ok_or_else(|| Problem::not_found("gap", id))
}

/// `GET /api/v1/gaps`
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(channels): State<Channels>,
    Params(params): Params<GapParams>,
) -> Result<Json<Value>, Problem> {
    channels.known(params.channel.as_ref())?;
    known_group(&*store, params.group).await?;
    let page = PageSize::new(params.limit)?;
    let filter = GapFilter {
        channel: params.channel,
        state: params.state,
        number: params.number,
        group: params.group,
        after: params.after,
    };
    let (rows, more) = page.cut(store.gaps(&filter, page.and_one()).await?);
    let (stops, now) = (Stops::load(&*store).await?, clock.now());
    let gaps: Vec<_> = rows.iter().map(|row| show(row, &stops, now)).collect();
    Ok(Json(json!({"gaps": gaps, "more": more})))
}

/// `GET /api/v1/gaps/{id}`
pub(crate) async fn one(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
) -> Result<Json<Value>, Problem> {
    let stops = Stops::load(&*store).await?;
    Ok(Json(show(&load(&*store, &segment).await?, &stops, clock.now())))
}

fn unsettled(row: &GapRow) -> Result<(), Problem> {
    match row.state {
        GapState::Open | GapState::Repairing => Ok(()),
        state => Err(Problem::new(
            Code::WrongState,
            format!("gap {} is {state}: only an unfinished one can be repaired or waived", row.id),
        )
        .zh(format!("缺口 {} 的状态为 {state}，只有未关闭的缺口可以修复或豁免", row.id))),
    }
}

/// `POST /api/v1/gaps/{id}/repair`
pub(crate) async fn repair(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    segment: Segment,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let row = load(&*store, &segment).await?;
    unsettled(&row)?;
    let jobs = enqueue(&*store, &*waker, clock.now(), vec![(row.channel, format!("gap {}", row.id))]).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"gap_id": row.id, "jobs": jobs}))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Many {
    group: Option<GapGroupId>,
    channel: Option<ChannelId>,
}

/// `POST /api/v1/gaps/repair`: the unfinished gaps of a group, of a channel, or all of them; in pieces, as live traffic allows. Without any, no job.
pub(crate) async fn repair_many(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    State(channels): State<Channels>,
    Said(many): Said<Many>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    channels.known(many.channel.as_ref())?;
    known_group(&*store, many.group).await?;
    let filter = GapGroupFilter { channel: many.channel.clone(), unfinished: true, ..GapGroupFilter::default() };
    let groups = store.gap_groups(&filter, MOST_GROUPS).await?;
    let chosen = groups.iter().filter(|group| many.group.is_none_or(|id| id == group.id));
    let subjects: Vec<_> = chosen.map(|group| (group.channel.clone(), format!("group {}", group.id))).collect();
    let jobs = enqueue(&*store, &*waker, clock.now(), subjects).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "jobs": jobs }))))
}

/// `POST /api/v1/gaps/{id}/waive`
pub(crate) async fn waive(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
    Said(settling): Said<Settling>,
) -> Result<Json<Value>, Problem> {
    let (reason, by) = settling.parts()?;
    let row = load(&*store, &segment).await?;
    unsettled(&row)?;
    store.move_gap(row.id, GapState::Waived, None, Some(reason), Some(by), clock.now()).await?;
    let stops = Stops::load(&*store).await?;
    Ok(Json(show(&load(&*store, &segment).await?, &stops, clock.now())))
}
