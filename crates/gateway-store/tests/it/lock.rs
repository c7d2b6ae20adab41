//! Locks of other processes, and files that are not a store.

use crate::place::Place;
use gateway_store::conformance::StoreUnderTest;
use gateway_store::{SqliteOptions, SqliteStore, StoreError};
use std::time::{Duration, Instant};

#[tokio::test]
async fn opening_a_current_store_needs_no_lock() {
    let place = Place::new();
    place.open().await.close().await;
    let block = place.block_writes().await;
    let store = place.open().await;
    assert_eq!(store.order_count().await.unwrap(), 0);
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    block.release().await;
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_new_file_under_a_lock_is_unavailable_in_time() {
    let place = Place::new();
    let block = place.block_writes().await;
    let began = Instant::now();
    let options = SqliteOptions { busy_timeout_ms: 50, ..place.options() };
    let opened = SqliteStore::open(options).await;
    assert!(matches!(opened, Err(StoreError::Unavailable(_))), "{opened:?}");
    assert!(began.elapsed() < Duration::from_secs(15));
    block.release().await;
    place.open().await.check().await.unwrap();
}

#[tokio::test]
async fn a_missing_directory_is_unavailable() {
    let place = Place::new();
    let opened = SqliteStore::open(SqliteOptions::at(place.path.with_file_name("no").join("store.db"))).await;
    assert!(matches!(opened, Err(StoreError::Unavailable(_))), "{opened:?}");
}

#[tokio::test]
async fn what_is_no_database_is_damaged() {
    let place = Place::new();
    std::fs::write(&place.path, "not a database, but long enough to be looked at as one".repeat(100)).unwrap();
    let opened = SqliteStore::open(place.options()).await;
    assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{opened:?}");
}

#[test]
fn an_unknown_key_is_refused() {
    let known: SqliteOptions = serde_json::from_str(r#"{"path": "x.db", "busy_timeout_ms": 5}"#).unwrap();
    assert_eq!(known, SqliteOptions { busy_timeout_ms: 5, ..SqliteOptions::at("x.db") });
    assert!(serde_json::from_str::<SqliteOptions>(r#"{"busy_timeout": 5}"#).is_err());
}
