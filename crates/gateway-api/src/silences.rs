//! Silences: what nobody wants to be told of for a while, why, and who said so.

use crate::extract::{PageSize, Params, Said, Segment};
use crate::settling::{person, sentence};
use crate::state::{Alerts, Channels};
use crate::views::ChinaTime;
use crate::{Code, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gateway_model::{ChannelId, Clock, SilenceId, Timestamp};
use gateway_store::{NewSilence, SilenceRow, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Nobody plans further ahead, and a silence that is forgotten must end.
const LONGEST_DAYS: i64 = 92;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SilenceParams {
    /// Those that are over too.
    #[serde(default)]
    all: bool,
    after: Option<SilenceId>,
    limit: Option<u32>,
}

fn show(row: &SilenceRow, now: Timestamp) -> Value {
    let silence = &row.silence;
    let state = if silence.ends_at <= now {
        "over"
    } else if silence.starts_at > now {
        "planned"
    } else {
        "active"
    };
    json!({
        "id": row.id, "state": state, "code": silence.code, "channel": silence.channel, "subject": silence.subject,
        "starts_at": ChinaTime(silence.starts_at), "ends_at": ChinaTime(silence.ends_at), "reason": silence.reason,
        "by": silence.by, "created_at": ChinaTime(silence.at), "ended_by": row.ended_by,
    })
}

async fn load(store: &dyn Store, id: SilenceId) -> Result<SilenceRow, Problem> {
    store.silence(id).await?.ok_or_else(|| Problem::not_found("silence", id))
}

/// `GET /api/v1/silences`
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    Params(params): Params<SilenceParams>,
) -> Result<Json<Value>, Problem> {
    let page = PageSize::new(params.limit)?;
    let now = clock.now();
    let rows = store.silences((!params.all).then_some(now), params.after, page.and_one()).await?;
    let (rows, more) = page.cut(rows);
    let silences: Vec<_> = rows.iter().map(|row| show(row, now)).collect();
    Ok(Json(json!({"silences": silences, "more": more})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    code: Option<String>,
    channel: Option<ChannelId>,
    subject: Option<String>,
    starts_at: Option<Timestamp>,
    ends_at: Timestamp,
    reason: String,
    by: String,
}

impl Wanted {
    fn check(self, now: Timestamp) -> Result<NewSilence, Problem> {
        let starts_at = self.starts_at.unwrap_or(now);
        let refused = |text: &str| Err(Problem::new(Code::MalformedBody, text));
        if self.code.is_none() && self.channel.is_none() && self.subject.is_none() {
            return refused("name a `code`, a `channel` or a `subject`: a silence over everything hides what matters");
        }
        let fits = |text: &Option<String>| text.as_ref().is_none_or(|text| !text.is_empty() && text.len() <= 1_000);
        if !fits(&self.code) || !fits(&self.subject) {
            return refused("`code` and `subject` have 1 to 1000 bytes");
        }
        if self.ends_at <= starts_at || self.ends_at <= now {
            return refused("`ends_at` lies after `starts_at`, and in the future");
        }
        if self.ends_at.as_second() - now.as_second() > LONGEST_DAYS * 86_400 {
            return refused("a silence ends within 92 days");
        }
        let (reason, by) = (sentence(&self.reason)?.to_owned(), person(&self.by)?.to_owned());
        let Wanted { code, channel, subject, ends_at, .. } = self;
        Ok(NewSilence { code, channel, subject, starts_at, ends_at, reason, by, at: now })
    }
}

/// `POST /api/v1/silences`
pub(crate) async fn add(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(channels): State<Channels>,
    State(alerts): State<Alerts>,
    Said(wanted): Said<Wanted>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    // One that matches nothing would leave its maker in the belief that he is not disturbed.
    channels.known(wanted.channel.as_ref())?;
    alerts.known(wanted.code.as_deref(), Code::MalformedBody)?;
    let now = clock.now();
    let id = store.add_silence(&wanted.check(now)?).await?;
    Ok((StatusCode::CREATED, Json(show(&load(&*store, id).await?, now))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ending {
    by: String,
}

/// `POST /api/v1/silences/{id}/end`
pub(crate) async fn end(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
    Said(said): Said<Ending>,
) -> Result<Json<Value>, Problem> {
    let id = SilenceId(segment.row_id("silence")?);
    let now = clock.now();
    store.end_silence(id, person(&said.by)?, now).await?;
    Ok(Json(show(&load(&*store, id).await?, now)))
}
