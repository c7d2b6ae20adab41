//! What files over a front-end box cost: encoding and digesting rows, the way from the store to three files, and taking up the receipt about them.
//!
//! `cargo bench --locked -p gateway-delivery --bench files`; `GATEWAY_BENCH_ROWS=1000000` for the full volume (default 150000). The store is the embedded
//! engine; each row has a record of its own of about 1.2 KiB, which states the whole order, as a city's platform tells it. Resident memory is the whole
//! process's while a part runs, this benchmark's own included, which holds nothing of the rows.
#![allow(clippy::unwrap_used, missing_docs)]

mod encode;
mod measured;
mod receipt;
mod world;

use gateway_delivery::files::FilesConfig;
use measured::{aim, load, peak_mb, reset_peak};
use std::time::Instant;
use world::World;

#[tokio::main]
async fn main() {
    let rows: u64 = std::env::var("GATEWAY_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(150_000);
    println!("{rows} rows; load {}", load());
    encode::measure(rows);

    let place = tempfile::tempdir_in(".").unwrap();
    let began = Instant::now();
    let world = World::filled(place.path(), rows).await;
    println!("store filled: {:.0} rows/s, {} MB; load {}", world::rate(rows, began), world.megabytes(), load());

    let mut exchange = world.exchange(FilesConfig::new(place.path().join("box")));
    reset_peak();
    let (began, cpu) = (Instant::now(), measured::cpu());
    let batch = exchange.export().await;
    let took = began.elapsed().as_secs_f64();
    assert_eq!(batch.files.iter().map(|file| file.rows).sum::<u64>(), rows);
    let bytes: u64 = batch.files.iter().map(|file| file.bytes).sum();
    println!(
        "store to files: {:.0} rows/s, {took:.1} s, {} MB written, {:.1} µs of CPU a row; load {}",
        rows as f64 / took,
        bytes / 1_000_000,
        (measured::cpu() - cpu) * 1e6 / rows as f64,
        load()
    );
    aim("resident memory at most while the files are written", peak_mb(), "MB", 150.0, false);

    // What a province says day by day: it holds all but one row in a hundred.
    receipt::measure(&mut exchange, &batch, "one row in 100 rejected", |row| row % 100 == 0, rows).await;
    receipt::measure(&mut exchange, &batch, "the same rows again, all accepted", |_| false, rows).await;
    let files: Vec<_> = batch.files.iter().filter(|file| file.name.starts_with("evaluation")).cloned().collect();
    let told = files.iter().map(|file| file.rows).sum();
    let batch = gateway_delivery::files::BatchState { files, ..batch };
    receipt::measure(&mut exchange, &batch, "every row rejected", |_| true, told).await;
}
