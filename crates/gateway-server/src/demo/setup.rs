//! A demo's directory: secrets, addresses, the gateway's configuration, and the command lines of the children.

use super::child::ChildSpec;
use super::parties::{self, Party, Told};
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
pub(super) const CLIENT_TIMEOUT_MS: u64 = 2_000;
pub(super) const OVERLAP_S: u64 = 8;

/// Everything about a demo's directory.
#[derive(Debug)]
pub struct Setup {
    /// The directory.
    pub dir: PathBuf,
    /// Where the gateway's API listens.
    pub admin: SocketAddr,
    public: SocketAddr,
    /// The simulated counterparties.
    pub parties: Vec<Party>,
    /// The dress that the platform speaks in.
    pub dress: Dress,
    /// The dress that the province speaks in.
    pub province_dress: Dress,
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
        let roles = parties::roles(options.handler);
        let mut addresses = free_addresses(roles.len() + 2).await?.into_iter();
        let mut address = || addresses.next().ok_or_else(|| Failure("too few addresses".into()));
        let (admin, public) = (address()?, address()?);
        let party = |(name, role)| Ok(Party { name, role, address: address()? });
        let parties = roles.into_iter().map(party).collect::<Result<Vec<_>, Failure>>()?;
        for name in ["logs", "gateway", "secrets"].into_iter().chain(parties.iter().map(|party| party.name)) {
            std::fs::create_dir_all(dir.join(name))?;
        }
        for name in parties.iter().flat_map(Party::secret_files) {
            secrets::read_or_create(&dir.join("secrets").join(name))?;
        }
        for role in ["admin", "desk", "judge"] {
            secrets::read_or_create(&dir.join(format!("gateway/tokens/{role}.token")))?;
        }
        let life = format!("{}-{seed}", gateway_model::Timestamp::now().as_millisecond());
        let configure =
            |servers: &Servers| servers.configure(&dir.join("secrets/database.url"), "../secrets/database.url");
        let engines = servers.map(configure).transpose()?.map_or_else(String::new, |engines| engines + NODE);
        let (dress, province_dress) = (options.dress, options.province_dress);
        let options = options.clone();
        let setup =
            Self { dir: dir.to_owned(), admin, public, parties, dress, province_dress, seed, life, options, engines };
        if servers.is_some() {
            setup.prepare_workers()?;
        }
        std::fs::write(dir.join("gateway/gateway.toml"), setup.gateway_toml(admin, public))?;
        for party in &setup.parties {
            if let Some(profile) = party.profile(&setup.options)? {
                std::fs::write(dir.join("gateway").join(party.profile_file()), profile)?;
            }
        }
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
        let engines = &self.engines;
        // Whichever process writes an address, the one that takes pushes answers it.
        let listener = self.public;
        let channels = parties::channels_and_routes(&self.parties);
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
audit_every_ms = 2000
attachment_allowance_ms = 5000

[attachments]
dir = "../gateway/attachments"
public_url = "http://{listener}"

[attachments.fetch]
every_ms = 200
claim_ms = 15000
give_up_after_s = 20
retry = {{ min_ms = 300, max_ms = 3000 }}
{channels}{engines}"#
        )
    }

    /// What is run.
    #[must_use]
    pub fn children(&self) -> Vec<ChildSpec> {
        let path = |name: &str| self.dir.join(name).display().to_string();
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
        let told = Told {
            dir: &self.dir,
            seed: self.seed,
            life: &self.life,
            options: &self.options,
            admin: self.admin,
            public: self.public,
        };
        children.extend(self.parties.iter().map(|party| spec(party.name, party.arguments(&told))));
        children
    }

    /// Writes `demo.json`: processes, addresses, and the files of tokens and secrets. Replaced as a whole, so that a reader never sees half.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_state(&self, pids: Vec<(&'static str, Option<u32>)>) -> std::io::Result<()> {
        let path = |name: &str| self.dir.join(name);
        let pids: serde_json::Map<String, Value> =
            pids.into_iter().map(|(name, pid)| (name.to_owned(), json!(pid))).collect();
        let mut addresses = json!({ "admin": self.admin, "public": self.public });
        let mut files = json!({
            "admin_token": path("gateway/tokens/admin.token"),
            "desk_token": path("gateway/tokens/desk.token"),
            "judge_token": path("gateway/tokens/judge.token"),
            "request_secret": path("secrets/request.secret"),
            "webhook_secret": path("secrets/webhook.secret"),
        });
        for party in &self.parties {
            addresses[party.name] = json!(party.address);
            files[format!("{}_control_token", party.name)] = json!(path(party.name).join("control-token"));
        }
        let state = json!({
            "pids": pids,
            "demo_pid": std::process::id(),
            "seed": self.seed,
            "addresses": addresses,
            "files": files,
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

pub(super) fn unhurried(profile: &str, request_timeout_ms: u64) -> Result<String, Failure> {
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

/// So many addresses that nobody listens on now.
async fn free_addresses(count: usize) -> std::io::Result<Vec<SocketAddr>> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(TcpListener::bind(("127.0.0.1", 0)).await?);
    }
    held.iter().map(TcpListener::local_addr).collect()
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
