//! No room: `append` says so, nothing is half there, and it works again by itself when there is room.
//!
//! A file size limit works everywhere and needs no rights; where this process may mount, the same is shown on a file system that is really full.

use crate::child::{part, spawn};
use crate::support::Embedded;
use gateway_bus::conformance::{message, new_topic, place, verify_reported};
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Appended, Bus, BusError, TopicName};
use gateway_model::SystemClock;
use rand::{RngExt, SeedableRng};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// Appends with a running number and keeps book of what was acknowledged.
struct Appender {
    bus: EmbeddedBus,
    topic: TopicName,
    sent: usize,
    reported: Vec<String>,
}

impl Appender {
    async fn new(options: EmbeddedOptions) -> Self {
        let bus = EmbeddedBus::open(options, Arc::new(SystemClock)).await.unwrap();
        let topic = new_topic(&bus, "full", 2).await;
        Self { bus, topic, sent: 0, reported: Vec::new() }
    }

    /// Appends one message of this size; a failure must be `Unavailable`.
    async fn append(&mut self, bytes: usize) -> Result<(), BusError> {
        self.sent += 1;
        let mut payload = format!("{:0>1$}", self.sent, bytes.max(20));
        payload.truncate(bytes.max(20));
        let result = self.bus.append(&self.topic, vec![message(&self.sent.to_string(), payload.clone())]).await;
        match result {
            Ok(appended) => {
                let (partition, offset) = place(appended[0]);
                self.reported.push(format!("{partition} {offset} {payload}"));
                Ok(())
            }
            Err(error @ BusError::Unavailable(_)) => Err(error),
            Err(error) => panic!("a full disk is no reason for {error:?}"),
        }
    }

    /// Appends until there is no room, and returns how many fitted.
    async fn fill(&mut self, bytes: usize) -> usize {
        for fitted in 0..10_000 {
            if self.append(bytes).await.is_err() {
                return fitted;
            }
        }
        panic!("10,000 messages of {bytes} bytes fitted");
    }

    /// Everything acknowledged is there, now and after reopening; what failed may be there, but whole and in its place.
    async fn verify(self, options: EmbeddedOptions) {
        verify_reported(&self.bus, &self.topic, "now", &self.reported).await;
        drop(self.bus);
        let bus = EmbeddedBus::open(options, Arc::new(SystemClock)).await.unwrap();
        let count = verify_reported(&bus, &self.topic, "reopened", &self.reported).await;
        assert!(count >= self.reported.len() && count <= self.sent);
    }
}

fn limit_files(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// The child of `recovers_when_files_may_grow_again`: does nothing unless that starts it.
#[test]
fn child_fills_up() {
    let Some((dir, seed)) = part() else { return };
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        // Checkpoints now and then, and new segments, so that each of them meets the limit.
        let options =
            EmbeddedOptions { segment_bytes: 2 << 20, checkpoint_bytes: 64 << 10, ..EmbeddedOptions::in_dir(&dir) };
        let mut appender = Appender::new(options.clone()).await;
        let mut failures = 0;
        for _ in 0..12 {
            for _ in 0..random.random_range(0..40) {
                appender.append(random.random_range(20..4_000)).await.unwrap();
            }
            // Below the size of a segment, so that none can be filled.
            limit_files(Some(random.random_range(60_000..500_000)));
            appender.fill(random.random_range(1_000..40_000)).await;
            if appender.bus.check().await.is_err() {
                failures += 1;
                let count = appender.reported.len();
                let group = format!("while-full-{failures}");
                assert!(verify_reported(&appender.bus, &appender.topic, &group, &appender.reported).await >= count);
            }
            limit_files(None);
            appender.append(100).await.expect("there is room again");
            appender.bus.check().await.expect("there is room again");
        }
        assert!(failures > 0, "check never said that there was no room");
        appender.verify(options).await;
    });
}

#[test]
fn recovers_when_files_may_grow_again() {
    let seed = rand::random();
    println!("seed {seed}");
    let embedded = Embedded::new();
    let child = spawn("full_disk::child_fills_up", &embedded.options.dir, seed);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A file system of its own; gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(mebibytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(dir))
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovers_when_the_disk_has_room_again() {
    let Some(disk) = SmallDisk::new(4) else {
        println!(
            "may not mount a file system here; recovers_when_files_may_grow_again shows the same by a file size limit"
        );
        return;
    };
    let options = EmbeddedOptions::in_dir(disk.path().join("bus"));
    let filler = disk.path().join("filler");
    let mut appender = Appender::new(options.clone()).await;
    for round in 0..3 {
        appender.append(5_000).await.unwrap();
        // Whatever is left goes to someone else.
        let mut bytes = 4 << 20;
        while bytes > 0 {
            let mut file = std::fs::File::options().append(true).create(true).open(&filler).unwrap();
            if std::io::Write::write_all(&mut file, &vec![1; bytes]).is_err() {
                bytes /= 2;
            }
        }
        let fitted = appender.fill(20_000).await;
        assert!(
            appender.bus.check().await.is_err(),
            "round {round}: {fitted} fitted, then none, and check says that all is well"
        );
        std::fs::remove_file(&filler).unwrap();
        appender.append(20_000).await.expect("there is room again");
        appender.bus.check().await.expect("there is room again");
    }
    appender.verify(options).await;
}

/// A failure tells everyone who was in the transaction, and whoever comes after room was made is served, though many waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_can_never_fit_is_refused_at_once() {
    let mut embedded = Embedded::new();
    embedded.options.message_bytes = 10_000;
    let bus = embedded.open_embedded().await;
    let topic = new_topic(&bus, "large", 1).await;
    let refused = bus.append(&topic, vec![message("key", vec![0; 10_000])]).await;
    assert!(matches!(refused, Err(BusError::Refused { .. })), "{refused:?}");
    // Larger than the whole queue, but of messages that are allowed.
    let many = (0..100).map(|_| message("key", vec![0; 9_000])).collect::<Vec<_>>();
    assert!(many.len() * 9_000 > embedded.options.queue_bytes as usize);
    let appended = bus.append(&topic, many).await.unwrap();
    assert_eq!(appended.last(), Some(&Appended::At { partition: 0, offset: 99 }));
}
