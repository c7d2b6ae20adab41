//! A gateway whose bus is on Apache Kafka: what is pushed becomes orders, over a stop, a kill and a repeated nonce.

use crate::gateway::{Gateway, Push, record};
use crate::program::{program, together};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A broker by `deploy/dev/kafka.sh`; it ends with its standard input, so with this process at the latest.
pub struct Broker {
    /// Its address.
    pub address: String,
    _running: Child,
}

impl Broker {
    /// Starts one.
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/kafka.sh");
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{}-{next}", std::process::id()));
        let mut running = Command::new(script)
            .arg("run")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("deploy/dev/kafka.sh can be started");
        let told = BufReader::new(running.stdout.take().expect("its output")).lines();
        let address = told.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("PLAINTEXT=")?.to_owned()));
        let address = address.expect("a Kafka broker; deploy/dev/kafka.sh says above why there is none");
        Self { address, _running: running }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_is_on_kafka() {
    let _machine = together().await;
    let broker = Broker::start();
    let section = format!(
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
        broker.address
    );
    let mut gateway = Gateway::prepare(&section).await;
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
