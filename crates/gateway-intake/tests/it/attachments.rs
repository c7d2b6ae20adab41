//! Fetching the files that records refer to.

use crate::bench::{Bench, at, id, run};
use crate::channel::Given;
use gateway_connector::RetryPolicy;
use gateway_intake::{AttachmentFetcher, FetchConfig};
use gateway_model::{AttachmentId, AttachmentState, ChannelId, Clock, OrderId, OrderState, RawId};
use gateway_runtime::{Round, Task};
use gateway_store::{
    AttachmentDir, AttachmentRow, AttachmentStore, IngestRequest, IngestStore, IngestWrites, WorkOrderRow,
};
use sha2::Digest as _;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const PICTURE: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01 a picture";
const PROGRAM: &[u8] = b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00 a program of 64 bytes and some more that follow";

fn order() -> OrderId {
    OrderId::new(at(0))
}

struct Files {
    bench: Bench,
    order: OrderId,
    dir: AttachmentDir,
    task: AttachmentFetcher,
}

impl Files {
    /// An order that refers to these files, owed since the beginning.
    async fn owing(references: &[&str]) -> Self {
        let bench = Bench::new().await;
        let order = order();
        let owed: Vec<_> =
            references.iter().map(|reference| AttachmentRow::owed(order, id(), reference, RawId(1), at(0))).collect();
        let row = WorkOrderRow {
            id: order,
            seq: 1,
            feed_seq: 1,
            created_at: at(0),
            changed_at: at(0),
            state: Some(OrderState::Accepted),
            round: 0,
            fields: gateway_model::Fields::new(),
            conflicts: Vec::new(),
        };
        let writes = |_| IngestWrites {
            at: at(0),
            orders: vec![row.clone()],
            attachments: owed.clone(),
            ..IngestWrites::default()
        };
        bench.store.ingest(IngestRequest::default(), &writes).await.unwrap();
        let dir = AttachmentDir::open(bench.dir().join("attachments")).unwrap();
        let retry = RetryPolicy { min_ms: 1_000, max_ms: 4_000, factor: 2.0, jitter: false };
        let config =
            FetchConfig { at_once: 2, claim_ms: 60_000, give_up_after_s: 100, retry, ..FetchConfig::default() };
        let task = AttachmentFetcher::new(bench.intake(), bench.store.clone(), dir.clone(), config).unwrap();
        Self { bench, order, dir, task }
    }

    async fn run_at(&mut self, second: i64) {
        self.bench.set_time(second);
        run(&mut self.task).await.unwrap();
    }

    async fn row(&self, reference: &str) -> AttachmentRow {
        let id = AttachmentId::of(self.order, &ChannelId::new("municipal-12345").unwrap(), reference);
        self.bench.store.attachment(id).await.unwrap().unwrap()
    }

    /// State, code of the failure, attempts, and when it is asked for next.
    async fn told(&self, reference: &str) -> (AttachmentState, Option<String>, u32, Option<i64>) {
        let row = self.row(reference).await;
        let next = row.fetch_at.map(|next| next.as_second() - at(0).as_second());
        (row.state, row.error, row.attempts, next)
    }
}

fn again(code: &str, attempts: u32, next: i64) -> (AttachmentState, Option<String>, u32, Option<i64>) {
    (AttachmentState::Owed, Some(code.into()), attempts, Some(next))
}

fn ended(state: AttachmentState, code: &str, attempts: u32) -> (AttachmentState, Option<String>, u32, Option<i64>) {
    (state, Some(code.into()), attempts, None)
}

#[tokio::test]
async fn what_is_owed_is_fetched_and_kept_by_its_bytes() {
    let mut files = Files::owing(&["p/1.jpg", "p/2.jpg", "p/3.pdf"]).await;
    files.bench.channel.file("p/1.jpg", [Given::Bytes(PICTURE)]);
    files.bench.channel.file("p/2.jpg", [Given::Bytes(PICTURE)]);
    files.bench.channel.file("p/3.pdf", [Given::Bytes(b"%PDF-1.7 a document")]);
    files.run_at(5).await;
    let row = files.row("p/1.jpg").await;
    let digest = row.digest.unwrap();
    assert_eq!(digest.0[..], sha2::Sha256::digest(PICTURE)[..]);
    assert_eq!(std::fs::read(files.dir.path_of(&digest)).unwrap(), PICTURE);
    let expected = AttachmentRow {
        state: AttachmentState::Kept,
        digest: Some(digest),
        size_bytes: PICTURE.len() as u64,
        media_type: Some("image/jpeg".into()),
        attempts: 1,
        fetched_at: Some(at(5)),
        fetch_at: None,
        ..AttachmentRow::owed(files.order, id(), "p/1.jpg", RawId(1), at(0))
    };
    assert_eq!(row, expected);
    assert_eq!(files.row("p/2.jpg").await.digest, Some(digest), "the same bytes are one file");
    assert_eq!(files.row("p/3.pdf").await.media_type.as_deref(), Some("application/pdf"));
    assert_eq!(files.bench.store.attachment_tallies().await.unwrap(), [(id(), AttachmentState::Kept, 3)]);
    assert_eq!(files.bench.channel.asked(), 3);
    files.run_at(500).await;
    assert_eq!(files.bench.channel.asked(), 0, "nothing is asked for twice");
}

#[tokio::test]
async fn a_file_that_comes_later_is_asked_for_until_it_does_and_one_that_never_comes_is_missing() {
    let mut files = Files::owing(&["late", "lost", "page"]).await;
    files.bench.channel.file("late", [Given::NotThere, Given::NotThere, Given::Bytes(PICTURE)]);
    files.bench.channel.file("page", [Given::Bytes(b"<!DOCTYPE html><html>not found</html>"); 9]);
    files.run_at(0).await;
    assert_eq!(files.told("late").await, again("attachment_not_there", 1, 1));
    assert_eq!(files.told("lost").await, again("attachment_not_there", 1, 1));
    assert_eq!(files.told("page").await, again("attachment_no_file", 1, 1));
    files.run_at(1).await;
    assert_eq!(files.told("lost").await, again("attachment_not_there", 2, 3), "the waits grow");
    files.run_at(3).await;
    assert_eq!(files.row("late").await.state, AttachmentState::Kept);
    files.run_at(99).await;
    assert_eq!(files.told("lost").await, again("attachment_not_there", 4, 103));
    files.run_at(103).await;
    assert_eq!(files.told("lost").await, ended(AttachmentState::Missing, "attachment_not_there", 5));
    assert_eq!(files.told("page").await, ended(AttachmentState::Missing, "attachment_no_file", 5));
    files.bench.channel.asked();
    files.run_at(5_000).await;
    assert_eq!(files.bench.channel.asked(), 0);

    // A person asks again, and now it is there.
    files.bench.channel.file("lost", [Given::Bytes(PICTURE)]);
    assert!(files.bench.store.fetch_attachment_again(files.row("lost").await.id, false, at(5_000)).await.unwrap());
    files.run_at(5_000).await;
    assert_eq!(files.row("lost").await.state, AttachmentState::Kept);
}

#[tokio::test]
async fn nothing_is_given_up_while_the_channel_is_in_trouble() {
    let mut files = Files::owing(&["one", "two"]).await;
    files.bench.channel.file("one", [Given::Down, Given::Down, Given::Refused]);
    files.bench.channel.file("two", [Given::Throttled(30), Given::Bytes(PICTURE)]);
    files.run_at(0).await;
    assert_eq!(files.told("one").await, again("unavailable", 1, 1));
    assert_eq!(files.told("two").await, again("throttled", 1, 30), "the channel's wish is the least");
    files.run_at(200).await;
    assert_eq!(files.told("one").await, again("unavailable", 2, 202));
    assert_eq!(files.row("two").await.state, AttachmentState::Kept);
    files.run_at(900).await;
    assert_eq!(files.told("one").await, again("unauthorized", 3, 904));
}

#[tokio::test]
async fn what_is_not_taken_is_told_at_once() {
    let mut files = Files::owing(&["large", "http://10.0.0.1/admin", "program"]).await;
    files.bench.channel.file("large", [Given::TooLarge]);
    files.bench.channel.file("http://10.0.0.1/admin", [Given::Address]);
    files.bench.channel.file("program", [Given::Bytes(PROGRAM)]);
    files.run_at(0).await;
    assert_eq!(files.told("large").await, ended(AttachmentState::Refused, "attachment_too_large", 1));
    assert_eq!(files.told("http://10.0.0.1/admin").await, ended(AttachmentState::Refused, "attachment_address", 1));
    assert_eq!(files.told("program").await, ended(AttachmentState::Refused, "attachment_type", 1));
}

#[tokio::test]
async fn bytes_that_cannot_be_written_are_fetched_again() {
    let mut files = Files::owing(&["one"]).await;
    files.bench.channel.file("one", [Given::Bytes(PICTURE), Given::Bytes(PICTURE)]);
    // In place of the directory that the file would go into stands a file.
    let path = files.dir.path_of(&gateway_model::Digest(sha2::Sha256::digest(PICTURE).into()));
    std::fs::write(path.parent().unwrap(), b"in the way").unwrap();
    files.run_at(0).await;
    assert_eq!(files.told("one").await, again("attachment_not_written", 1, 1));
    std::fs::remove_file(path.parent().unwrap()).unwrap();
    files.run_at(1).await;
    assert_eq!(files.row("one").await.state, AttachmentState::Kept);
    assert_eq!(std::fs::read(path).unwrap(), PICTURE);
}

#[tokio::test]
async fn who_stops_in_the_middle_gives_back_what_was_not_fetched() {
    let mut files = Files::owing(&["slow", "quick"]).await;
    let (begun, never) = files.bench.channel.slow_file("slow");
    files.bench.channel.file("quick", [Given::Bytes(PICTURE)]);
    let stopping = CancellationToken::new();
    let round = Round { stopping: stopping.clone() };
    let store = files.bench.store.clone();
    let quick = files.row("quick").await.id;
    let stop = async {
        begun.notified().await;
        // The quick one is written down while the slow one goes on.
        while store.attachment(quick).await.unwrap().unwrap().state != AttachmentState::Kept {
            tokio::task::yield_now().await;
        }
        stopping.cancel();
    };
    let (ran, ()) = tokio::join!(files.task.run(&round), stop);
    ran.unwrap();
    drop(never);
    let row = files.row("slow").await;
    assert_eq!((row.state, row.fetch_at), (AttachmentState::Owed, Some(files.bench.clock.now())), "at once again");
    // Another process takes it.
    files.bench.channel.file("slow", [Given::Bytes(PICTURE)]);
    files.run_at(1).await;
    assert_eq!(files.row("slow").await.state, AttachmentState::Kept);
}

#[tokio::test]
async fn a_channel_without_files_has_no_fetcher() {
    let bench = Bench::new().await;
    let dir = AttachmentDir::open(bench.dir().join("attachments")).unwrap();
    let mut intake = bench.intake();
    intake.connector = Arc::new(crate::channel::FakeChannel::without_files(bench.clock.clone()));
    assert!(AttachmentFetcher::new(intake, bench.store.clone(), dir, FetchConfig::default()).is_none());
}
