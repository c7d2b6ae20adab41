//! The gateway with its store on PostgreSQL: what it takes is durable while the server is away, and goes on by itself when it is back.

use crate::gateway::{Gateway, Push, record};
use crate::program::{program, run, together, wait_for};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// A server of its own; it ends with this process at the latest.
pub struct Server {
    directory: PathBuf,
    /// The address of its database.
    pub url: String,
}

impl Server {
    /// Starts one.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory").keep();
        let url = script("start", &directory, &[], None);
        Self { directory, url }
    }

    /// Starts one that is reached over TLS only; its address names the authority, another that signed nothing is `other-ca.pem` beside it.
    pub fn start_with_tls() -> Self {
        let directory = tempfile::tempdir().expect("a directory").keep();
        let url = script("start", &directory, &["-t"], None);
        Self { directory, url }
    }

    fn stop(&self) {
        script("stop", &self.directory, &[], None);
    }

    fn start_again(&self) {
        let port = self.url.rsplit_once(':').and_then(|(_, rest)| rest.split_once('/')).expect("a port").0;
        assert_eq!(script("start", &self.directory, &[], Some(port)), self.url);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

fn script(order: &str, directory: &Path, more: &[&str], port: Option<&str>) -> String {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/postgres.sh"));
    command.arg(order).arg(directory).args(more);
    if order == "start" {
        command.args(["-u", &std::process::id().to_string(), "-c", "fsync=off"]);
    }
    if let Some(port) = port {
        command.env("POSTGRES_PORT", port);
    }
    let done = command.output().expect("the script runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("UTF-8").trim().to_owned()
}

async fn prepare(url: &str) -> Gateway {
    let gateway =
        Gateway::prepare("store.engine = \"postgres\"\nstore.database_url_file = \"secrets/database.url\"").await;
    std::fs::write(gateway.dir.join("secrets/database.url"), format!("{url}\n")).expect("written");
    gateway
}

async fn holds(gateway: &Gateway, number: &str) {
    gateway.settled().await;
    assert!(gateway.api(&format!("/api/v1/orders/{number}")).await.is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_are_taken_while_the_server_is_away() {
    let _machine = together().await;
    let server = Server::start();
    let mut gateway = prepare(&server.url).await;
    gateway.launch(Command::new(program())).await;
    assert!(!gateway.store().exists(), "no second store");
    assert_eq!(gateway.push(&Push::records("one", &[record("GZ1")])).await.status, 200);
    holds(&gateway, "GZ1").await;

    server.stop();
    wait_for("unreadiness", PATIENCE, async || gateway.ready().await.filter(|(status, _)| *status == 503).map(|_| ()))
        .await;
    assert_eq!(gateway.push(&Push::records("two", &[record("GZ2")])).await.status, 200);
    server.start_again();
    wait_for("readiness", PATIENCE, async || gateway.ready().await.filter(|(status, _)| *status == 200).map(|_| ()))
        .await;
    holds(&gateway, "GZ2").await;
    gateway.settled().await;
    assert_eq!(gateway.inbound("dead_lettered").await, 0);

    // The same store again, and a program that was killed is no trouble to it.
    gateway.kill();
    gateway.launch(Command::new(program())).await;
    holds(&gateway, "GZ1").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_store_from_being_opened_is_told_with_its_key() {
    let _machine = together().await;
    let gateway = prepare("postgres://gateway:hidden@127.0.0.1:1/store").await;
    let dir = gateway.dir.to_str().expect("UTF-8");
    let (code, out, err) = run(&["check-config", "--dir", dir]);
    assert_eq!(code, 0, "the address makes sense: {out}{err}");
    for command in
        [&["check-config", "--connect", "--dir", dir][..], &["serve", "--dir", dir], &["migrate", "--dir", dir]]
    {
        let (code, out, err) = run(command);
        let told = format!("{out}{err}");
        assert_eq!(code, 1, "{command:?}: {told}");
        assert!(told.contains("store.database_url_file: ") && told.contains("store at 127.0.0.1:1"), "{told}");
        assert!(!told.contains("hidden"), "{told}");
    }
    for (text, expected) in [("mysql://a:hidden@b/c", "postgres://"), ("", "empty")] {
        std::fs::write(gateway.dir.join("secrets/database.url"), text).expect("written");
        let (code, out, err) = run(&["check-config", "--dir", dir, "--json"]);
        assert_eq!(code, 1, "{out}{err}");
        let told: Value = serde_json::from_str(&out).expect("JSON");
        let mistake = &told["mistakes"][0];
        assert_eq!(mistake["key"], "store.database_url_file");
        let said = mistake["text"].as_str().unwrap_or_default();
        assert!(said.contains(expected) && !said.contains("hidden"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_tls_is_used_and_one_that_is_not_trusted_is_refused_with_its_key() {
    let _machine = together().await;
    let server = Server::start_with_tls();
    let mut gateway = prepare(&server.url.replace("/ca.pem", "/other-ca.pem")).await;
    let dir = gateway.dir.to_str().expect("UTF-8").to_owned();
    for command in
        [&["check-config", "--connect", "--dir", &dir][..], &["serve", "--dir", &dir], &["migrate", "--dir", &dir]]
    {
        let (code, out, err) = run(command);
        let told = format!("{out}{err}");
        assert_eq!(code, 1, "{command:?}: {told}");
        assert!(told.contains("store.database_url_file: ") && told.contains("sslrootcert"), "{told}");
    }
    std::fs::write(gateway.dir.join("secrets/database.url"), &server.url).expect("written");
    let (code, out, err) = run(&["check-config", "--connect", "--dir", &dir]);
    assert_eq!(code, 0, "{out}{err}");
    gateway.launch(Command::new(program())).await;
    assert_eq!(gateway.push(&Push::records("one", &[record("GZ1")])).await.status, 200);
    holds(&gateway, "GZ1").await;
    gateway.stop().await;
}

/// Runs statements in the database, by the client that comes with the server.
fn psql(server: &Server, sql: &str) {
    let done = Command::new("psql").args(["-v", "ON_ERROR_STOP=1", "-q", "-c", sql, &server.url]).output();
    let done = done.expect("psql runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_month_goes_by_itself_and_comes_back_by_command() {
    let _machine = together().await;
    let server = Server::start();
    let mut gateway = Gateway::prepare(
        "store.engine = \"postgres\"\nstore.database_url_file = \"secrets/database.url\"\nstore.archive.after_months = 24",
    )
    .await;
    std::fs::write(gateway.dir.join("secrets/database.url"), format!("{}\n", server.url)).expect("written");
    let dir = gateway.dir.to_str().expect("UTF-8").to_owned();
    assert_eq!(run(&["migrate", "--dir", &dir]).0, 0);
    // Two records of long ago: one that nobody needs, and one that is parked.
    let month = |name: &str, from: &str, to: &str| {
        let bound = |day: &str| format!("(extract(epoch FROM timestamptz '{day} 00:00+08') * 1000)::bigint");
        format!(
            "CREATE TABLE raw_record_{name} PARTITION OF raw_record FOR VALUES FROM ({}) TO ({})",
            psql_value(&server, &bound(from)),
            psql_value(&server, &bound(to)),
        )
    };
    psql(&server, &month("2020_01", "2020-01-01", "2020-02-01"));
    psql(&server, &month("2020_02", "2020-02-01", "2020-03-01"));
    for (id, day) in [(1, "2020-01-10"), (2, "2020-02-10")] {
        let at = psql_value(&server, &format!("(extract(epoch FROM timestamptz '{day} 00:00+08') * 1000)::bigint"));
        psql(
            &server,
            &format!(
                "INSERT INTO raw_record VALUES ({id}, 'municipal-12345', 'poll', 'OLD{id}', {at}, {at}, 'left', 0, {id}, 'plain', '{{}}')"
            ),
        );
    }
    psql(
        &server,
        "INSERT INTO dead_letter (raw_id, channel, code, reason, state, at) VALUES (2, 'municipal-12345', 'x', 'x', 'open', 1)",
    );
    psql(
        &server,
        "INSERT INTO raw_record SELECT 3, channel, origin, 'NEW', received_at + 1, read_at, topic, partition, 3, key_id, body FROM raw_record WHERE id = 2",
    );
    gateway.launch(Command::new(program())).await;
    assert_eq!(gateway.push(&Push::records("one", &[record("GZ1")])).await.status, 200);
    holds(&gateway, "GZ1").await;
    // Before the push the second month had the newest record; the job may have looked then.
    let list = || {
        let (code, out, err) = run(&["archive", "list", "--json", "--dir", &dir]);
        assert_eq!(code, 0, "{out}{err}");
        serde_json::from_str::<Value>(&out).expect("JSON")
    };
    let place = |told: &Value, month: &str| {
        let rows = told["months"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|row| row["month"] == month).unwrap_or_default()
    };
    wait_for("the job", PATIENCE, async || (place(&list(), "2020-01")["place"] == "archived").then_some(())).await;
    let left = wait_for("what was left", PATIENCE, async || {
        list()["months_left"].as_array().filter(|left| !left.is_empty()).cloned()
    })
    .await;
    assert_eq!(left[0]["month"], "2020-02");
    let (_, out, _) = run(&["status", "--json", "--dir", &dir]);
    let status: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(status["months_left"][0]["month"], "2020-02", "{out}");

    let (code, out, err) = run(&["archive", "take", "2020-02", "--dir", &dir]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("死信") && err.contains("month_held"), "{err}");
    assert_eq!(place(&list(), "2020-02")["holds"][0]["kind"], "dead_letters");
    let (code, out, err) = run(&["archive", "return", "2020-01", "--dir", &dir]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(place(&list(), "2020-01")["place"], "attached");
    assert_eq!(gateway.api("/api/v1/raw/1").await["number"], "OLD1");
    let (code, out, err) = run(&["archive", "take", "2020-01", "--json", "--dir", &dir]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(gateway.api("/api/v1/raw/1").await["number"], "OLD1");
    let (code, _, err) = run(&["archive", "take", "2020-13", "--dir", &dir]);
    assert_eq!(code, 1);
    assert!(err.contains("2020-13"), "{err}");
    gateway.stop().await;
}

/// The value of an expression.
fn psql_value(server: &Server, expression: &str) -> String {
    let done = Command::new("psql").args(["-qAt", "-c", &format!("SELECT {expression}"), &server.url]).output();
    String::from_utf8(done.expect("psql runs").stdout).expect("UTF-8").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_month_can_go_it_is_said() {
    let _machine = together().await;
    let mut gateway = Gateway::prepare("store.archive.after_months = 24").await;
    let dir = gateway.dir.to_str().expect("UTF-8").to_owned();
    let (code, out, err) = run(&["check-config", "--dir", &dir]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(format!("{out}{err}").contains("store.archive.after_months: is only for"), "{out}{err}");
    gateway = Gateway::prepare("").await;
    let dir = gateway.dir.to_str().expect("UTF-8").to_owned();
    gateway.launch(Command::new(program())).await;
    let (code, out, err) = run(&["archive", "list", "--dir", &dir]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("no_archive") && err.contains("嵌入式存储"), "{err}");
    gateway.stop().await;
}
