//! The platform's control surface `/sim`: for the demo, the tests and the judge. Never part of a real platform.
//!
//! Every call carries the token of `DIR/control-token` as bearer.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::server::json_response;
use super::{Platform, PlatformKind};
use crate::book::Held;
use crate::control::authorized;
use crate::digest::{self, Dataset};
use crate::dress::{Dress, Parameters};
use crate::record::state;

/// The routes below `/sim`.
pub(super) fn routes(platform: Arc<Platform>) -> Router<Arc<Platform>> {
    Router::new()
        .route("/stop", post(stop))
        .route("/life", get(life))
        .route("/faults", get(faults))
        .route("/history", get(history))
        .route("/book/orders", get(orders))
        .route("/book/refusals", get(refusals))
        .route("/book/corrupt", post(corrupt))
        .route("/files", get(files))
        .route("/box", get(front_box))
        .layer(middleware::from_fn_with_state(platform, guard))
}

async fn guard(State(platform): State<Arc<Platform>>, request: Request, next: Next) -> Response {
    if authorized(request.headers(), &platform.token) {
        next.run(request).await
    } else {
        json_response(StatusCode::UNAUTHORIZED, Vec::new())
    }
}

/// Ends life.
async fn stop(State(platform): State<Arc<Platform>>) -> Response {
    platform.stop_life();
    match platform.ledger.settled().await {
        Ok(()) => Json(json!({"stopped": true})).into_response(),
        Err(_) => json_response(StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    }
}

/// `stopped`: nothing spontaneous any more. `settled`: and nothing queued, no verdict owed.
async fn life(State(platform): State<Arc<Platform>>) -> Json<Value> {
    let book = platform.ledger.lock();
    // Other than a desk, the bureau is done when nothing is planned any more and what it did has had time to come back as its origin's word.
    let at_work = platform.options.kind == PlatformKind::Bureau && super::bureau::is_at_work(&platform, &book);
    let verdicts = if book.stopped {
        book.from_position(0).filter(|held| !held.uploaded && held.order.state == state::RETURN_ASKED).count()
    } else {
        0
    };
    let queued = if platform.pushes() { book.pushes.len() } else { 0 };
    let items: serde_json::Map<String, Value> =
        Dataset::ALL.iter().map(|&dataset| (dataset.as_str().to_owned(), json!(book.account.count(dataset)))).collect();
    Json(json!({
        "stopped": book.stopped, "settled": book.stopped && verdicts == 0 && queued == 0 && !at_work,
        "created": book.created_in_life(), "orders": book.len(), "pushes_queued": queued, "items": items,
    }))
}

/// What the plan has and what was injected.
async fn faults(State(platform): State<Arc<Platform>>) -> Json<Value> {
    let book = platform.ledger.lock();
    let enabled: Vec<&str> = platform
        .options
        .faults
        .kinds(platform.options.kind)
        .into_iter()
        .map(crate::faults::FaultKind::as_str)
        .collect();
    Json(json!({"plan": platform.options.faults.name(), "enabled": enabled, "injected": book.faults}))
}

/// The history of one item: `?dataset=&number=&part=`.
async fn history(State(platform): State<Arc<Platform>>, Query(query): Query<Parameters>) -> Response {
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let Some(dataset) = Dataset::parse(text("dataset")) else {
        return json_response(StatusCode::BAD_REQUEST, Vec::new());
    };
    let book = platform.ledger.lock();
    let versions: Vec<Value> = book
        .account
        .history(dataset, text("number"), text("part"))
        .into_iter()
        .map(|(at, value)| json!([at, value.map(|(digest, _)| hex::encode(digest))]))
        .collect();
    Json(json!({"versions": versions})).into_response()
}

/// The whole book, paged: `?after=POSITION&limit=`.
async fn orders(State(platform): State<Arc<Platform>>, Query(query): Query<Parameters>) -> Json<Value> {
    let number = |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (after, limit) = (number("after", 0), number("limit", 500).min(1_000));
    let book = platform.ledger.lock();
    let orders: Vec<Value> = book.page(after, limit).map(|held| row(platform.options.dress, held)).collect();
    let next = (after + limit).min(book.len());
    Json(json!({"orders": orders, "next": next, "more": next < book.len()}))
}

/// The request ids of the uploads that were refused as rows of business (fault `refused_upload`).
async fn refusals(State(platform): State<Arc<Platform>>) -> Json<Value> {
    let book = platform.ledger.lock();
    let refused: Vec<&str> = book
        .operations
        .values()
        .filter(|operation| operation.refused)
        .map(|operation| operation.request_id.as_str())
        .collect();
    Json(json!({"refused": refused}))
}

/// The files that its records refer to, and how each was answered for.
async fn files(State(platform): State<Arc<Platform>>) -> Json<Value> {
    Json(super::files::book(&platform))
}

/// What came and went over the front-end box.
async fn front_box(State(platform): State<Arc<Platform>>) -> Json<Value> {
    Json(super::lock(&platform.front_box).show())
}

fn row(dress: Dress, held: &Held) -> Value {
    let items: Vec<Value> = digest::items_in(dress, &held.order)
        .into_iter()
        .map(|item| {
            json!({
                "dataset": item.key.dataset.as_str(), "day": item.key.day, "part": item.key.part,
                "eventTime": item.event_time, "digest": hex::encode(item.digest),
            })
        })
        .collect();
    json!({"record": held.order, "replies": held.replies, "items": items, "hidden": held.hidden, "uploaded": held.uploaded})
}

/// Silently damages one row of the book, so that a test can see the judge notice: `{"orderNo"}`.
async fn corrupt(State(platform): State<Arc<Platform>>, body: Bytes) -> Json<Value> {
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut book = platform.ledger.lock();
    let chosen = body["orderNo"]
        .as_str()
        .map(str::to_owned)
        .or_else(|| book.from_position(0).next().map(|held| held.key.clone()));
    let done = chosen.as_ref().is_some_and(|number| book.corrupt(number));
    Json(json!({"corrupted": if done { chosen } else { None }}))
}
