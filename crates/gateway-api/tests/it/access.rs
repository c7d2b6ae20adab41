//! Who may do what, and what a stranger learns.

use crate::gateway::{ADMIN, DESK, Gateway, JUDGE, send};
use crate::seed;
use reqwest::Method;
use serde_json::json;

const READ: &[&str] = &[
    "/api/v1/orders",
    "/api/v1/orders/1",
    "/api/v1/orders/1/timeline",
    "/api/v1/commands/1",
    "/api/v1/deliveries",
    "/api/v1/deliveries/1",
    "/api/v1/duplicates",
    "/api/v1/duplicates/1",
    "/api/v1/flow",
    "/api/v1/gaps",
    "/api/v1/gaps/1",
    "/api/v1/gap-groups",
    "/api/v1/gaps/repair-plan",
    "/api/v1/gaps/export",
    "/api/v1/repair-stops",
    "/api/v1/comparisons",
    "/api/v1/balance",
    "/api/v1/reports/daily/2026-11-23",
    "/api/v1/reconcile",
    "/api/v1/dead-letters",
    "/api/v1/dead-letters/1",
    "/api/v1/incidents",
    "/api/v1/incidents/1",
    "/api/v1/silences",
    "/api/v1/notifiers",
    "/api/v1/archive",
    "/api/v1/status",
    "/api/v1/raw/1",
];
const CHANGE: &[&str] = &[
    "/api/v1/orders/1/commands",
    "/api/v1/duplicates",
    "/api/v1/duplicates/1/confirm",
    "/api/v1/duplicates/1/reject",
    "/api/v1/gaps/1/repair",
    "/api/v1/gaps/1/waive",
    "/api/v1/gaps/repair",
    "/api/v1/repair-stops/approve",
    "/api/v1/reconcile",
    "/api/v1/dead-letters/1/retry",
    "/api/v1/dead-letters/1/waive",
    "/api/v1/incidents/1/acknowledge",
    "/api/v1/silences",
    "/api/v1/silences/1/end",
    "/api/v1/deliveries/1/redeliver",
    "/api/v1/deliveries/1/waive",
    "/api/v1/archive/2025-01/take",
    "/api/v1/archive/2025-01/return",
];

#[tokio::test]
async fn nothing_is_told_without_a_token() {
    let gateway = Gateway::start().await;
    for (method, paths) in [(Method::GET, READ), (Method::POST, CHANGE)] {
        for path in paths {
            let bare = gateway.request(method.clone(), path);
            send(bare).await.problem(401, "unauthenticated");
            let unknown = gateway.request(method.clone(), path).bearer_auth("admin-token-0123456789abcdeF");
            send(unknown).await.problem(401, "unauthenticated");
            let twice = gateway.request(method.clone(), path).bearer_auth(ADMIN).header("authorization", "Bearer x");
            send(twice).await.problem(401, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn each_role_may_what_the_contract_says_and_no_more() {
    let gateway = Gateway::start().await;
    let refused = |token: &'static str, path: &'static str| {
        let gateway = &gateway;
        async move { gateway.get(token, path).await.status == 403 }
    };
    for path in READ {
        let orders = ["/api/v1/orders", "/api/v1/commands", "/api/v1/deliveries", "/api/v1/duplicates"];
        let orders = orders.iter().any(|start| path.starts_with(start));
        assert_eq!(refused(DESK, path).await, !orders, "desk {path}");
        assert_eq!(refused(JUDGE, path).await, path.starts_with("/api/v1/raw"), "judge {path}");
        assert!(!refused(ADMIN, path).await, "admin {path}");
    }
    for path in CHANGE {
        let desk = gateway.post(DESK, path, &json!({})).await;
        assert_eq!(desk.status == 403, !path.ends_with("/commands"), "desk {path}");
        gateway.post(JUDGE, path, &json!({})).await.problem(403, "role_not_allowed");
        assert_ne!(gateway.post(ADMIN, path, &json!({})).await.status, 403, "admin {path}");
    }
}

#[tokio::test]
async fn person_fields_are_given_only_when_asked_for_and_only_to_those_who_may() {
    let gateway = Gateway::start().await;
    seed::orders(gateway.store(), &[(1, 1)]).await;
    for path in ["/api/v1/orders", "/api/v1/orders/GZ00000001"] {
        gateway.get(DESK, &format!("{path}?person=true")).await.problem(403, "role_not_allowed");
        for token in [DESK, JUDGE, ADMIN] {
            let plain = gateway.get(token, path).await;
            let text = plain.ok(200).to_string();
            assert!(!text.contains("张三") && !text.contains("persons"), "{text}");
            // What no profile names may be anything, a name too.
            assert_eq!(text.contains("who knows"), token != DESK, "{text}");
        }
        for token in [JUDGE, ADMIN] {
            let whole = gateway.get(token, &format!("{path}?person=true")).await;
            assert!(whole.ok(200).to_string().contains("{\"requester_name\":\"张三\"}"), "{whole:?}");
        }
    }
}

#[tokio::test]
async fn bytes_are_for_the_admin() {
    let gateway = Gateway::start().await;
    seed::dead_letter(gateway.store(), b"{\"broken\"").await;
    let seen = gateway.get(JUDGE, "/api/v1/dead-letters/1").await;
    assert_eq!(seen.ok(200).get("body"), None);
    let seen = gateway.get(ADMIN, "/api/v1/dead-letters/1").await;
    assert_eq!(seen.ok(200)["body"], "{\"broken\"");
    let raw = gateway.get(ADMIN, "/api/v1/raw/1").await;
    assert_eq!((&raw.ok(200)["body"], &raw.body["body_encoding"]), (&json!("{\"broken\""), &json!("text")));
    gateway.get(ADMIN, "/api/v1/raw/2").await.problem(404, "not_found");
    gateway.get(ADMIN, "/api/v1/raw/none").await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let gateway = Gateway::start().await;
    gateway.get(ADMIN, "/api/v1/nothing").await.problem(404, "no_such_path");
    gateway.get(ADMIN, "/").await.problem(404, "no_such_path");
    send(gateway.request(Method::DELETE, "/healthz")).await.problem(405, "method_not_allowed");
    send(gateway.request(Method::DELETE, "/api/v1/orders").bearer_auth(ADMIN)).await.problem(405, "method_not_allowed");
    gateway.get(ADMIN, "/api/v1/orders/%FF").await.problem(404, "no_such_path");
}
