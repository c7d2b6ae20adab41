//! From Kafka into PostgreSQL: the gateway's whole transaction, beside Kafka Connect's JDBC sink, which writes the same records of the same topic into
//! one bare table of the same database.
//!
//! Records of 1 KiB, six of ten create an order, three change one, one brings an event. They are pushed through a gateway that only takes in, so that the
//! topic holds what it holds in earnest; then one that only processes takes them up, and after it Connect. Each is measured from the first record that
//! it has written to the last, so that the start of neither counts.

use crate::cpu::{self, Cpu};
use crate::generator::flat_out;
use crate::process::Gateway;
use crate::servers::Psql;
use crate::wire::{CHANNEL, push, record};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Records of one push.
const PUSH: u64 = 50;
const HOUR_LONG: Duration = Duration::from_secs(3_600);
/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(20);
const TABLE: &str = "written_by_connect";

pub async fn measure(records: u64) {
    let mut gateway = Gateway::prepare().await;
    let mut session = gateway.database().session();
    gateway.start_as("intake,api").await;
    let pushes = (0..records).step_by(PUSH as usize).map(|first| {
        let some: Vec<_> = (first..records.min(first + PUSH)).map(of_mix).collect();
        push(&format!("ingest-{first}"), &some)
    });
    let pushed = flat_out(gateway.address("public"), 8, HOUR_LONG, pushes.collect()).await;
    assert_eq!(pushed.refused, 0, "pushes were refused: {}", gateway.log());
    gateway.stop().await;
    println!("ingest: {records} records wait in Kafka");

    session.ask("CHECKPOINT");
    gateway.start_as("pipeline,api").await;
    let mut ours = Run::default();
    let wal = session.wal();
    loop {
        let done = gateway.records().await;
        ours.look(done, records, || (gateway.cpu(), server_cpu(&mut session)));
        if done >= records {
            break;
        }
        assert!(ours.waited() < HOUR_LONG, "the pipeline does not come to an end: {}", gateway.log());
        tokio::time::sleep(PAUSE).await;
    }
    ours.end(session.wal() - wal, records);
    // What is counted there is what a record says of each dataset: at least one.
    assert!(gateway.settled().await >= records, "not everything was applied");
    ours.tell("the gateway's whole transaction");
    gateway.stop().await;

    session.ask(&format!(
        "CREATE TABLE {TABLE} (__connect_topic text NOT NULL, __connect_partition integer NOT NULL, \
         __connect_offset bigint NOT NULL, body bytea, \
         PRIMARY KEY (__connect_topic, __connect_partition, __connect_offset))"
    ));
    session.ask("CHECKPOINT");
    let connect = Connect::start(&gateway);
    let mut theirs = Run::default();
    let wal = session.wal();
    // Within a partition they come in order, so that the last offsets count them, without reading the table.
    let progress = format!(
        "SELECT coalesce(sum((SELECT max(__connect_offset) + 1 FROM {TABLE} WHERE __connect_topic = '{}' \
         AND __connect_partition = p)), 0) FROM generate_series(0, 63) AS p",
        connect.topic
    );
    loop {
        let done = session.number(&progress);
        theirs.look(done, records, || (cpu::of(connect.java), server_cpu(&mut session)));
        if done >= records {
            break;
        }
        let log = connect.log();
        // A task that failed is not started again, and what it had to write is never written.
        assert!(!log.contains("Task is being killed"), "Connect gave up: {log}");
        assert!(theirs.waited() < HOUR_LONG, "Connect does not come to an end: {log}");
        tokio::time::sleep(PAUSE).await;
    }
    theirs.end(session.wal() - wal, records);
    assert_eq!(session.number(&format!("SELECT count(*) FROM {TABLE}")), records, "not everything was written");
    theirs.tell("Kafka Connect's JDBC sink, one bare table");
    println!(
        "whole transaction / Connect's bare table: {:.2} of its records a second, {:.2} of its WAL, {:.2} of its CPU; aim: ahead of 1 in the first",
        ours.per_second / theirs.per_second,
        ours.wal / theirs.wal,
        (ours.own + ours.server) / (theirs.own + theirs.server)
    );
}

/// The `at`-th record: of ten, three change an order that the six before them created, and one brings an event of another.
fn of_mix(at: u64) -> serde_json::Value {
    let (ten, place) = (at / 10, at % 10);
    let order = |place: u64| format!("GZI{:010}", ten * 6 + place);
    let mut record = match place {
        0..6 => record(&order(place), 0),
        6..9 => record(&order(place - 6), 1),
        _ => record(&order(3), 2),
    };
    let content = record["content"].as_str().unwrap_or_default().to_owned();
    record["content"] = format!("{content}{}", &content[..content.len() / 2]).into();
    if place == 9 {
        record["events"] = serde_json::json!([{"eventId": format!("E{ten}"), "kind": "urge", "time": record["createTime"], "text": "请尽快"}]);
    }
    record
}

fn server_cpu(session: &mut Psql) -> Cpu {
    cpu::of_tree(session.postmaster())
}

/// How one of the two fares.
struct Run {
    since: Instant,
    first: Option<(Instant, u64, Cpu, Cpu)>,
    per_second: f64,
    /// A record, in bytes.
    wal: f64,
    /// A record, in µs.
    own: f64,
    server: f64,
}

impl Default for Run {
    fn default() -> Self {
        Self { since: Instant::now(), first: None, per_second: 0.0, wal: 0.0, own: 0.0, server: 0.0 }
    }
}

impl Run {
    fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    fn look(&mut self, done: u64, all: u64, mut cpu: impl FnMut() -> (Cpu, Cpu)) {
        match self.first {
            None if done > 0 => {
                let (own, server) = cpu();
                self.first = Some((Instant::now(), done, own, server));
            }
            Some((at, before, own, server)) if done >= all => {
                let now = cpu();
                let records = (all - before).max(1) as f64;
                self.per_second = records / at.elapsed().as_secs_f64();
                self.own = (now.0 - own).as_secs_f64() * 1e6 / records;
                self.server = (now.1.saturating_sub(server)).as_secs_f64() * 1e6 / records;
            }
            _ => {}
        }
    }

    fn end(&mut self, wal: u64, records: u64) {
        assert!(self.per_second > 0.0, "too few records to be measured: set GATEWAY_BENCH_INGEST higher");
        self.wal = wal as f64 / records as f64;
    }

    fn tell(&self, what: &str) {
        println!(
            "{what}: {:.0} records/s, {:.0} bytes of WAL each, {:.0} µs of its own CPU and {:.0} µs of PostgreSQL's",
            self.per_second, self.wal, self.own, self.server
        );
    }
}

/// Connect as a process of its own.
struct Connect {
    script: Child,
    java: u64,
    topic: String,
    place: tempfile::TempDir,
}

impl Connect {
    fn start(gateway: &Gateway) -> Self {
        let place = tempfile::Builder::new().prefix("connect-").tempdir().expect("a directory");
        let topic = format!("{}gateway.{CHANNEL}.raw.v1", gateway.prefix());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev/connect.sh");
        let mut command = Command::new(script);
        command.arg("run").arg(place.path()).args([&topic, TABLE]).env("DATABASE_URL", &gateway.database().url);
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("connect.sh runs");
        let mut line = String::new();
        let said = script.stdout.as_mut().expect("its output");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut line).expect("it says its process");
        let java = line.trim().parse().expect("connect.sh says which process Connect is");
        Self { script, java, topic, place }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("connect.log")).unwrap_or_default()
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        // The end of its input is its end.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}
