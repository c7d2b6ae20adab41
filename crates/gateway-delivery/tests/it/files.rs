//! Files over a front-end box: what is written, which receipts count, and what they do; the same in a shared directory and on a real OpenSSH server.

use crate::bench::{Bench, at, config, id, number, round, run};
use crate::sshd::Sshd;
use gateway_connector::wire::{Kind, ProfileSource, connect};
use gateway_connector::{Connector, Credentials, Secret};
use gateway_delivery::files::{FILES_CHECKPOINT, FileExchange, FilesConfig, FilesDeps, FilesState, SftpConfig};
use gateway_delivery::{DeliveryWorker, Origins};
use gateway_model::{ChannelId, Clock, DeliveryId, DeliveryState, Operation};
use gateway_runtime::{Ran, Task};
use gateway_store::{DeliveryStore, JobKind, JobStore, LeaseStore, NewJob};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PROVINCE: Kind = Kind {
    name: "provincial-12328",
    default_profile: include_str!("../../../../connectors/provincial-12328/profiles/default.toml"),
};
const RECORD: &str = r#"{"orderNo":"X1","createTime":"2026-09-21 10:00:00","updateTime":"2026-09-21 10:00:00","orderType":"2",
    "completions":[{"round":0,"replyContent":"已处理，\"满意\"，路径 C:\\","replyTime":"2026-09-21 11:00:00"}]}"#;

struct Exchange {
    bench: Bench,
    task: FileExchange,
    dir: tempfile::TempDir,
    /// Where the box is reached over SFTP.
    sshd: Option<Sshd>,
}

/// Where a box is.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Directory,
    Server,
}

/// Every test of a box, for either.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod directory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::At::Directory).await;
            })*
        }
        mod server {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::At::Server).await;
            })*
        }
    };
}

on_both! {
    a_batch_is_whole_and_a_receipt_proves_or_reopens_row_by_row
    a_receipt_that_is_not_whole_changes_nothing_and_is_told_why
    a_row_that_is_refused_in_every_receipt_is_left_to_a_person
    a_kill_in_the_middle_of_a_receipt_counts_nothing_twice
    a_kill_between_answer_and_end_settles_the_receipt_once
    a_receipt_of_many_pieces_is_read_whole
    what_is_old_is_dropped
}

fn sftp(sshd: &Sshd) -> SftpConfig {
    SftpConfig {
        host: "127.0.0.1".to_owned(),
        port: sshd.port(),
        user: Sshd::user(),
        key_file: Some(sshd.path("user_key")),
        secret_file: None,
        known_hosts_file: sshd.path("known_hosts"),
        timeout_ms: 60_000,
        options: Vec::new(),
    }
}

fn province(clock: Arc<dyn Clock>) -> Arc<dyn Connector> {
    let secret = || Secret::new("a secret of the tests");
    let credentials = Credentials { app_id: "app".into(), request_secret: secret(), webhook_secrets: vec![secret()] };
    connect(PROVINCE, id(), &ProfileSource::Default, "http://127.0.0.1:1", credentials, clock).unwrap()
}

/// Three orders, forwarded and acknowledged.
async fn exchange(place: At) -> Exchange {
    let bench = Bench::new().await;
    let connector = province(bench.clock.clone());
    let origins = Arc::new(Origins::new([(ChannelId::new("desk").unwrap(), connector.clone())]));
    for order in 1..=3 {
        bench.owe_body(order, Operation::Forward, RECORD.into(), Some(number(order))).await;
    }
    let mut deps = bench.deps();
    deps.origins = origins;
    run(&mut DeliveryWorker::new(deps, "me", config()).unwrap()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let sshd = (place == At::Server).then(|| Sshd::start(""));
    let config = FilesConfig { sftp: sshd.as_ref().map(sftp), ..FilesConfig::new(dir.path().to_path_buf()) };
    let task = task(&bench, config);
    Exchange { bench, task, dir, sshd }
}

fn task(bench: &Bench, config: FilesConfig) -> FileExchange {
    let connector = province(bench.clock.clone());
    let deps = FilesDeps {
        channel: id(),
        connector: connector.clone(),
        deliveries: bench.deliveries.clone(),
        jobs: bench.store.clone(),
        leases: bench.store.clone(),
        clock: bench.clock.clone(),
        origins: Arc::new(Origins::new([(ChannelId::new("desk").unwrap(), connector)])),
    };
    FileExchange::new(deps, "me", config).unwrap()
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let (text, _, wrong) = encoding_rs::GB18030.decode(&bytes);
    assert!(!wrong);
    text.into_owned()
}

impl Exchange {
    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn rest(&mut self) {
        while self.task.run(&round()).await.unwrap() == Ran::Busy {}
    }

    /// Has a whole batch written.
    async fn write_batch(&mut self) {
        let job = NewJob {
            kind: JobKind::Export,
            channel: id(),
            subject: "whole".into(),
            reason: "asked".into(),
            run_at: at(0),
        };
        self.bench.store.enqueue(&[job]).await.unwrap();
        self.rest().await;
    }

    /// The name and lines of the file of completions.
    async fn export(&mut self) -> (String, Vec<String>) {
        self.write_batch().await;
        let names = std::fs::read_dir(self.folder("upload")).unwrap();
        let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let name = names.into_iter().rfind(|name| name.starts_with("completion_")).unwrap();
        let lines = text(&self.folder("upload").join(&name)).split_terminator("\r\n").map(str::to_owned).collect();
        (name, lines)
    }

    fn receipt(&self, name: &str, body: &str, rows: usize, digest: Option<&str>) {
        use sm3::Digest as _;
        std::fs::create_dir_all(self.folder("receipt")).unwrap();
        let bytes = encoding_rs::GB18030.encode(body).0.into_owned();
        let digest = digest.map_or_else(|| hex::encode(sm3::Sm3::digest(&bytes)), str::to_owned);
        std::fs::write(self.folder("receipt").join(format!("{name}.csv")), bytes).unwrap();
        let ready = format!("\"fileName\",\"rows\",\"digest\"\r\n\"{name}.csv\",\"{rows}\",\"{digest}\"\r\n");
        std::fs::write(self.folder("receipt").join(format!("{name}.ok")), ready).unwrap();
    }

    fn answer(&self, name: &str) -> String {
        text(&self.folder("upload").join(format!("answer_{name}.csv")))
    }

    async fn state(&self) -> FilesState {
        let text = self.bench.store.checkpoint(&id(), FILES_CHECKPOINT).await.unwrap().unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

const HEAD: &str = "\"fileName\",\"rowKey\",\"verdict\",\"code\",\"message\"\r\n";

fn row(file: &str, line: &str, verdict: &str) -> String {
    let key = line.split('"').nth(1).unwrap();
    format!("\"{file}\",\"{key}\",\"{verdict}\",\"c1\",\"核对\"\r\n")
}

async fn a_batch_is_whole_and_a_receipt_proves_or_reopens_row_by_row(place: At) {
    let mut exchange = exchange(place).await;
    let (file, lines) = exchange.export().await;
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], r#""rowKey","orderNo","round","replyContent","replyTime","replyUnit""#);
    assert!(lines[1].ends_with(r#","GZ1","0","已处理，\"满意\"，路径 C:\\","2026-09-21 11:00:00","""#), "{}", lines[1]);
    let manifest = text(&exchange.folder("upload").join(file.replace("completion", "manifest")));
    assert_eq!(manifest.lines().count(), 4, "{manifest}");
    assert!(manifest.contains(&format!("\"{file}\",\"completion\",\"whole\",\"3\",\"SM3\",\"")), "{manifest}");

    let body =
        HEAD.to_owned() + &row(&file, &lines[1], "0") + &row(&file, &lines[2], "1") + &row(&file, &lines[3], "0");
    exchange.receipt("receipt_1", &body, 3, None);
    exchange.rest().await;
    let states = [1, 2, 3].map(DeliveryId);
    let mut found = Vec::new();
    for id in states {
        let row = exchange.bench.row(id).await;
        found.push((row.state, row.generation));
    }
    let held = (DeliveryState::Acknowledged, 1);
    assert_eq!(found, [held, (DeliveryState::Owed, 2), held]);
    assert_eq!(exchange.bench.row(DeliveryId(2)).await.reason_code.as_deref(), Some("file_row_rejected"));
    assert!(exchange.answer("receipt_1").contains("\"receipt_1.csv\",\"0\""));
    let state = exchange.state().await;
    let told = state.batches[0].files.iter().find(|told| told.name == file).unwrap();
    assert_eq!((told.rows, told.accepted, told.rejected, told.reopened), (3, 2, 1, 1));

    // The same file again is one, under its name and under another.
    for name in ["receipt_1", "receipt_2"] {
        exchange.receipt(name, &body, 3, None);
        exchange.rest().await;
        assert_eq!(exchange.bench.row(DeliveryId(2)).await.generation, 2);
    }
    assert_eq!((exchange.state().await.receipts_again, exchange.state().await.receipts_applied), (1, 2));
}

async fn a_receipt_that_is_not_whole_changes_nothing_and_is_told_why(place: At) {
    let mut exchange = exchange(place).await;
    let (file, lines) = exchange.export().await;
    let body = HEAD.to_owned() + &row(&file, &lines[1], "1");
    let torn = &body[..body.len() - 3];
    let few = format!("{HEAD}\"{file}\",\"x\"\r\n");
    let other = body.replace(&file, "completion_19990101000000.csv");
    let word = body.replace("\"1\",\"c1\"", "\"maybe\",\"c1\"");
    for (name, body, rows, digest, code) in [
        ("receipt_torn", torn, 1, None, "\"torn\",\"line 2:"),
        ("receipt_digest", body.as_str(), 1, Some("00"), "\"digest_mismatch\""),
        ("receipt_count", body.as_str(), 2, None, "\"wrong_count\""),
        ("receipt_columns", few.as_str(), 1, None, "\"wrong_columns\",\"line 2:"),
        ("receipt_other", other.as_str(), 1, None, "\"unknown_file\""),
        ("receipt_word", word.as_str(), 1, None, "\"wrong_verdict\",\"line 2:"),
        ("receipt_head", "", 0, None, "\"wrong_columns\""),
    ] {
        exchange.receipt(name, body, rows, digest);
        exchange.rest().await;
        let answer = exchange.answer(name);
        assert!(answer.contains(&format!("\"{name}.csv\",\"2\",{code}")), "{answer}");
        assert!(exchange.folder("receipt/quarantine").join(format!("{name}.csv")).exists());
    }
    assert_eq!(exchange.state().await.receipts_refused, 7);

    // Without the file beside it a receipt is not whole; one that names another file, and a link, lead nowhere.
    std::fs::write(exchange.folder("receipt").join("receipt_half.csv"), &body).unwrap();
    std::fs::write(exchange.folder("receipt").join("receipt_name.csv"), &body).unwrap();
    let ready = "\"fileName\",\"rows\",\"digest\"\r\n\"../../store.db\",\"1\",\"00\"\r\n";
    std::fs::write(exchange.folder("receipt").join("receipt_name.ok"), ready).unwrap();
    std::fs::write(exchange.folder("receipt").join("receipt_link.ok"), ready).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", exchange.folder("receipt").join("receipt_link.csv")).unwrap();
    exchange.rest().await;
    assert!(exchange.answer("receipt_name").contains("\"wrong_name\""));
    for left in ["receipt_half.csv", "receipt_link.csv", "receipt_link.ok"] {
        assert!(std::fs::symlink_metadata(exchange.folder("receipt").join(left)).is_ok(), "{left}");
    }
    assert_eq!(exchange.bench.row(DeliveryId(1)).await.generation, 1);

    // A file that they could not use is written again.
    exchange.receipt("receipt_again", &format!("{HEAD}\"{file}\",\"\",\"2\",\"digest\",\"\"\r\n"), 1, None);
    exchange.rest().await;
    let batches = exchange.state().await.batches;
    assert_eq!(batches.len(), 2);
    assert_eq!(batches[1].scope, "whole");
}

impl Exchange {
    /// What the worker does until nothing is owed any more.
    async fn send(&self) {
        let mut deps = self.bench.deps();
        let connector = province(self.bench.clock.clone());
        deps.origins = Arc::new(Origins::new([(ChannelId::new("desk").unwrap(), connector)]));
        run(&mut DeliveryWorker::new(deps, "me", config()).unwrap()).await.unwrap();
    }

    /// Another process in the place of this one, by the same name.
    fn restart(&mut self, page_rows: u32) {
        let sftp = self.sshd.as_ref().map(sftp);
        let config = FilesConfig { page_rows, sftp, ..FilesConfig::new(self.dir.path().to_path_buf()) };
        self.task = task(&self.bench, config);
    }
}

async fn a_row_that_is_refused_in_every_receipt_is_left_to_a_person(place: At) {
    let mut exchange = exchange(place).await;
    let most = FilesConfig::new(PathBuf::from("box")).max_generations;
    for generation in 1..=most + 1 {
        let (file, lines) = exchange.export().await;
        let name = format!("receipt_{generation}");
        let refused = row(&file, lines.iter().find(|line| line.starts_with("\"d2-")).unwrap(), "1");
        exchange.receipt(&name, &(HEAD.to_owned() + &refused), 1, None);
        exchange.rest().await;
        exchange.send().await;
        let found = exchange.bench.row(DeliveryId(2)).await;
        let state = if generation < most { DeliveryState::Acknowledged } else { DeliveryState::Rejected };
        assert_eq!((found.state, found.generation), (state, (generation + 1).min(most)), "{found:?}");
    }
    let left = exchange.bench.row(DeliveryId(2)).await;
    assert_eq!(left.reason_code.as_deref(), Some("refused_again_and_again"));
    assert!(left.reason.as_deref().is_some_and(|reason| reason.contains("c1: 核对")), "{left:?}");
    let stopped = |state: &FilesState| -> u64 {
        state.batches.iter().flat_map(|batch| &batch.files).map(|file| file.stopped).sum()
    };
    assert_eq!(stopped(&exchange.state().await), 2, "told again, and left where it is");

    // A person's word, and the receipt that it is there now.
    exchange.bench.store.redeliver(DeliveryId(2), exchange.bench.clock.now()).await.unwrap();
    exchange.send().await;
    let (file, lines) = exchange.export().await;
    let held = row(&file, lines.iter().find(|line| line.starts_with("\"d2-")).unwrap(), "0");
    exchange.receipt("receipt_held", &(HEAD.to_owned() + &held), 1, None);
    exchange.rest().await;
    assert_eq!(exchange.bench.row(DeliveryId(2)).await.state, DeliveryState::Acknowledged);
}

async fn a_kill_in_the_middle_of_a_receipt_counts_nothing_twice(place: At) {
    for killed_at in 1..=3 {
        let mut exchange = exchange(place).await;
        let (file, lines) = exchange.export().await;
        let rows = row(&file, &lines[1], "1") + &row(&file, &lines[2], "0") + &row(&file, &lines[3], "1");
        exchange.receipt("receipt_1", &(HEAD.to_owned() + &rows), 3, None);
        exchange.restart(1);
        exchange.bench.deliveries.kill_at_verdicts(killed_at);
        assert!(exchange.task.run(&round()).await.is_err(), "killed at {killed_at}");
        exchange.restart(1);
        exchange.rest().await;
        let state = exchange.state().await;
        let told = state.batches[0].files.iter().find(|told| told.name == file).unwrap();
        assert_eq!((told.accepted, told.rejected, told.reopened), (1, 2, 2), "killed at {killed_at}");
        assert_eq!((state.receipts_applied, state.receipts_again, state.receipts_refused), (1, 0, 0));
        for (id, generation) in [(1, 2), (2, 1), (3, 2)] {
            assert_eq!(exchange.bench.row(DeliveryId(id)).await.generation, generation, "killed at {killed_at}");
        }
    }
}

async fn a_kill_between_answer_and_end_settles_the_receipt_once(place: At) {
    let mut exchange = exchange(place).await;
    let (file, lines) = exchange.export().await;
    exchange.receipt("receipt_1", &(HEAD.to_owned() + &row(&file, &lines[1], "1")), 1, None);
    exchange.rest().await;
    let whole = exchange.state().await;
    // As it stands when the process dies after it has counted, before it has moved the two files.
    let ready = std::fs::read_to_string(exchange.folder("receipt/done/receipt_1.ok")).unwrap();
    let digest = ready.rsplit('"').nth(1).unwrap().to_owned();
    for name in ["receipt_1.ok", "receipt_1.csv"] {
        let (from, to) = (exchange.folder("receipt/done").join(name), exchange.folder("receipt/taken").join(name));
        std::fs::rename(from, to).unwrap();
    }
    let died = FilesState { settling: Some(format!("receipt_1.csv {digest}")), ..whole.clone() };
    let lease = exchange.task.lease().await.unwrap().unwrap();
    let text = serde_json::to_string(&died).unwrap();
    exchange
        .bench
        .store
        .save_checkpoint(&id(), FILES_CHECKPOINT, &text, &lease, exchange.bench.clock.now())
        .await
        .unwrap();
    exchange.rest().await;
    assert_eq!(exchange.state().await, whole);
    assert!(exchange.folder("receipt/done/receipt_1.csv").exists());
}

/// Longer than what is read at once, so that pieces end in the middle of lines and of characters.
async fn a_receipt_of_many_pieces_is_read_whole(place: At) {
    let mut exchange = exchange(place).await;
    let (file, lines) = exchange.export().await;
    let mut body = HEAD.to_owned();
    for strange in 0..12_000 {
        body += &format!("\"{file}\",\"d{}-1-00000000\",\"1\",\"c{strange}\",\"不在本省\"\r\n", 1_000 + strange);
    }
    body += &row(&file, &lines[1], "1");
    assert!(body.len() > 700_000);
    exchange.receipt("receipt_1", &body, 12_001, None);
    exchange.rest().await;
    assert!(exchange.answer("receipt_1").contains("\"receipt_1.csv\",\"0\""));
    let state = exchange.state().await;
    let told = state.batches[0].files.iter().find(|told| told.name == file).unwrap();
    assert_eq!((told.accepted, told.rejected, told.reopened), (0, 12_001, 1));
    assert_eq!(exchange.bench.row(DeliveryId(1)).await.generation, 2);
}

async fn what_is_old_is_dropped(place: At) {
    let mut exchange = exchange(place).await;
    exchange.write_batch().await;
    let left = exchange.folder("upload/.completion_19990101000000.csv.part");
    std::fs::write(&left, "half").unwrap();
    let files = |exchange: &Exchange| std::fs::read_dir(exchange.folder("upload")).unwrap().count();
    assert_eq!(files(&exchange), 5);
    // The disk's time is now, and the gateway's a year later.
    let now = gateway_model::SystemClock.now().as_second() - at(0).as_second();
    exchange.bench.set_time(now + 400 * 86_400);
    exchange.write_batch().await;
    assert_eq!(files(&exchange), 0, "the batch that was just written is a year old by the gateway's clock");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_server_is_refused_by_its_fingerprint() {
    let mut exchange = exchange(At::Server).await;
    let other = Sshd::start("");
    let sshd = exchange.sshd.as_ref().unwrap();
    let fingerprint = sshd.fingerprint();
    for (known, why) in [
        (String::new(), "is not among those"),
        // Another key by the same name: somebody in between, or a server that was set up anew.
        (
            std::fs::read_to_string(other.path("known_hosts"))
                .unwrap()
                .replace(&other.port().to_string(), &sshd.port().to_string()),
            "is another than the one",
        ),
    ] {
        std::fs::write(sshd.path("known_hosts"), known).unwrap();
        let told = exchange.task.run(&round()).await.unwrap_err().to_string();
        assert!(told.contains(why) && told.contains(&fingerprint), "{told}");
    }
    assert_eq!(std::fs::read_dir(exchange.dir.path()).unwrap().count(), 0, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_have_a_passphrase_and_a_wrong_one_is_told() {
    let mut exchange = exchange(At::Directory).await;
    let sshd = Sshd::start("open sesame");
    let secret = sshd.path("passphrase");
    let with = |secret_file: Option<PathBuf>| {
        let sftp = Some(SftpConfig { secret_file, ..sftp(&sshd) });
        task(&exchange.bench, FilesConfig { sftp, ..FilesConfig::new(exchange.dir.path().to_path_buf()) })
    };
    let mut tasks = [with(None), with(Some(secret.clone())), with(Some(secret.clone()))];
    std::fs::write(&secret, "open barley\n").unwrap();
    for task in &mut tasks[..2] {
        let told = task.run(&round()).await.unwrap_err().to_string();
        assert!(told.contains("Permission denied (publickey)") && !told.contains("barley"), "{told}");
    }
    std::fs::write(&secret, "open sesame\n").unwrap();
    let [_, _, right] = tasks;
    exchange.task = right;
    assert_eq!(exchange.export().await.1.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_broke_off_is_begun_anew() {
    let mut exchange = exchange(At::Server).await;
    let (file, lines) = exchange.export().await;
    exchange.receipt("receipt_1", &(HEAD.to_owned() + &row(&file, &lines[1], "1")), 1, None);
    assert_eq!(exchange.sshd.as_ref().unwrap().break_off(), 1, "one session serves everything");
    // Whether the round that meets the end fails or begins anew at once, the next one is whole.
    if exchange.task.run(&round()).await.is_err() {
        exchange.rest().await;
    }
    exchange.rest().await;
    assert!(exchange.answer("receipt_1").contains("\"receipt_1.csv\",\"0\""));
    assert_eq!(exchange.bench.row(DeliveryId(1)).await.generation, 2);
}
