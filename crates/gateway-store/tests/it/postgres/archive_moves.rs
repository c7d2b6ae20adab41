//! Months that move while others read and write, and moves that are broken off.

use super::archive_scene::*;
use super::place::Place;
use crate::crash::victim_command;
use gateway_model::*;
use gateway_store::*;
use sqlx::Connection;
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

async fn months_of(store: &PostgresStore) {
    order(store, 0, noon("2025-01"), OrderState::Visited).await;
    order(store, 1, noon("2025-02"), OrderState::Visited).await;
    order(store, 2, noon("2025-03"), OrderState::Visited).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_record_of_a_month_that_is_out_is_written_and_joins_it() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    // Knows all three months.
    months_of(&store).await;
    let other = place.try_open().await.unwrap();
    must_take(&other, "2025-01").await;
    // The one who does not know that it is out, and the one who does.
    assert_eq!(order(&store, 3, noon("2025-01"), OrderState::Visited).await, RawId(4));
    assert_eq!(order(&other, 4, noon("2025-01"), OrderState::Visited).await, RawId(5));
    assert_eq!(super::archive_scene::place(&store, "2025-01").await, (MonthPlace::Archived, Some(1), Some(2)));
    assert_eq!(holds(&store, "2025-01").await, [(HoldKind::NewestRecord, 1)]);
    order(&store, 5, noon("2025-03"), OrderState::Visited).await;
    let before = whole(&store, 6).await;
    must_take(&store, "2025-01").await;
    assert_eq!(super::archive_scene::place(&store, "2025-01").await, (MonthPlace::Archived, Some(3), None));
    assert_eq!(whole(&store, 6).await, before);
    order(&other, 6, noon("2025-01"), OrderState::Visited).await;
    must_return(&store, "2025-01").await;
    assert_eq!(super::archive_scene::place(&store, "2025-01").await, (MonthPlace::Attached, Some(4), None));
    for n in [0, 3, 4, 6] {
        assert_eq!(store.timeline(order_id(n)).await.unwrap().len(), 1, "order {n}");
    }
    assert_eq!(store.missing_offsets("raw", 0, 0, 7).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_does_not_end_makes_it_give_way_and_nobody_wait() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    months_of(&store).await;
    let mut reader = place.connect().await;
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM raw_record").execute(&mut *reading).await.unwrap();
    let ended = AtomicBool::new(false);
    let (taken, written) = tokio::join!(
        async {
            let taken = take(&store, "2025-01").await;
            ended.store(true, Ordering::Relaxed);
            taken
        },
        async {
            let (mut n, mut longest) = (3, Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                order(&store, n, noon("2025-03"), OrderState::Visited).await;
                longest = longest.max(began.elapsed());
                n += 1;
            }
            (n, longest)
        }
    );
    assert_eq!(taken, Taking::Busy);
    assert_eq!(super::archive_scene::place(&store, "2025-01").await.0, MonthPlace::Attached);
    // Each try keeps them for half a second; a lock wait ends after five.
    assert!(written.1 < Duration::from_secs(5), "{written:?}");
    reading.rollback().await.unwrap();
    must_take(&store, "2025-01").await;
    assert_eq!(store.missing_offsets("raw", 0, 0, written.0).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_began_by_hand_is_finished() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    months_of(&store).await;
    half_detach(&place).await;
    // The half that is detached is not read, and is taken out whole.
    let row = |rows: Vec<MonthRow>| rows.into_iter().find(|row| row.month == month("2025-01")).unwrap();
    assert_eq!(row(store.months(now()).await.unwrap()).place, MonthPlace::Attached);
    assert_eq!(must_take(&store, "2025-01").await, 1);
    must_return(&store, "2025-01").await;
    assert!(store.raw(RawId(1)).await.unwrap().is_some());

    // Detached and not moved away: taken as well, and where a late record comes first, attached again.
    place.run("ALTER TABLE raw_record DETACH PARTITION raw_record_2025_01").await;
    assert_eq!(must_take(&store, "2025-01").await, 1);
    must_return(&store, "2025-01").await;
    place.run("ALTER TABLE raw_record DETACH PARTITION raw_record_2025_01").await;
    order(&store, 3, noon("2025-01"), OrderState::Visited).await;
    assert!(store.raw(RawId(1)).await.unwrap().is_some() && store.raw(RawId(4)).await.unwrap().is_some());
    order(&store, 4, noon("2025-03"), OrderState::Visited).await;
    half_detach(&place).await;
    order(&store, 5, noon("2025-01"), OrderState::Visited).await;
    for id in 1..=6 {
        assert!(store.raw(RawId(id)).await.unwrap().is_some(), "record {id}");
    }

    // Taken out by the old procedure, of which nothing is written down.
    order(&store, 6, noon("2025-03"), OrderState::Visited).await;
    place.run("CREATE SCHEMA IF NOT EXISTS archive").await;
    place.run("ALTER TABLE raw_record DETACH PARTITION raw_record_2025_02").await;
    place.run("ALTER TABLE raw_record_2025_02 SET SCHEMA archive").await;
    assert!(store.raw(RawId(2)).await.unwrap().is_some());
    let sent = owe(&store, 1, RawId(2)).await;
    assert_eq!(store.due_deliveries(&channel(), now(), 10).await.unwrap()[0].delivery.id, sent);
    must_return(&store, "2025-02").await;
    assert_eq!(super::archive_scene::place(&store, "2025-02").await.0, MonthPlace::Attached);
}

/// Leaves half of a concurrent detaching of January's records.
async fn half_detach(place: &Place) {
    let mut reader = place.connect().await;
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM raw_record").execute(&mut *reading).await.unwrap();
    let mut detaching = place.connect().await;
    // It waits for the reader, and gives up.
    sqlx::raw_sql("SET lock_timeout = '300ms'").execute(&mut detaching).await.unwrap();
    sqlx::raw_sql("ALTER TABLE raw_record DETACH PARTITION raw_record_2025_01 CONCURRENTLY")
        .execute(&mut detaching)
        .await
        .unwrap_err();
    reading.rollback().await.unwrap();
    let pending: bool =
        sqlx::query_scalar("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'raw_record_2025_01'::regclass")
            .fetch_one(&mut reader)
            .await
            .unwrap();
    assert!(pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn months_move_while_everybody_works_and_no_id_is_given_twice() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    months_of(&store).await;
    let sent = owe(&store, 0, RawId(1)).await;
    send(&store, 0, sent, DeliveryState::Acknowledged).await;
    let writers = [place.try_open().await.unwrap(), place.try_open().await.unwrap()];
    let ended = AtomicBool::new(false);
    let writing = |store: &PostgresStore, first: u64| {
        let (store, ended) = (store.clone(), &ended);
        async move {
            let (mut n, mut ids) = (first, Vec::new());
            while !ended.load(Ordering::Relaxed) {
                // Every fifth is late.
                let at = if n % 10 < 2 { noon("2025-01") } else { noon("2025-04") };
                ids.push(order(&store, n, at, OrderState::Visited).await);
                store.due_deliveries(&channel(), now(), 10).await.unwrap();
                store.timeline(order_id(0)).await.unwrap();
                n += 2;
            }
            ids
        }
    };
    let moving = async {
        let mut moved = 0;
        while moved < 6 {
            moved += u32::from(matches!(take(&store, "2025-01").await, Taking::Taken { .. }));
            if super::archive_scene::place(&store, "2025-01").await.0 == MonthPlace::Archived {
                moved += u32::from(store.return_month(month("2025-01")).await.unwrap() == Returning::Returned);
            }
        }
        ended.store(true, Ordering::Relaxed);
    };
    let (mut ids, more, ()) = tokio::join!(writing(&writers[0], 100), writing(&writers[1], 101), moving);
    ids.extend(more);
    ids.sort_unstable();
    let expected: Vec<RawId> = (4..4 + ids.len() as i64).map(RawId).collect();
    assert_eq!(ids, expected);
    for id in (1..=3).map(RawId).chain(ids) {
        assert!(store.raw(id).await.unwrap().is_some(), "record {id}");
    }
}

const DATABASE: &str = "GATEWAY_STORE_ARCHIVE_DATABASE";

/// The victim: does nothing unless the test below starts it. It takes January out and back, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Ok(database) = std::env::var(DATABASE) else { return };
    let store = Place::at(database).try_open().await.unwrap();
    for turn in 0.. {
        println!("turn {turn}");
        if super::archive_scene::place(&store, "2025-01").await.0 == MonthPlace::Attached {
            take(&store, "2025-01").await;
        } else {
            store.return_month(month("2025-01")).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_the_month_in_or_out() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    months_of(&store).await;
    let before = whole(&store, 3).await;
    let (server, _) = place.url().rsplit_once('/').map(|(server, name)| (server.to_owned(), name.to_owned())).unwrap();
    for (turns, wait) in [(1, 0), (2, 3), (3, 9), (2, 15), (4, 6), (1, 21), (3, 12)] {
        let mut command = victim_command("postgres::archive_moves::victim");
        command.env(DATABASE, &place.database).env("DATABASE_URL", format!("{server}/postgres"));
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while seen < turns {
            seen += u32::from(lines.next().expect("the victim ended by itself").unwrap().contains("turn "));
        }
        // Not a wait for something: the moment of the kill is somewhere in the turn.
        std::thread::park_timeout(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        // The server may not have noticed yet.
        let deadline = Instant::now() + Duration::from_secs(30);
        let records = loop {
            let row = super::archive_scene::place(&store, "2025-01").await;
            match row {
                (MonthPlace::Attached, records, None) => break records,
                (MonthPlace::Archived, _, None) => {
                    store.return_month(month("2025-01")).await.unwrap();
                }
                other => panic!("{other:?}"),
            }
            assert!(Instant::now() < deadline, "{row:?}");
        };
        assert_eq!(records, Some(1));
        assert_eq!(whole(&store, 3).await, before);
        for n in 0..3 {
            assert_eq!(store.timeline(order_id(n)).await.unwrap().len(), 1);
        }
    }
}
