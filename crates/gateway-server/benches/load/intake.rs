//! Webhook intake: verified and durable before it is answered, while the pipeline takes up what came.

use crate::against;
use crate::generator::{Outcome, flat_out, steady};
use crate::process::Gateway;
use crate::wire::singles;
use std::time::{Duration, Instant};

const AIM: f64 = 15_000.0;
const CONNECTIONS: [usize; 3] = [16, 64, 256];
/// More than can be sent in a second.
const MOST: f64 = 30_000.0;

pub async fn measure(gateway: &Gateway, span: Duration) {
    let mut best: f64 = 0.0;
    for connections in CONNECTIONS {
        let requests = singles(&format!("a{connections}x"), (MOST * span.as_secs_f64()) as u64);
        let what = format!("intake, {connections} connections");
        let outcome = observed(gateway, &what, flat_out(gateway.address("public"), connections, span, requests)).await;
        best = best.max(outcome.per_second());
    }
    against("intake, requests a second at most", best, "/s", AIM);
    let rate = best.min(AIM) / 2.0;
    let requests = singles("steady", (rate * span.as_secs_f64()) as u64);
    let what = format!("intake, {rate:.0} a second");
    let outcome = observed(gateway, &what, steady(gateway.address("public"), rate, Instant::now(), requests)).await;
    against(&format!("intake, p99 at {rate:.0}/s"), outcome.at(0.99).as_secs_f64() * 1e3, "ms", 10.0);
    println!("memory after that: {}", gateway.memory());
}

/// What came of it, and what it cost; afterwards the pipeline has caught up.
async fn observed(gateway: &Gateway, what: &str, load: impl Future<Output = Outcome>) -> Outcome {
    let (records, cpu, began) = (gateway.records().await, gateway.cpu(), Instant::now());
    let outcome = load.await;
    let (records, cpu, span) = (gateway.records().await - records, gateway.cpu() - cpu, began.elapsed().as_secs_f64());
    let each = cpu.as_secs_f64() * 1e6 / outcome.took.len().max(1) as f64;
    println!("{what}: {}", outcome.told());
    println!(
        "  meanwhile the pipeline took up {:.0} records/s; {each:.0} µs of CPU a request, both in it, {:.2} processors",
        records as f64 / span,
        cpu.as_secs_f64() / span
    );
    let began = Instant::now();
    let (before, cpu) = (gateway.records().await, gateway.cpu());
    gateway.settled().await;
    let (left, cpu) = (gateway.records().await - before, gateway.cpu() - cpu);
    if left > 1_000 {
        println!(
            "  the pipeline alone, afterwards: {:.0} records/s, {:.0} µs of CPU each",
            left as f64 / began.elapsed().as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / left as f64
        );
    }
    outcome
}
