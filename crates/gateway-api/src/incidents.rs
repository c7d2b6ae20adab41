//! Incidents: list, show with what was told of each, acknowledge. Finding and telling is the alerter's work.

use crate::extract::{PageSize, Params, Said, Segment};
use crate::settling::person;
use crate::state::{Alerts, Channels};
use crate::views::ChinaTime;
use crate::{Code, Problem};
use axum::Json;
use axum::extract::State;
use gateway_model::{ChannelId, Clock, IncidentId, IncidentState, Timestamp};
use gateway_store::{IncidentFilter, IncidentRow, NotificationRow, NotifierRow, Store};
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
    State(channels): State<Channels>,
    State(alerts): State<Alerts>,
    Params(params): Params<IncidentParams>,
) -> Result<Json<Value>, Problem> {
    let IncidentParams { channel, code, state, after, limit } = params;
    channels.known(channel.as_ref())?;
    alerts.known(code.as_deref(), Code::InvalidParameter)?;
    let page = PageSize::new(limit)?;
    let rows = store.incidents(&IncidentFilter { channel, code, state, after }, page.and_one()).await?;
    let (rows, more) = page.cut(rows);
    let incidents: Vec<_> = rows.iter().map(show).collect();
    Ok(Json(json!({"incidents": incidents, "more": more})))
}

/// `GET /api/v1/incidents/{id}`
pub(crate) async fn one(State(store): State<Arc<dyn Store>>, segment: Segment) -> Result<Json<Value>, Problem> {
    whole(&*store, &segment).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledgement {
    by: String,
}

/// `POST /api/v1/incidents/{id}/acknowledge`
pub(crate) async fn acknowledge(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
    Said(said): Said<Acknowledgement>,
) -> Result<Json<Value>, Problem> {
    let by = person(&said.by)?;
    let row = load(&*store, &segment).await?;
    store.acknowledge_incident(row.id, by, clock.now()).await?;
    whole(&*store, &segment).await
}

fn show_notifier(id: &str, kind: Option<&str>, row: Option<&NotifierRow>) -> Value {
    let at = |of: fn(&NotifierRow) -> Option<Timestamp>| row.and_then(of).map(ChinaTime);
    json!({
        "id": id, "kind": kind, "configured": kind.is_some(), "sent_at": at(|row| row.sent_at),
        "failing_since": at(|row| row.failing_since), "failures": row.map_or(0, |row| row.failures),
        "error": row.and_then(|row| row.error.as_ref()),
    })
}

/// `GET /api/v1/notifiers`: those that are configured, used or not, and then those that were used before.
pub(crate) async fn notifiers(
    State(store): State<Arc<dyn Store>>,
    State(alerts): State<Alerts>,
) -> Result<Json<Value>, Problem> {
    let rows = store.notifiers().await?;
    let of = |id: &str| rows.iter().find(|row| row.id == id);
    let configured = alerts.notifiers.iter().map(|info| show_notifier(&info.id, Some(&info.kind), of(&info.id)));
    let before = rows.iter().filter(|row| alerts.notifiers.iter().all(|info| info.id != row.id));
    let shown: Vec<_> = configured.chain(before.map(|row| show_notifier(&row.id, None, Some(row)))).collect();
    Ok(Json(json!({ "notifiers": shown })))
}
