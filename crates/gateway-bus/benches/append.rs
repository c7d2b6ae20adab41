//! How fast the embedded engine takes and hands on messages of 1 KiB, on the disk under the temporary directory.
//!
//! `cargo bench -p gateway-bus` prints one line for each measurement: appends a second with many and with one at a time, a reader beside the
//! writer, and the time from calling `append` to holding the message in a reader that waits.

use gateway_bus::conformance::{fetch_messages, message, new_topic};
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Bus, NewMessage};
use gateway_model::SystemClock;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KIB: usize = 1024;

fn messages(from: usize, count: usize) -> Vec<NewMessage> {
    (from..from + count).map(|number| message(&format!("municipal-12345/{number}"), vec![b'x'; KIB])).collect()
}

fn report(what: &str, count: usize, took: Duration) {
    println!("{what}: {:.0}/s ({count} in {took:.2?})", count as f64 / took.as_secs_f64());
}

async fn open(dir: &std::path::Path) -> Arc<EmbeddedBus> {
    let opened = EmbeddedBus::open(EmbeddedOptions::in_dir(dir), Arc::new(SystemClock)).await;
    Arc::new(opened.expect("the bus opens"))
}

/// `tasks` tasks append batches of `batch` until `count` messages are there.
async fn append(bus: &Arc<EmbeddedBus>, name: &str, tasks: usize, batch: usize, count: usize) {
    let topic = new_topic(&**bus, name, 8).await;
    let each = count / tasks;
    let started = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let (bus, topic) = (Arc::clone(bus), topic.clone());
            tokio::spawn(async move {
                for number in (0..each).step_by(batch) {
                    bus.append(&topic, messages(task * each + number, batch)).await.expect("an append works");
                }
            })
        })
        .collect();
    for task in running {
        task.await.expect("the task ends");
    }
    report(&format!("append, {tasks} tasks, {batch} a call"), each * tasks, started.elapsed());
    let mut consumer = bus.subscribe(name, std::slice::from_ref(&topic)).await.expect("a subscription works");
    let started = Instant::now();
    let mut read = 0;
    while read < each * tasks {
        read += consumer.fetch(500, Duration::from_secs(10)).await.expect("a fetch works").messages.len();
    }
    report("  read, 500 a fetch", read, started.elapsed());
}

/// Single messages at a steady rate; the time until a waiting reader holds each.
async fn end_to_end(bus: &Arc<EmbeddedBus>, a_second: u32, count: usize) {
    let topic = new_topic(&**bus, &format!("latency-{a_second}"), 8).await;
    let mut consumer = bus.subscribe("latency", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let begin = Instant::now();
    let sender = {
        let (bus, topic) = (Arc::clone(bus), topic.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / a_second);
            for number in 0..count {
                ticks.tick().await;
                let sent = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
                let mut payload = vec![0; KIB];
                payload[..8].copy_from_slice(&sent.to_be_bytes());
                let (bus, topic) = (Arc::clone(&bus), topic.clone());
                tokio::spawn(async move {
                    bus.append(&topic, vec![message(&number.to_string(), payload)]).await.expect("an append works")
                });
            }
        })
    };
    let mut took = Vec::with_capacity(count);
    while took.len() < count {
        for message in fetch_messages(&mut *consumer, 1).await {
            let mut sent = [0; 8];
            sent.copy_from_slice(&message.payload[..8]);
            took.push(begin.elapsed().saturating_sub(Duration::from_nanos(u64::from_be_bytes(sent))));
        }
    }
    sender.await.expect("the sender ends");
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    println!("append to reader at {a_second}/s: p50 {:.2?}, p99 {:.2?}, max {:.2?}", at(0.5), at(0.99), at(1.0));
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bus = open(&dir.path().join("bus")).await;
    append(&bus, "bulk", 8, 500, 400_000).await;
    append(&bus, "single-256", 256, 1, 60_000).await;
    append(&bus, "single-1", 1, 1, 1_000).await;
    end_to_end(&bus, 200, 2_000).await;
    end_to_end(&bus, 2_000, 10_000).await;
    bus.close().await;
    drop(bus);
    let started = Instant::now();
    let bus = open(&dir.path().join("bus")).await;
    println!("open with {} MiB of segments: {:.2?}", 460, started.elapsed());
    bus.close().await;
}
