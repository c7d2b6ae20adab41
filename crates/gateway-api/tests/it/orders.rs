//! Reading orders.

use crate::gateway::{ADMIN, DESK, Gateway, JUDGE};
use crate::seed::{self, order_id};
use gateway_model::OrderState;
use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    page["orders"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

fn names(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(|n| order_id(*n).to_string()).collect()
}

#[tokio::test]
async fn the_cursor_loses_nothing_at_its_boundary() {
    let gateway = Gateway::start().await;
    let empty = gateway.get(DESK, "/api/v1/orders").await;
    let beginning = empty.ok(200)["next"].as_str().unwrap().to_owned();
    assert_eq!(empty.body["more"], false);
    seed::orders(gateway.store(), &[(1, 1), (2, 2), (3, 3)]).await;
    // The cursor of an empty feed is a place in it, not "from the beginning".
    let first = gateway.get(DESK, &format!("/api/v1/orders?limit=2&after={beginning}")).await;
    assert_eq!((ids(first.ok(200)), &first.body["more"]), (names(&[1, 2]), &json!(true)));
    // One behind and one before the cursor change.
    seed::move_order(gateway.store(), 1, 2, OrderState::Signed).await;
    let next = first.body["next"].as_str().unwrap();
    let rest = gateway.get(DESK, &format!("/api/v1/orders?limit=2&after={next}")).await;
    assert_eq!((ids(rest.ok(200)), &rest.body["more"]), (names(&[3, 1]), &json!(false)));
    assert_eq!(rest.body["orders"][1]["state"], "signed");
    let next = rest.body["next"].as_str().unwrap();
    let end = gateway.get(DESK, &format!("/api/v1/orders?after={next}")).await;
    assert_eq!((ids(end.ok(200)), end.body["next"].as_str()), (vec![], Some(next)));
}

#[tokio::test]
async fn a_bad_question_is_refused_and_not_guessed_at() {
    let gateway = Gateway::start().await;
    for cursor in ["0", "f1-", "f1-00000000000000zz", "%00", "f1-ffffffffffffffff"] {
        gateway.get(DESK, &format!("/api/v1/orders?after={cursor}")).await.problem(400, "malformed_cursor");
    }
    for query in ["limit=0", "limit=501", "limit=many", "person=perhaps", "affter=f1-0000000000000001"] {
        gateway.get(JUDGE, &format!("/api/v1/orders?{query}")).await.problem(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn an_order_reads_as_the_contract_says() {
    let gateway = Gateway::start().await;
    seed::orders(gateway.store(), &[(1, 1)]).await;
    let answer = gateway.get(JUDGE, &format!("/api/v1/orders/{}?person=true", order_id(1))).await;
    let digest = "01".repeat(32);
    let facet = json!({
        "channel": "municipal-12345", "dataset": "acceptance", "part": "c0", "revision": 7, "event_time": "2026-11-23T09:00:00+08:00",
        "digest": digest, "echo": false, "received_at": "2026-11-23T09:00:01+08:00", "raw_id": 1,
        "fields": {"title": "路灯\t不亮"}, "unmapped": {"extra": "who knows"},
    });
    let event = json!({
        "channel": "municipal-12345", "dataset": "handling", "event_id": "E17", "kind": "urge", "event_time": "2026-11-23",
        "digest": digest, "echo": false, "received_at": "2026-11-23T09:00:01+08:00", "raw_id": 1, "fields": {"event_text": "快一点"},
    });
    let person = json!({
        "channel": "municipal-12345", "dataset": "acceptance", "part": "c0", "fields": {"requester_name": "张三"},
    });
    let expected = json!({
        "id": order_id(1), "seq": 1, "created_at": "2026-11-23T09:00:00+08:00", "changed_at": "2026-11-23T09:00:01+08:00",
        "numbers": [{"channel": "municipal-12345", "number": "GZ00000001", "day": "2026-11-24"}],
        "state": "dispatched", "round": 0, "fields": {"title": "路灯\t不亮", "state": "dispatched"}, "conflicts": [],
        "facets": [facet], "events": [event], "persons": [person],
    });
    assert_eq!(*answer.ok(200), expected);
    let timeline = gateway.get(DESK, "/api/v1/orders/GZ00000001/timeline").await;
    let line = json!({
        "seq": 1, "at": "2026-11-23T09:00:01+08:00", "channel": "municipal-12345", "dataset": "acceptance", "part": "c0", "raw_id": 1,
        "origin": "poll",
    });
    assert_eq!(*timeline.ok(200), json!({"order_id": order_id(1), "timeline": [line], "deliveries": []}));
}

#[tokio::test]
async fn a_number_that_several_orders_have_is_a_question_back() {
    let gateway = Gateway::start().await;
    seed::orders(gateway.store(), &[(1, 7), (2, 7), (3, 3)]).await;
    let one = gateway.get(DESK, "/api/v1/orders/GZ00000003?channel=municipal-12345").await;
    assert_eq!(one.ok(200)["id"], json!(order_id(3)));
    let several = gateway.get(DESK, "/api/v1/orders/GZ00000007").await;
    let candidates = several.problem(409, "ambiguous_number")["candidates"].as_array().unwrap();
    let mut found: Vec<&str> = candidates.iter().map(|one| one["id"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, names(&[1, 2]));
    assert!(candidates.iter().all(|one| one["numbers"][0]["number"] == "GZ00000007" && one["state"] == "dispatched"));
    for path in ["GZ00000003?channel=desk", "GZ1", "none", "01930000-0000-7000-8000-000000000009"] {
        gateway.get(DESK, &format!("/api/v1/orders/{path}")).await.problem(404, "not_found");
    }
    let long = "9".repeat(500);
    gateway.get(DESK, &format!("/api/v1/orders/{long}")).await.problem(404, "not_found");
    gateway.get(ADMIN, "/api/v1/orders/1?channel=").await.problem(400, "invalid_parameter");
}
