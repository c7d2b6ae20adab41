//! The desk's control surface `/sim`: its book for the judge, its state for the demo. The token of `DIR/control-token` as bearer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::book::{Command, Fate};
use super::{Desk, lock};
use crate::control::authorized;

/// The desk's routes.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/sim/stop", post(stop))
        .route("/sim/life", get(life))
        .route("/sim/book/commands", get(commands))
        .layer(middleware::from_fn_with_state(desk.clone(), guard))
        .with_state(desk)
}

async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    if authorized(request.headers(), &desk.token) {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// No new command; what was meant is still brought to its end.
async fn stop(State(desk): State<Arc<Desk>>) -> Json<Value> {
    desk.stopped.store(true, Ordering::SeqCst);
    Json(json!({"stopped": true}))
}

/// Work comes in steps: what the desk did shows in the orders a moment later, and then the next step is due. Only after so long
/// without anything new is the desk's work at its end.
const QUIET_MS: i64 = 1_000;

/// `settled`: all orders seen, nothing to do, nothing in flight, and nothing new for a second.
async fn life(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let waiting = lock(&desk.agenda).len();
    let in_flight = desk.in_flight.load(Ordering::SeqCst);
    let caught_up = desk.caught_up.load(Ordering::SeqCst);
    let quiet_ms = desk.now() - desk.active_at.load(Ordering::SeqCst);
    let settled = caught_up && waiting == 0 && in_flight == 0 && quiet_ms >= QUIET_MS;
    let book = lock(&desk.book);
    let accepted = book.commands.iter().filter(|(_, fate)| matches!(fate, Fate::Accepted(_))).count();
    Json(json!({
        "stopped": desk.stopped.load(Ordering::SeqCst), "settled": settled, "quiet_ms": quiet_ms,
        "caught_up": caught_up, "waiting": waiting, "in_flight": in_flight, "orders": book.seen.len(),
        "commands": book.commands.len(), "accepted": accepted,
    }))
}

/// Every command, paged: `?after=POSITION&limit=`.
async fn commands(State(desk): State<Arc<Desk>>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let number = |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (after, limit) = (number("after", 0), number("limit", 1_000).min(2_000));
    let book = lock(&desk.book);
    let page: Vec<Value> = book.commands.iter().skip(after).take(limit).map(row).collect();
    let next = after + page.len();
    Json(json!({"commands": page, "next": next, "more": next < book.commands.len()}))
}

fn row((command, fate): &(Command, Fate)) -> Value {
    let (state, command_id) = match fate {
        Fate::Intended => ("intended", None),
        Fate::Accepted(id) => ("accepted", Some(id)),
        Fate::Refused(_) => ("refused", None),
    };
    json!({
        "key": command.key, "order_id": command.order_id, "number": command.number, "round": command.round,
        "operation": command.operation, "attempt": command.attempt, "body": command.body, "state": state, "command_id": command_id,
    })
}
