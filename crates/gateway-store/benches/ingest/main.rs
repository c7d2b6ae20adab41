//! Records a second of the whole transaction, beside bare batched upserts of the order rows alone, on the same machine in the same run.
//!
//! `cargo bench -p gateway-store` — the embedded engine, also without the state book. With `DATABASE_URL` naming a PostgreSQL server (whose user may
//! make databases): that engine by 1 and by 4 writers, and bytes of WAL for each record.
//! `GATEWAY_BENCH_HELD=3000000`: what a record costs while ever more orders are held, up to so many, on the embedded engine.
//! Set `GATEWAY_BENCH_ROWS` for another number of records (default 100000).
#![allow(clippy::unwrap_used, missing_docs)]

#[cfg(feature = "postgres")]
mod postgres;
mod records;

use gateway_store::*;
use records::{BATCH, bare_orders, channel, number, of_writer, order_of, whole_writes};
use std::time::{Duration, Instant};

const TURNS: u64 = 4;

#[tokio::main]
async fn main() {
    let rows = std::env::var("GATEWAY_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    #[cfg(feature = "postgres")]
    if let Ok(url) = std::env::var("DATABASE_URL") {
        return postgres::measure_all(&url, rows).await;
    }
    let directory = tempfile::tempdir_in(".").unwrap();
    if let Some(orders) = std::env::var("GATEWAY_BENCH_HELD").ok().and_then(|orders| orders.parse().ok()) {
        let store = SqliteStore::open(SqliteOptions::at(directory.path().join("held.db"))).await.unwrap();
        measure_held(&store, orders).await;
        return store.close().await;
    }
    let store = SqliteStore::open(SqliteOptions::at(directory.path().join("bare.db"))).await.unwrap();
    let bare = measure("bare upserts of order rows", rows, &store, What::Bare).await;
    store.close().await;
    // In turns, so that what else the machine does falls on both.
    let (mut whole, mut bookless) = (0.0, 0.0);
    for turn in 0..TURNS {
        for what in [What::Bookless, What::Whole] {
            let path = directory.path().join(format!("{what:?}{turn}.db"));
            let store = SqliteStore::open(SqliteOptions::at(path)).await.unwrap();
            let (name, sum) = match what {
                What::Bookless => ("whole transaction without the book", &mut bookless),
                _ => ("whole transaction", &mut whole),
            };
            *sum += measure(name, rows / TURNS, &store, what).await / TURNS as f64;
            store.close().await;
        }
    }
    println!("whole / bare = {:.2}", whole / bare);
    println!("the state book slows ingest by {:.0} %", (1.0 - whole / bookless) * 100.0);
    let mut before = 0.0;
    for (until, name) in STEPS.iter().enumerate() {
        let store =
            SqliteStore::open(SqliteOptions::at(directory.path().join(format!("step{until}.db")))).await.unwrap();
        let began = Instant::now();
        write(&store, 0, rows / TURNS, What::Steps(until)).await;
        let us = began.elapsed().as_secs_f64() * 1e6 / (rows / TURNS) as f64;
        println!("split: {name}: {us:.1} µs a record, {:+.1}", us - before);
        before = us;
        store.close().await;
    }
}

/// What is written of the whole, each with all that stand before it.
const STEPS: [&str; 8] = [
    "order rows",
    "and numbers",
    "and loading what is decided about",
    "and the timeline",
    "and facets and events",
    "and the state book",
    "and records without their bytes",
    "and their bytes",
];

/// Takes out of the whole what comes after a step.
fn until(step: usize, writes: &mut IngestWrites) {
    if step < 7 {
        writes.raws.iter_mut().for_each(|raw| raw.body.clear());
    }
    if step < 6 {
        writes.raws.clear();
    }
    if step < 5 {
        writes.book.clear();
    }
    if step < 4 {
        writes.facets.clear();
        writes.events.clear();
    }
    if step < 3 {
        writes.changes.clear();
    }
    if step < 1 {
        writes.numbers.clear();
    }
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    /// Order rows alone.
    Bare,
    /// Everything but the state book.
    Bookless,
    /// Everything.
    Whole,
    /// Everything until a step.
    Steps(usize),
}

async fn measure(name: &str, rows: u64, store: &dyn Store, what: What) -> f64 {
    let (began, used) = (Instant::now(), cpu());
    write(store, 0, rows, what).await;
    let rate = rows as f64 / began.elapsed().as_secs_f64();
    let each = (cpu() - used).as_secs_f64() * 1e6 / rows as f64;
    println!("{name}: {rate:.0} records/s, {each:.1} µs of CPU each");
    rate
}

/// What this process has used of the processors since it began. It tells more than the rate does where others use the machine too.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may have any signs: user and system time are the 12th and 13th field, in hundredths of a second.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Writes `rows` records as one of several writers.
async fn write(store: &dyn Store, writer: u64, rows: u64, what: What) {
    write_from(store, writer, 0..rows, what).await;
}

/// What a record costs while ever more orders are held, from 10^5 to so many: the last 60,000 records before each mark.
async fn measure_held(store: &dyn Store, most: u64) {
    const WINDOW: u64 = 60_000;
    let (mut written, mut first) = (0, None);
    for orders in [100_000, 300_000, 1_000_000, 3_000_000].into_iter().filter(|orders| *orders <= most) {
        // Six of ten records are new orders.
        let until = orders * 10 / 6 / BATCH * BATCH;
        write_from(store, 0, written..until - WINDOW, What::Whole).await;
        let began = Instant::now();
        write_from(store, 0, until - WINDOW..until, What::Whole).await;
        written = until;
        let us = began.elapsed().as_secs_f64() * 1e6 / WINDOW as f64;
        let ratio = us / *first.get_or_insert(us);
        println!("{orders} orders held: {us:.1} µs a record, {ratio:.2} of the first; aim 0.8 to 1.2");
    }
}

async fn write_from(store: &dyn Store, writer: u64, records: std::ops::Range<u64>, what: What) {
    for from in records.step_by(BATCH as usize) {
        let orders = (0..BATCH).map(|at| of_writer(writer, order_of(from + at)));
        let numbers = orders.map(|n| (channel(), number(n))).collect();
        let request = if matches!(what, What::Bare | What::Steps(0 | 1)) {
            IngestRequest::default()
        } else {
            IngestRequest { partitions: vec![("raw".into(), writer as u32)], numbers, ..IngestRequest::default() }
        };
        store
            .ingest(request, &|loaded| {
                if what == What::Bare {
                    let orders = bare_orders(writer, loaded.next_feed_seq, from);
                    return IngestWrites { orders, ..IngestWrites::default() };
                }
                let mut writes = whole_writes(writer, &loaded, from);
                match what {
                    What::Bookless => writes.book.clear(),
                    What::Steps(step) => until(step, &mut writes),
                    _ => {}
                }
                writes
            })
            .await
            .unwrap();
    }
}
