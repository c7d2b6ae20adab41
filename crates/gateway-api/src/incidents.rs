//! Incidents: list, show with what was told of each, acknowledge. Finding and telling is the alerter's work.

use crate::extract::{Params, Segment, page_limit, read_json};
use crate::settling::{Settling, person};
use crate::views::ChinaTime;
use crate::{ApiConfig, Problem};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use gateway_model::{ChannelId, Clock, IncidentId, IncidentState};
use gateway_store::{IncidentFilter, IncidentRow, NotificationRow, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many notifications of an incident are shown, the newest.
const SHOWN: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentParams {
    channel: Option<ChannelId>,
    code: Option<String>,
    state: Option<IncidentState>,
    after: Option<IncidentId>,
    limit: Option<u32>,
}

fn show(row: &IncidentRow) -> Value {
    json!({
        "id": row.id, "code": row.code, "channel": row.channel, "subject": row.subject, "state": row.state,
        "severity": row.severity, "escalation": row.escalation, "count": row.count, "facts": row.facts,
        "found_by": row.found_by, "since": ChinaTime(row.since), "first_seen_at": ChinaTime(row.first_seen_at),
        "last_seen_at": ChinaTime(row.last_seen_at), "opened_at": row.opened_at.map(ChinaTime),
        "escalated_at": row.escalated_at.map(ChinaTime), "resolved_at": row.resolved_at.map(ChinaTime),
        "acknowledged_at": row.acknowledged_at.map(ChinaTime), "acknowledged_by": row.acknowledged_by,
    })
}

fn show_notification(id: IncidentId, row: &NotificationRow) -> Value {
    let news = row.items.iter().find(|item| item.incident_id == id).map(|item| item.news);
    json!({
        "id": row.id, "key": row.key, "notifier": row.notifier, "news": news, "summary": row.summary,
        "state": row.state, "created_at": ChinaTime(row.created_at), "attempts": row.attempts, "error": row.error,
        "ended_at": row.ended_at.map(ChinaTime),
    })
}

async fn load(store: &dyn Store, segment: &Segment) -> Result<IncidentRow, Problem> {
    let id = IncidentId(segment.row_id("incident")?);
    store.incident(id).await?.ok_or_else(|| Problem::not_found("incident", id))
}

async fn whole(store: &dyn Store, segment: &Segment) -> Result<Json<Value>, Problem> {
    let row = load(store, segment).await?;
    let notifications = store.notifications_of(row.id, SHOWN).await?;
    let mut shown = show(&row);
    shown["notifications"] = notifications.iter().map(|notification| show_notification(row.id, notification)).collect();
    Ok(Json(shown))
}

/// `GET /api/v1/incidents`
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    Params(params): Params<IncidentParams>,
) -> Result<Json<Value>, Problem> {
    let limit = page_limit(params.limit)?;
    let IncidentParams { channel, code, state, after, .. } = params;
    let rows = store.incidents(&IncidentFilter { channel, code, state, after }, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let incidents: Vec<_> = rows.iter().take(shown).map(show).collect();
    Ok(Json(json!({"incidents": incidents, "more": rows.len() > shown})))
}

/// `GET /api/v1/incidents/{id}`
pub(crate) async fn one(State(store): State<Arc<dyn Store>>, segment: Segment) -> Result<Json<Value>, Problem> {
    whole(&*store, &segment).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    by: String,
}

/// `POST /api/v1/incidents/{id}/acknowledge`
pub(crate) async fn acknowledge(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(config): State<Arc<ApiConfig>>,
    segment: Segment,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let said: Acknowledgement = read_json(&headers, body, Settling::LARGEST, config.body_timeout()).await?;
    let by = person(&said.by)?;
    let row = load(&*store, &segment).await?;
    store.acknowledge_incident(row.id, by, clock.now()).await?;
    whole(&*store, &segment).await
}

/// `GET /api/v1/notifiers`
pub(crate) async fn notifiers(State(store): State<Arc<dyn Store>>) -> Result<Json<Value>, Problem> {
    let rows = store.notifiers().await?;
    let shown = rows.iter().map(|row| {
        json!({
            "id": row.id, "sent_at": row.sent_at.map(ChinaTime), "failing_since": row.failing_since.map(ChinaTime),
            "failures": row.failures, "error": row.error,
        })
    });
    Ok(Json(json!({"notifiers": shown.collect::<Vec<_>>()})))
}
