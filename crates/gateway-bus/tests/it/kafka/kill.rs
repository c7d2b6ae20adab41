//! kill -9 at random moments of a process that appends; what it had reported as acknowledged is there, once, without a hole.

use super::broker;
use super::support::{Kafka, options_at};
use crate::child::{part, spawn};
use gateway_bus::conformance::{append_and_report, new_topic, verify_reported};
use gateway_bus::kafka::KafkaOptions;
use rand::{Rng, RngExt, SeedableRng};
use std::io::{BufRead, BufReader};

const ROUNDS: u64 = 4;

/// The child of `survives_kill_9`: does nothing unless that starts it. The file that it is told holds the brokers and the prefix.
#[test]
fn child_appends() {
    let Some((file, run)) = part() else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let (servers, prefix) = text.split_once('\n').unwrap();
    let kafka = Kafka::with(KafkaOptions { prefix: prefix.to_owned(), ..options_at(servers) });
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let bus = kafka.open_kafka().await;
        let topic = new_topic(&bus, "kill", 2).await;
        append_and_report(&bus, &topic, run, std::io::stderr()).await;
    });
}

#[test]
fn survives_kill_9() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let kafka = Kafka::with(options_at(&broker::bootstrap_servers()));
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("brokers");
    std::fs::write(&told, format!("{}\n{}", kafka.options.bootstrap_servers, kafka.options.prefix)).unwrap();
    let mut reported: Vec<String> = Vec::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for round in 0..ROUNDS {
        let lines = random.random_range(1..400);
        let mut child = spawn("kafka::kill::child_appends", &told, round);
        let mut report = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let mut seen = 0;
        while report.read_line(&mut line).unwrap() > 0 {
            // A line that the kill cut off was not a report.
            if let Some(whole) = line.strip_suffix('\n') {
                reported.push(whole.to_owned());
            }
            line.clear();
            seen += 1;
            if seen == lines {
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert!(seen >= lines, "round {round}: the child ended by itself, {status}, last words {:?}", reported.last());
        runtime.block_on(async {
            let bus = kafka.open_kafka().await;
            let topic = new_topic(&bus, "kill", 2).await;
            let count = verify_reported(&bus, &topic, &format!("round-{round}"), &reported).await;
            println!("round {round}: {count} messages, {} reported", reported.len());
            assert!(count >= reported.len());
        });
    }
}
