//! Files over a front-end box: a real gateway, a province in a process of its own, and everything that goes wrong between them. Counted by the province's
//! own books: the box's, and the one that uploads made.

use crate::gateway::{APP, Gateway, Push, REQUEST_SECRET, record};
use crate::program::{Process, Scratch, program, wait_for};
use crate::sshd::Sshd;
use gateway_simulator::clock::{now_ms, wire_time};
use gateway_simulator::http;
use reqwest::Client;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(180);
const PROVINCE: &str = "provincial-12328";
const ORDERS: usize = 30;
/// Acceptance, completion and evaluation of each.
const ROWS: usize = ORDERS * 3;
/// Rows that the box rejects though it holds them, by one fault.
const REJECTED: usize = 5;
/// In this order: a file of ours is torn on its way; receipts come half, damaged, torn, with wrong columns, with a name that leads elsewhere; rows are
/// rejected; a receipt comes twice.
const FAULTS: [&str; 8] = ["damaged", "half", "digest", "torn", "columns", "name", "reject", "twice"];

/// A gateway and a province that share a box.
struct Party {
    gateway: Gateway,
    province: Process,
    place: PathBuf,
    client: Client,
    sshd: Option<Sshd>,
}

/// How the gateway comes to the box: a real OpenSSH server on loopback, whose key it does not know yet.
fn over_sftp(gateway: &std::path::Path, sshd: &Sshd) -> String {
    std::fs::copy(sshd.path("user_key"), gateway.join("secrets/box.key")).expect("copied");
    std::fs::write(gateway.join("box.known_hosts"), "").expect("written");
    format!(
        r#"
[channel.files.sftp]
host = "127.0.0.1"
port = {}
user = "{}"
key_file = "secrets/box.key"
known_hosts_file = "box.known_hosts"
timeout_ms = 20000
"#,
        sshd.port(),
        Sshd::user()
    )
}

/// Starts the province, and waits until it listens.
async fn province(scratch: &Scratch, place: &std::path::Path, front_box: &std::path::Path) -> Process {
    std::fs::create_dir_all(place).expect("a directory");
    let secret = place.join("api.secret");
    std::fs::write(&secret, REQUEST_SECRET).expect("written");
    let mut command = Command::new(program());
    command.args(["simulate", "12328", "--seconds", "0", "--box-faults", &FAULTS.join(",")]).arg("--dir").arg(place);
    command.arg("--api-secret-file").arg(&secret).arg("--webhook-secret-file").arg(&secret);
    command.arg("--front-box").arg(front_box);
    let log = scratch.path("province.log");
    let process = Process::start(&mut command, &log, &log);
    let address = place.join("address");
    wait_for("the province", PATIENCE, async || address.exists().then_some(())).await;
    process
}

/// An order as the city tells it when all is over.
fn told(nth: usize) -> Value {
    let now = wire_time(now_ms());
    let mut order = record(&format!("GZ2026112600{nth:04}"));
    order["title"] = json!(format!("绕路\"第{nth}次\"，C:\\"));
    order["state"] = json!("60");
    order["completions"] =
        json!([{"round": 0, "replyContent": "已核实，\"属实\"", "replyTime": now, "replyUnit": "市交通运输局"}]);
    order["visits"] = json!([{
        "visitNo": 1, "round": 0, "visitTime": now, "connected": "1", "satisfaction": "1", "isSolved": "1", "opinion": "满意",
    }]);
    order
}

impl Party {
    async fn start(sshd: Option<Sshd>) -> Self {
        let scratch = Scratch::new();
        let dir = scratch.path("gateway");
        std::fs::create_dir_all(dir.join("secrets")).expect("a directory");
        let over = sshd.as_ref().map(|sshd| over_sftp(&dir, sshd)).unwrap_or_default();
        let (place, front_box) = (scratch.path("province"), scratch.path("box"));
        std::fs::create_dir_all(&front_box).expect("a directory");
        let province = province(&scratch, &place, &front_box).await;
        let address = std::fs::read_to_string(place.join("address")).expect("it listens");
        let more = format!(
            r#"
delivery.every_ms = 200
delivery.retry = {{ min_ms = 50, max_ms = 500 }}
[[channel]]
id = "{PROVINCE}"
kind = "{PROVINCE}"
base_url = "http://{}"
app_id = "{APP}"
request_secret_file = "secrets/request.secret"
[channel.files]
dir = "{}"
look_every_ms = 200
{over}
[[route]]
from = "municipal-12345"
datasets = ["acceptance", "handling", "completion", "evaluation"]
to = "{PROVINCE}"
"#,
            address.trim(),
            front_box.display()
        );
        let mut gateway = Gateway::prepare_in(scratch, &more).await;
        gateway.launch(Command::new(program())).await;
        let client = http::client(Duration::from_secs(20)).expect("a client");
        Self { gateway, province, place, client, sshd }
    }

    /// What a person does who sets a channel up over SFTP: sees the server's fingerprint where the channel fails, compares it, and trusts the server.
    async fn trust(&self) {
        let Some(sshd) = &self.sshd else { return };
        let fingerprint = sshd.fingerprint();
        wait_for("the server's fingerprint among the failures", PATIENCE, async || {
            let status = self.gateway.api("/api/v1/status").await;
            status.to_string().contains(&fingerprint).then_some(())
        })
        .await;
        std::fs::copy(sshd.path("known_hosts"), self.gateway.dir.join("box.known_hosts")).expect("copied");
    }

    /// The province's control surface.
    async fn at_province(&self, path: &str) -> Option<Value> {
        let read = |name: &str| std::fs::read_to_string(self.place.join(name)).ok();
        let (address, token) = (read("address")?, read("control-token")?);
        http::get(&self.client, &format!("http://{}", address.trim()), path, token.trim()).await.ok()
    }

    /// What its book of uploads holds of a dataset.
    async fn uploaded(&self, list: &str) -> Option<usize> {
        let book = self.at_province("/sim/book/orders?limit=1000").await?;
        let orders = book["orders"].as_array()?.iter().filter(|row| row["uploaded"] == true);
        Some(orders.map(|row| row["record"][list].as_array().map_or(0, Vec::len)).sum())
    }

    /// The deliveries to the province, once none of them is on its way any more.
    async fn deliveries(&self) -> Vec<Value> {
        wait_for("the end of every delivery", PATIENCE, async || {
            let flow = self.gateway.api("/api/v1/flow").await;
            let rows = flow["outbound"].as_array()?.iter().filter(|row| row["channel"] == PROVINCE);
            let count = |key: &str| rows.clone().filter_map(|row| row[key].as_u64()).sum::<u64>();
            (count("owed") > 0 && count("owed") == count("acknowledged") + count("superseded")).then_some(())
        })
        .await;
        let mut found = Vec::new();
        for id in 1.. {
            let answer = self.gateway.try_api(&format!("/api/v1/deliveries/{id}")).await;
            let Some(answer) = answer else { break };
            found.push(answer["delivery"].clone());
        }
        found
    }

    fn ask_export(&self) {
        let (code, out, err) = self.gateway.command(&["export", "--channel", PROVINCE]);
        assert_eq!(code, 0, "{out}{err}");
    }

    /// The box's own books, once it has nothing open and has done all that it was told to do wrong.
    async fn settled_box(&self, batches: usize) -> Value {
        wait_for("the box's books", PATIENCE, async || {
            let told = self.at_province("/sim/box").await?;
            let books = told["books"].as_array()?;
            (told["settled"] == true && told["faults_left"] == 0 && books.len() >= batches).then_some(told)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_accepted_once_whatever_the_box_does() {
    every_row_is_accepted_once(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_accepted_once_over_sftp_too() {
    every_row_is_accepted_once(Some(Sshd::start(""))).await;
}

async fn every_row_is_accepted_once(sshd: Option<Sshd>) {
    let mut party = Party::start(sshd).await;
    let records: Vec<Value> = (0..ORDERS).map(told).collect();
    assert_eq!(party.gateway.push(&Push::records("whole", &records)).await.status, 200);
    wait_for("every item in the province's book", PATIENCE, async || {
        let whole = party.uploaded("completions").await? == ORDERS && party.uploaded("visits").await? == ORDERS;
        whole.then_some(())
    })
    .await;
    let sent = party.deliveries().await;
    assert!(sent.iter().all(|delivery| delivery["generation"] == 1), "{sent:?}");

    // Killed wherever it is with its files: what was asked for comes, and nothing of a half-written batch is ever taken up.
    party.ask_export();
    party.trust().await;
    party.gateway.kill();
    party.gateway.launch(Command::new(program())).await;
    if let Some(sshd) = &party.sshd {
        // Its sessions break under it, more than once.
        for _ in 0..3 {
            wait_for("a session of the gateway", PATIENCE, async || (sshd.break_off() > 0).then_some(())).await;
        }
    }
    let told = party.settled_box(2).await;
    for fault in ["Damaged", "Half", "Digest", "Torn", "Columns", "Name", "Reject", "Twice"] {
        assert_eq!(told["faults"][fault], 1, "{told}");
    }
    let first = &told["books"][0];
    assert_eq!(first["files_refused"], 1, "a torn file of ours: {told}");
    assert!(told["receipts_refused"].as_u64() >= Some(4), "{told}");
    assert_eq!(told["rejected_though_held"], REJECTED, "{told}");

    // What was rejected is uploaded again, each once.
    let again = wait_for("rejected rows under a new generation", PATIENCE, async || {
        let deliveries = party.deliveries().await;
        let again = deliveries.iter().filter(|delivery| delivery["generation"] != 1).count();
        (again >= REJECTED).then_some(deliveries)
    })
    .await;
    let reopened: Vec<_> = again.iter().filter(|delivery| delivery["generation"] != 1).collect();
    assert_eq!(reopened.len(), REJECTED, "{reopened:?}");
    assert!(reopened.iter().all(|delivery| delivery["generation"] == 2), "{reopened:?}");
    assert_eq!(again.len(), sent.len(), "a rejected row is no new delivery");

    // The next whole file is accepted row by row, each once, and lacks nothing that the province holds.
    let before = told["books"].as_array().map_or(0, Vec::len);
    party.ask_export();
    let told = party.settled_box(before + 1).await;
    let last = told["books"].as_array().and_then(|books| books.last()).expect("a batch").clone();
    let expected = json!({
        "batch": last["batch"], "whole": true, "accepted": ROWS, "rejected": 0, "files_refused": 0, "lacking": 0,
        "repeated": 0, "settled": true,
    });
    assert_eq!(last, expected, "{told}");
    let life = party.at_province("/sim/life").await.expect("it runs");
    for dataset in ["acceptance", "completion", "evaluation"] {
        assert_eq!(life["items"][dataset], ORDERS, "{life}");
    }

    // Ours says the same.
    let shown = wait_for("our own account", PATIENCE, async || {
        let shown = party.gateway.json(&["export", "--show"]);
        let files = shown["channels"][0]["files"].clone();
        let batch = files["batches"].as_array()?.last()?.clone();
        let sum =
            |key: &str| batch["files"].as_array().map(|files| files.iter().filter_map(|file| file[key].as_u64()).sum());
        let whole = batch["batch"] == last["batch"] && sum("accepted") == Some(ROWS as u64);
        whole.then_some((files, sum("rows"), sum("rejected")))
    })
    .await;
    let (files, rows, rejected) = shown;
    assert_eq!((rows, rejected), (Some(ROWS as u64), Some(0)), "{files}");
    assert!(files["receipts_refused"].as_u64() >= Some(4) && files["receipts_again"].as_u64() >= Some(1), "{files}");
    assert!(
        party
            .deliveries()
            .await
            .iter()
            .all(|delivery| delivery["state"] == "acknowledged" || delivery["state"] == "superseded")
    );
    assert_eq!(party.gateway.json(&["deliveries", "list"]), json!({"deliveries": []}), "nothing waits for a person");
    party.gateway.stop().await;
    party.province.kill();
}
