//! Reconciliation: what comparing cost and found, and asking for a comparison now.

use crate::extract::read_json;
use crate::state::Channels;
use crate::views::ChinaTime;
use crate::{ApiConfig, Code, Problem, Waker};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use gateway_model::{ChannelId, Clock, Timestamp};
use gateway_store::{ComparisonKind, JobKind, NewJob, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /api/v1/reconcile`
pub(crate) async fn totals(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
) -> Result<Json<Value>, Problem> {
    let (calls, bytes, vanished) = store.comparison_totals().await?;
    let mut shown = Vec::new();
    for info in channels.0.iter() {
        let last = store.last_comparison(&info.channel, ComparisonKind::Whole).await?;
        let last = last.map(|last| {
            json!({"started_at": ChinaTime(last.started_at), "ended_at": ChinaTime(last.ended_at), "in_step": last.in_step})
        });
        shown.push(json!({"channel": info.channel, "verifiable": info.manifest, "last_whole_comparison": last}));
    }
    let gaps = store.gap_tallies().await?;
    let gaps: Vec<_> = gaps
        .iter()
        .map(|(channel, kind, state, count)| json!({"channel": channel, "kind": kind, "state": state, "count": count}))
        .collect();
    Ok(Json(json!({
        "manifest": {"calls": calls, "bytes": bytes}, "suspicions_vanished": vanished, "channels": shown, "gaps": gaps,
    })))
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Scope {
    Whole,
    Recent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    channel: Option<ChannelId>,
    scope: Option<Scope>,
}

/// `POST /api/v1/reconcile`
pub(crate) async fn ask(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    State(channels): State<Channels>,
    State(config): State<Arc<ApiConfig>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let asked: Asked = read_json(&headers, body, 4096, config.body_timeout()).await?;
    let chosen: Vec<ChannelId> = match asked.channel {
        None => channels.0.iter().filter(|info| info.manifest).map(|info| info.channel.clone()).collect(),
        Some(channel) => match channels.find(&channel) {
            None => return Err(Problem::new(Code::UnknownChannel, format!("no channel {channel} is configured"))),
            Some(info) if !info.manifest => {
                return Err(Problem::new(Code::UnverifiableChannel, format!("{channel} offers no manifest")));
            }
            Some(_) => vec![channel],
        },
    };
    let subject = match asked.scope.unwrap_or(Scope::Whole) {
        Scope::Whole => "whole",
        Scope::Recent => "recent",
    };
    let subjects = chosen.into_iter().map(|channel| (channel, subject.to_owned())).collect();
    let jobs = enqueue(&*store, &*waker, clock.now(), subjects).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"jobs": jobs}))))
}

/// Enqueues work for the reconciler and tells it; what is enqueued already is the same job.
pub(crate) async fn enqueue(
    store: &dyn Store,
    waker: &dyn Waker,
    now: Timestamp,
    subjects: Vec<(ChannelId, String)>,
) -> Result<Vec<Value>, Problem> {
    let job = |(channel, subject): &(ChannelId, String)| NewJob {
        kind: JobKind::Reconcile,
        channel: channel.clone(),
        subject: subject.clone(),
        reason: "asked".to_owned(),
        run_at: now,
    };
    let jobs: Vec<NewJob> = subjects.iter().map(job).collect();
    store.enqueue(&jobs).await?;
    for job in &jobs {
        waker.job_enqueued(job.kind, &job.channel);
    }
    Ok(jobs
        .iter()
        .map(|job| json!({"kind": job.kind.as_str(), "channel": job.channel, "subject": job.subject}))
        .collect())
}
