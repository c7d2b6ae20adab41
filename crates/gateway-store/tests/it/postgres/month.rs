//! Partitions by month, made when they are needed.

use super::fault::{record, write};
use super::place::Place;
use gateway_model::{RawId, Timestamp};
use gateway_store::IngestStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_gets_its_partition_with_its_first_record() {
    let place = Place::new();
    let stores = [place.try_open().await.unwrap(), place.try_open().await.unwrap()];
    // The month is China's: the last of these lies in December there.
    let times = ["2026-11-30T15:59:59Z", "2026-10-01T00:00:00Z", "2026-11-30T16:00:00Z"];
    for (at, time) in times.iter().enumerate() {
        let time: Timestamp = time.parse().unwrap();
        let one =
            write(&stores[0], move |loaded, writes| writes.raws.push(record(loaded.next_raw_id, at as u64 * 2, time)));
        let two = write(&stores[1], move |loaded, writes| {
            writes.raws.push(record(loaded.next_raw_id, at as u64 * 2 + 1, time))
        });
        let (one, two) = tokio::join!(one, two);
        one.unwrap();
        two.unwrap();
    }
    for id in 1..=6 {
        assert!(stores[0].raw(RawId(id)).await.unwrap().is_some(), "record {id}");
    }
    let mut connection = place.connect().await;
    let parts: Vec<String> = sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'raw_record'::regclass ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(parts, ["raw_record_2026_10", "raw_record_2026_11", "raw_record_2026_12"]);
}
