//! The province's side: a receipt about every row of a batch, and how long it takes to take it up.

use crate::measured::{aim, cpu, load, peak_mb, reset_peak};
use crate::world::Exchange;
use gateway_delivery::files::BatchState;
use sm3::{Digest as _, Sm3};
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::time::Instant;

/// Writes a receipt that says of each row whether it is rejected, and takes it up.
pub async fn measure(exchange: &mut Exchange, batch: &BatchState, what: &str, rejected: fn(u64) -> bool, rows: u64) {
    let name = format!("receipt_{}", what.split(' ').next().unwrap());
    let folder = exchange.folder("receipt");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}.csv"));
    let (mut out, mut digest, mut told) = (BufWriter::new(File::create(&path).unwrap()), Sm3::new(), 0);
    let mut put = |text: &str| {
        digest.update(text.as_bytes());
        out.write_all(text.as_bytes()).unwrap();
    };
    put("\"fileName\",\"rowKey\",\"verdict\",\"code\",\"message\"\r\n");
    for file in &batch.files {
        // The key of a row stands in ASCII before the first quote that ends it, and no value of these rows holds a line end.
        for line in BufReader::new(File::open(exchange.folder("upload").join(&file.name)).unwrap()).split(b'\n').skip(1)
        {
            let line = line.unwrap();
            let key = std::str::from_utf8(line.split(|byte| *byte == b'"').nth(1).unwrap()).unwrap();
            let verdict = if rejected(told) { "1\",\"c17\",\"differs" } else { "0\",\"\",\"" };
            put(&format!("\"{}\",\"{key}\",\"{verdict}\"\r\n", file.name));
            told += 1;
        }
    }
    out.flush().unwrap();
    assert_eq!(told, rows);
    let ready = format!(
        "\"fileName\",\"rows\",\"digest\"\r\n\"{name}.csv\",\"{told}\",\"{}\"\r\n",
        hex::encode(digest.finalize())
    );
    std::fs::write(folder.join(format!("{name}.ok")), ready).unwrap();

    reset_peak();
    let (began, before) = (Instant::now(), cpu());
    exchange.rest().await;
    let took = began.elapsed().as_secs_f64();
    let answer = std::fs::read_to_string(exchange.folder("upload").join(format!("answer_{name}.csv"))).unwrap();
    assert!(answer.contains(&format!("\"{name}.csv\",\"0\"")), "{answer}");
    aim(&format!("receipt applied, {what}"), rows as f64 / took, "rows/s", 20_000.0, true);
    println!(
        "  {rows} rows in {took:.1} s, {:.1} µs of CPU a row, {:.0} MB resident at most; load {}",
        (cpu() - before) * 1e6 / rows as f64,
        peak_mb(),
        load()
    );
}
