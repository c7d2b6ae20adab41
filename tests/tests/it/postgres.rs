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
