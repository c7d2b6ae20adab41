//! Rereading and backfilling.

use crate::bench::{Bench, at, id, run};
use crate::channel::down;
use bytes::Bytes;
use gateway_bus::TopicName;
use gateway_connector::{RawRecord, RetryPolicy};
use gateway_intake::{BackfillConfig, Backfiller, RereadConfig, Rereader};
use gateway_model::Origin;
use gateway_store::{JobKind, JobStore, NewJob};

const RETRY: RetryPolicy = RetryPolicy { min_ms: 1_000, max_ms: 1_000, factor: 1.0, jitter: false };

async fn enqueue(bench: &Bench, kind: JobKind, subjects: &[&str]) {
    enqueue_for(bench, kind, "test", subjects).await;
}

async fn enqueue_for(bench: &Bench, kind: JobKind, reason: &str, subjects: &[&str]) {
    let job = |subject: &&str| NewJob {
        kind,
        channel: id(),
        subject: (*subject).to_owned(),
        reason: reason.into(),
        run_at: at(0),
    };
    bench.store.enqueue(&subjects.iter().map(job).collect::<Vec<_>>()).await.unwrap();
}

async fn waiting(bench: &Bench) -> u64 {
    bench.store.job_tallies().await.unwrap().iter().map(|(_, _, count)| count).sum()
}

fn rereader(bench: &Bench) -> Rereader {
    let config = RereadConfig { retry: RETRY, ..RereadConfig::default() };
    Rereader::new(bench.intake(), bench.store.clone(), config).unwrap()
}

#[tokio::test]
async fn orders_are_read_again_in_batches_and_an_unknown_one_is_done() {
    let bench = Bench::new().await;
    bench.set_time(10);
    for n in 0..4 {
        bench.channel.put(&format!("GZ{n}"), &format!("v{n}"), at(1));
    }
    enqueue(&bench, JobKind::Reread, &["GZ0", "GZ1", "GZ2", "GZ3", "GZ404"]).await;
    run(&mut rereader(&bench)).await.unwrap();
    assert_eq!(bench.bodies().await, ["v0", "v1", "v2", "v3"]);
    assert!(bench.raw().await.iter().all(|one| one.origin == Origin::Reread && one.read_at == at(10)));
    assert_eq!(bench.channel.fetched().iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(waiting(&bench).await, 0);
}

/// (number, origin, bytes) of what went on the bus, by number and in the order of the bus within one.
async fn words(bench: &Bench) -> Vec<(String, Origin, usize)> {
    let raw = bench.raw().await.into_iter();
    let mut words: Vec<_> = raw.map(|one| (one.number.unwrap().to_string(), one.origin, one.payload.len())).collect();
    words.sort_by(|one, other| one.0.cmp(&other.0));
    words
}

#[tokio::test]
async fn an_order_that_an_account_denied_and_the_answer_lacks_is_absent() {
    let bench = Bench::new().await;
    bench.set_time(10);
    bench.channel.put("GZ1", "v1", at(1));
    enqueue_for(&bench, JobKind::Reread, "gap_denied_by_source", &["GZ1", "GZ2"]).await;
    enqueue_for(&bench, JobKind::Reread, "tie", &["GZ3"]).await;
    run(&mut rereader(&bench)).await.unwrap();
    let record = ("GZ1".to_owned(), Origin::Reread, 2);
    let absent = |number: &str| (number.to_owned(), Origin::Absent, 0);
    assert_eq!(
        words(&bench).await,
        [record.clone(), absent("GZ2")],
        "an empty answer to a mere question is not believed"
    );
    assert!(bench.raw().await.iter().all(|one| one.read_at == at(10)), "the time of the request");
    assert_eq!(waiting(&bench).await, 0);

    // A channel that gives every order of a number says with the one record that there is no other.
    bench.channel.tell_every_day();
    enqueue_for(&bench, JobKind::Reread, "gap_denied_by_source", &["GZ1"]).await;
    run(&mut rereader(&bench)).await.unwrap();
    assert_eq!(words(&bench).await, [record.clone(), record, absent("GZ1"), absent("GZ2")]);
}

#[tokio::test]
async fn a_damaged_answer_denies_nothing() {
    let bench = Bench::new().await;
    let damaged = RawRecord {
        number: None,
        body: Bytes::from_static(b"x"),
        updated_at: None,
        undecodable: Some("no number".into()),
    };
    bench.channel.put_record(at(1), damaged);
    enqueue_for(&bench, JobKind::Reread, "gap_denied_by_source", &["GZ2"]).await;
    run(&mut rereader(&bench)).await.unwrap();
    assert!(bench.raw().await.iter().all(|one| one.origin == Origin::Reread));
    assert_eq!(waiting(&bench).await, 1);
}

#[tokio::test]
async fn a_job_is_done_only_when_the_word_of_the_channel_is_durable() {
    let bench = Bench::new().await;
    bench.channel.put("GZ1", "one", at(1));
    enqueue(&bench, JobKind::Reread, &["GZ1"]).await;
    let mut rereader = rereader(&bench);

    bench.channel.script([down()]);
    assert_eq!(run(&mut rereader).await.unwrap_err().code, "unavailable");
    run(&mut rereader).await.unwrap();
    assert_eq!((bench.raw().await.len(), waiting(&bench).await), (0, 1), "not before its time");

    bench.set_time(2);
    bench.bus.fail_after(0);
    assert_eq!(run(&mut rereader).await.unwrap_err().code, "bus_unavailable");
    bench.bus.recover();
    // The claim of the failed append runs out.
    bench.set_time(100);
    run(&mut rereader).await.unwrap();
    assert_eq!((bench.bodies().await, waiting(&bench).await), (vec!["one".to_owned()], 0));
}

#[tokio::test]
async fn what_was_claimed_and_not_reached_does_not_wait_for_the_end_of_the_claim() {
    let bench = Bench::new().await;
    let numbers = ["GZ1", "GZ2", "GZ3"];
    numbers.iter().for_each(|number| bench.channel.put(number, number, at(1)));
    enqueue(&bench, JobKind::Reread, &numbers).await;
    let mut rereader = rereader(&bench);
    bench.channel.script([down()]);
    run(&mut rereader).await.unwrap_err();
    // Now they are asked for one by one, and the first is refused again.
    bench.set_time(5);
    bench.channel.script([down()]);
    run(&mut rereader).await.unwrap_err();
    bench.set_time(10);
    run(&mut rereader).await.unwrap();
    assert_eq!((bench.bodies().await.len(), waiting(&bench).await), (3, 0));
}

#[tokio::test]
async fn a_damaged_answer_does_not_make_a_number_unknown() {
    let bench = Bench::new().await;
    let damaged = RawRecord {
        number: None,
        body: Bytes::from_static(b"{"),
        updated_at: None,
        undecodable: Some("cut off".into()),
    };
    bench.channel.put_record(at(1), damaged);
    bench.channel.put("GZ2", "two", at(1));
    enqueue(&bench, JobKind::Reread, &["GZ1", "GZ2"]).await;
    run(&mut rereader(&bench)).await.unwrap();
    assert_eq!(bench.bodies().await, ["two", "{"], "the bytes are kept");
    assert_eq!(waiting(&bench).await, 1, "GZ1 is asked for again");
}

#[tokio::test]
async fn a_window_is_fetched_page_by_page_beside_the_live_records() {
    let bench = Bench::new().await;
    bench.set_time(500);
    for n in 0..5 {
        bench.channel.put(&format!("GZ{n}"), &format!("v{n}"), at(n * 100));
    }
    let window = format!("acceptance {} {}", at(100), at(400));
    enqueue(&bench, JobKind::Backfill, &[&window, "nonsense"]).await;
    bench.channel.script([None, down()]);
    let config = BackfillConfig { retry: RETRY, ..BackfillConfig::default() };
    let mut backfiller = Backfiller::new(bench.intake(), bench.store.clone(), config).unwrap();
    assert_eq!(run(&mut backfiller).await.unwrap_err().code, "unavailable");
    assert_eq!(waiting(&bench).await, 2);
    run(&mut backfiller).await.unwrap();
    let fetched = bench.on(TopicName::raw_backfill(&id())).await;
    assert_eq!(fetched.len(), 3, "the end of the window is not inside, the first page came once");
    assert!(fetched.iter().all(|one| one.origin == Origin::Backfill));
    assert_eq!((bench.raw().await.len(), waiting(&bench).await), (0, 0));
}
