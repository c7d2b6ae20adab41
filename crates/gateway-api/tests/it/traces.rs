//! The trace of one order.

use crate::gateway::{ADMIN, DESK, Gateway, JUDGE, at};
use crate::history::{DAY_S, first_day, second_day};
use reqwest::Method;
use serde_json::Value;

async fn traced() -> Gateway {
    let gateway = Gateway::start().await;
    let missing = first_day(&gateway).await;
    second_day(&gateway, missing).await;
    crate::history::gap(&gateway, gateway_model::GapKind::Differing, 1, at(DAY_S)).await;
    gateway
}

#[tokio::test]
async fn every_stage_is_told_in_the_order_of_time() {
    let gateway = traced().await;
    let trace = gateway.get(JUDGE, "/api/v1/orders/GZ00000001/trace").await;
    insta::assert_json_snapshot!("trace", trace.ok(200));
    let times: Vec<&str> =
        trace.body["stages"].as_array().unwrap().iter().filter_map(|stage| stage["at"].as_str()).collect();
    assert!(times.is_sorted());
    for language in ["zh", "en"] {
        let path = format!("/api/v1/orders/GZ00000001/trace?format=text&language={language}");
        let answer = gateway.request(Method::GET, &path).bearer_auth(ADMIN).send().await.unwrap();
        insta::assert_snapshot!(format!("trace_{language}"), answer.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_trace_tells_nothing_of_persons() {
    let gateway = traced().await;
    let trace = gateway.get(ADMIN, "/api/v1/orders/GZ00000001/trace").await;
    let text = Value::to_string(trace.ok(200));
    for secret in ["张三", "路灯", "快一点", "callerName"] {
        assert!(!text.contains(secret), "{secret}");
    }
    gateway.get(DESK, "/api/v1/orders/GZ00000001/trace").await.problem(403, "role_not_allowed");
    gateway.get(ADMIN, "/api/v1/orders/GZ9/trace").await.problem(404, "not_found");
    gateway.get(ADMIN, "/api/v1/orders/GZ00000001/trace?format=csv").await.problem(400, "invalid_parameter");
}
