//! A gateway on its own, over a quiet platform in this process: pushed to, asked, and run commands on.

use crate::program::{Process, Scratch, program, wait_for};
use gateway_simulator::clock::{now_ms, wire_time};
use gateway_simulator::sign::{SignatureMethod, Signer};
use gateway_simulator::{PlatformHandle, PlatformOptions, SimError, http, start_platform};
use reqwest::Client;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The channel under test.
pub const CHANNEL: &str = "municipal-12345";
/// `X-App-Id` of both directions.
pub const APP: &str = "transport-bureau";
/// The secret of what the gateway asks.
pub const REQUEST_SECRET: &str = "the secret of requests";
/// The secret of what it is pushed and asked.
pub const WEBHOOK_SECRET: &str = "the secret of pushes";

/// A gateway and what it stands between.
pub struct Gateway {
    /// Its directory.
    pub dir: PathBuf,
    process: Option<Process>,
    client: Client,
    platform: Option<PlatformHandle>,
    // Last, since fields are dropped in order and the process must be gone first.
    scratch: Scratch,
}

/// A push, well-formed unless changed.
#[derive(Clone)]
pub struct Push {
    /// The body.
    pub body: Vec<u8>,
    /// The nonce.
    pub nonce: String,
    /// Added to our clock, in ms.
    pub skew_ms: i64,
    /// The secret that signs it.
    pub secret: &'static str,
}

/// What a push was answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Value,
}

impl Push {
    /// A push of whole records.
    pub fn records(nonce: &str, records: &[Value]) -> Self {
        Self::body(nonce, json!({"pushId": nonce, "kind": "order", "records": records}).to_string())
    }

    /// A push of any bytes.
    pub fn body(nonce: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), nonce: nonce.to_owned(), skew_ms: 0, secret: WEBHOOK_SECRET }
    }
}

/// A whole record of an order that was just accepted.
pub fn record(number: &str) -> Value {
    let now = wire_time(now_ms());
    json!({
        "orderNo": number, "createTime": now, "updateTime": now, "orderType": "03", "category": "交通运输/出租车管理", "title": "绕路",
        "content": "司机绕路", "sourceType": "phone", "address": "机场路", "occurTime": now, "urgency": "1", "isSecret": "0",
        "isAnonymous": "0", "callerName": "甲", "callerPhone": "13800000000", "contactPhone": "13800000000", "state": "10",
        "unit": "", "deadline": "", "round": 0, "events": [], "completions": [], "visits": []
    })
}

impl Gateway {
    /// Prepares one, not running yet. `more` is laid into its configuration.
    pub async fn prepare(more: &str) -> Self {
        Self::prepare_in(Scratch::new(), more).await
    }

    /// Prepares one in a scratch directory whose `gateway` may be there already.
    pub async fn prepare_in(scratch: Scratch, more: &str) -> Self {
        let dir = scratch.path("gateway");
        std::fs::create_dir_all(dir.join("secrets")).expect("a directory");
        let mut options = PlatformOptions::new(scratch.path("platform"), REQUEST_SECRET, WEBHOOK_SECRET);
        options.seconds = Some(0);
        let platform = start_platform(options).await.expect("the platform starts");
        let config = format!(
            r#"
api.admin_address = "127.0.0.1:0"
api.public_address = "127.0.0.1:0"
intake.poll.every_ms = 500
alert.every_ms = 200
reconcile.enabled = false
{more}
[[channel]]
id = "{CHANNEL}"
kind = "municipal-12345"
base_url = "{}"
app_id = "{APP}"
request_secret_file = "secrets/request.secret"
webhook_secret_files = ["secrets/webhook.secret"]
"#,
            platform.url()
        );
        std::fs::write(dir.join("gateway.toml"), config).expect("written");
        std::fs::write(dir.join("secrets/request.secret"), REQUEST_SECRET).expect("written");
        std::fs::write(dir.join("secrets/webhook.secret"), WEBHOOK_SECRET).expect("written");
        let client = http::client(Duration::from_secs(20)).expect("a client");
        Self { dir, process: None, client, platform: Some(platform), scratch }
    }

    /// A running one.
    pub async fn start() -> Self {
        let mut gateway = Self::prepare("").await;
        gateway.launch(Command::new(program())).await;
        gateway
    }

    /// Runs `serve` by a command that begins with the program, and waits until it is ready.
    pub async fn launch(&mut self, command: Command) {
        self.launch_until(command, 200).await;
    }

    /// The same, and waits until it says this of its readiness.
    pub async fn launch_until(&mut self, mut command: Command, expected: u16) {
        command.args(["serve", "--dir"]).arg(&self.dir).env("NO_COLOR", "1");
        let log = self.scratch.path("serve.log");
        self.process = Some(Process::start(&mut command, &log, &log));
        let ready = async || {
            let ended = self.process.as_mut().and_then(Process::has_ended);
            assert!(ended.is_none(), "the gateway ended: {}", std::fs::read_to_string(&log).unwrap_or_default());
            self.ready().await.filter(|(status, _)| *status == expected).map(|_| ())
        };
        wait_for(&format!("readiness {expected}"), Duration::from_secs(60), ready).await;
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").pid()
    }

    /// Ends it as a supervisor would, and demands a clean end.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal(rustix::process::Signal::TERM);
        let status = process.ended(Duration::from_secs(60)).await;
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Ends the platform that it polls.
    pub async fn end_platform(&mut self) {
        let Some(platform) = self.platform.take() else { return };
        platform.shutdown().cancel();
        platform.ended().await.expect("a clean end");
    }

    /// Kills it, if it runs.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path("serve.log")).unwrap_or_default()
    }

    fn url(&self, which: &str, path: &str) -> Option<String> {
        let address = std::fs::read_to_string(self.dir.join(format!("{which}.address"))).ok()?;
        Some(format!("http://{}{path}", address.trim()))
    }

    /// Status and body of `/readyz`, where it answers.
    pub async fn ready(&self) -> Option<(u16, Value)> {
        http::send("readyz", self.client.get(self.url("admin", "/readyz")?)).await.ok()
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let answer = self.client.get(self.url("admin", "/metrics").expect("it runs")).send().await.expect("an answer");
        answer.text().await.expect("text")
    }

    /// The value of a metric: the line that has all these words.
    pub async fn metric(&self, words: &[&str]) -> Option<f64> {
        let text = self.metrics().await;
        let line = text.lines().find(|line| words.iter().all(|word| line.contains(word)) && !line.starts_with('#'))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// GET of the API as administrator, which must answer 200.
    pub async fn api(&self, path: &str) -> Value {
        self.asked(path).await.expect(path)
    }

    /// The same; `None` where it answers anything else.
    pub async fn try_api(&self, path: &str) -> Option<Value> {
        self.asked(path).await.ok()
    }

    async fn asked(&self, path: &str) -> Result<Value, SimError> {
        let token = std::fs::read_to_string(self.dir.join("tokens/admin.token")).expect("the token");
        let base = self.url("admin", "").expect("it runs");
        http::get(&self.client, &base, path, token.trim()).await
    }

    /// Pushes, signed.
    pub async fn push(&self, push: &Push) -> Answer {
        self.push_to(CHANNEL, push).await
    }

    /// Pushes to a channel that has the same secrets.
    pub async fn push_to(&self, channel: &str, push: &Push) -> Answer {
        let target = format!("/webhooks/{channel}");
        let timestamp = (now_ms() + push.skew_ms).to_string();
        let signer = Signer::new(APP, SignatureMethod::HmacSha256, push.secret.as_bytes());
        let sign = signer.sign("POST", &target, &timestamp, &push.nonce, &push.body);
        let request = self.client.post(self.url("public", &target).expect("it runs")).body(push.body.clone());
        let request = request.header("x-app-id", APP).header("x-timestamp", timestamp).header("x-nonce", &push.nonce);
        self.answer(request.header("x-sign", sign)).await
    }

    /// Pushes without a signature.
    pub async fn push_unsigned(&self, body: &Value) -> Answer {
        let url = self.url("public", &format!("/webhooks/{CHANNEL}")).expect("it runs");
        self.answer(self.client.post(url).body(body.to_string())).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.bytes().await.expect("a body");
        Answer { status, retry_after, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    /// Sum of a key over the inbound flow of the channel.
    pub async fn inbound(&self, key: &str) -> u64 {
        let flow = self.api("/api/v1/flow").await;
        let rows = flow["inbound"].as_array().into_iter().flatten().filter(|row| row["channel"] == CHANNEL);
        rows.filter_map(|row| row[key].as_u64()).sum()
    }

    /// Waits until everything captured has come to its end.
    pub async fn settled(&self) {
        wait_for("the end of what is in flight", Duration::from_secs(60), async || {
            (self.inbound("in_flight").await == 0).then_some(())
        })
        .await;
    }

    /// Runs a command on its directory.
    pub fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        let dir = self.dir.to_str().expect("a path in UTF-8");
        crate::program::run(&[arguments, &["--dir", dir]].concat())
    }

    /// Runs a command with `--json`, and reads its answer whatever its exit code.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let (code, out, err) = self.command(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?} answered no JSON; exit {code}: {out}{err}"))
    }

    /// A file of the scratch directory.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    /// Its store.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store.db")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", crate::demo::tail(&self.log()));
        }
        self.kill();
        if let Some(platform) = &self.platform {
            platform.shutdown().cancel();
        }
    }
}

/// The `code` of each element.
pub fn codes(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|one| one["code"].as_str()).collect()
}
