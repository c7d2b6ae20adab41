//! A demo's directory: secrets, addresses, the gateway's configuration, and the command lines of the children.

use super::child::ChildSpec;
use super::servers::Servers;
use crate::cli::DemoOptions;
use crate::{Failure, secrets};
use gateway_simulator::Dress;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long the children of an earlier demo may take to end after it died.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(30);
/// The municipal platform's channel, and the province's.
pub(super) const CHANNEL: &str = "municipal-12345";
pub(super) const PROVINCE: &str = "provincial-12328";
const CLIENT_TIMEOUT_MS: u64 = 2_000;
const OVERLAP_S: u64 = 8;

/// So many orders of its own the province has at least.
const LEAST_PROVINCIAL: u64 = 4;

/// Everything about a demo's directory.
#[derive(Debug)]
pub struct Setup {
    /// The directory.
    pub dir: PathBuf,
    /// Where the gateway's API listens.
    pub admin: SocketAddr,
    public: SocketAddr,
    /// Where the platform listens.
    pub platform: SocketAddr,
    /// Where the province listens.
    pub province: SocketAddr,
    /// Where the desk's control surface listens.
    pub desk: SocketAddr,
    /// The dress that the platform speaks in.
    pub dress: Dress,
    seed: u64,
    life: String,
    options: DemoOptions,
    /// What else the gateway's configuration says, where it runs on servers.
    engines: String,
}

/// Of a demo on the scaled engines: the processes that make orders and deliver, beside the one that takes, polls, watches and answers.
const WORKERS: [&str; 2] = ["worker-1", "worker-2"];

impl Setup {
    /// Prepares the directory, waiting for the children of an earlier demo there to end.
    ///
    /// # Errors
    /// When it can't be written, or another demo runs in it.
    pub async fn prepare(
        dir: &Path,
        seed: u64,
        options: &DemoOptions,
        servers: Option<&Servers>,
    ) -> Result<Self, Failure> {
        wait_for_predecessors(dir).await?;
        for name in ["logs", "gateway", "platform", "province", "desk", "secrets"] {
            std::fs::create_dir_all(dir.join(name))?;
        }
        for name in ["request.secret", "webhook.secret", "province.secret"] {
            secrets::read_or_create(&dir.join("secrets").join(name))?;
        }
        for role in ["admin", "desk", "judge"] {
            secrets::read_or_create(&dir.join(format!("gateway/tokens/{role}.token")))?;
        }
        let [admin, public, platform, province, desk] = free_addresses().await?;
        let life = format!("{}-{seed}", gateway_model::Timestamp::now().as_millisecond());
        let configure =
            |servers: &Servers| servers.configure(&dir.join("secrets/database.url"), "../secrets/database.url");
        let engines = servers.map(configure).transpose()?.map_or_else(String::new, |engines| engines + NODE);
        let dress = options.dress;
        let options = options.clone();
        let setup =
            Self { dir: dir.to_owned(), admin, public, platform, province, desk, dress, seed, life, options, engines };
        if servers.is_some() {
            setup.prepare_workers()?;
        }
        std::fs::write(dir.join("gateway/gateway.toml"), setup.gateway_toml(admin, public))?;
        std::fs::write(dir.join("gateway/profile.toml"), unhurried(profile_of(dress), CLIENT_TIMEOUT_MS)?)?;
        std::fs::write(dir.join("gateway/province.profile.toml"), unhurried_provincial_profile(CLIENT_TIMEOUT_MS)?)?;
        Ok(setup)
    }

    /// Directories of their own with the same keys, as every further process of a gateway has.
    fn prepare_workers(&self) -> Result<(), Failure> {
        let key = secrets::read_or_create(&self.dir.join("gateway/secrets/content.key"))?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        for worker in WORKERS {
            let dir = self.dir.join(worker);
            std::fs::create_dir_all(&dir)?;
            secrets::read_or_make(&dir.join("secrets/content.key"), || key.clone())?;
            std::fs::write(dir.join("gateway.toml"), self.gateway_toml(any, any))?;
        }
        Ok(())
    }

    /// The gateway's configuration: the defaults with a demo's impatience.
    fn gateway_toml(&self, admin: SocketAddr, public: SocketAddr) -> String {
        let Self { platform, province, engines, .. } = self;
        let reconcile = !self.options.without_reconcile;
        let overlap_ms = OVERLAP_S * 1_000;
        format!(
            r#"# Written by `hotline-gateway demo`: the defaults, with a demo's impatience.
[api]
admin_address = "{admin}"
public_address = "{public}"

[intake.poll]
every_ms = 500
overlap_ms = {overlap_ms}

[intake.reread]
every_ms = 200
claim_ms = 15000

[intake.backfill]
claim_ms = 30000

[intake.reread.retry]
min_ms = 100
max_ms = 2000

[delivery]
every_ms = 500
concurrency = 64
settle_after_ms = 3000
ask_min_ms = 300
ask_max_ms = 2000
already_submitted_after_ms = 6000
hold_after_ms = 60000

[delivery.retry]
min_ms = 100
max_ms = 2000

[delivery.breaker]
failures = 5
open_ms = 1000

[reconcile]
enabled = {reconcile}

[reconcile.policy]
recent_every_ms = 3000
whole_every_ms = 20000
tiers = []
second_look_min_ms = 4000
second_look_max_ms = 8000
max_calls_per_hour = 100000
repair_patience_ms = 4000
max_generations = 6

[[channel]]
id = "{CHANNEL}"
kind = "municipal-12345"
base_url = "http://{platform}"
profile = "../gateway/profile.toml"
app_id = "transport-bureau"
request_secret_file = "../secrets/request.secret"
webhook_secret_files = ["../secrets/webhook.secret"]

[[channel]]
id = "{PROVINCE}"
kind = "provincial-12328"
base_url = "http://{province}"
profile = "../gateway/province.profile.toml"
app_id = "transport-bureau"
request_secret_file = "../secrets/province.secret"

[[route]]
from = "desk"
datasets = ["handling", "completion"]
to = "{CHANNEL}"

[[route]]
from = "{CHANNEL}"
datasets = ["acceptance", "handling", "completion", "evaluation"]
to = "{PROVINCE}"
{engines}"#
        )
    }

    /// What is run.
    #[must_use]
    pub fn children(&self) -> Vec<ChildSpec> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let secret = |name: &str| path(&format!("secrets/{name}.secret"));
        let serve = |dir: &str, roles: Option<&str>| {
            let mut serve = vec!["serve".to_owned(), "--dir".into(), path(dir), "--exit-with-parent".into()];
            #[cfg(feature = "defence-switches")]
            if let Some(defence) = &self.options.without_defence {
                serve.extend(["--without-defence".into(), defence.clone()]);
            }
            serve.extend(["--config".into(), path(&format!("{dir}/gateway.toml"))]);
            serve.extend(roles.into_iter().flat_map(|roles| ["--role".to_owned(), roles.to_owned()]));
            serve
        };
        let mut platform: Vec<String> = ["simulate", "12345", "--exit-with-parent"].map(str::to_owned).into();
        platform.extend(["--dir".into(), path("platform"), "--listen".into(), self.platform.to_string()]);
        platform.extend([
            "--gateway-url".into(),
            format!("http://{}", self.public),
            "--channel".into(),
            CHANNEL.into(),
        ]);
        platform.extend(["--api-secret-file".into(), secret("request")]);
        platform.extend(["--webhook-secret-file".into(), secret("webhook")]);
        platform.extend(["--dress".into(), self.dress.as_str().into()]);
        platform.extend(["--seed".into(), self.seed.to_string(), "--life".into(), self.life.clone()]);
        platform.extend(["--faults".into(), self.options.faults.clone()]);
        platform.extend(["--overlap-seconds".into(), OVERLAP_S.to_string()]);
        platform.extend(["--client-timeout-ms".into(), CLIENT_TIMEOUT_MS.to_string()]);
        let seconds = self
            .options
            .seconds
            .or_else(|| (self.options.orders.is_none() && self.options.data.is_none()).then_some(60));
        let numbers = [
            ("--seconds", seconds.map(|seconds| seconds.to_string())),
            ("--orders", self.options.orders.map(|orders| orders.to_string())),
            ("--rate", self.options.rate.map(|rate| rate.to_string())),
        ];
        for (name, value) in numbers {
            platform.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        }
        let province = self.province_arguments(seconds);
        let mut desk: Vec<String> = ["simulate", "desk", "--exit-with-parent"].map(str::to_owned).into();
        desk.extend(["--dir".into(), path("desk"), "--listen".into(), self.desk.to_string()]);
        desk.extend(["--gateway-url".into(), format!("http://{}", self.admin), "--channel".into(), CHANNEL.into()]);
        desk.extend(["--token-file".into(), path("gateway/tokens/desk.token"), "--seed".into(), self.seed.to_string()]);
        for (name, value) in [("--data", &self.options.data), ("--mapping", &self.options.mapping)] {
            let arguments = value.iter().flat_map(|value| [name.to_owned(), value.display().to_string()]);
            platform.extend(arguments.clone());
            desk.extend(arguments);
        }
        let spec = |name: &'static str, arguments| ChildSpec {
            name,
            arguments,
            log: self.dir.join(format!("logs/{name}.log")),
        };
        let mut children = Vec::new();
        if self.engines.is_empty() {
            children.push(spec("serve", serve("gateway", None)));
        } else {
            children.push(spec("serve", serve("gateway", Some("intake,poll,monitor,api"))));
            children.extend(WORKERS.map(|worker| spec(worker, serve(worker, Some("pipeline,deliver")))));
        }
        children.extend([spec("platform", platform), spec("province", province), spec("desk", desk)]);
        children
    }

    /// The province: a twentieth of the platform's pace, for about as long.
    fn province_arguments(&self, seconds: Option<u64>) -> Vec<String> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let mut province: Vec<String> = ["simulate", "12328", "--exit-with-parent"].map(str::to_owned).into();
        province.extend(["--dir".into(), path("province"), "--listen".into(), self.province.to_string()]);
        for secret in ["--api-secret-file", "--webhook-secret-file"] {
            province.extend([secret.to_owned(), path("secrets/province.secret")]);
        }
        province.extend(["--seed".into(), self.seed.to_string(), "--life".into(), self.life.clone()]);
        province.extend(["--faults".into(), self.options.faults.clone()]);
        province.extend(["--overlap-seconds".into(), OVERLAP_S.to_string()]);
        province.extend(["--client-timeout-ms".into(), CLIENT_TIMEOUT_MS.to_string()]);
        let rate = (self.options.rate.unwrap_or(20.0) / 20.0).max(0.5);
        province.extend(["--rate".into(), rate.to_string()]);
        let orders = self.options.orders.map(|orders| (orders / 20).max(LEAST_PROVINCIAL));
        // Played data says nothing of how long it lasts.
        let seconds = seconds.or_else(|| orders.is_none().then_some(20));
        for (name, value) in [("--seconds", seconds), ("--orders", orders)] {
            province.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_string()]));
        }
        province
    }

    /// Writes `demo.json`: processes, addresses, and the files of tokens and secrets. Replaced as a whole, so that a reader never sees half.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_state(&self, pids: Vec<(&'static str, Option<u32>)>) -> std::io::Result<()> {
        let path = |name: &str| self.dir.join(name);
        let pids: serde_json::Map<String, Value> =
            pids.into_iter().map(|(name, pid)| (name.to_owned(), json!(pid))).collect();
        let state = json!({
            "pids": pids,
            "demo_pid": std::process::id(),
            "seed": self.seed,
            "addresses": { "admin": self.admin, "public": self.public, "platform": self.platform, "province": self.province, "desk": self.desk },
            "files": {
                "admin_token": path("gateway/tokens/admin.token"),
                "desk_token": path("gateway/tokens/desk.token"),
                "judge_token": path("gateway/tokens/judge.token"),
                "platform_control_token": path("platform/control-token"),
                "province_control_token": path("province/control-token"),
                "desk_control_token": path("desk/control-token"),
                "request_secret": path("secrets/request.secret"),
                "webhook_secret": path("secrets/webhook.secret"),
            },
        });
        let temporary = path("demo.json.new");
        std::fs::write(&temporary, state.to_string())?;
        std::fs::rename(temporary, path("demo.json"))
    }
}

/// How soon the processes of a demo are missed.
const NODE: &str = r"
[node]
tell_every_ms = 1000
silent_after_ms = 5000
";

/// The municipal platform's default profile with the limits of a platform that stands beside us.
///
/// # Errors
/// When the profile has no such limits.
pub fn unhurried_profile(request_timeout_ms: u64) -> Result<String, Failure> {
    unhurried(profile_of(Dress::Default), request_timeout_ms)
}

/// As [`unhurried_profile`], of the province.
///
/// # Errors
/// When the profile has no such limits.
pub fn unhurried_provincial_profile(request_timeout_ms: u64) -> Result<String, Failure> {
    unhurried(connector_provincial_12328::KIND.default_profile, request_timeout_ms)
}

/// The wire profile by which the gateway meets a platform in this dress.
fn profile_of(dress: Dress) -> &'static str {
    match dress {
        Dress::Default => connector_municipal_12345::KIND.default_profile,
        Dress::Canghai => connector_municipal_12345::CANGHAI,
        Dress::Yunjing => connector_municipal_12345::YUNJING,
    }
}

fn unhurried(profile: &str, request_timeout_ms: u64) -> Result<String, Failure> {
    let mut text = profile.to_owned();
    let limits = [
        ("requests_per_second", "0.0".to_owned()),
        ("concurrency", "64".to_owned()),
        ("request_timeout_ms", request_timeout_ms.to_string()),
    ];
    for (key, value) in limits {
        let start = text
            .match_indices(key)
            .map(|(at, _)| at)
            .find(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n')
            .ok_or_else(|| Failure(format!("the profile has no {key}")))?;
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        text.replace_range(start..end, &format!("{key} = {value}"));
    }
    Ok(text)
}

/// Addresses that nobody listens on now.
async fn free_addresses() -> std::io::Result<[SocketAddr; 5]> {
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(TcpListener::bind(("127.0.0.1", 0)).await?);
    }
    let address = |at: usize| held[at].local_addr();
    Ok([address(0)?, address(1)?, address(2)?, address(3)?, address(4)?])
}

/// The children of a killed demo end by themselves when their input ends; two generations must not write the same books.
async fn wait_for_predecessors(dir: &Path) -> Result<(), Failure> {
    let Ok(text) = std::fs::read_to_string(dir.join("demo.json")) else { return Ok(()) };
    let state: Value = serde_json::from_str(&text)?;
    let pids = state["pids"].as_object().into_iter().flat_map(|pids| pids.values()).chain([&state["demo_pid"]]);
    let pids: Vec<u64> = pids.filter_map(Value::as_u64).filter(|pid| *pid != u64::from(std::process::id())).collect();
    let until = Instant::now() + PREDECESSOR_PATIENCE;
    while pids.iter().any(|pid| works_in(*pid, dir)) {
        if Instant::now() >= until {
            return Err(Failure(format!("another demo runs in {}: end it first", dir.display())));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Whether a process of this program that names the directory still runs; a number alone may have gone to another process since.
fn works_in(pid: u64, dir: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let running = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
    running && line.contains(&dir.display().to_string())
}
