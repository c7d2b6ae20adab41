//! Servers that go away, and connections that are cut.

use super::place::{Place, options};
use super::server::Owned;
use gateway_model::{ChannelId, Origin, RawId, SourceNumber, Timestamp};
use gateway_store::{
    IngestRequest, IngestStore, IngestWrites, LeaseStore, Loaded, NewRaw, PostgresStore, RawMeta, Store, StoreError,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub fn record(id: i64, offset: u64, at: Timestamp) -> NewRaw {
    NewRaw {
        id: RawId(id),
        meta: RawMeta {
            channel: ChannelId::new("municipal-12345").unwrap(),
            origin: Origin::Poll,
            number: Some(SourceNumber::new(format!("GZ{offset}")).unwrap()),
            received_at: at,
            read_at: at,
            topic: "raw".into(),
            partition: 0,
            offset,
        },
        body: b"{}".to_vec(),
        key_id: "plain".into(),
    }
}

pub async fn write(
    store: &PostgresStore,
    fill: impl Fn(&Loaded, &mut IngestWrites) + Send + Sync,
) -> Result<(), StoreError> {
    store
        .ingest(IngestRequest::default(), &|loaded| {
            let mut writes = IngestWrites::default();
            fill(&loaded, &mut writes);
            writes
        })
        .await
}

fn at() -> Timestamp {
    "2026-11-23T01:00:00Z".parse().unwrap()
}

/// Ends all other sessions in the place's database, as an operator or a failing network would.
fn cut(place: &Place) {
    let url = place.url();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
            sqlx::query(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .execute(&mut connection)
            .await
            .unwrap();
        });
    })
    .join()
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_mid_transaction_is_repeated_from_its_beginning() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    write(&store, |loaded, writes| writes.raws.push(record(loaded.next_raw_id, 0, at()))).await.unwrap();
    let decided = AtomicU32::new(0);
    write(&store, |loaded, writes| {
        assert_eq!(loaded.next_raw_id, 2);
        writes.raws.push(record(loaded.next_raw_id, 1, at()));
        if decided.fetch_add(1, Ordering::Relaxed) == 0 {
            cut(&place);
        }
    })
    .await
    .unwrap();
    assert_eq!(decided.load(Ordering::Relaxed), 2);
    assert!(store.raw(RawId(2)).await.unwrap().is_some());
    assert_eq!(store.raw(RawId(3)).await.unwrap(), None);
    // Sessions that were idle meanwhile are no trouble either.
    cut(&place);
    assert_eq!(store.raw(RawId(3)).await.unwrap(), None);
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_always_is_unavailable_in_the_end() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    let refused = write(&store, |loaded, writes| {
        writes.raws.push(record(loaded.next_raw_id, 0, at()));
        cut(&place);
    })
    .await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.raw(RawId(1)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_stopped_and_started() {
    let owned = Owned::start();
    let store = PostgresStore::open(options(&owned.server.url("postgres"))).await.unwrap();
    write(&store, |loaded, writes| writes.raws.push(record(loaded.next_raw_id, 0, at()))).await.unwrap();
    let lease = store.acquire_lease("poll", "a", at(), at()).await.unwrap().unwrap();
    owned.stop();
    let began = Instant::now();
    let down = write(&store, |loaded, writes| writes.raws.push(record(loaded.next_raw_id, 1, at()))).await;
    assert!(matches!(down, Err(StoreError::Unavailable(_))), "{down:?}");
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.flow_tallies().await, Err(StoreError::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    owned.start_again();
    // Nothing but the server's return is needed.
    store.check().await.unwrap();
    write(&store, |loaded, writes| writes.raws.push(record(loaded.next_raw_id, 1, at()))).await.unwrap();
    assert!(store.raw(RawId(1)).await.unwrap().is_some() && store.raw(RawId(2)).await.unwrap().is_some());
    let channel = ChannelId::new("municipal-12345").unwrap();
    store.save_checkpoint(&channel, "orders", "1", &lease, at()).await.unwrap();
    owned.stop();
}

#[tokio::test]
async fn text_that_postgresql_cannot_hold_is_kept_readable() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    gateway_store::AlertStore::note_notifier(&store, "mail", Some("a\0b"), at()).await.unwrap();
    let notifiers = gateway_store::AlertStore::notifiers(&store).await.unwrap();
    assert_eq!(notifiers[0].error.as_deref(), Some("a\u{fffd}b"));
}
