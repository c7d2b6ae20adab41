//! Schemas of other versions, and rows that make no sense.

use crate::place::Place;
use gateway_store::conformance::StoreUnderTest;
use gateway_store::{SqliteStore, StoreError};

async fn alter(place: &Place, sql: &'static str) {
    let mut connection = place.connect().await;
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = Place::new();
    place.open().await.close().await;
    alter(&place, "INSERT INTO schema_migration VALUES (29990101000000, 'from_the_future')").await;
    for refused in [SqliteStore::open(place.options()).await.err(), SqliteStore::migrate(&place.options()).await.err()]
    {
        assert!(matches!(refused, Some(StoreError::Schema { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn an_older_schema_is_refused_until_it_is_migrated() {
    let place = Place::new();
    place.open().await.close().await;
    alter(
        &place,
        "DROP TABLE job; DROP TABLE lease; DROP TABLE checkpoint;
         DELETE FROM schema_migration WHERE name = 'create_job'",
    )
    .await;
    let refused = SqliteStore::open(place.options()).await;
    assert!(matches!(refused, Err(StoreError::Schema { .. })), "{refused:?}");
    assert_eq!(SqliteStore::migrate(&place.options()).await.unwrap(), ["create_job"]);
    assert!(SqliteStore::migrate(&place.options()).await.unwrap().is_empty());
    assert!(place.open().await.job_tallies().await.unwrap().is_empty());
}

#[tokio::test]
async fn tables_of_something_else_are_left_alone() {
    let place = Place::new();
    alter(&place, "CREATE TABLE other (a INTEGER)").await;
    let refused = SqliteStore::open(place.options()).await;
    assert!(matches!(refused, Err(StoreError::Schema { .. })), "{refused:?}");
}

#[tokio::test]
async fn two_processes_may_make_the_same_store() {
    // Often: the moment at which one meets the other's lock is short.
    for _ in 0..50 {
        let place = Place::new();
        let (a, b) = tokio::join!(place.open(), place.open());
        a.check().await.unwrap();
        b.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_damage_and_no_panic() {
    let place = Place::new();
    let store = place.open().await;
    alter(
        &place,
        "INSERT INTO raw_record VALUES (1, 'c', 'sent by pigeon', NULL, 0, 0, 'raw', 0, 0, 'plain', NULL);
         INSERT INTO flow_tally VALUES ('c', 'acceptance', 'vanished', 1);
         INSERT INTO gap VALUES (1, 'c', 'acceptance', 'differing', 'open', 'n', NULL, NULL, 0, 0, NULL, NULL, NULL,
             0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
         INSERT INTO work_order VALUES (x'00', 1, 1, 0, 0, NULL, 0, '{}', '[]');
         INSERT INTO book_bucket VALUES ('c', 'acceptance', 1, 'day', 0, 'source', -1, x'00')",
    )
    .await;
    let damaged = |error: Option<StoreError>| assert!(matches!(error, Some(StoreError::Damaged { .. })), "{error:?}");
    damaged(store.raw(gateway_model::RawId(1)).await.err());
    damaged(store.flow_tallies().await.err());
    damaged(store.gap(gateway_model::GapId(1)).await.err());
    damaged(store.orders_after(0, 1, false).await.err());
    let channel = gateway_model::ChannelId::new("c").unwrap();
    let always = gateway_model::Window::new(gateway_model::Timestamp::MIN, gateway_model::Timestamp::MAX);
    let (dataset, grain) = (gateway_model::Dataset::Acceptance, gateway_model::Grain::Day);
    damaged(store.buckets(&channel, dataset, 1, grain, always).await.err());
}

#[tokio::test]
async fn a_schema_that_a_newer_program_only_added_to_is_used() {
    let place = Place::new();
    let old = place.open().await;
    alter(
        &place,
        "ALTER TABLE work_order ADD COLUMN later_note TEXT;
         ALTER TABLE raw_record ADD COLUMN later_count INTEGER NOT NULL DEFAULT 0;
         CREATE TABLE later_table (id INTEGER PRIMARY KEY) STRICT;
         INSERT INTO schema_migration VALUES (29990101000000, 'expand_order')",
    )
    .await;
    let new = place.open().await;
    gateway_store::conformance::fill(&*old, 8).await;
    assert_eq!(new.order_count().await.unwrap(), 8);
    new.check().await.unwrap();
    assert!(SqliteStore::migrate(&place.options()).await.unwrap().is_empty());
    alter(&place, "INSERT INTO schema_migration VALUES (29990102000000, 'drop_later_note')").await;
    let refused = SqliteStore::open(place.options()).await;
    assert!(matches!(refused, Err(StoreError::Schema { .. })), "{refused:?}");
}
