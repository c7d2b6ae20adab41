//! Files over a front-end box: asking for a batch, and how the last ones stand.

use crate::extract::Said;
use crate::refusals::unknown_channel;
use crate::state::Channels;
use crate::{Code, Problem, Waker};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gateway_model::{ChannelId, Clock, Day};
use gateway_store::{JobKind, NewJob, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where delivery keeps what it remembers of files.
const CHECKPOINT: &str = "files";

/// `GET /api/v1/exports`: the last batches of each channel with a front-end box, and what receipts said of them.
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
) -> Result<Json<Value>, Problem> {
    let mut shown = Vec::new();
    for info in channels.0.iter().filter(|info| info.files) {
        let text = store.checkpoint(&info.channel, CHECKPOINT).await?;
        let state: Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(|| json!({}));
        let waiting = store.job_tallies().await?;
        let waiting: u64 = waiting
            .iter()
            .filter(|(kind, channel, _)| *kind == JobKind::Export && *channel == info.channel)
            .map(|(_, _, count)| count)
            .sum();
        shown.push(json!({"channel": info.channel, "exports_waiting": waiting, "files": state}));
    }
    Ok(Json(json!({ "channels": shown })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    channel: ChannelId,
    /// Only what was owed since this day began until it was over; everything where absent.
    day: Option<Day>,
}

/// `POST /api/v1/exports`
pub(crate) async fn ask(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    State(channels): State<Channels>,
    Said(asked): Said<Asked>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Some(info) = channels.find(&asked.channel) else { return Err(unknown_channel(&asked.channel, &channels)) };
    if !info.files {
        let text =
            format!("{} has no front-end box: set `[channel.files]`, and `[files]` in its profile", asked.channel);
        let zh = format!("渠道 {} 未配置前置机：请设置 `[channel.files]` 及其对接参数中的 `[files]`", asked.channel);
        return Err(Problem::new(Code::NoFiles, text).zh(zh));
    }
    let job = NewJob {
        kind: JobKind::Export,
        channel: asked.channel.clone(),
        subject: asked.day.map_or_else(|| "whole".to_owned(), |day| day.to_string()),
        reason: "asked".to_owned(),
        run_at: clock.now(),
    };
    store.enqueue(std::slice::from_ref(&job)).await?;
    waker.job_enqueued(JobKind::Export, &asked.channel);
    let shown = json!({"jobs": [{"kind": job.kind.as_str(), "channel": job.channel, "subject": job.subject}]});
    Ok((StatusCode::ACCEPTED, Json(shown)))
}
