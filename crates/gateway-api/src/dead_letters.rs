//! Dead letters: list, show, retry, waive.
//!
//! A retry appends first and settles after: a crash between the two leaves an open letter whose next retry the bus recognizes as a repeat.

use crate::auth::{Caller, Right};
use crate::extract::{PageSize, Params, Said, Segment};
use crate::settling::Settling;
use crate::state::Channels;
use crate::views::{BodyEncoding, ChinaTime, read_bytes, show_bytes};
use crate::{ApiState, Code, Problem};
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use gateway_bus::{Appended, Bus, Envelope, Guard, TopicName};
use gateway_model::{ChannelId, Clock, DeadLetterId, Origin, Timestamp};
use gateway_store::{DeadLetterFilter, DeadLetterRow, DeadLetterState, RawRow, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// The largest corrected body as JSON; a record is at most 1 MiB, and base64 or escapes make it longer.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// For how long the bus remembers a resubmission.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateParam {
    Open,
    Resubmitted,
    Waived,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetterParams {
    channel: Option<ChannelId>,
    state: Option<StateParam>,
    after: Option<DeadLetterId>,
    limit: Option<u32>,
}

fn show(row: &DeadLetterRow) -> Value {
    json!({
        "id": row.id, "channel": row.channel, "raw_id": row.raw_id, "dataset": null, "number": row.number, "code": row.code,
        "reason": row.reason, "state": row.state.as_str(), "at": ChinaTime(row.at),
        "settled_at": row.settled_at.map(ChinaTime), "settled_reason": row.settled_reason,
    })
}

async fn load(store: &dyn Store, segment: &Segment) -> Result<DeadLetterRow, Problem> {
    let id = DeadLetterId(segment.row_id("dead letter")?);
    store.dead_letter(id).await?.ok_or_else(|| Problem::not_found("dead letter", id))
}

/// `GET /api/v1/dead-letters`
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    Params(params): Params<LetterParams>,
) -> Result<Json<Value>, Problem> {
    channels.known(params.channel.as_ref())?;
    let page = PageSize::new(params.limit)?;
    let state = params.state.map(|state| match state {
        StateParam::Open => DeadLetterState::Open,
        StateParam::Resubmitted => DeadLetterState::Resubmitted,
        StateParam::Waived => DeadLetterState::Waived,
    });
    let filter = DeadLetterFilter { channel: params.channel, state, after: params.after };
    let (rows, more) = page.cut(store.dead_letters(&filter, page.and_one()).await?);
    let letters: Vec<_> = rows.iter().map(show).collect();
    Ok(Json(json!({"dead_letters": letters, "more": more})))
}

/// `GET /api/v1/dead-letters/{id}`
pub(crate) async fn one(
    State(store): State<Arc<dyn Store>>,
    Extension(caller): Extension<Caller>,
    segment: Segment,
) -> Result<Json<Value>, Problem> {
    let row = load(&*store, &segment).await?;
    let mut shown = show(&row);
    if caller.must(Right::ReadBytes).is_ok() {
        let body = store.raw(row.raw_id).await?.and_then(|raw| raw.body);
        let (text, encoding) = body.as_deref().map(show_bytes).unzip();
        shown["body"] = json!(text);
        shown["body_encoding"] = json!(encoding);
    }
    Ok(Json(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Correction {
    body: Option<String>,
    body_encoding: Option<BodyEncoding>,
}

impl Correction {
    /// The corrected bytes; `None` when the record is to be tried as it is.
    fn bytes(self) -> Result<Option<Vec<u8>>, Problem> {
        let encoding = self.body_encoding.unwrap_or(BodyEncoding::Text);
        let Some(text) = self.body else { return Ok(None) };
        let bytes = read_bytes(text, encoding);
        bytes
            .map(Some)
            .ok_or_else(|| Problem::new(Code::MalformedBody, "`body` is no base64, and `body_encoding` says it is"))
    }
}

/// What a retry needs.
#[derive(Clone)]
pub(crate) struct Retrying {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
}

impl FromRef<ApiState> for Retrying {
    fn from_ref(state: &ApiState) -> Self {
        Self { store: state.store.clone(), bus: state.bus.clone(), clock: state.clock.clone() }
    }
}

/// `POST /api/v1/dead-letters/{id}/retry`
pub(crate) async fn retry(
    State(retrying): State<Retrying>,
    Extension(Caller(role)): Extension<Caller>,
    segment: Segment,
    Said(correction): Said<Correction, LARGEST_BODY>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let row = load(&*retrying.store, &segment).await?;
    let corrected = correction.bytes()?;
    open(&row)?;
    let erased = || Problem::new(Code::BodyErased, "the record's bytes are gone; send a `body`, or waive the letter");
    let mut raw = retrying.store.raw(row.raw_id).await?.ok_or_else(erased)?;
    let how = if corrected.is_some() { "corrected" } else { "as it was" };
    let payload = corrected.or(raw.body.take()).ok_or_else(erased)?;
    let now = retrying.clock.now();
    let appended = append(&*retrying.bus, &row, &raw, payload, now).await?;
    if appended == Appended::Conflict {
        // The nonce holds the digest, so this can't be another body.
        return Err(Problem::new(Code::Internal, "the bus knows this resubmission with other content"));
    }
    let reason = format!("resubmitted {how} ({})", role.as_str());
    retrying.store.settle_dead_letters(&[row.id], DeadLetterState::Resubmitted, &reason, now).await?;
    Ok((StatusCode::ACCEPTED, Json(show(&load(&*retrying.store, &segment).await?))))
}

async fn append(
    bus: &dyn Bus,
    row: &DeadLetterRow,
    raw: &RawRow,
    payload: Vec<u8>,
    now: Timestamp,
) -> Result<Appended, Problem> {
    let digest: [u8; 32] = Sha256::digest(&payload).into();
    let guard = Guard {
        nonce: format!("dead-letter-{}-{}", row.id, hex::encode(digest)),
        digest,
        until: now.checked_add(REMEMBERED).unwrap_or(Timestamp::MAX),
    };
    let envelope = Envelope {
        channel: row.channel.clone(),
        origin: Origin::Resubmitted,
        number: row.number.clone().or_else(|| raw.meta.number.clone()),
        received_at: now,
        // A correction makes the record readable, not newer.
        read_at: raw.meta.read_at,
        undecodable: None,
        payload,
    };
    let appended = bus.append(&TopicName::raw(&row.channel), vec![envelope.into_message(Some(guard))]).await?;
    appended.first().copied().ok_or_else(|| Problem::new(Code::Internal, "the bus answered nothing for a message"))
}

fn open(row: &DeadLetterRow) -> Result<(), Problem> {
    if row.state == DeadLetterState::Open {
        return Ok(());
    }
    Err(Problem::new(Code::WrongState, format!("dead letter {} is {}", row.id, row.state.as_str())))
}

/// `POST /api/v1/dead-letters/{id}/waive`
pub(crate) async fn waive(
    State(retrying): State<Retrying>,
    Extension(caller): Extension<Caller>,
    segment: Segment,
    Said(settling): Said<Settling>,
) -> Result<Json<Value>, Problem> {
    let reason = settling.sentence(caller)?;
    let row = load(&*retrying.store, &segment).await?;
    open(&row)?;
    retrying.store.settle_dead_letters(&[row.id], DeadLetterState::Waived, &reason, retrying.clock.now()).await?;
    Ok(Json(show(&load(&*retrying.store, &segment).await?)))
}
