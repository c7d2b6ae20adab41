//! Reconciliation: what comparing cost and found, and asking for a comparison now.

use crate::extract::{PageSize, Params, Said};
use crate::gap_groups::{Stops, unfinished_by_severity};
use crate::refusals::unknown_channel;
use crate::state::{ChannelInfo, Channels};
use crate::views::ChinaTime;
use crate::{Code, Problem, Waker};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gateway_model::{ChannelId, Clock, Dataset, Timestamp};
use gateway_store::{ComparisonKind, GapGroupFilter, JobKind, NewJob, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /api/v1/reconcile`
pub(crate) async fn totals(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    State(clock): State<Arc<dyn Clock>>,
) -> Result<Json<Value>, Problem> {
    let (calls, bytes, vanished) = store.comparison_totals().await?;
    let now = clock.now();
    let mut shown = Vec::new();
    for info in channels.0.iter() {
        shown.push(of_channel(&*store, info, now).await?);
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

/// How the reconciliation of a channel stands, by the store: the same before and after a restart.
pub(crate) async fn of_channel(store: &dyn Store, info: &ChannelInfo, now: Timestamp) -> Result<Value, Problem> {
    let last = async |kind| -> Result<Value, Problem> {
        let last = store.last_comparison(&info.channel, kind).await?;
        Ok(last.map_or(Value::Null, |last| {
            json!({"started_at": ChinaTime(last.started_at), "ended_at": ChinaTime(last.ended_at), "in_step": last.in_step})
        }))
    };
    let learnt: Option<Learnt> = match store.checkpoint(&info.channel, "reconcile").await? {
        Some(text) => serde_json::from_str(&text).ok(),
        None => None,
    };
    let watermark = learnt.as_ref().map(|learnt| ChinaTime(earlier(now, learnt.allowance_ms)));
    let filter = GapGroupFilter {
        channel: Some(info.channel.clone()),
        unfinished: true,
        count_unfinished: true,
        ..GapGroupFilter::default()
    };
    let groups = store.gap_groups(&filter, 1_000).await?;
    let stops = Stops::load(store).await?;
    let unfinished = unfinished_by_severity(&groups, &stops, now);
    let stopped = store.repair_stops().await?;
    let stopped: Vec<_> =
        stopped.iter().filter(|stop| stop.channel == info.channel).map(crate::repair_stops::show).collect();
    Ok(json!({
        "channel": info.channel, "verifiable": info.manifest,
        "last_whole_comparison": last(ComparisonKind::Whole).await?, "last_recent_comparison": last(ComparisonKind::Recent).await?,
        "last_outage_comparison": last(ComparisonKind::Outage).await?,
        "allowance_ms": learnt.as_ref().map(|learnt| learnt.allowance_ms), "watermark": watermark,
        "unfinished_by_severity": unfinished, "repair_stops": stopped,
    }))
}

/// What the reconciler learnt, as far as it is shown.
#[derive(Deserialize)]
struct Learnt {
    allowance_ms: u64,
}

fn earlier(now: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(now.as_millisecond().saturating_sub(ms)).unwrap_or(Timestamp::MIN)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComparisonParams {
    channel: Option<ChannelId>,
    limit: Option<u32>,
}

/// `GET /api/v1/comparisons`: the last ones, the newest first.
pub(crate) async fn comparisons(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    Params(params): Params<ComparisonParams>,
) -> Result<Json<Value>, Problem> {
    channels.known(params.channel.as_ref())?;
    let limit = PageSize::new(params.limit)?.rows();
    let chosen =
        channels.0.iter().filter(|info| params.channel.as_ref().is_none_or(|channel| *channel == info.channel));
    let mut rows = Vec::new();
    for info in chosen {
        rows.extend(store.comparisons(&info.channel, limit).await?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.ended_at));
    let shown: Vec<_> = rows
        .iter()
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(|row| {
            // Looks at gaps compare nothing, so they are neither in step nor not.
            let in_step = (row.kind != ComparisonKind::Look).then_some(row.in_step);
            json!({
                "channel": row.channel, "kind": row.kind.as_str(), "started_at": ChinaTime(row.started_at),
                "ended_at": ChinaTime(row.ended_at), "in_step": in_step, "calls": row.calls, "bytes": row.bytes,
                "suspicions_vanished": row.vanished,
            })
        })
        .collect();
    Ok(Json(json!({ "comparisons": shown })))
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Scope {
    Whole,
    Recent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    channel: Option<ChannelId>,
    scope: Option<Scope>,
    /// Of this dataset only, where a window is given.
    dataset: Option<Dataset>,
    /// Only this window of event times.
    window: Option<AskedWindow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedWindow {
    start: Timestamp,
    end: Timestamp,
}

/// `POST /api/v1/reconcile`
pub(crate) async fn ask(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    State(channels): State<Channels>,
    Said(asked): Said<Asked>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let chosen: Vec<ChannelId> = match asked.channel {
        None => channels.0.iter().filter(|info| info.manifest).map(|info| info.channel.clone()).collect(),
        Some(channel) => match channels.find(&channel) {
            None => return Err(unknown_channel(&channel, &channels)),
            Some(info) if !info.manifest => {
                return Err(Problem::new(Code::UnverifiableChannel, format!("{channel} offers no manifest")));
            }
            Some(_) => vec![channel],
        },
    };
    let subject = match (&asked.window, asked.scope) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(Code::MalformedBody, "either `scope` or `window`, not both"));
        }
        (Some(window), None) if window.start >= window.end => {
            return Err(Problem::new(Code::MalformedBody, "`window.start` must be before `window.end`"));
        }
        (Some(window), None) => {
            let dataset = asked.dataset.map_or("all", Dataset::as_str);
            format!("window {dataset} {} {}", window.start, window.end)
        }
        (None, _) if asked.dataset.is_some() => {
            return Err(Problem::new(Code::MalformedBody, "`dataset` needs a `window`"));
        }
        (None, Some(Scope::Recent)) => "recent".to_owned(),
        (None, _) => "whole".to_owned(),
    };
    let subjects = chosen.into_iter().map(|channel| (channel, subject.clone())).collect();
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
