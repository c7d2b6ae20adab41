//! The poller.

use crate::bench::{Bench, at, id, round, run};
use crate::channel::down;
use gateway_connector::{Cursor, RawRecord, RequestError};
use gateway_intake::{Defences, PollConfig, Poller};
use gateway_model::{Origin, Timestamp};
use gateway_runtime::{Ran, Task};
use gateway_store::LeaseStore;
use std::time::Duration;

const OVERLAP: i64 = 60;

fn config() -> PollConfig {
    PollConfig { page_size: 2, overlap_ms: OVERLAP as u64 * 1_000, lease_ms: 30_000, ..PollConfig::default() }
}

fn poller(bench: &Bench, config: PollConfig) -> Poller {
    Poller::new(bench.intake(), bench.store.clone(), "me", config, Defences::default()).unwrap()
}

async fn through(bench: &Bench) -> Option<Timestamp> {
    let text = bench.store.checkpoint(&id(), "poll").await.unwrap()?;
    let checkpoint: serde_json::Value = serde_json::from_str(&text).unwrap();
    checkpoint["through"].as_str().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn the_first_sweep_reads_everything_and_the_next_appends_nothing_again() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    for n in 0..5 {
        bench.channel.put(&format!("GZ{n}"), &format!("v{n}"), at(900 + n));
    }
    let mut poller = poller(&bench, config());
    run(&mut poller).await.unwrap();
    assert_eq!(bench.bodies().await, ["v0", "v1", "v2", "v3", "v4"]);
    assert_eq!(through(&bench).await, Some(at(904)));
    let polls = bench.channel.polls();
    assert_eq!((polls.len(), polls[0].0), (3, None), "the whole history, page by page");
    let first = &bench.raw().await[0];
    assert_eq!((first.origin, first.read_at), (Origin::Poll, at(1_000)));

    run(&mut poller).await.unwrap();
    assert_eq!(bench.channel.polls()[0].0, Some(at(904 - OVERLAP)));
    assert_eq!(bench.raw().await.len(), 5);
}

#[tokio::test]
async fn records_of_the_boundary_second_that_come_later_are_read() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    bench.channel.put("GZ1", "one", at(1_000));
    // Without the overlap, so that only the boundary itself is under test.
    let mut poller = poller(&bench, PollConfig { overlap_ms: 0, ..config() });
    run(&mut poller).await.unwrap();
    bench.channel.put("GZ2", "two", at(1_000));
    bench.channel.put("GZ1", "one, edited in the same second", at(1_000));
    run(&mut poller).await.unwrap();
    assert_eq!(bench.bodies().await, ["one", "one, edited in the same second", "two"]);
}

#[tokio::test]
async fn what_the_platform_shows_late_is_caught_by_the_overlap_and_only_by_it() {
    for (overlap, expected) in [(true, 2), (false, 1)] {
        let bench = Bench::new().await;
        bench.set_time(1_000);
        bench.channel.put("GZ1", "one", at(990));
        let defences = Defences { overlap };
        let mut poller = Poller::new(bench.intake(), bench.store.clone(), "me", config(), defences).unwrap();
        run(&mut poller).await.unwrap();
        bench.channel.put("GZ2", "late", at(990 - OVERLAP / 2));
        run(&mut poller).await.unwrap();
        assert_eq!(bench.raw().await.len(), expected, "overlap {overlap}");
    }
}

#[tokio::test]
async fn a_change_back_is_a_change() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    let mut poller = poller(&bench, config());
    for body in ["A", "B", "A"] {
        bench.channel.put("GZ1", body, at(990));
        run(&mut poller).await.unwrap();
    }
    assert_eq!(bench.bodies().await, ["A", "A", "B"]);
}

#[tokio::test]
async fn a_record_of_2099_moves_nothing_and_is_appended_once() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    let far: Timestamp = "2099-12-31T15:59:59Z".parse().unwrap();
    bench.channel.put("GZ1", "now", at(990));
    bench.channel.put("GZ9", "far", far);
    let mut first = poller(&bench, config());
    run(&mut first).await.unwrap();
    assert_eq!(through(&bench).await, Some(at(990)));
    bench.channel.put("GZ2", "next", at(995));
    // Also after a restart.
    let mut second = poller(&bench, config());
    for _ in 0..3 {
        run(&mut second).await.unwrap();
    }
    assert_eq!(bench.bodies().await, ["far", "next", "now"]);
    assert_eq!(through(&bench).await, Some(at(995)));
}

#[tokio::test]
async fn a_sweep_goes_on_at_the_page_that_failed() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    for n in 0..5 {
        bench.channel.put(&format!("GZ{n}"), &format!("v{n}"), at(900 + n));
    }
    bench.channel.script([None, down(), down()]);
    let mut poller = poller(&bench, config());
    for _ in 0..2 {
        assert_eq!(run(&mut poller).await.unwrap_err().code, "unavailable");
        assert_eq!(bench.raw().await.len(), 2, "what was appended stays");
        assert_eq!(through(&bench).await, None, "nothing else has changed");
    }
    run(&mut poller).await.unwrap();
    assert_eq!(bench.bodies().await, ["v0", "v1", "v2", "v3", "v4"]);
    let cursors: Vec<Option<Cursor>> = bench.channel.polls().into_iter().map(|(_, cursor)| cursor).collect();
    let second = || Some(Cursor("2".into()));
    assert_eq!(cursors, [None, second(), second(), second(), Some(Cursor("4".into()))]);
}

#[tokio::test]
async fn a_restart_in_the_middle_repeats_and_loses_nothing() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    for n in 0..5 {
        bench.channel.put(&format!("GZ{n}"), &format!("v{n}"), at(n * 100));
    }
    let config = PollConfig { pages_per_round: 1, ..config() };
    let mut first = poller(&bench, config);
    assert_eq!(first.run(&round()).await.unwrap(), Ran::Busy);
    assert_eq!(through(&bench).await, None);
    drop(first);
    run(&mut poller(&bench, config)).await.unwrap();
    let mut bodies = bench.bodies().await;
    bodies.dedup();
    assert_eq!(bodies, ["v0", "v1", "v2", "v3", "v4"]);
    assert_eq!(through(&bench).await, Some(at(400)));
}

#[tokio::test]
async fn an_append_that_fails_is_read_again() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    bench.channel.put("GZ1", "one", at(990));
    let mut poller = poller(&bench, config());
    bench.bus.fail_after(0);
    assert_eq!(run(&mut poller).await.unwrap_err().code, "bus_unavailable");
    assert_eq!(through(&bench).await, None);
    bench.bus.recover();
    run(&mut poller).await.unwrap();
    assert_eq!(bench.bodies().await, ["one"]);
}

#[tokio::test]
async fn only_the_holder_of_the_lease_reads() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    bench.channel.put("GZ1", "one", at(990));
    let other =
        bench.store.acquire_lease("poll/municipal-12345", "other", at(1_000), at(1_010)).await.unwrap().unwrap();
    let mut poller = poller(&bench, config());
    run(&mut poller).await.unwrap();
    assert_eq!(bench.channel.polls(), []);
    bench.store.release_lease(&other, at(1_001)).await.unwrap();
    run(&mut poller).await.unwrap();
    assert_eq!(bench.bodies().await, ["one"]);
}

#[tokio::test]
async fn a_lease_lost_in_the_middle_saves_no_checkpoint() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    bench.channel.put("GZ1", "one", at(990));
    let (store, clock) = (bench.store.clone(), bench.clock.clone());
    bench.bus.before_append(move || async move {
        clock.advance_to(at(2_000));
        let stolen = store.acquire_lease("poll/municipal-12345", "other", at(2_000), at(2_010)).await.unwrap();
        assert!(stolen.is_some());
    });
    let mut poller = poller(&bench, config());
    assert_eq!(poller.run(&round()).await.unwrap(), Ran::Idle);
    assert_eq!(through(&bench).await, None);
    // Its turn again, it begins anew: the record comes twice rather than not at all.
    bench.set_time(3_000);
    run(&mut poller).await.unwrap();
    assert_eq!(bench.bodies().await, ["one", "one"]);
    assert_eq!(through(&bench).await, Some(at(990)));
}

#[tokio::test]
async fn the_channels_wish_for_patience_reaches_the_driver() {
    let bench = Bench::new().await;
    let wait = Some(Duration::from_secs(17));
    bench.channel.script([Some(RequestError::Throttled { retry_after: wait })]);
    let error = run(&mut poller(&bench, config())).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retry_after), ("throttled", wait));
}

#[tokio::test]
async fn an_undecodable_record_goes_on_with_its_reason_once_and_stops_nothing() {
    let bench = Bench::new().await;
    bench.set_time(1_000);
    bench.channel.put("GZ1", "one", at(990));
    let damaged = RawRecord {
        number: None,
        body: "{\"orderNo".into(),
        updated_at: None,
        undecodable: Some("line 1 column 9".into()),
    };
    bench.channel.put_record(at(995), damaged);
    bench.channel.put("GZ2", "two", at(996));
    let mut poller = poller(&bench, config());
    run(&mut poller).await.unwrap();
    run(&mut poller).await.unwrap();
    let all = bench.raw().await;
    assert_eq!(all.len(), 3);
    let reasons: Vec<_> = all.iter().filter_map(|one| one.undecodable.as_deref()).collect();
    assert_eq!(reasons, ["line 1 column 9"]);
}

#[tokio::test]
async fn a_checkpoint_of_another_program_is_an_error_and_not_a_new_beginning() {
    let bench = Bench::new().await;
    let lease = bench.store.acquire_lease("poll/municipal-12345", "me", at(0), at(30)).await.unwrap().unwrap();
    bench.store.save_checkpoint(&id(), "poll", "{\"page\":7}", &lease, at(0)).await.unwrap();
    assert_eq!(run(&mut poller(&bench, config())).await.unwrap_err().code, "checkpoint");
    assert_eq!(bench.channel.polls(), []);
}
