//! A record exactly as received; for the operator only, since it holds person data.

use crate::Problem;
use crate::extract::Segment;
use crate::views::{ChinaTime, show_bytes};
use axum::Json;
use axum::extract::State;
use gateway_model::RawId;
use gateway_store::Store;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /api/v1/raw/{id}`
pub(crate) async fn one(State(store): State<Arc<dyn Store>>, segment: Segment) -> Result<Json<Value>, Problem> {
    let id = RawId(segment.row_id("raw record")?);
    let row = store.raw(id).await?.ok_or_else(|| Problem::not_found("raw record", id))?;
    let (text, encoding) = row.body.as_deref().map(show_bytes).unzip();
    let meta = &row.meta;
    Ok(Json(json!({
        "id": row.id, "channel": meta.channel, "origin": meta.origin, "number": meta.number,
        "received_at": ChinaTime(meta.received_at), "read_at": ChinaTime(meta.read_at),
        "topic": meta.topic, "partition": meta.partition, "offset": meta.offset,
        "body": text, "body_encoding": encoding,
    })))
}
