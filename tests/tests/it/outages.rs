//! The disk full, the store locked: what was answered with 2xx is durable, what is not durable is not answered so, and afterwards everything goes
//! on by itself.

use crate::gateway::{Answer, Gateway, Push, record};
use crate::program::{Scratch, program, send, together, wait_for};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

/// A file system of a few megabytes, mounted over a directory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one, where this process may.
    fn over(dir: &Path) -> Option<Self> {
        std::fs::create_dir_all(dir).expect("a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(dir).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(dir.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still runs there may be ending.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn large(number: &str) -> Push {
    let mut record = record(number);
    record["content"] = serde_json::json!("长".repeat(60_000));
    Push::records(&format!("nonce-{number}"), &[record])
}

fn refused_for_now(answer: &Answer) -> bool {
    let seconds = answer.retry_after.as_deref().and_then(|seconds| seconds.parse::<u64>().ok());
    if answer.status == 503 {
        assert!(seconds.is_some_and(|seconds| seconds > 0), "503 says when to come again: {answer:?}");
    } else {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    answer.status == 503
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_cannot_append_says_so_and_recovers() {
    fills_up_and_recovers(Some("gateway/bus")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_recovered_from() {
    fills_up_and_recovers(Some("gateway")).await;
}

/// The store can't grow either: it fails in the middle of its transactions.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_on_the_size_of_files_is_told_and_recovered_from() {
    fills_up_and_recovers(None).await;
}

/// `small` = what lies on a small disk; otherwise, or without the right to mount, no file may grow.
async fn fills_up_and_recovers(small: Option<&str>) {
    let _machine = together().await;
    let scratch = Scratch::new();
    let disk = small.and_then(|small| SmallDisk::over(&scratch.path(small)));
    let mut gateway = Gateway::prepare_in(scratch, "").await;
    let mut command = Command::new(program());
    if disk.is_none() {
        // Not over 4 MiB. The signal is ignored, so that the write fails as on a full disk.
        command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$0\" \"$@\""]).arg(program());
    }
    gateway.launch(command).await;

    let mut taken = Vec::new();
    let refused = loop {
        let number = format!("GZ{}", taken.len());
        if refused_for_now(&gateway.push(&large(&number)).await) {
            break number;
        }
        taken.push(number);
        assert!(taken.len() < 200, "a small disk took 30 MB");
    };
    assert!(!taken.is_empty(), "it worked before the disk was full");
    let (status, ready) = gateway.ready().await.expect("an answer");
    println!("after {} pushes: readyz {status} {ready}", taken.len());
    assert!(refused_for_now(&gateway.push(&large(&refused)).await), "it stays so while nothing changes");

    match &disk {
        Some(disk) => {
            let mounted = Command::new("mount").args(["-o", "remount,size=256m"]).arg(&disk.0).status();
            assert!(mounted.is_ok_and(|status| status.success()), "the disk grows");
        }
        None => {
            let pid = gateway.pid().to_string();
            let freed = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status();
            assert!(freed.is_ok_and(|status| status.success()), "the limit goes");
        }
    }
    // The peer comes again, as it was told.
    wait_for("recovery", PATIENCE, async || (!refused_for_now(&gateway.push(&large(&refused)).await)).then_some(()))
        .await;
    wait_for("readiness", PATIENCE, async || gateway.ready().await.filter(|(status, _)| *status == 200)).await;
    gateway.settled().await;
    for number in taken.iter().chain([&refused]) {
        gateway.api(&format!("/api/v1/orders/{number}")).await;
    }
    gateway.stop().await;
}

/// Another process that holds the write lock of a database.
pub struct Lock(Child);

impl Lock {
    /// Takes it.
    pub fn take(database: &Path) -> Self {
        let child =
            Command::new("sqlite3").arg("-batch").arg(database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut lock = Self(child.expect("sqlite3 is installed: see deploy/dev/install.sh"));
        let input = lock.0.stdin.as_mut().expect("a pipe");
        input.write_all(b".timeout 30000\nBEGIN EXCLUSIVE;\nSELECT 'locked';\n").expect("sqlite3 reads");
        let output = BufReader::new(lock.0.stdout.as_mut().expect("a pipe"));
        assert!(output.lines().map_while(Result::ok).any(|line| line.trim() == "locked"), "no lock");
        lock
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        send(self.0.id(), rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

/// The 30 s; how long the store stays away is what is tested, so it is a time and no wait.
const LOCKED: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn pushes_are_taken_while_the_store_is_locked() {
    let _machine = together().await;
    let mut gateway = Gateway::start().await;
    assert_eq!(gateway.push(&Push::records("before", &[record("GZ-before")])).await.status, 200);
    gateway.settled().await;

    let lock = Lock::take(&gateway.store());
    let until = Instant::now() + LOCKED;
    let mut pushed = Vec::new();
    let mut reason = None;
    while Instant::now() < until || reason.is_none() {
        let number = format!("GZ{}", pushed.len());
        let answer = gateway.push(&Push::records(&format!("n{number}"), &[record(&number)])).await;
        assert_eq!(answer.status, 200, "webhook intake goes on: {answer:?}");
        pushed.push(number);
        if let Some((503, body)) = gateway.ready().await {
            let reasons = body["reasons"].as_array().expect("reasons").clone();
            assert!(
                reasons
                    .iter()
                    .any(|one| one["part"] == "store" && one["text"].as_str().is_some_and(|text| !text.is_empty())),
                "{body}"
            );
            let status = gateway.json(&["status"]);
            assert!(crate::gateway::codes(&status["warnings"]).contains(&"unready_store"), "{status}");
            reason = Some(body);
        }
        assert!(Instant::now() < until + PATIENCE, "/readyz never said that the store is locked");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    drop(lock);
    println!("{} pushes while locked; {}", pushed.len(), reason.unwrap_or_default());
    wait_for("readiness", PATIENCE, async || gateway.ready().await.filter(|(status, _)| *status == 200)).await;
    wait_for("everything applied", PATIENCE, async || (gateway.inbound("in_flight").await == 0).then_some(())).await;
    for number in &pushed {
        gateway.api(&format!("/api/v1/orders/{number}")).await;
    }
    assert_eq!(gateway.inbound("dead_lettered").await, 0, "consumers stop, and don't dead-letter");
    gateway.stop().await;
}
