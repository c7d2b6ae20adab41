//! One incident from its cause to its end, through a gateway that runs: what a receiver of its notices is told, and what commands and metrics show.

use crate::gateway::{CHANNEL, Gateway, Push, record};
use crate::program::{program, together, wait_for};
use serde_json::Value;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(60);
const CODE: &str = "dead_letters_open";

/// Takes notices, as the other end of a notifier of kind `webhook`.
struct Receiver {
    url: String,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/notices", listener.local_addr().expect("an address"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let taken = told.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let taken = taken.clone();
                tokio::spawn(async move {
                    if let Some(notice) = take(stream).await {
                        taken.lock().expect("unpoisoned").push(notice);
                    }
                });
            }
        });
        Self { url, told }
    }

    /// The incidents with the code under test, in the order in which they were told.
    fn told(&self) -> Vec<Value> {
        let notices = self.told.lock().expect("unpoisoned");
        let incidents =
            notices.iter().flat_map(|notice| notice["data"]["incidents"].as_array().cloned().unwrap_or_default());
        incidents.filter(|incident| incident["code"] == CODE).collect()
    }

    async fn until(&self, news: &str) -> Value {
        let told = async || self.told().into_iter().find(|incident| incident["news"] == news);
        wait_for(&format!("the news `{news}`"), PATIENCE, told).await
    }
}

/// Reads one signed notice of a connection and answers that it was taken.
async fn take(stream: TcpStream) -> Option<Value> {
    let mut stream = BufReader::new(stream);
    let (mut length, mut signed) = (0, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        signed |= line.starts_with("webhook-signature: v1,");
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.ok()?;
    signed.then(|| serde_json::from_slice(&body).ok()).flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_told_from_its_beginning_to_its_end() {
    let _machine = together().await;
    let receiver = Receiver::start().await;
    let pace = "open_after_ms = 0, resolve_after_ms = 0, repeat_every_ms = 1000, escalate_after_ms = 1500";
    let more = format!(
        "alert.group_window_ms = 0\nalert.checks.dead_letters_open.many = 1\nalert.info = {{ {pace} }}\nalert.warning = {{ {pace} }}\n\
         alert.notifier = [{{ id = \"hook\", kind = \"webhook\", url = \"{}\", secret_file = \"secrets/hook.secret\" }}]\n",
        receiver.url
    );
    let mut gateway = Gateway::prepare(&more).await;
    std::fs::write(gateway.dir.join("secrets/hook.secret"), "a secret of the receiver of notices").expect("written");
    gateway.launch(Command::new(program())).await;
    let notifiers = gateway.json(&["alert", "notifiers"]);
    assert_eq!(
        (&notifiers["notifiers"][0]["id"], &notifiers["notifiers"][0]["sent_at"]),
        (&"hook".into(), &Value::Null)
    );
    let (_, out, _) = gateway.command(&["alert", "notifiers"]);
    assert!(out.contains("never used 从未使用"), "{out}");

    // The cause: a body that nobody can read.
    assert_eq!(gateway.push(&Push::records("n1", &[record("GZ1")])).await.status, 200);
    assert_eq!(gateway.push(&Push::body("n2", "not json")).await.status, 400);
    let opened = receiver.until("opened").await;
    assert_eq!((&opened["channel"], &opened["resolved_at"]), (&CHANNEL.into(), &Value::Null), "{opened}");
    assert!(opened["text"].as_str().is_some_and(|text| text.contains("有 1 条死信等待处理")), "{opened}");
    let id = opened["id"].to_string();

    // While it lasts it is seen everywhere, and told again, louder.
    let listed = gateway.json(&["alert", "list", "--code", CODE, "--channel", CHANNEL]);
    assert_eq!(listed["incidents"][0]["id"].to_string(), id, "{listed}");
    assert_eq!(gateway.json(&["alert", "list", "--code", "disk_low"])["incidents"], serde_json::json!([]));
    let (code, _, err) = gateway.command(&["alert", "list", "--code", "dead_letter_open"]);
    assert!(code == 1 && err.contains("没有告警代码 dead_letter_open") && err.contains(CODE), "{err}");
    let status = gateway.json(&["status"]);
    assert!(crate::gateway::codes(&status["warnings"]).contains(&CODE), "{status}");
    assert_eq!(gateway.metric(&["gateway_findings", CODE, CHANNEL]).await, Some(1.0));
    let escalated = receiver.until("escalated").await;
    assert_eq!(escalated["id"].to_string(), id);
    receiver.until("repeated").await;

    // Its end: a person settles the letter.
    let letter = gateway.json(&["dead-letters", "list", "--state", "open"])["dead_letters"][0]["id"].to_string();
    let (code, out, err) = gateway.command(&["dead-letters", "waive", &letter, "--reason", "a test"]);
    assert_eq!(code, 0, "{out}{err}");
    let resolved = receiver.until("resolved").await;
    assert_eq!(resolved["id"].to_string(), id);
    assert!(resolved["resolved_at"].is_string() && resolved["todo"] == "", "{resolved}");
    assert_eq!(gateway.json(&["alert", "list", "--code", CODE])["incidents"], serde_json::json!([]));
    assert_eq!(gateway.metric(&["gateway_findings", CODE, CHANNEL]).await, Some(0.0));
    let shown = gateway.json(&["alert", "show", &id]);
    assert_eq!(shown["state"], "resolved");
    let told: Vec<&str> =
        shown["notifications"].as_array().into_iter().flatten().filter_map(|row| row["news"].as_str()).collect();
    for news in ["opened", "escalated", "repeated", "resolved"] {
        assert!(told.contains(&news), "{news} is not among {told:?}");
    }
    let after = gateway.json(&["alert", "notifiers"]);
    assert!(after["notifiers"][0]["sent_at"].is_string(), "{after}");
    gateway.stop().await;
}
