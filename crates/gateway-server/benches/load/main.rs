//! The whole program under load: its release build as a process of its own, one directory, the load generator on the same machine.
//!
//! `cargo bench --package gateway-server --bench load` prints, each beside its aim: webhook intake flat out and at half of the aim, the time from a push to
//! the row that the API shows, and memory and start time with a million orders. Embedded engines, or, where `KAFKA_BOOTSTRAP_SERVERS` and `DATABASE_URL`
//! name servers (and `--features kafka` built them in), Apache Kafka and PostgreSQL: each part makes a database and topics of its own, so that the user
//! of `DATABASE_URL` must be a superuser, and `psql` must be there. On these also ingest from one to the other, beside Kafka Connect's JDBC sink.
//!
//! `GATEWAY_BENCH_PARTS=ingest,intake,visible,held` chooses; `GATEWAY_BENCH_ORDERS` is how many orders are held, `GATEWAY_BENCH_INGEST` how many records
//! are ingested, `GATEWAY_BENCH_SECONDS` how long each measurement of intake takes, `GATEWAY_BENCH_PROGRAM` another program to be measured. Nothing here
//! fails for being slow.
#![allow(clippy::unwrap_used, missing_docs)]

mod cpu;
mod generator;
mod held;
mod ingest;
mod intake;
mod process;
mod servers;
mod visible;
mod wire;

use process::Gateway;
use std::time::Duration;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let parts = std::env::var("GATEWAY_BENCH_PARTS").unwrap_or_else(|_| {
        let ingest = if process::scaled() { "ingest," } else { "" };
        format!("{ingest}intake,visible,held")
    });
    let wanted = |part: &str| parts.split(',').any(|one| one.trim() == part);
    println!("load average {}", load());
    if wanted("ingest") {
        assert!(
            process::scaled(),
            "ingest is from Kafka into PostgreSQL: KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL must name them"
        );
        ingest::measure(number("GATEWAY_BENCH_INGEST", 200_000)).await;
    }
    if wanted("intake") || wanted("visible") {
        let mut gateway = Gateway::prepare().await;
        gateway.start().await;
        if wanted("visible") {
            visible::measure(&gateway).await;
        }
        if wanted("intake") {
            intake::measure(&gateway, Duration::from_secs(number("GATEWAY_BENCH_SECONDS", 8))).await;
        }
        gateway.stop().await;
    }
    if wanted("held") {
        held::measure(number("GATEWAY_BENCH_ORDERS", 1_000_000)).await;
    }
    println!("load average {}", load());
}

/// Of the last minute, five and fifteen: this benchmark's own is in it.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// A line: what was reached, what is aimed at, and how the two compare.
fn against(what: &str, reached: f64, unit: &str, aim: f64) {
    println!("{what}: {reached:.1} {unit}; aim {aim} {unit}; ratio {:.2}", reached / aim);
}
