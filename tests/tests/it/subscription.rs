//! A system that follows what it was granted, beside one that always fails: signed, in order, once, and nobody's name without a grant.

use crate::gateway::{CHANNEL, Gateway, Push, record};
use crate::program::{program, wait_for};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use gateway_simulator::clock::{now_ms, wire_time};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the subscriber was told: its own books.
#[derive(Clone, Default)]
struct Follower(Arc<Mutex<Vec<(String, Value)>>>);

async fn take(State(follower): State<Follower>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let key = base64::engine::general_purpose::STANDARD.decode(SECRET).expect("Base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&body);
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    if header("webhook-signature") != format!("v1,{signature}") {
        return StatusCode::UNAUTHORIZED;
    }
    let event = serde_json::from_slice(&body).expect("JSON");
    follower.0.lock().expect("not poisoned").push((id, event));
    StatusCode::NO_CONTENT
}

impl Follower {
    fn told(&self, number: &str) -> Vec<Value> {
        let told = self.0.lock().expect("not poisoned");
        let of_order = |event: &&Value| event["data"]["number"].as_str().is_some_and(|text| text.ends_with(number));
        told.iter().map(|(_, event)| event).filter(of_order).cloned().collect()
    }

    fn items(&self, number: &str) -> Vec<String> {
        let item = |event: Value| format!("{}/{}", event["data"]["dataset"], event["data"]["part"]).replace('"', "");
        self.told(number).into_iter().map(item).collect()
    }
}

async fn serve(follower: &Follower) -> String {
    let app = Router::new().route("/hook", post(take)).with_state(follower.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/hook")
}

fn config(url: &str, rules: &str) -> String {
    format!(
        r#"
[delivery]
retry = {{ min_ms = 50, max_ms = 200 }}
[[channel]]
id = "follower"
kind = "subscription"
base_url = "{url}"
request_secret_file = "secrets/follower.whsec"
[[channel]]
id = "broken"
kind = "subscription"
base_url = "http://127.0.0.1:9/nobody"
request_secret_file = "secrets/follower.whsec"
{rules}
"#
    )
}

const RULES: &str = r#"
[[route]]
from = "municipal-12345"
datasets = ["acceptance", "handling", "completion"]
to = "broken"
[[route]]
from = "municipal-12345"
datasets = ["acceptance", "completion"]
to = "follower"
person_fields = ["contact_phone"]
"#;

#[tokio::test]
async fn a_follower_is_told_what_it_was_granted_whatever_becomes_of_its_neighbour() {
    let follower = Follower::default();
    let url = serve(&follower).await;
    let mut gateway = Gateway::prepare(&config(&url, RULES)).await;
    std::fs::write(gateway.dir.join("secrets/follower.whsec"), format!("whsec_{SECRET}")).expect("written");
    gateway.launch(Command::new(program())).await;

    let mut secret = record("S2");
    secret["isSecret"] = json!("1");
    let push = Push::records("n1", &[record("S1"), secret]);
    assert_eq!(gateway.push(&push).await.status, 200);
    wait_for("both orders at the follower", PATIENCE, async || {
        (!follower.items("S1").is_empty() && !follower.items("S2").is_empty()).then_some(())
    })
    .await;
    let open = follower.told("S1")[0].clone();
    assert_eq!(open["data"]["fields"]["contact_phone"], "13800000000", "granted");
    assert_eq!(open["data"]["fields"]["requester_name"], Value::Null, "not granted");
    let secret = follower.told("S2")[0].clone();
    assert_eq!(secret["data"]["fields"]["is_secret"], true);
    assert_eq!(secret["data"]["fields"]["contact_phone"], Value::Null, "a secret order shows nobody");

    // Killed between two lines, and told again of nothing that it has told.
    gateway.kill();
    gateway.launch(Command::new(program())).await;
    let mut replied = record("S1");
    replied["updateTime"] = json!(wire_time(now_ms() + 5_000));
    replied["completions"] =
        json!([{"round": 0, "replyContent": "已处理", "replyTime": replied["createTime"], "replyUnit": "局"}]);
    assert_eq!(gateway.push(&Push::records("n2", &[replied])).await.status, 200);
    wait_for("the completion at the follower", PATIENCE, async || {
        follower.items("S1").contains(&"completion/c0".to_owned()).then_some(())
    })
    .await;
    let distinct: BTreeSet<String> = follower.items("S1").into_iter().collect();
    assert_eq!(distinct.len(), 2, "acceptance and completion: {distinct:?}");

    // What nobody takes is still owed, and says so: as `owed`, or as `sending` while an attempt is under way.
    let explained = wait_for("the completion acknowledged in our books", PATIENCE, async || {
        let explained = gateway.json(&["routes", "explain", "S1", "--channel", CHANNEL]);
        (line(&explained, "follower", "completion/c0")["state"] == "acknowledged").then_some(explained)
    })
    .await;
    let broken = line(&explained, "broken", "acceptance/c0");
    assert!(broken["state"] == "owed" || broken["state"] == "sending", "{explained}");
    let unruled = explained["items"].as_array().into_iter().flatten().filter(|line| line["to"].is_null());
    assert_eq!(unruled.count(), 0, "each item that is there has a rule");
    let (code, out, err) = gateway.command(&["routes", "check"]);
    assert_eq!(code, 0, "{out}{err}");
    gateway.stop().await;
}

/// What `routes explain` says of an item's way to a channel.
fn line(explained: &Value, to: &str, item: &str) -> Value {
    let lines = explained["items"].as_array().into_iter().flatten();
    lines.clone().find(|line| line["to"] == to && line["item"] == item).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_rule_that_comes_later_is_served_by_reading_the_past_again() {
    let follower = Follower::default();
    let url = serve(&follower).await;
    let desk = "[[route]]\nfrom = \"desk\"\ndatasets = [\"handling\"]\nto = \"municipal-12345\"\n";
    let mut gateway = Gateway::prepare(&config(&url, desk)).await;
    std::fs::write(gateway.dir.join("secrets/follower.whsec"), format!("whsec_{SECRET}")).expect("written");
    gateway.launch(Command::new(program())).await;
    assert_eq!(gateway.push(&Push::records("n1", &[record("L1")])).await.status, 200);
    gateway.settled().await;
    gateway.stop().await;
    assert_eq!(follower.items("L1"), Vec::<String>::new());

    let file = gateway.dir.join("gateway.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration").replace(desk, RULES);
    std::fs::write(&file, text).expect("written");
    gateway.launch(Command::new(program())).await;
    // The platform says it again, here by a push of the very same record.
    assert_eq!(gateway.push(&Push::records("n2", &[record_again(&gateway).await])).await.status, 200);
    wait_for("the order at the follower", PATIENCE, async || (!follower.items("L1").is_empty()).then_some(())).await;
    assert_eq!(follower.items("L1"), ["acceptance/c0"]);
    let (code, out, err) = gateway.command(&[
        "backfill",
        "--channel",
        CHANNEL,
        "--from",
        "2026-01-01T00:00:00+08:00",
        "--to",
        "2099-01-01T00:00:00+08:00",
    ]);
    assert_eq!(code, 0, "{out}{err}");
    gateway.stop().await;
}

/// The record that the gateway holds of the order, byte for byte.
async fn record_again(gateway: &Gateway) -> Value {
    let order = gateway.json(&["order", "show", "L1", "--person"]);
    let body = order["records"][0]["body"].as_str().expect("a body").to_owned();
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test]
async fn rules_that_lead_nowhere_are_told_before_anything_is_lost_on_them() {
    let rules = r#"
[[route]]
from = "desk"
datasets = ["handling"]
to = "follower"
[[route]]
from = "municipal-12345"
datasets = ["acceptance", "knowledge"]
to = "follower"
[[route]]
from = "follower"
datasets = ["completion"]
to = "municipal-12345"
"#;
    let gateway = Gateway::prepare(&config("http://127.0.0.1:9/hook", rules)).await;
    std::fs::write(gateway.dir.join("secrets/follower.whsec"), format!("whsec_{SECRET}")).expect("written");
    let told = gateway.json(&["check-config"]);
    let mistakes: Vec<_> = told["mistakes"].as_array().into_iter().flatten().map(|one| one["key"].clone()).collect();
    assert_eq!(mistakes, ["route[0]", "route[1]", "route[2]"], "{told}");
    assert!(told["mistakes"][1]["text"].as_str().is_some_and(|text| text.contains("knowledge")), "{told}");
    let (code, out, err) = gateway.command(&["serve"]);
    assert_eq!(code, 1, "{out}{err}");
    // The command that explains rules still shows them all.
    let shown = gateway.json(&["routes", "check"]);
    assert_eq!((&shown["valid"], shown["faults"].as_array().map(Vec::len)), (&json!(false), Some(3)), "{shown}");
    assert_eq!(shown["rules"].as_array().map(Vec::len), Some(4), "{shown}");
}
