//! Memory and start time of a gateway that holds many orders.

use crate::against;
use crate::generator::{flat_out, steady};
use crate::process::Gateway;
use crate::wire::{push, record};
use std::time::{Duration, Instant};

/// Records of one push while the store is filled.
const PUSH: u64 = 100;
/// Records that are made and signed at a time.
const CHUNK: u64 = 100_000;
const RATE: f64 = 300.0;
const SPAN: Duration = Duration::from_secs(20);
const HOUR_LONG: Duration = Duration::from_secs(3_600);

pub async fn measure(orders: u64) {
    let mut gateway = Gateway::prepare().await;
    gateway.start().await;
    println!("nothing held: {}", gateway.memory());
    let (began, cpu) = (Instant::now(), gateway.cpu());
    for from in (0..orders).step_by(CHUNK as usize) {
        let pushes = (from..orders.min(from + CHUNK)).step_by(PUSH as usize).map(|first| {
            let records: Vec<_> = (first..orders.min(first + PUSH)).map(|at| record(&name(at), 0)).collect();
            push(&format!("fill-{first}"), &records)
        });
        let filled = flat_out(gateway.address("public"), 4, HOUR_LONG, pushes.collect()).await;
        assert_eq!(filled.refused, 0, "pushes were refused");
        gateway.settled().await;
        let (took, cpu) = (began.elapsed().as_secs_f64(), (gateway.cpu() - cpu).as_secs_f64());
        let done = orders.min(from + CHUNK);
        println!(
            "{done} orders held after {took:.0} s, {:.0}/s, {:.0} µs of CPU each; {}",
            done as f64 / took,
            cpu * 1e6 / done as f64,
            gateway.memory()
        );
    }
    gateway.stop().await;
    let mut starts = Vec::new();
    for _ in 0..5 {
        starts.push(gateway.start().await);
        gateway.stop().await;
    }
    starts.sort_unstable();
    println!("starts with {orders} orders: {starts:.2?}");
    against("start until ready, median of five", starts[2].as_secs_f64(), "s", 1.0);
    gateway.start().await;
    println!("started: {}", gateway.memory());
    // Half of them new orders, half changes of any that are held.
    let pushes = (0..(RATE * SPAN.as_secs_f64()) as u64).map(|at| {
        let one = if at % 2 == 0 { record(&name(orders + at), 0) } else { record(&name(at * 7_919 % orders), 1) };
        push(&format!("traffic-{at}"), &[one])
    });
    let outcome = steady(gateway.address("public"), RATE, Instant::now(), pushes.collect()).await;
    println!("traffic, half new orders, half changes of any: {}", outcome.told());
    println!("with traffic: {}", gateway.memory());
    against("resident memory with traffic", gateway.megabytes("status", "VmRSS"), "MB", 100.0);
    let pushes = (0..30_000).map(|at| push(&format!("burst-{at}"), &[record(&name(orders * 2 + at), 0)]));
    let outcome = flat_out(gateway.address("public"), 64, SPAN, pushes.collect()).await;
    println!("a burst: {}", outcome.told());
    println!("with that burst: {}", gateway.memory());
    gateway.settled().await;
    against("resident memory after a burst", gateway.megabytes("status", "VmRSS"), "MB", 100.0);
    gateway.stop().await;
}

fn name(at: u64) -> String {
    format!("GZH{at:010}")
}
