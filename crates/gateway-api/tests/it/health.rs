//! Liveness, readiness, metrics.

use crate::gateway::{ADMIN, Gateway, send, task};
use gateway_bus::Bus;
use gateway_runtime::TaskHealth;
use gateway_store::Store;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

async fn readyz(gateway: &Gateway) -> (u16, Value) {
    let answer = send(gateway.request(Method::GET, "/readyz")).await;
    (answer.status, answer.body)
}

fn parts(body: &Value) -> Vec<&str> {
    body["reasons"].as_array().unwrap().iter().map(|reason| reason["part"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn without_the_store_the_gateway_is_not_ready_and_pushes_go_on() {
    let gateway = Gateway::start().await;
    assert_eq!(readyz(&gateway).await, (200, json!({"ready": true, "reasons": []})));
    gateway.store.close().await;
    let (status, body) = readyz(&gateway).await;
    assert_eq!((status, &body["ready"], parts(&body)), (503, &json!(false), vec!["store"]));
    gateway.get(ADMIN, "/api/v1/orders").await.problem(503, "store_unavailable");
    send(gateway.push("/webhooks/municipal-12345").body("{}")).await.ok(200);
    send(gateway.request(Method::GET, "/healthz")).await.ok(200);
    gateway.bus.close().await;
    let (status, body) = readyz(&gateway).await;
    assert_eq!((status, parts(&body)), (503, vec!["bus", "store"]));
}

#[tokio::test]
async fn a_task_that_ended_and_a_gateway_that_stops_are_not_ready() {
    let gateway = Gateway::start().await;
    let tasks = [("poll/a", TaskHealth::Stalled), ("pipeline", TaskHealth::Ended)];
    *gateway.status.tasks.lock().unwrap() = tasks.map(|(name, health)| task(name, health)).to_vec();
    let (status, body) = readyz(&gateway).await;
    assert_eq!((status, &body["reasons"]), (503, &json!([{"part": "task", "text": "pipeline ended"}])));
    gateway.status.stopping.store(true, Ordering::SeqCst);
    let (status, body) = readyz(&gateway).await;
    assert_eq!((status, parts(&body)), (503, vec!["stopping"]));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_what_was_asked_for() {
    let gateway = Gateway::start().await;
    gateway.get(ADMIN, "/api/v1/orders/GZ-A-SECRET-NUMBER").await.problem(404, "not_found");
    send(gateway.request(Method::GET, "/a-stray-path")).await.problem(404, "no_such_path");
    send(gateway.request(Method::GET, "/api/v1/flow")).await.problem(401, "unauthenticated");
    *gateway.status.tasks.lock().unwrap() = vec![task("poll/a", TaskHealth::Stalled)];
    let answer = send(gateway.request(Method::GET, "/metrics")).await;
    assert!(answer.content_type.starts_with("text/plain"));
    let text = answer.body.as_str().unwrap();
    for line in [
        "gateway_http_requests_total{route=\"/api/v1/orders/{id}\",status=\"404\"}",
        "gateway_http_requests_total{route=\"unmatched\",status=\"404\"}",
        "gateway_http_requests_total{route=\"/api/v1/flow\",status=\"401\"}",
        "gateway_task_healthy{task=\"poll/a\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("SECRET") && !text.contains("stray"), "{text}");
}
