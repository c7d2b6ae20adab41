//! kill -9 at random moments of a process that appends; what it had reported as acknowledged is there, once, without a hole.

use crate::child::{part, spawn};
use crate::support::Embedded;
use gateway_bus::Bus;
use gateway_bus::conformance::{append_and_report, new_topic, verify_reported};
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_model::SystemClock;
use rand::{Rng, RngExt, SeedableRng};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

const ROUNDS: u64 = 20;

async fn open(dir: &Path) -> EmbeddedBus {
    let options = EmbeddedOptions { segment_bytes: 48 << 10, ..EmbeddedOptions::in_dir(dir) };
    EmbeddedBus::open(options, Arc::new(SystemClock)).await.unwrap()
}

/// The child of `survives_kill_9`: does nothing unless that starts it.
#[test]
fn child_appends() {
    let Some((dir, run)) = part() else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let bus = open(&dir).await;
        let topic = new_topic(&bus, "kill", 2).await;
        append_and_report(&bus, &topic, run, std::io::stderr()).await;
    });
}

#[test]
fn survives_kill_9() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let embedded = Embedded::new();
    let dir = &embedded.options.dir;
    let mut reported: Vec<String> = Vec::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for round in 0..ROUNDS {
        let lines = random.random_range(1..600);
        let mut child = spawn("kill::child_appends", dir, round);
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
            let bus = open(dir).await;
            let topic = new_topic(&bus, "kill", 2).await;
            let count = verify_reported(&bus, &topic, &format!("round-{round}"), &reported).await;
            println!("round {round}: {count} messages, {} reported", reported.len());
            assert!(count >= reported.len());
            bus.check().await.unwrap();
        });
    }
}
