//! Commands: durable before 202, once, and only where the order's state allows.

use crate::gateway::{ADMIN, DESK, Gateway, at, desk, send};
use crate::seed::{self, order_id};
use gateway_bus::{Bus, Envelope};
use gateway_model::{Command, Operation, OrderState, Origin};
use gateway_store::Store;
use reqwest::Method;
use serde_json::{Value, json};

fn sign() -> Value {
    json!({"operation": "sign", "round": 0, "at": "2026-11-23T09:30:00+08:00", "operator": "王五", "fields": {}})
}

fn reply(text: &str) -> Value {
    json!({
        "operation": "reply", "round": 0, "at": "2026-11-23T09:40:00+08:00", "operator": "王五",
        "fields": {"reply_text": text, "reply_unit": "市交通局"},
    })
}

async fn one_order(state: OrderState) -> (Gateway, String) {
    let gateway = Gateway::start().await;
    seed::orders(gateway.store(), &[(1, 1)]).await;
    seed::move_order(gateway.store(), 1, 2, state).await;
    (gateway, order_id(1).to_string())
}

#[tokio::test]
async fn a_command_is_a_record_of_the_desk_on_the_bus() {
    let (gateway, order) = one_order(OrderState::Signed).await;
    let answer = gateway.command(DESK, "GZ00000001", "k1", &reply("已修复\t谢谢")).await;
    let id = answer.ok(202)["command_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.body["order_id"], json!(order));
    let messages = gateway.messages(&desk()).await;
    assert_eq!(messages.len(), 1);
    let envelope = Envelope::from_message(messages[0].clone()).unwrap();
    assert_eq!((envelope.channel, envelope.origin), (desk(), Origin::Command));
    assert_eq!(envelope.number.unwrap().as_str(), order);
    assert_eq!((envelope.received_at, envelope.read_at, envelope.undecodable), (at(3600), at(3600), None));
    let command: Command = serde_json::from_slice(&envelope.payload).unwrap();
    assert_eq!((command.id.to_string(), command.operation, command.round), (id.clone(), Operation::Reply, 0));
    assert_eq!(command.fields.text(gateway_model::Field::ReplyText), Some("已修复\t谢谢"));
    gateway.get(DESK, &format!("/api/v1/commands/{id}")).await.problem(404, "not_processed_yet");
    gateway.get(DESK, "/api/v1/commands/none").await.problem(404, "not_processed_yet");

    let deliveries = seed::process_commands(&gateway).await;
    let outcome = gateway.get(DESK, &format!("/api/v1/commands/{id}")).await;
    let outcome = outcome.ok(200);
    assert_eq!(
        (&outcome["state"], &outcome["operation"], &outcome["order_id"]),
        (&json!("applied"), &json!("reply"), &json!(order))
    );
    let delivery = &outcome["deliveries"][0];
    assert_eq!(
        (&delivery["id"], &delivery["state"], &delivery["generation"]),
        (&json!(deliveries[0]), &json!("owed"), &json!(1))
    );
    assert_eq!(
        (&delivery["destination"], &delivery["attempts"], &delivery["receipt"]),
        (&json!("municipal-12345"), &json!(0), &Value::Null)
    );
}

#[tokio::test]
async fn what_is_asked_beside_the_main_line_has_fields_of_its_own() {
    let (gateway, order) = one_order(OrderState::Signed).await;
    let asks = |operation: &str, fields: Value| json!({"operation": operation, "round": 0, "at": "2026-11-23T09:30:00+08:00", "operator": "王五", "fields": fields});
    for (nth, (operation, fields)) in [
        ("extend", json!({"event_text": "需会同外单位核查", "extension_days": 5})),
        ("extend", json!({"event_text": "需会同外单位核查", "extended_to": "2026-12-31"})),
        ("appeal", json!({"event_text": "已按规定办理", "appeal_ground": "bad_rating"})),
        ("assign", json!({"handling_unit": "客运管理处", "unit_role": "assisting", "event_text": "请协助"})),
    ]
    .into_iter()
    .enumerate()
    {
        gateway.command(DESK, &order, &format!("k{nth}"), &asks(operation, fields)).await.ok(202);
    }
    for (operation, fields, said) in [
        ("extend", json!({"event_text": "x"}), "extension_days"),
        ("extend", json!({"extension_days": 5}), "event_text"),
        ("extend", json!({"event_text": "x", "extension_days": 5, "extended_to": "2026-12-31"}), "either"),
        ("extend", json!({"event_text": "x", "extension_days": 0}), "whole number"),
        ("extend", json!({"event_text": "x", "extended_to": "bald"}), "is a time"),
        ("appeal", json!({"event_text": "x"}), "appeal_ground"),
        ("appeal", json!({"event_text": "x", "appeal_ground": "weather"}), "bad_rating"),
        ("assign", json!({"event_text": "x"}), "handling_unit"),
        ("assign", json!({"handling_unit": "x", "unit_role": "boss"}), "main"),
        ("assign", json!({"handling_unit": "x", "reply_text": "y"}), "does not belong"),
    ] {
        let answer = gateway.command(DESK, &order, "wrong", &asks(operation, fields)).await;
        let detail = answer.problem(422, "invalid_command")["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(said), "{operation}: {detail}");
    }
    assert_eq!(gateway.messages(&desk()).await.len(), 4);
}

#[tokio::test]
async fn a_repeat_gets_its_answer_again_and_writes_nothing() {
    let (gateway, order) = one_order(OrderState::Signed).await;
    let first = gateway.command(DESK, &order, "k1", &reply("一")).await;
    // Named otherwise and later, it is the same request.
    gateway.clock.advance_to(at(4000));
    let again = gateway.command(DESK, "GZ00000001", "k1", &reply("一")).await;
    assert_eq!(first.ok(202), again.ok(202));
    gateway.command(DESK, &order, "k1", &reply("二")).await.problem(409, "idempotency_conflict");
    assert_eq!(gateway.messages(&desk()).await.len(), 1);
    // Another sender's key is another key.
    let other = gateway.command(ADMIN, &order, "k1", &reply("二")).await;
    assert_ne!(other.ok(202)["command_id"], first.body["command_id"]);

    seed::process_commands(&gateway).await;
    seed::move_order(gateway.store(), 1, 3, OrderState::Completed).await;
    let late = gateway.command(DESK, &order, "k1", &reply("一")).await;
    assert_eq!(first.body, *late.ok(202));
    gateway.command(DESK, &order, "k1", &reply("二")).await.problem(409, "idempotency_conflict");
    gateway.command(DESK, &order, "k1", &sign()).await.problem(409, "idempotency_conflict");
    gateway.command(DESK, &order, "k2", &reply("一")).await.problem(409, "state_does_not_allow");
    assert_eq!(gateway.messages(&desk()).await.len(), 2);
}

#[tokio::test]
async fn many_at_once_are_one() {
    let (gateway, order) = one_order(OrderState::Signed).await;
    let body = reply("一");
    let sent = (0..20).map(|_| gateway.command(DESK, &order, "k1", &body));
    for answer in futures::future::join_all(sent).await {
        answer.ok(202);
    }
    assert_eq!(gateway.messages(&desk()).await.len(), 1);
}

#[tokio::test]
async fn the_lifecycle_refuses_before_anything_is_written() {
    let (gateway, order) = one_order(OrderState::Dispatched).await;
    let early = gateway.command(DESK, &order, "k1", &reply("一")).await;
    let problem = early.problem(409, "state_does_not_allow");
    assert_eq!((&problem["state"], &problem["round"]), (&json!("dispatched"), &json!(0)));
    let mut other_round = sign();
    other_round["round"] = json!(1);
    gateway.command(DESK, &order, "k2", &other_round).await.problem(409, "state_does_not_allow");
    gateway.command(DESK, "nothing", "k3", &sign()).await.problem(404, "not_found");
    assert!(gateway.messages(&desk()).await.is_empty());
    // A refusal takes no key.
    gateway.command(DESK, &order, "k1", &sign()).await.ok(202);
}

#[tokio::test]
async fn a_command_that_says_too_little_or_too_much_is_refused() {
    let (gateway, order) = one_order(OrderState::Signed).await;
    let with = |path: &str, value: Value| {
        let mut body = reply("一");
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let invalid = [
        with("/operator", json!("")),
        with("/operator", json!("a\nb")),
        with("/at", json!("1999-12-31")),
        with("/at", json!("2099-01-01T00:00:00+08:00")),
        with("/fields", json!({})),
        with("/fields/reply_text", json!(" \n")),
        with("/fields", json!({"reply_text": "一", "title": "二"})),
        with("/fields/reply_text", json!("长".repeat(30_000))),
        with("/operation", json!("refuse")),
        with("/operation", json!("sign")),
    ];
    for body in invalid {
        gateway.command(DESK, &order, "k1", &body).await.problem(422, "invalid_command");
    }
    let malformed = [
        json!([]),
        json!({"operation": "reply"}),
        with("/operation", json!("shout")),
        with("/round", json!(-1)),
        with("/at", json!("yesterday")),
        with("/fields", json!({"unknown_field": "x"})),
        with("/fields/reply_text", json!(5)),
    ];
    let mut extra = reply("一");
    extra["unknown"] = json!(1);
    for body in malformed.iter().chain([&extra]) {
        gateway.command(DESK, &order, "k1", body).await.problem(400, "malformed_body");
    }
    let path = format!("/api/v1/orders/{order}/commands");
    let bare = || gateway.request(Method::POST, &path).bearer_auth(DESK).json(&reply("一"));
    send(bare()).await.problem(400, "invalid_parameter");
    send(bare().header("Idempotency-Key", "a").header("Idempotency-Key", "b")).await.problem(400, "invalid_parameter");
    send(bare().header("Idempotency-Key", "键")).await.problem(400, "invalid_parameter");
    send(bare().header("Idempotency-Key", "k".repeat(129))).await.problem(400, "invalid_parameter");
    let large = with("/fields/reply_text", json!("长".repeat(200_000)));
    gateway.command(DESK, &order, "k1", &large).await.problem(413, "body_too_large");
    assert!(gateway.messages(&desk()).await.is_empty());
}

#[tokio::test]
async fn what_can_not_be_made_durable_or_looked_up_is_asked_for_again() {
    let (gateway, order) = one_order(OrderState::Signed).await;
    gateway.bus.close().await;
    let answer = gateway.command(DESK, &order, "k1", &reply("一")).await;
    answer.problem(503, "bus_unavailable");
    assert!(answer.retry_after.is_some());
    gateway.store.close().await;
    let answer = gateway.command(DESK, &order, "k1", &reply("一")).await;
    answer.problem(503, "store_unavailable");
    assert!(answer.retry_after.is_some());
}
