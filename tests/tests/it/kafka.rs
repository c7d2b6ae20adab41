//! A gateway whose bus is on Apache Kafka: what is pushed becomes orders, over a stop, a kill and a repeated nonce.

use crate::gateway::{Gateway, Push, record};
use crate::program::{program, together, wait_for};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A broker by `deploy/dev/kafka.sh`; it ends with its standard input, so with this process at the latest.
pub struct Broker {
    dir: PathBuf,
    /// Its address.
    pub address: String,
    _running: Child,
}

impl Broker {
    /// Starts one.
    pub fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{}-{number}", std::process::id()));
        let mut running = Command::new(script())
            .arg("run")
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("deploy/dev/kafka.sh can be started");
        let told = BufReader::new(running.stdout.take().expect("its output")).lines();
        let address = told.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("PLAINTEXT=")?.to_owned()));
        let address = address.expect("a Kafka broker; deploy/dev/kafka.sh says above why there is none");
        Self { dir, address, _running: running }
    }

    /// Stops it, or starts it again on the same port and data.
    fn order(&self, order: &str) {
        let done = Command::new(script()).arg(order).arg(&self.dir).stdin(Stdio::null()).output().expect("it runs");
        assert!(done.status.success(), "kafka.sh {order}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The section of a configuration that uses it.
    fn section(&self) -> String {
        format!(
            r#"
[bus]
engine = "kafka"
[bus.kafka]
bootstrap_servers = "{}"
replication = 1
min_insync = 1
heartbeat_ms = 200
session_timeout_ms = 6000
"#,
            self.address
        )
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/kafka.sh")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_is_on_kafka() {
    let _machine = together().await;
    let broker = Broker::start();
    let mut gateway = Gateway::prepare(&broker.section()).await;
    let (code, out, err) = gateway.command(&["check-config", "--connect"]);
    assert_eq!(code, 0, "{out}{err}");
    gateway.launch(Command::new(program())).await;
    assert_eq!(gateway.push(&Push::records("n1", &[record("GZ1")])).await.status, 200);
    gateway.settled().await;
    assert_eq!(gateway.inbound("captured").await, gateway.inbound("applied").await);

    gateway.stop().await;
    gateway.launch(Command::new(program())).await;
    let before = gateway.inbound("captured").await;
    let again = Push::records("n2", &[record("GZ2")]);
    assert_eq!(gateway.push(&again).await.status, 200);
    // Dead without a word: what was acknowledged is on the brokers, with its nonce.
    gateway.kill();
    gateway.launch(Command::new(program())).await;
    assert_eq!(gateway.push(&again).await.status, 200, "the same nonce and body is answered as before");
    gateway.settled().await;
    assert!(gateway.inbound("captured").await > before, "the record came");
    let other = gateway.push(&Push::records("n2", &[record("GZ3")])).await;
    assert_eq!(other.status, 409, "the same nonce with another body: {other:?}");
    for number in ["GZ1", "GZ2"] {
        assert!(gateway.json(&["order", "show", number])["order"].is_object(), "{number}");
    }
    assert!(!gateway.dir.join("bus").exists(), "nothing of the bus is in the directory");
}

const PATIENCE: Duration = Duration::from_secs(120);

async fn spooled(gateway: &Gateway) -> f64 {
    gateway.metric(&["gateway_spool_messages{", "municipal-12345.raw.v1"]).await.unwrap_or_default()
}

async fn all_taken(gateway: &Gateway, range: std::ops::Range<u32>, taken: &mut Vec<String>) {
    for number in range {
        let number = format!("GZ{number}");
        let answer = gateway.push(&Push::records(&format!("n-{number}"), &[record(&number)])).await;
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
        taken.push(number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_kafka_is_bridged_by_the_spool() {
    let _machine = together().await;
    let broker = Broker::start();
    let mut gateway = Gateway::prepare(&broker.section()).await;
    gateway.launch(Command::new(program())).await;
    let mut taken = Vec::new();
    all_taken(&gateway, 0..3, &mut taken).await;
    gateway.settled().await;

    broker.order("stop");
    all_taken(&gateway, 3..30, &mut taken).await;
    assert!(spooled(&gateway).await >= 27.0, "{}", gateway.metrics().await);
    let again = gateway.push(&Push::records("n-GZ20", &[serde_json::json!({"orderNo": "GZ-other"})])).await;
    assert_eq!(again.status, 409, "the spool knows the nonce: {again:?}");
    let told = async || {
        let (status, ready) = gateway.ready().await?;
        let text = ready["reasons"][0]["text"].as_str()?.to_owned();
        (status == 503 && text.contains("spool")).then_some(text)
    };
    let told = wait_for("readiness says what is", PATIENCE, told).await;
    println!("readyz: {told}");

    // Dead without a word, with all of it in the spool; started again while the brokers are still away.
    gateway.kill();
    gateway.launch_until(Command::new(program()), 503).await;
    all_taken(&gateway, 30..40, &mut taken).await;
    let status = gateway.json(&["status"]);
    assert!(crate::gateway::codes(&status["warnings"]).contains(&"unready_bus"), "{status}");

    broker.order("start");
    wait_for("readiness", PATIENCE, async || gateway.ready().await.filter(|(status, _)| *status == 200)).await;
    wait_for("an empty spool", PATIENCE, async || (spooled(&gateway).await == 0.0).then_some(())).await;
    all_taken(&gateway, 40..41, &mut taken).await;
    gateway.settled().await;
    for number in &taken {
        assert!(gateway.api(&format!("/api/v1/orders/{number}")).await.is_object(), "{number}");
    }
    let (captured, applied) = (gateway.inbound("captured").await, gateway.inbound("applied").await);
    let ended = applied + gateway.inbound("duplicate").await + gateway.inbound("dead_lettered").await;
    assert_eq!(captured, ended, "the flow book balances");
    assert!(applied >= 41, "{applied} of {captured}");
    gateway.stop().await;
}
