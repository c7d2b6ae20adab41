//! Gateway, counterparties and desk in one process, over loopback HTTP, on one clock that somebody drives.

use gateway_model::{Clock, ManualClock, Timestamp};
use gateway_server::demo::{Servers, unhurried_profile};
use gateway_server::serve::SteppedGateway;
use gateway_simulator::clock::SimClock;
use gateway_simulator::{
    ControlPoint, DeskHandle, DeskOptions, FaultPlan, JudgeOptions, PlatformHandle, PlatformKind, PlatformOptions,
    Verdict, http, judge, start_desk, start_platform,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Trouble;

/// The municipal platform's channel.
pub const CHANNEL: &str = "municipal-12345";
/// What a lesser counterparty has of its own, for each order of the municipal platform.
const LESSER_SHARE: f64 = 0.1;
/// The counterparties: channel, kind of connector, name of the simulated one, what it is, and whether it pushes. The desk handles the orders of the
/// platform, the bureau those of where citizens write themselves; the province is owed everything.
const SIDES: [(&str, &str, &str, PlatformKind, bool); 7] = [
    (CHANNEL, "municipal-12345", "platform", PlatformKind::Municipal, true),
    ("provincial-12328", "provincial-12328", "province", PlatformKind::Province, false),
    ("bureau", "bureau", "bureau", PlatformKind::Bureau, true),
    ("taxi-qr", "taxi-qr", "taxi-qr", PlatformKind::TaxiQr, true),
    ("wechat", "web-12328", "wechat", PlatformKind::Web, true),
    ("website", "web-12328", "website", PlatformKind::Web, false),
    ("taxi-wechat", "web-12328", "taxi-wechat", PlatformKind::TaxiWechat, true),
];
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
const LIES_LAST: Duration = Duration::from_secs(6 * 3_600);
const MINUTE_MS: u64 = 60_000;
/// Each step asks the broker how far every partition is, and the checks ask it too.
const ONE_PARTITION: &str = "\n[topics]\npartitions = 1\n";
/// How long a look waits for a broker, in milliseconds.
const HAND_OVER_MS: u32 = 5;

/// What lives in a world.
pub struct WorldOptions {
    /// Seed of everything.
    pub seed: u64,
    /// When it begins.
    pub start: Timestamp,
    /// Orders on a simulated day, on average.
    pub orders_per_day: f64,
    /// How far the clock moves at once.
    pub step: Duration,
    /// What goes wrong at a counterparty.
    pub faults: fn(PlatformKind, u32, bool) -> FaultPlan,
    /// How much goes wrong at the municipal platform.
    pub fault_count: u32,
    /// Whether what hits everything at once does.
    pub upheavals: bool,
    /// How long life lasts.
    pub life: Duration,
    /// Whether the gateway runs on Apache Kafka and PostgreSQL, which are started for it.
    pub scaled: bool,
}

/// A counterparty: its channel, and its platform with a book of its own.
pub struct Side {
    /// The channel by which the gateway knows it.
    pub channel: &'static str,
    kind: &'static str,
    name: &'static str,
    /// The platform.
    pub platform: PlatformHandle,
}

/// The whole of it.
pub struct World {
    clock: Arc<ManualClock>,
    gateway: SteppedGateway,
    /// The other sides, the municipal platform first.
    pub sides: Vec<Side>,
    desk: DeskHandle,
    servers: Option<Servers>,
    token: String,
    client: reqwest::Client,
    step: Duration,
    /// How often a task failed, by task and code.
    pub failures: BTreeMap<(String, String), u64>,
}

impl World {
    /// Starts everything in an empty directory.
    ///
    /// # Errors
    /// Whatever keeps a part from starting.
    pub async fn start(dir: &Path, options: &WorldOptions) -> Result<Self, Trouble> {
        let clock = Arc::new(ManualClock::new(options.start));
        let simulated = {
            let clock = clock.clone();
            SimClock::new(move || clock.now().as_millisecond())
        };
        for name in ["gateway/secrets", "gateway/tokens", "desk"].into_iter().chain(SIDES.map(|(_, _, name, ..)| name))
        {
            std::fs::create_dir_all(dir.join(name))?;
        }
        let secrets = ["request-secret-of-the-campaign", "webhook-secret-of-the-campaign"];
        std::fs::write(dir.join("gateway/secrets/request.secret"), secrets[0])?;
        std::fs::write(dir.join("gateway/secrets/webhook.secret"), secrets[1])?;
        let address_file = dir.join("gateway/public.address");
        let mut sides = Vec::new();
        for (channel, kind, name, whose, pushes) in SIDES {
            let share = if whose == PlatformKind::Municipal { 1.0 } else { LESSER_SHARE };
            let orders_per_day = options.orders_per_day * share;
            let platform = PlatformOptions {
                kind: whose,
                channel: channel.to_owned(),
                gateway_address_file: pushes.then(|| address_file.clone()),
                clock: simulated.clone(),
                stepped: true,
                durable: false,
                pace: Some(gateway_simulator::Pace { orders_per_day, ..Default::default() }),
                seed: options.seed,
                seconds: Some(options.life.as_secs()),
                faults: (options.faults)(whose, options.fault_count, options.upheavals),
                overlap: Duration::from_millis(15 * MINUTE_MS),
                client_timeout: CLIENT_TIMEOUT,
                lie_lasts: LIES_LAST,
                ..PlatformOptions::new(dir.join(name), secrets[0], secrets[1])
            };
            sides.push(Side { channel, kind, name, platform: start_platform(platform).await? });
            let profile = unhurried_profile(name, 5_000).map_err(of_server)?;
            std::fs::write(dir.join(format!("gateway/{name}.profile.toml")), profile)?;
        }
        let file = dir.join("gateway/gateway.toml");
        let servers = if options.scaled { Some(Servers::start(dir, true).await.map_err(of_server)?) } else { None };
        let engines = match &servers {
            Some(servers) => {
                let of_servers =
                    servers.configure(&dir.join("gateway/secrets/database.url"), "secrets/database.url")?;
                of_servers + ONE_PARTITION
            }
            None => String::new(),
        };
        std::fs::write(&file, configuration(&sides, u32::from(options.scaled) * HAND_OVER_MS) + &engines)?;
        let gateway = SteppedGateway::open(&dir.join("gateway"), &file, clock.clone()).await.map_err(of_server)?;
        std::fs::write(address_file, gateway.public_url.trim_start_matches("http://"))?;
        let token = |role: &str| std::fs::read_to_string(dir.join(format!("gateway/tokens/{role}.token")));
        let mut desk = DeskOptions::new(dir.join("desk"), &gateway.admin_url, token("desk")?.trim());
        desk.clock = simulated;
        desk.stepped = true;
        desk.durable = false;
        desk.pace = Some(Default::default());
        desk.parallel = 1;
        desk.seed = options.seed;
        let desk = start_desk(desk).await?;
        let token = token("admin")?.trim().to_owned();
        let client = http::client(Duration::from_secs(60))?;
        let (step, failures) = (options.step, BTreeMap::new());
        Ok(Self { clock, gateway, sides, desk, servers, token, client, step, failures })
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves time on by one step and lets everybody do what is due.
    ///
    /// # Errors
    /// When platform or desk can't go on.
    pub async fn step(&mut self) -> Result<(), Trouble> {
        let next = self.now().checked_add(self.step).map_err(|error| Trouble(error.to_string()))?;
        self.clock.advance_to(next);
        for side in &self.sides {
            side.platform.step().await?;
        }
        for (task, error) in self.gateway.step().await.map_err(of_server)? {
            *self.failures.entry((task, error.code)).or_default() += 1;
        }
        self.desk.step().await?;
        Ok(())
    }

    /// Nothing spontaneous happens any more.
    pub fn stop_life(&self) {
        self.sides.iter().for_each(|side| side.platform.stop_life());
        self.desk.stop();
    }

    /// Asks the gateway.
    ///
    /// # Errors
    /// When it does not answer 200.
    pub async fn ask(&self, path: &str) -> Result<Value, Trouble> {
        Ok(http::get(&self.client, &self.gateway.admin_url, path, &self.token).await?)
    }

    /// What the judge says now.
    ///
    /// # Errors
    /// When one of the three can't be read.
    pub async fn verdict(&self) -> Result<Verdict, Trouble> {
        let platform = &self.sides[0].platform;
        let options = JudgeOptions {
            forwards: None,
            attachments: None,
            verification: None,
            fronts: Vec::new(),
            bureau: None,
            gateway_url: self.gateway.admin_url.clone(),
            token: self.token.clone(),
            platform: ControlPoint { url: platform.url(), token: platform.token.clone() },
            desk: Some(ControlPoint { url: self.desk.url(), token: self.desk.token.clone() }),
            channel: CHANNEL.to_owned(),
            dress: gateway_simulator::Dress::Default,
        };
        Ok(judge(options).await?)
    }

    /// Ends everything.
    ///
    /// # Errors
    /// When a simulator ended badly.
    pub async fn end(self) -> Result<(), Trouble> {
        self.gateway.close().await;
        self.desk.shutdown().cancel();
        self.desk.ended().await?;
        for side in self.sides {
            side.platform.shutdown().cancel();
            side.platform.ended().await?;
        }
        if let Some(servers) = self.servers {
            servers.stop().await;
        }
        Ok(())
    }
}

fn of_server(failure: gateway_server::Failure) -> Trouble {
    Trouble(failure.0)
}

/// The channels, and what is owed to whom.
fn channels(sides: &[Side]) -> String {
    let mut toml = String::new();
    for Side { channel, kind, name, platform } in sides {
        let url = platform.url();
        toml += &format!(
            r#"
[[channel]]
id = "{channel}"
kind = "{kind}"
base_url = "{url}"
profile = "{name}.profile.toml"
app_id = "transport-bureau"
request_secret_file = "secrets/request.secret"
"#
        );
        if *kind != "provincial-12328" {
            toml += "webhook_secret_files = [\"secrets/webhook.secret\"]\n";
        }
    }
    let route = |from: &str, datasets: &str, to: &str| {
        format!("\n[[route]]\nfrom = \"{from}\"\ndatasets = [{datasets}]\nto = \"{to}\"\n")
    };
    let (done, all) = (r#""handling", "completion""#, r#""acceptance", "handling", "completion", "evaluation""#);
    toml += &route("desk", done, CHANNEL);
    toml += &route(CHANNEL, all, "provincial-12328");
    for (front, ..) in SIDES.iter().filter(|(_, _, _, whose, _)| whose.is_front()) {
        toml += &route(front, r#""acceptance", "handling", "evaluation""#, "bureau");
        toml += &route("bureau", done, front);
        toml += &route(front, all, "provincial-12328");
    }
    toml
}

/// The defaults, with what a step of minutes makes necessary: nothing waits in real time but for a broker.
fn configuration(sides: &[Side], wait_ms: u32) -> String {
    let channels = channels(sides);
    format!(
        r#"
[api]
admin_address = "127.0.0.1:1"
public_address = "127.0.0.1:2"

[pipeline]
fetch_wait_ms = {wait_ms}

[intake.poll]
every_ms = 300000
overlap_ms = 900000
lease_ms = 3600000

[intake.reread]
every_ms = 60000
claim_ms = 3600000

[intake.backfill]
every_ms = 60000
claim_ms = 3600000

[delivery]
every_ms = 60000
wake_wait_ms = {wait_ms}
lease_ms = 3600000

[delivery.breaker]
failures = 1000000

[reconcile.policy]
recent_every_ms = 600000
outage_after_ms = 3600000
whole_every_ms = 21600000
second_look_min_ms = 900000
second_look_max_ms = 7200000
repair_patience_ms = 900000
lease_ms = 3600000
audit_every_ms = 3600000
{channels}"#
    )
}
