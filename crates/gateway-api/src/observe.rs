//! What every request goes through: a time limit, a count, and one line in the log without anything that a client sent.

use crate::{ApiConfig, Code, Problem};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Instant;

/// Counts by route and status; a path that matched no route counts as `unmatched`, so that labels stay bounded.
pub(crate) async fn observe(State(config): State<Arc<ApiConfig>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let began = Instant::now();
    let response = match tokio::time::timeout(config.request_timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::Timeout, "it took too long; what was asked may have happened").into_response(),
    };
    let took = began.elapsed();
    let status = response.status().as_u16();
    tracing::debug!(%method, route, status, took_ms = took.as_secs_f64() * 1000.0, "request");
    metrics::counter!("gateway_http_requests_total", "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("gateway_http_request_seconds", "route" => route).record(took.as_secs_f64());
    response
}

/// Nothing is at that path.
pub(crate) async fn no_such_path() -> Problem {
    Problem::new(Code::NoSuchPath, "see docs/api.md for what there is")
}

/// The path does not take that method.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "see docs/api.md for what this path takes")
}
