//! The same on PostgreSQL. Bare is an upsert of the order rows by `UNNEST`, without the engine, its locks and its turn.

use crate::records::{BATCH, bare_orders};
use crate::{What, write};
use gateway_model::Timestamp;
use gateway_store::*;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use std::collections::BTreeMap;
use std::time::Instant;

const BARE: &str = "INSERT INTO work_order (id, seq, feed_seq, created_at, changed_at, state, round, fields, conflicts)
    SELECT * FROM UNNEST($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::text[], $7::int8[], $8::text[], $9::text[])
    ON CONFLICT (id) DO UPDATE SET
        seq = excluded.seq, feed_seq = excluded.feed_seq, created_at = excluded.created_at, changed_at = excluded.changed_at,
        state = excluded.state, round = excluded.round, fields = excluded.fields, conflicts = excluded.conflicts";

pub async fn measure_all(url: &str, rows: u64) {
    let mut server = PgConnection::connect(url).await.unwrap();
    for writers in [1, 4] {
        let rows = rows / writers / BATCH * BATCH;
        let bare = measure("bare upserts of order rows", &mut server, url, writers, rows, What::Bare).await;
        let whole = measure("whole transaction", &mut server, url, writers, rows, What::Whole).await;
        println!(
            "{writers} writers: whole / bare = {:.2}, WAL whole / bare = {:.2}",
            whole.0 / bare.0,
            whole.1 / bare.1
        );
    }
}

/// Records a second, and bytes of WAL for each.
async fn measure(name: &str, server: &mut PgConnection, url: &str, writers: u64, rows: u64, what: What) -> (f64, f64) {
    let database = format!("gateway_bench_{}_{writers}_{what:?}", std::process::id()).to_lowercase();
    run(server, format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'")).await;
    let (head, _) = url.rsplit_once('/').unwrap();
    let place = format!("{head}/{database}");
    let options = PostgresOptions::parse(&place, PostgresLimits::default()).unwrap();
    let store = PostgresStore::open(options).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(writers as u32).connect(&place).await.unwrap();
    // The first change of a page after a checkpoint is logged whole: for both from the same beginning.
    run(server, "CHECKPOINT".into()).await;
    let log = wal(server).await;
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let (store, pool) = (store.clone(), pool.clone());
        tasks.spawn(async move {
            match what {
                What::Bare => write_bare(&pool, writer, rows).await,
                _ => write(&store, writer, rows, what).await,
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let all = (writers * rows) as f64;
    let (rate, bytes) = (all / began.elapsed().as_secs_f64(), (wal(server).await - log) as f64 / all);
    println!("{name}, {writers} writers: {rate:.0} records/s, {bytes:.0} bytes of WAL for each");
    pool.close().await;
    store.close().await;
    run(server, format!("DROP DATABASE {database} WITH (FORCE)")).await;
    (rate, bytes)
}

async fn write_bare(pool: &PgPool, writer: u64, rows: u64) {
    for from in (0..rows).step_by(BATCH as usize) {
        let orders = bare_orders(writer, writer * 1_000_000_000 + from, from);
        // A row can be written once in a statement.
        let orders: BTreeMap<_, _> = orders.into_iter().map(|order| (order.id, order)).collect();
        let orders: Vec<_> = orders.into_values().collect();
        let ms = |at: Timestamp| at.as_millisecond();
        let json = |value: serde_json::Result<String>| value.unwrap();
        sqlx::query(BARE)
            .bind(orders.iter().map(|order| order.id.0).collect::<Vec<_>>())
            .bind(orders.iter().map(|order| order.seq as i64).collect::<Vec<_>>())
            .bind(orders.iter().map(|order| order.feed_seq as i64).collect::<Vec<_>>())
            .bind(orders.iter().map(|order| ms(order.created_at)).collect::<Vec<_>>())
            .bind(orders.iter().map(|order| ms(order.changed_at)).collect::<Vec<_>>())
            .bind(orders.iter().map(|order| order.state.map(|state| state.as_str())).collect::<Vec<_>>())
            .bind(orders.iter().map(|order| i64::from(order.round)).collect::<Vec<_>>())
            .bind(orders.iter().map(|order| json(serde_json::to_string(&order.fields))).collect::<Vec<_>>())
            .bind(orders.iter().map(|order| json(serde_json::to_string(&order.conflicts))).collect::<Vec<_>>())
            .execute(pool)
            .await
            .unwrap();
    }
}

async fn run(server: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(server).await.unwrap();
}

async fn wal(server: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT (pg_current_wal_lsn() - '0/0')::int8").fetch_one(server).await.unwrap()
}
