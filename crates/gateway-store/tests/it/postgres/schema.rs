//! Schemas of other versions, and rows that make no sense.

use super::place::Place;
use gateway_store::conformance::StoreUnderTest;
use gateway_store::{BookStore, GapStore, IngestStore, OrderReader, PostgresStore, StoreError};

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = Place::new();
    place.run("INSERT INTO schema_migration VALUES (29990101000000, 'from_the_future')").await;
    for refused in [place.try_open().await.err(), PostgresStore::migrate(&place.options()).await.err()] {
        let Some(StoreError::Schema { what }) = refused else { panic!("{refused:?}") };
        assert!(what.contains("29990101000000"), "{what}");
    }
}

#[tokio::test]
async fn an_older_schema_is_refused_until_it_is_migrated() {
    let place = Place::empty().await;
    // As a program of before the first migration would have left it.
    place.run("CREATE TABLE schema_migration (version bigint PRIMARY KEY, name text NOT NULL)").await;
    let refused = place.try_open().await;
    assert!(matches!(refused, Err(StoreError::Schema { .. })), "{refused:?}");
    let applied = PostgresStore::migrate(&place.options()).await.unwrap();
    assert_eq!(applied.first(), Some(&"create_store"));
    assert!(PostgresStore::migrate(&place.options()).await.unwrap().is_empty());
    assert_eq!(place.open().await.order_count().await.unwrap(), 0);
}

#[tokio::test]
async fn tables_of_something_else_are_left_alone() {
    let place = Place::empty().await;
    place.run("CREATE TABLE other (a integer)").await;
    let refused = place.try_open().await;
    assert!(matches!(refused, Err(StoreError::Schema { .. })), "{refused:?}");
}

#[tokio::test]
async fn several_processes_may_make_the_same_store() {
    let place = Place::empty().await;
    let (a, b, c) = tokio::join!(place.open(), place.open(), place.open());
    for store in [a, b, c] {
        store.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_damage_and_no_panic() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    place
        .run(
            "CREATE TABLE raw_record_of_all PARTITION OF raw_record DEFAULT;
             INSERT INTO raw_record VALUES (1, 'c', 'sent by pigeon', NULL, 0, 0, 'raw', 0, 0, 'plain', NULL);
             INSERT INTO flow_tally VALUES ('c', 'acceptance', 'vanished', 1);
             INSERT INTO gap VALUES (1, 'c', 'acceptance', 'differing', 'open', 'n', NULL, NULL, 0, 0, NULL, NULL, NULL,
                 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
             INSERT INTO work_order VALUES ('01935c00-0000-7000-8000-000000000001', 1, 1, 0, 0, NULL, 0, '{', '[]');
             INSERT INTO book_bucket VALUES ('c', 'acceptance', 1, 'day', 0, 'source', -1, '\\x00')",
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
