//! Attachments for people: what is known of an order's files, the bytes of one, and asking for one again.

use crate::extract::Segment;
use crate::kept_file;
use crate::views::ChinaTime;
use crate::{Code, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use gateway_model::{AttachmentState, ChannelId, Clock, OrderId};
use gateway_store::{AttachmentDir, AttachmentRow, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An attachment as it is shown.
pub(crate) fn show(row: &AttachmentRow) -> Value {
    json!({
        "id": row.id, "channel": row.channel, "reference": row.reference, "state": row.state, "media_type": row.media_type,
        "size_bytes": row.size_bytes, "sha256": row.digest, "attempts": row.attempts, "error": row.error, "raw_id": row.raw_id,
        "owed_at": ChinaTime(row.owed_at), "fetched_at": row.fetched_at.map(ChinaTime), "fetch_at": row.fetch_at.map(ChinaTime),
    })
}

/// Those of orders that are one.
pub(crate) async fn of_orders(store: &dyn Store, orders: &[OrderId]) -> Result<Vec<Value>, Problem> {
    let mut shown = Vec::new();
    for order in orders {
        shown.extend(store.attachments(*order).await?.iter().map(show));
    }
    Ok(shown)
}

/// How many of each channel are how far.
pub(crate) async fn tallies(store: &dyn Store) -> Result<Vec<Value>, Problem> {
    let mut channels: BTreeMap<ChannelId, BTreeMap<&str, u64>> = BTreeMap::new();
    for (channel, state, count) in store.attachment_tallies().await? {
        *channels.entry(channel).or_default().entry(state.as_str()).or_default() += count;
    }
    let show = |(channel, counts): (ChannelId, BTreeMap<&str, u64>)| {
        let count = |state: AttachmentState| counts.get(state.as_str()).copied().unwrap_or_default();
        json!({
            "channel": channel, "kept": count(AttachmentState::Kept), "owed": count(AttachmentState::Owed),
            "missing": count(AttachmentState::Missing), "refused": count(AttachmentState::Refused),
            "withdrawn": count(AttachmentState::Withdrawn),
        })
    };
    Ok(channels.into_iter().map(show).collect())
}

async fn load(store: &dyn Store, segment: &Segment) -> Result<AttachmentRow, Problem> {
    let unknown = || {
        Problem::not_found(
            "attachment",
            "with this id: `hotline-gateway order attachments NUMBER` shows those of an order",
        )
        .zh("没有这个编号的附件；用 hotline-gateway order attachments NUMBER 查看工单的附件")
    };
    let id = segment.0.parse().map_err(|_| unknown())?;
    store.attachment(id).await?.ok_or_else(unknown)
}

/// `GET /api/v1/attachments/{id}`
pub(crate) async fn bytes(
    State(store): State<Arc<dyn Store>>,
    State(dir): State<AttachmentDir>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = load(&*store, &segment).await?;
    kept_file::answer(&dir, &row, &*clock, (&method, &headers), None).await
}

/// `POST /api/v1/attachments/{id}/fetch`
pub(crate) async fn fetch_again(
    State(store): State<Arc<dyn Store>>,
    State(dir): State<AttachmentDir>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let row = load(&*store, &segment).await?;
    let kept = || {
        Problem::new(Code::WrongState, format!("the file of {} is kept", row.id))
            .zh(format!("附件 {} 已保存，无需重新索取", row.id))
    };
    let lost = row.state == AttachmentState::Kept && !kept_file::is_whole(&dir, &row).await;
    if !store.fetch_attachment_again(row.id, lost, clock.now()).await? {
        return Err(kept());
    }
    let row = load(&*store, &segment).await?;
    Ok((StatusCode::ACCEPTED, Json(show(&row))))
}
