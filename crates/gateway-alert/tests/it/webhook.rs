//! The signed webhook, its signature verified by a program that shares no code with ours.

use crate::place::{Place, SECRET, config, finding, webhook};
use crate::receiver::{Got, Receiver};
use gateway_alert::AlertConfig;
use gateway_model::Severity;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Verifies by the text of the Standard Webhooks specification, with Python's own hmac.
const VERIFY: &str = r#"
import sys, hmac, hashlib, base64
secret, msg_id, timestamp, signatures = sys.argv[1:5]
body = sys.stdin.buffer.read()
key = base64.b64decode(secret.removeprefix("whsec_"))
signed = msg_id.encode() + b"." + timestamp.encode() + b"." + body
expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
sys.exit(0 if any(hmac.compare_digest(s, "v1," + expected) for s in signatures.split(" ")) else 1)
"#;

fn verified(got: &Got, body: &[u8]) -> bool {
    let mut python = Command::new("python3")
        .args(["-c", VERIFY, SECRET])
        .args(["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| got.header(name)))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(body).unwrap();
    python.wait().unwrap().success()
}

#[tokio::test]
async fn a_notice_is_signed_and_says_everything() {
    let receiver = Receiver::start().await;
    let notifiers = vec![webhook("hook", &format!("{}/in?tenant=1", receiver.url))];
    let mut place = Place::new(AlertConfig { notifiers, installation: "市局网关".into(), ..config() }).await;
    let mut found = finding("delivery_stuck", "completion", Severity::Critical);
    found.facts.insert("error".into(), "timeout".into());
    place.find(vec![found]);
    place.round(0).await;
    let key = place.owed_rows("hook").await[0].key.clone();
    place.send_well().await;
    let got = receiver.take();
    assert_eq!(got.len(), 1);
    let got = &got[0];
    assert_eq!((got.method.as_str(), got.target.as_str()), ("POST", "/in?tenant=1"));
    assert_eq!(got.header("webhook-id"), key);
    assert_eq!(got.header("webhook-timestamp"), crate::place::at(0).as_second().to_string());
    assert!(verified(got, &got.body));
    let mut other = got.body.clone();
    other.push(b' ');
    assert!(!verified(got, &other), "the verifier verifies");
    let body = got.json();
    assert_eq!(body["type"], "incident.notice");
    assert_eq!(body["data"]["key"], key.as_str());
    assert_eq!(body["data"]["installation"], "市局网关");
    let incident = &body["data"]["incidents"][0];
    for (name, value) in [
        ("news", "opened"),
        ("code", "delivery_stuck"),
        ("channel", "municipal-12345"),
        ("subject", "completion"),
        ("severity", "critical"),
        ("since", "2026-11-23T08:55:00+08:00"),
    ] {
        assert_eq!(incident[name], value, "{incident:#}");
    }
    assert_eq!(incident["id"], 1);
    assert_eq!(incident["count"], 7);
    assert_eq!(incident["facts"]["error"], "timeout");
    assert!(incident["text"].as_str().unwrap().contains("原因：timeout"), "{incident:#}");
}
