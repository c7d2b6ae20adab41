//! What only this engine has: the files of its directory.

use crate::support::Embedded;
use gateway_bus::conformance::{self as suite, BusUnderTest, append_one, fetch_messages, guarded, message, new_topic};
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Appended, Bus, BusError, Guard, NewMessage};
use gateway_model::Clock;
use std::path::PathBuf;
use std::time::Duration;

fn segments(embedded: &Embedded) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&embedded.options.dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|kind| kind == "db"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("segment-")))
        .collect();
    found.sort();
    found
}

async fn reopen_fails(embedded: &Embedded) -> BusError {
    match EmbeddedBus::open(embedded.options.clone(), embedded.clock.clone()).await {
        Ok(_) => panic!("the directory was opened"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_follow_one_another_and_go_as_files() {
    let embedded = Embedded::new();
    let bus = embedded.open_embedded().await;
    let topic = new_topic(&bus, "files", 2).await;
    for number in 0..60_u32 {
        append_one(&bus, &topic, message(&number.to_string(), vec![0; 8_000])).await;
    }
    embedded.pass_time(Duration::from_secs(1800)).await;
    append_one(&bus, &topic, message("key", "kept")).await;
    let before = segments(&embedded);
    assert!(before.len() >= 5, "{before:?}");
    embedded.pass_time(Duration::from_secs(1800)).await;
    let dropped = bus.drop_expired().await.unwrap();
    assert!((40..=60).contains(&dropped), "{dropped}");
    assert_eq!(bus.drop_expired().await.unwrap(), 0, "each is dropped once");
    let after = segments(&embedded);
    assert_eq!(after, before[before.len() - after.len()..], "the oldest went");
    assert!(after.len() <= 2, "what holds nothing but expired messages went: {after:?}");
    let mut consumer = bus.subscribe("files", std::slice::from_ref(&topic)).await.unwrap();
    let fetched = consumer.fetch(100, suite::PATIENCE).await.unwrap();
    assert_eq!(fetched.lost.iter().map(|lost| lost.to - lost.from).sum::<u64>(), dropped);
    let left = fetch_messages(&mut *consumer, 61 - usize::try_from(dropped).unwrap()).await;
    assert!(left.iter().any(|message| message.payload == b"kept"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_bus_forgets_in_time() {
    let mut embedded = Embedded::new();
    embedded.options.segment_seconds = 600;
    let bus = embedded.open_embedded().await;
    let (short, long) = (new_topic(&bus, "quiet", 1).await, new_topic(&bus, "quiet-long", 1).await);
    append_one(&bus, &short, message("key", "x")).await;
    embedded.pass_time(Duration::from_secs(700)).await;
    append_one(&bus, &long, message("key", "x")).await;
    assert_eq!(segments(&embedded).len(), 2, "an old segment is followed by a new one though it is small");
    embedded.pass_time(suite::RETENTION - Duration::from_secs(60)).await;
    assert_eq!(bus.drop_expired().await.unwrap(), 1);
    assert_eq!(segments(&embedded).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_outlives_the_segment_it_was_written_to() {
    let embedded = Embedded::new();
    let bus = embedded.open_embedded().await;
    let topic = new_topic(&bus, "outlive", 1).await;
    let until = embedded.clock.now().checked_add(3 * suite::RETENTION).unwrap();
    let guard = Guard { nonce: "n".to_owned(), digest: [1; 32], until };
    let new = NewMessage { guard: Some(guard), ..message("key", "x") };
    append_one(&bus, &topic, new.clone()).await;
    let bus: std::sync::Arc<dyn Bus> = std::sync::Arc::new(bus);
    embedded.expire(&*bus, &topic).await;
    assert_eq!(segments(&embedded).len(), 1);
    drop(bus);
    let bus = embedded.open_embedded().await;
    assert_eq!(bus.append(&topic, vec![new]).await.unwrap(), vec![Appended::Repeated]);
    assert_eq!(bus.append(&topic, vec![guarded(embedded.now(), "n", 9)]).await.unwrap(), vec![Appended::Conflict]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_has_one_user() {
    let mut embedded = Embedded::new();
    let bus = embedded.open_embedded().await;
    embedded.options.lock_wait_ms = 20;
    assert!(matches!(reopen_fails(&embedded).await, BusError::Unavailable(_)));
    drop(bus);
    embedded.options.lock_wait_ms = 10_000;
    embedded.open_embedded().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_newest_segment_is_made_again() {
    let mut embedded = Embedded::new();
    embedded.options.segment_bytes = 1;
    let bus = embedded.open_embedded().await;
    let topic = new_topic(&bus, "unfinished", 1).await;
    for number in 0..3 {
        assert_eq!(append_one(&bus, &topic, message("key", "x")).await.1, number);
    }
    bus.close().await;
    drop(bus);
    let newest = segments(&embedded).len() as u64;
    // A process that ended between creating the file and committing its tables leaves an empty one.
    std::fs::write(embedded.options.dir.join(format!("segment-{:020}.db", newest + 1)), []).unwrap();
    std::fs::write(embedded.options.dir.join("segment-00000000000000000000.db-wal"), [1]).unwrap();
    let bus = embedded.open_embedded().await;
    assert!(!embedded.options.dir.join("segment-00000000000000000000.db-wal").exists(), "orphans are removed");
    for number in 3..6 {
        assert_eq!(append_one(&bus, &topic, message("key", "x")).await.1, number);
    }
    let mut consumer = bus.subscribe("unfinished", std::slice::from_ref(&topic)).await.unwrap();
    assert_eq!(fetch_messages(&mut *consumer, 6).await[5].offset, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_files_are_damage_and_not_guessed() {
    let mut embedded = Embedded::new();
    embedded.options.segment_bytes = 1;
    let bus = embedded.open_embedded().await;
    let topic = new_topic(&bus, "missing", 1).await;
    for _ in 0..4 {
        append_one(&bus, &topic, message("key", "x")).await;
    }
    let mut consumer = bus.subscribe("missing", std::slice::from_ref(&topic)).await.unwrap();
    let read = fetch_messages(&mut *consumer, 4).await;
    consumer.commit(&suite::behind(&read)).await.unwrap();
    bus.close().await;
    drop((consumer, bus));
    let files = segments(&embedded);
    let kept = embedded.options.dir.join("kept");
    let text = |error: BusError| match error {
        BusError::Damaged { what, .. } => what,
        other => panic!("{other:?}"),
    };

    std::fs::rename(&files[1], &kept).unwrap();
    assert!(text(reopen_fails(&embedded).await).contains("segment 2 is missing"));
    std::fs::rename(&kept, &files[1]).unwrap();

    std::fs::rename(files.last().unwrap(), &kept).unwrap();
    assert!(text(reopen_fails(&embedded).await).contains("a group stands at offset 4"));
    std::fs::rename(&kept, files.last().unwrap()).unwrap();

    let positions = embedded.options.dir.join("positions.db");
    std::fs::rename(&positions, &kept).unwrap();
    assert!(text(reopen_fails(&embedded).await).contains("does not know topic"));
    std::fs::rename(&kept, &positions).unwrap();

    std::fs::copy(&files[1], &kept).unwrap();
    std::fs::write(&files[1], vec![b'x'; 5_000]).unwrap();
    text(reopen_fails(&embedded).await);
    std::fs::rename(&kept, &files[1]).unwrap();
    embedded.open_embedded().await.check().await.unwrap();
}

#[test]
fn options_are_a_config_section() {
    let options: EmbeddedOptions = toml::from_str("dir = \"elsewhere\"\nsegment_bytes = 1000").unwrap();
    assert_eq!(options, EmbeddedOptions { segment_bytes: 1000, ..EmbeddedOptions::in_dir("elsewhere") });
    assert!(toml::from_str::<EmbeddedOptions>("segment_byte = 1000").is_err(), "a misspelt key is told");
}
