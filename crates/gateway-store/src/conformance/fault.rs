//! A store that cannot be written.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;
use std::time::{Duration, Instant};

/// However many wait, each is told in bounded time, reading goes on, and nothing but the lock's end is needed to recover.
pub async fn a_blocked_store_says_so_in_time_and_recovers(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    store.check().await.unwrap();
    let block = place.block_writes().await;
    let began = Instant::now();
    let mut waiting = tokio::task::JoinSet::new();
    for n in 2..12 {
        let store = store.clone();
        waiting.spawn(async move { write(&*store, |loaded, writes| add_order(writes, loaded, n, n)).await });
    }
    let unavailable = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Unavailable(_)));
    assert!(unavailable(store.check().await));
    while let Some(result) = waiting.join_next().await {
        assert!(unavailable(result.unwrap()));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(store.order_count().await.unwrap(), 2);
    assert!(store.raw(RawId(1)).await.unwrap().is_some());
    block.release().await;
    store.check().await.unwrap();
    write_orders(&*store, 2, 3).await;
    assert_eq!(store.order_count().await.unwrap(), 3);
}
