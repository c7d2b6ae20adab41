//! Moving up: everything carried, read back equal, whatever broke it off; and what is refused.

use super::place::Place as Target;
use crate::place::Place as Source;
use gateway_model::{Dataset, Grain, JobId, Timestamp, Window};
use gateway_store::carry::{Begun, Difference, Moving, PageSize, Phase, Progress};
use gateway_store::conformance::fill;
use gateway_store::{GapFilter, IngestStore, JobStore, PostgresStore, SqliteStore, Store, StoreError, left_topic};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(7);
const SMALL: PageSize = PageSize { rows: 3, bytes: 1 << 20 };

fn now() -> Timestamp {
    "2026-11-26T02:00:00Z".parse().unwrap()
}

async fn source() -> (Source, SqliteStore) {
    let place = Source::new();
    let store = SqliteStore::open(place.options()).await.unwrap();
    (place, store)
}

async fn target() -> (Target, PostgresStore) {
    let place = Target::new();
    // Makes it.
    place.try_open().await.unwrap().close().await;
    let store = PostgresStore::open_to_move(place.options()).await.unwrap();
    (place, store)
}

async fn moving<'a>(source: &'a SqliteStore, target: &'a PostgresStore, id: Uuid, leaves_bus: bool) -> Moving<'a> {
    Moving::prepare(source, target, id, leaves_bus, SMALL).await.unwrap()
}

fn quiet() -> impl FnMut(Progress) + Send {
    |_| {}
}

/// Random values that the same seed gives again.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 6] = ["路灯不亮", "a'b\"c", "{\"k\":\"\\u0000\"}", "\u{10ffff}", "line\nline", "\\N"];
        format!("{:x}{}", self.next(), WORDS[self.next() as usize % WORDS.len()])
    }
}

/// Rows of anything in every table but the book, whose rows have to make sense.
async fn fill_at_random(place: &Source, dice: &mut Dice) {
    let options = SqliteConnectOptions::new().filename(&place.path).foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
         AND name NOT IN ('book_item', 'book_bucket', 'schema_migration')",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    for table in tables {
        let columns: Vec<(String, String, bool)> =
            sqlx::query_as("SELECT name, type, \"notnull\" FROM pragma_table_info($1) ORDER BY cid")
                .bind(&table)
                .fetch_all(&mut connection)
                .await
                .unwrap();
        for _ in 0..7 {
            let marks = vec!["?"; columns.len()].join(", ");
            let mut insert = sqlx::query(AssertSqlSafe(format!("INSERT INTO {table} VALUES ({marks})")));
            for (name, kind, needed) in &columns {
                let empty = !needed && !name.ends_with("id") && dice.next().is_multiple_of(3);
                insert = match kind.as_str() {
                    _ if empty => insert.bind(None::<i64>),
                    // Times are within two years, since months become partitions.
                    "INTEGER" if name.ends_with("at") => {
                        insert.bind(1_730_000_000_000 + (dice.next() % 63_000_000_000) as i64)
                    }
                    "INTEGER" => insert.bind((dice.next() >> 1) as i64),
                    "TEXT" => insert.bind(dice.text()),
                    _ => insert.bind((0..2).flat_map(|_| dice.next().to_be_bytes()).collect::<Vec<u8>>()),
                };
            }
            insert.execute(&mut connection).await.unwrap();
        }
    }
    sqlx::raw_sql("UPDATE dead_letter SET reason = 'a' || char(0) || 'b' WHERE id = (SELECT min(id) FROM dead_letter)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// Carries, cut off again and again after so many pages; returns how often it was cut.
async fn carry_with_cuts(source: &SqliteStore, place: &Target, dice: &mut Dice) -> u32 {
    let mut cuts = 0;
    loop {
        // Connections of its own, as another process has: what a dropped call leaves on them is nobody's.
        let target = PostgresStore::open_to_move(place.options()).await.unwrap();
        let moving = moving(source, &target, ID, false).await;
        let begun = moving.begin(now()).await.unwrap();
        assert_eq!(begun, if cuts == 0 { Begun::New } else { Begun::Unfinished });
        let cut = Arc::new(Notify::new());
        let mut left = 1 + dice.next() % 9;
        let mut tell = {
            let cut = Arc::clone(&cut);
            move |_: Progress| {
                left = left.saturating_sub(1);
                if left == 0 {
                    cut.notify_one();
                }
            }
        };
        // Dropped in the middle of whatever it does then, as by a kill.
        tokio::select! {
            biased;
            () = cut.notified() => cuts += 1,
            carried = moving.carry(&mut tell) => {
                carried.unwrap();
                return cuts;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_rows_of_every_table_arrive_whatever_breaks_it_off() {
    let seed = std::process::id().into();
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let ((place, source), (theirs, target)) = (source().await, target().await);
    fill_at_random(&place, &mut dice).await;
    let cuts = carry_with_cuts(&source, &theirs, &mut dice).await;
    assert!(cuts > 5, "{cuts}");
    let moving = moving(&source, &target, ID, false).await;
    let mut compared = Vec::new();
    let mut tell = |progress: Progress| {
        if progress.phase == Phase::Compare {
            assert_eq!(progress.rows, progress.of);
            compared.push((progress.table, progress.rows));
        }
    };
    assert_eq!(moving.verify(&mut tell).await.unwrap(), []);
    let rows: u64 = compared.iter().map(|(_, rows)| rows).sum();
    assert!(
        rows >= 7 * 39 && compared.iter().all(|(table, rows)| *rows == 7 || table.starts_with("book_")),
        "{compared:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_installation_reads_back_equal_and_goes_on() {
    let ((_place, source), (place, target)) = (source().await, target().await);
    fill(&source, 40).await;
    let moving = moving(&source, &target, ID, true).await;
    assert_eq!(moving.check_source(&mut quiet()).await.unwrap(), []);
    assert_eq!(moving.begin(now()).await.unwrap(), Begun::New);

    let refused = PostgresStore::open(place.options()).await;
    assert!(matches!(refused, Err(StoreError::Refused { code: "half_moved", .. })), "{refused:?}");

    let carried = moving.carry(&mut quiet()).await.unwrap();
    assert_eq!((carried.rows("work_order"), carried.rows("gap")), (40, 2));
    assert_eq!(moving.verify(&mut quiet()).await.unwrap(), []);
    moving.complete(now()).await.unwrap();
    assert_eq!(moving.begin(now()).await.unwrap(), Begun::Complete);

    let moved = PostgresStore::open(place.options()).await.unwrap();
    let (theirs, ours): (&dyn Store, &dyn Store) = (&source, &moved);
    let channel = gateway_model::ChannelId::new("municipal-12345").unwrap();
    let all = Window::new(Timestamp::MIN, Timestamp::MAX);
    assert_eq!(theirs.orders_after(0, 100, true).await.unwrap(), ours.orders_after(0, 100, true).await.unwrap());
    assert_eq!(theirs.flow_tallies().await.unwrap(), ours.flow_tallies().await.unwrap());
    assert_eq!(theirs.outbound_tallies().await.unwrap(), ours.outbound_tallies().await.unwrap());
    assert_eq!(theirs.job_tallies().await.unwrap(), ours.job_tallies().await.unwrap());
    assert_eq!(theirs.span(&channel).await.unwrap(), ours.span(&channel).await.unwrap());
    for dataset in Dataset::ALL {
        for grain in Grain::BUCKETS {
            let (theirs, ours) = (
                theirs.buckets(&channel, dataset, 1, grain, all).await.unwrap(),
                ours.buckets(&channel, dataset, 1, grain, all).await.unwrap(),
            );
            assert_eq!(theirs, ours, "{dataset} {grain}");
        }
    }
    // Places on the bus that was left have a name of their own, wherever they stand.
    let left = left_topic("raw");
    let positions = ours.flow_positions().await.unwrap();
    assert_eq!(positions.iter().map(|one| (one.topic.as_str(), one.next_offset)).collect::<Vec<_>>(), [(&*left, 40)]);
    assert_eq!(ours.missing_offsets(&left, 0, 0, 40).await.unwrap(), []);
    assert_eq!(ours.missing_offsets("raw", 0, 0, 2).await.unwrap(), [(0, 2)]);
    let gaps = ours.gaps(&GapFilter::default(), 9).await.unwrap();
    let details: Vec<_> = gaps.iter().filter_map(|gap| gap.detail.as_deref()).collect();
    assert_eq!(details, ["a code", "offsets raw@embedded 0 90 93"]);
    let record = ours.raw(gateway_model::RawId(1)).await.unwrap().unwrap();
    assert_eq!((record.meta.topic, record.body), (left, theirs.raw(record.id).await.unwrap().unwrap().body));

    // No id is given a second time, also of what is gone.
    let gap = theirs.gaps(&GapFilter::default(), 9).await.unwrap().remove(0);
    let again = gateway_store::NewGap {
        channel: gap.channel,
        dataset: gap.dataset,
        kind: gap.kind,
        key: gap.key,
        window: gap.window,
        delivery_id: gap.delivery_id,
        evidence: gap.evidence,
        detail: None,
        at: now(),
    };
    let [theirs, ours] = [
        theirs.suspect(std::slice::from_ref(&again)).await.unwrap(),
        ours.suspect(std::slice::from_ref(&again)).await.unwrap(),
    ];
    assert_eq!(theirs, ours);
    let claimed = moved
        .claim_jobs(gateway_store::JobKind::Reread, &channel, now(), Timestamp::MAX, 9)
        .await
        .unwrap()
        .into_iter()
        .map(|job| job.id)
        .collect::<Vec<_>>();
    assert_eq!(claimed, [JobId(1), JobId(2)]);
    fill_more(&moved).await;
}

/// The store goes on giving ids where the old one ended.
async fn fill_more(store: &PostgresStore) {
    let seen = std::sync::Mutex::new(None);
    let request = gateway_store::IngestRequest::default();
    let look = |loaded: gateway_store::Loaded| {
        *seen.lock().unwrap() = Some((loaded.next_raw_id, loaded.next_feed_seq, loaded.next_delivery_id));
        gateway_store::IngestWrites::default()
    };
    store.ingest(request, &look).await.unwrap();
    assert_eq!(seen.into_inner().unwrap(), Some((41, 41, 22)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_differs_is_told_with_its_place() {
    let ((_place, source), (place, target)) = (source().await, target().await);
    fill(&source, 8).await;
    let moving = moving(&source, &target, ID, false).await;
    moving.begin(now()).await.unwrap();
    moving.carry(&mut quiet()).await.unwrap();
    place
        .run(
            "UPDATE order_number SET absent_since = 1 WHERE number = 'GZ00000003';
             DELETE FROM raw_record WHERE id = 2;
             INSERT INTO watched_hour VALUES (3600000, 5);
             UPDATE book_item SET digest = '\\x00000000000000000000000000000000000000000000000000000000000000ff'
             WHERE number = 'GZ00000004' AND dataset = 'acceptance'",
        )
        .await;
    let found: Vec<String> = moving.verify(&mut quiet()).await.unwrap().iter().map(Difference::to_string).collect();
    for expected in [
        "raw_record 2: is missing",
        "order_number municipal-12345 GZ00000003 2026-11-23: differs in absent_since",
        "watched_hour 3600000: was never carried",
        "book_item municipal-12345 acceptance GZ00000004 2026-11-23 c0: differs in digest",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected}: {found:#?}");
    }
    // The day, the hour, the ten minutes.
    let sums =
        found.iter().filter(|line| line.starts_with("book_bucket ") && line.contains("source version 1")).count();
    assert_eq!(sums, 3, "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_own_book_is_damaged_is_told_before_anything_is_carried() {
    let ((place, source), (_target, target)) = (source().await, target().await);
    fill(&source, 8).await;
    let mut connection = place.connect().await;
    sqlx::raw_sql("UPDATE book_bucket SET count = count + 1 WHERE grain = 'hour'")
        .execute(&mut connection)
        .await
        .unwrap();
    let found = moving(&source, &target, ID, false).await.check_source(&mut quiet()).await.unwrap();
    assert!(found.iter().any(|one| one.place.contains("acceptance hour")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_anything_else_is_refused() {
    let ((_place, source), (_kept, target)) = (source().await, target().await);
    fill(&source, 4).await;
    let code = |begun: Result<Begun, StoreError>| match begun {
        Err(StoreError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    moving(&source, &target, ID, false).await.begin(now()).await.unwrap();
    let other = moving(&source, &target, Uuid::from_u128(8), false).await;
    assert_eq!(code(other.begin(now()).await), "half_moved_by_another");
    let first = moving(&source, &target, ID, false).await;
    first.carry(&mut quiet()).await.unwrap();
    first.complete(now()).await.unwrap();
    assert_eq!(code(other.begin(now()).await), "target_in_use");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_is_forgotten() {
    let ((place, source), (theirs, target)) = (source().await, target().await);
    let prepared = async || Moving::prepare(&source, &target, ID, false, SMALL).await.map(|_| ());
    // Every table of both engines is carried, or said to stay behind.
    prepared().await.unwrap();
    theirs.run("CREATE TABLE newcomer (a bigint)").await;
    assert!(matches!(prepared().await, Err(StoreError::Schema { what }) if what.contains("newcomer")));
    theirs.run("DROP TABLE newcomer").await;
    let mut connection = place.connect().await;
    sqlx::raw_sql("ALTER TABLE silence ADD COLUMN newcomer TEXT").execute(&mut connection).await.unwrap();
    assert!(
        matches!(prepared().await, Err(StoreError::Schema { what }) if what.contains("silence: only the embedded"))
    );
    sqlx::raw_sql("CREATE TABLE another (a INTEGER)").execute(&mut connection).await.unwrap();
    assert!(matches!(prepared().await, Err(StoreError::Schema { what }) if what.contains("another")));
}
