//! Asking for the past of a channel to be read again: after a rule was added, or where an account can't tell what is missing.

use crate::extract::Said;
use crate::refusals::unknown_channel;
use crate::state::Channels;
use crate::{Code, Problem, Waker};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gateway_model::{ChannelId, Clock, Dataset, Timestamp};
use gateway_store::{JobKind, NewJob, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    channel: ChannelId,
    /// Only records with an item of this dataset in the window; every dataset of the channel where absent.
    dataset: Option<Dataset>,
    /// Event times from here on.
    start: Timestamp,
    /// And before this.
    end: Timestamp,
}

/// `POST /api/v1/backfill`
pub(crate) async fn ask(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(waker): State<Arc<dyn Waker>>,
    State(channels): State<Channels>,
    Said(asked): Said<Asked>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Some(info) = channels.find(&asked.channel) else { return Err(unknown_channel(&asked.channel, &channels)) };
    if asked.start >= asked.end {
        return Err(Problem::new(Code::MalformedBody, "`start` must be before `end`"));
    }
    let datasets: Vec<Dataset> = match asked.dataset {
        Some(dataset) if !info.datasets.contains(&dataset) => {
            let text = format!("{} has no dataset `{dataset}`", asked.channel);
            return Err(Problem::new(Code::MalformedBody, text));
        }
        Some(dataset) => vec![dataset],
        None => info.datasets.clone(),
    };
    let jobs: Vec<NewJob> = datasets
        .iter()
        .map(|dataset| NewJob {
            kind: JobKind::Backfill,
            channel: asked.channel.clone(),
            subject: format!("{dataset} {} {}", asked.start, asked.end),
            reason: "asked".to_owned(),
            run_at: clock.now(),
        })
        .collect();
    store.enqueue(&jobs).await?;
    waker.job_enqueued(JobKind::Backfill, &asked.channel);
    let shown: Vec<_> = jobs.iter().map(|job| json!({"channel": job.channel, "subject": job.subject})).collect();
    Ok((StatusCode::ACCEPTED, Json(json!({ "jobs": shown }))))
}
