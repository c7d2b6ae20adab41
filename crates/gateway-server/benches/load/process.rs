//! The program as a process, in a directory of its own, over a platform that says nothing.

use crate::cpu;
use crate::servers::{Database, Servers};
use crate::wire::{APP, CHANNEL, WEBHOOK_SECRET};
use gateway_simulator::{PlatformHandle, PlatformOptions, http, start_platform};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const REQUEST_SECRET: &str = "the secret of requests";
/// How long anything is waited for that has no measure of its own.
const PATIENCE: Duration = Duration::from_secs(1_800);

pub struct Gateway {
    place: TempDir,
    child: Option<Child>,
    client: Client,
    platform: PlatformHandle,
    servers: Servers,
}

impl Gateway {
    /// Prepares one, not running yet.
    pub async fn prepare() -> Self {
        let place = tempfile::Builder::new().prefix("gateway-load-").tempdir().expect("a directory");
        let dir = place.path().join("gateway");
        std::fs::create_dir_all(dir.join("secrets")).expect("a directory");
        let mut options = PlatformOptions::new(place.path().join("platform"), REQUEST_SECRET, WEBHOOK_SECRET);
        options.seconds = Some(0);
        let platform = start_platform(options).await.expect("the platform starts");
        let servers = Servers::prepare();
        let config = format!(
            r#"
api.admin_address = "127.0.0.1:0"
api.public_address = "127.0.0.1:0"
# The platform has nothing of what is pushed here.
reconcile.enabled = false
{}
[[channel]]
id = "{CHANNEL}"
kind = "municipal-12345"
base_url = "{}"
app_id = "{APP}"
request_secret_file = "secrets/request.secret"
webhook_secret_files = ["secrets/webhook.secret"]
"#,
            servers.config(),
            platform.url()
        );
        std::fs::write(dir.join("gateway.toml"), config).expect("written");
        for (file, secret) in [("request", REQUEST_SECRET), ("webhook", WEBHOOK_SECRET)] {
            std::fs::write(dir.join(format!("secrets/{file}.secret")), secret).expect("written");
        }
        if let Some(database) = &servers.database {
            std::fs::write(dir.join("secrets/database.url"), &database.url).expect("written");
        }
        let client = http::client(Duration::from_secs(20)).expect("a client");
        Self { place, child: None, client, platform, servers }
    }

    fn dir(&self) -> PathBuf {
        self.place.path().join("gateway")
    }

    /// Its own, where it is on PostgreSQL.
    pub fn database(&self) -> &Database {
        self.servers.database.as_ref().expect("DATABASE_URL names a server")
    }

    /// Before the names of its topics.
    pub fn prefix(&self) -> &str {
        &self.servers.prefix
    }

    /// Starts it and returns how long it took until it was ready.
    pub async fn start(&mut self) -> Duration {
        self.start_with(&[]).await
    }

    /// Starts it as some of its roles.
    pub async fn start_as(&mut self, roles: &str) -> Duration {
        self.start_with(&["--role", roles]).await
    }

    async fn start_with(&mut self, arguments: &[&str]) -> Duration {
        let log = File::options().create(true).append(true).open(self.place.path().join("log")).expect("a log");
        let program = std::env::var_os("GATEWAY_BENCH_PROGRAM");
        let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_hotline-gateway").into()));
        command.args(["serve", "--dir"]).arg(self.dir()).args(arguments).stdin(Stdio::null());
        let began = Instant::now();
        self.child = Some(command.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("it starts"));
        loop {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().expect("a child")) {
                panic!("the gateway ended, {status}: {}", self.log());
            }
            if let Some(url) = self.url("admin", "/readyz")
                && let Ok((200, _)) = http::send("readyz", self.client.get(url)).await
            {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "the gateway is not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends it as a supervisor would.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(pid, Signal::TERM).expect("it runs");
        let ended = tokio::task::spawn_blocking(move || child.wait()).await.expect("it is waited for");
        assert!(ended.expect("a child").success(), "{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    fn url(&self, which: &str, path: &str) -> Option<String> {
        let address = std::fs::read_to_string(self.dir().join(format!("{which}.address"))).ok()?;
        Some(format!("http://{}{path}", address.trim()))
    }

    /// Where it listens.
    pub fn address(&self, which: &str) -> SocketAddr {
        let text = std::fs::read_to_string(self.dir().join(format!("{which}.address"))).expect("it runs");
        text.trim().parse().expect("an address")
    }

    /// The secret of its administrator.
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.dir().join("tokens/admin.token")).expect("the token").trim().to_owned()
    }

    /// Records that the pipeline has taken up since it started.
    pub async fn records(&self) -> u64 {
        let url = self.url("admin", "/metrics").expect("it runs");
        let text = self.client.get(url).send().await.expect("an answer").text().await.expect("a text");
        let lines = text.lines().filter(|line| line.starts_with("gateway_pipeline_records_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// Waits until everything captured has come to its end, and returns how many records were applied.
    pub async fn settled(&self) -> u64 {
        let base = self.url("admin", "").expect("it runs");
        let began = Instant::now();
        loop {
            let flow = http::get(&self.client, &base, "/api/v1/flow", &self.token()).await.expect("the flow book");
            let sum = |key: &str| -> u64 {
                let rows = flow["inbound"].as_array().into_iter().flatten();
                rows.filter(|row| row["channel"] == CHANNEL).filter_map(|row| row[key].as_u64()).sum()
            };
            if sum("in_flight") == 0 {
                return sum("applied");
            }
            assert!(began.elapsed() < PATIENCE, "the pipeline does not come to an end: {flow}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Processor time of the process so far.
    pub fn cpu(&self) -> Duration {
        cpu::of(self.child.as_ref().expect("it runs").id().into())
    }

    /// A value of `/proc/PID/<file>`, in MB.
    pub fn megabytes(&self, file: &str, key: &str) -> f64 {
        let text = std::fs::read_to_string(self.proc(file)).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or_default();
        let kib = line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(f64::NAN);
        kib * 1024.0 / 1e6
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.as_ref().expect("it runs").id())
    }

    pub fn memory(&self) -> String {
        let all = |key| self.megabytes("status", key);
        format!(
            "{:.0} MB resident (memory of its own {:.0}, files {:.0}), at most {:.0}",
            all("VmRSS"),
            all("RssAnon"),
            all("RssFile"),
            all("VmHWM")
        )
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            let log = self.log();
            let tail = log.lines().rev().take(20).collect::<Vec<_>>();
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        self.platform.shutdown().cancel();
    }
}

/// Whether both are the scaled ones.
pub fn scaled() -> bool {
    std::env::var("DATABASE_URL").is_ok() && std::env::var("KAFKA_BOOTSTRAP_SERVERS").is_ok()
}

/// A field of an answer.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
