//! `/healthz`, `/readyz`, `/metrics`: for machines, without a token.
//!
//! Ready means: what is sent to this gateway now becomes durable, and its work goes on. A store that is down makes it unready, and webhook
//! intake goes on all the same, since the bus is what makes a push durable.

use crate::state::Metrics;
use crate::{ApiConfig, StatusSource};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gateway_bus::Bus;
use gateway_model::with_causes;
use gateway_runtime::TaskHealth;
use gateway_store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The process lives.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({"alive": true}))
}

/// Why the gateway is not ready; empty when it is.
pub(crate) async fn unready(
    store: &dyn Store,
    bus: &dyn Bus,
    status: &dyn StatusSource,
    patience: Duration,
) -> Vec<(&'static str, String)> {
    let (store, bus) =
        tokio::join!(tokio::time::timeout(patience, store.check()), tokio::time::timeout(patience, bus.check()));
    let late = || format!("no answer within {} ms", patience.as_millis());
    let store = store.map_or_else(|_| Some(late()), |answer| answer.err().map(|error| with_causes(&error)));
    let bus = bus.map_or_else(|_| Some(late()), |answer| answer.err().map(|error| with_causes(&error)));
    let mut reasons = Vec::new();
    reasons.extend(bus.map(|text| ("bus", text)));
    reasons.extend(store.map(|text| ("store", text)));
    if status.stopping() {
        reasons.push(("stopping", "the gateway is stopping".to_owned()));
    } else {
        let ended = status.tasks().into_iter().filter(|task| task.health == TaskHealth::Ended);
        reasons.extend(ended.map(|task| ("task", format!("{} ended", task.name))));
    }
    reasons
}

/// `GET /readyz`
pub(crate) async fn readyz(
    State(store): State<Arc<dyn Store>>,
    State(bus): State<Arc<dyn Bus>>,
    State(status): State<Arc<dyn StatusSource>>,
    State(config): State<Arc<ApiConfig>>,
) -> (StatusCode, Json<Value>) {
    let reasons = unready(&*store, &*bus, &*status, config.check_timeout()).await;
    let code = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let shown: Vec<_> = reasons.iter().map(|(part, text)| json!({"part": part, "text": text})).collect();
    (code, Json(json!({"ready": reasons.is_empty(), "reasons": shown})))
}

/// `GET /metrics`
pub(crate) async fn metrics(
    State(Metrics(render)): State<Metrics>,
    State(status): State<Arc<dyn StatusSource>>,
) -> Response {
    for task in status.tasks() {
        let healthy = if task.health == TaskHealth::Healthy { 1.0 } else { 0.0 };
        metrics::gauge!("gateway_task_healthy", "task" => task.name).set(healthy);
    }
    metrics::gauge!("gateway_warnings").set(f64::from(u32::try_from(status.warnings().len()).unwrap_or(u32::MAX)));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render()).into_response()
}
