//! The simulated counterparties of a demo: who there is, where each listens, its command line, and the gateway's channels and rules for it.

use super::setup::{CLIENT_TIMEOUT_MS, OVERLAP_S, unhurried};
use crate::Failure;
use crate::cli::{DemoHandler, DemoOptions};
use gateway_simulator::{Dress, FaultKind};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// The channels of the municipal platform, the province, and the bureau.
pub(super) const CHANNEL: &str = "municipal-12345";
pub(super) const PROVINCE: &str = "provincial-12328";
pub(super) const BUREAU: &str = "bureau";
/// The operating-data service, which is no channel.
pub(super) const CARS: &str = "operating-data";
/// The channel whose orders are compared with what that service says.
pub(super) const VERIFIED: &str = "taxi-qr";
/// The channel whose pictures the bureau is granted.
pub(super) const GRANTED: &str = "taxi-qr";

/// So many orders of its own a lesser counterparty has at least.
const LEAST_ORDERS: u64 = 4;

/// What a counterparty is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The municipal platform.
    Platform,
    /// The province's centre.
    Province,
    /// Where citizens write themselves: the command that simulates it, the kind of connector, and whether it pushes.
    Front { simulate: &'static str, kind: &'static str, pushes: bool },
    /// The bureau's own system.
    Bureau,
    /// The service that is asked of cars.
    Cars,
    /// The handling desk, in the gateway's API.
    Desk,
}

/// One counterparty.
#[derive(Debug, Clone, Copy)]
pub struct Party {
    /// Its directory, its child process and its log.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    pub(super) role: Role,
}

const fn front(simulate: &'static str, kind: &'static str, pushes: bool) -> Role {
    Role::Front { simulate, kind, pushes }
}

/// Who takes part.
pub(super) fn roles(handler: DemoHandler) -> Vec<(&'static str, Role)> {
    let mut roles = vec![("platform", Role::Platform), ("province", Role::Province)];
    match handler {
        DemoHandler::Desk => roles.push(("desk", Role::Desk)),
        DemoHandler::Bureau => roles.extend([
            ("bureau", Role::Bureau),
            ("taxi-qr", front("taxi-qr", "taxi-qr", true)),
            ("wechat", front("web-12328", "web-12328", true)),
            ("website", front("web-12328", "web-12328", false)),
            ("taxi-wechat", front("taxi-wechat", "web-12328", true)),
            (CARS, Role::Cars),
        ]),
    }
    roles
}

/// What a demo tells its counterparties.
pub(super) struct Told<'a> {
    pub(super) dir: &'a Path,
    pub(super) seed: u64,
    pub(super) life: &'a str,
    pub(super) options: &'a DemoOptions,
    pub(super) admin: SocketAddr,
    pub(super) public: SocketAddr,
}

impl Told<'_> {
    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// How long life lasts, where time ends it.
    fn seconds(&self) -> Option<u64> {
        let options = self.options;
        options.seconds.or_else(|| (options.orders.is_none() && options.data.is_none()).then_some(60))
    }

    fn data(&self) -> Vec<String> {
        let files = [("--data", &self.options.data), ("--mapping", &self.options.mapping)];
        let named = |(name, file): (&str, &Option<std::path::PathBuf>)| {
            file.iter().flat_map(|file| [name.to_owned(), file.display().to_string()]).collect::<Vec<_>>()
        };
        files.into_iter().flat_map(named).collect()
    }
}

impl Party {
    /// The channel by which the gateway knows it; a desk has none.
    #[must_use]
    pub fn channel(&self) -> Option<&'static str> {
        match self.role {
            Role::Platform => Some(CHANNEL),
            Role::Province => Some(PROVINCE),
            Role::Bureau => Some(BUREAU),
            Role::Front { .. } => Some(self.name),
            Role::Desk | Role::Cars => None,
        }
    }

    /// Whether citizens write there themselves.
    #[must_use]
    pub fn is_front(&self) -> bool {
        matches!(self.role, Role::Front { .. })
    }

    fn kind(&self) -> Option<&'static str> {
        match self.role {
            Role::Front { kind, .. } => Some(kind),
            _ => self.channel(),
        }
    }

    fn pushes(&self) -> bool {
        matches!(self.role, Role::Platform | Role::Bureau | Role::Front { pushes: true, .. })
    }

    /// The file of the secret for calls to it, and of that for pushes from it.
    fn secrets(&self) -> [String; 2] {
        match self.role {
            Role::Platform => ["request.secret".to_owned(), "webhook.secret".to_owned()],
            _ => [format!("{}.secret", self.name), format!("{}.secret", self.name)],
        }
    }

    /// The names of its secrets' files; none of the desk, which has a token.
    pub(super) fn secret_files(&self) -> Vec<String> {
        if self.role == Role::Desk { Vec::new() } else { self.secrets().into() }
    }

    /// Its wire profile with the limits of a counterparty that stands beside us.
    pub(super) fn profile(&self, options: &DemoOptions) -> Result<Option<String>, Failure> {
        let dress = if self.role == Role::Province { options.province_dress } else { options.dress };
        shipped_profile(self.name, dress).map(|profile| unhurried(profile, CLIENT_TIMEOUT_MS)).transpose()
    }

    /// The file of its profile in the gateway's directory.
    pub(super) fn profile_file(&self) -> String {
        format!("{}.profile.toml", self.name)
    }

    /// Its command line.
    pub(super) fn arguments(&self, told: &Told<'_>) -> Vec<String> {
        let simulate = match self.role {
            Role::Platform => "12345",
            Role::Province => "12328",
            Role::Front { simulate, .. } => simulate,
            Role::Bureau => "bureau",
            Role::Cars => CARS,
            Role::Desk => "desk",
        };
        let mut all: Vec<String> = ["simulate", simulate, "--exit-with-parent"].map(str::to_owned).into();
        let mut put = |name: &str, value: String| all.extend([name.to_owned(), value]);
        put("--dir", told.path(self.name));
        put("--listen", self.address.to_string());
        put("--seed", told.seed.to_string());
        if self.role == Role::Desk {
            put("--gateway-url", format!("http://{}", told.admin));
            put("--channel", CHANNEL.to_owned());
            put("--token-file", told.path("gateway/tokens/desk.token"));
            all.extend(told.data());
            return all;
        }
        let [request, webhook] = self.secrets();
        put("--api-secret-file", told.path(&format!("secrets/{request}")));
        if self.role == Role::Cars {
            put("--slow-ms", (CLIENT_TIMEOUT_MS + 1_000).to_string());
            let faults = of_cars(&told.options.faults);
            (!faults.is_empty()).then(|| put("--faults", faults.to_owned()));
            return all;
        }
        put("--webhook-secret-file", told.path(&format!("secrets/{webhook}")));
        put("--life", told.life.to_owned());
        put("--faults", self.faults(told.options));
        put("--overlap-seconds", OVERLAP_S.to_string());
        put("--client-timeout-ms", CLIENT_TIMEOUT_MS.to_string());
        if let (true, Some(channel)) = (self.pushes(), self.channel()) {
            put("--gateway-url", format!("http://{}", told.public));
            put("--channel", channel.to_owned());
        }
        let seconds = told.seconds();
        match self.role {
            Role::Platform => {
                put("--dress", told.options.dress.as_str().to_owned());
                let numbers = [
                    ("--seconds", seconds.map(|seconds| seconds.to_string())),
                    ("--orders", told.options.orders.map(|orders| orders.to_string())),
                    ("--rate", told.options.rate.map(|rate| rate.to_string())),
                ];
                for (name, value) in numbers {
                    value.into_iter().for_each(|value| put(name, value));
                }
                all.extend(told.data());
            }
            // A twentieth of the platform's pace, for about as long.
            Role::Province | Role::Front { .. } => {
                if self.role == Role::Province {
                    put("--dress", told.options.province_dress.as_str().to_owned());
                }
                put("--rate", (told.options.rate.unwrap_or(20.0) / 20.0).max(0.5).to_string());
                let orders = told.options.orders.map(|orders| (orders / 20).max(LEAST_ORDERS));
                // Played data says nothing of how long it lasts.
                let seconds = seconds.or_else(|| orders.is_none().then_some(20));
                for (name, value) in [("--seconds", seconds), ("--orders", orders)] {
                    value.into_iter().for_each(|value| put(name, value.to_string()));
                }
            }
            // It lives as long as anything is dispatched to it.
            Role::Bureau => {
                seconds.into_iter().for_each(|seconds| put("--seconds", seconds.to_string()));
                all.extend(told.data());
            }
            Role::Cars | Role::Desk => {}
        }
        all
    }

    /// A plan by name is each counterparty's own; of a list, the bureau has what can befall it.
    fn faults(&self, options: &DemoOptions) -> String {
        let faults = &options.faults;
        if self.role != Role::Bureau || matches!(faults.as_str(), "none" | "default" | "heavy") {
            return faults.clone();
        }
        let befalls = |word: &&str| {
            let kind = word.split(':').next().unwrap_or_default().trim().parse::<FaultKind>();
            kind.is_ok_and(FaultKind::befalls_the_bureau)
        };
        let named: Vec<&str> = faults.split(',').filter(befalls).collect();
        if named.is_empty() { "none".to_owned() } else { named.join(",") }
    }
}

/// What goes wrong when cars are asked for: of a plan by name what passes, and nothing where kinds are named, none of which it has.
fn of_cars(faults: &str) -> &'static str {
    match faults {
        "default" => "unavailable:3,throttled:2",
        "heavy" => "slow:2,unavailable:8,throttled:3,refused:2,other:3,torn:3",
        _ => "",
    }
}

/// The wire profile by which the gateway meets a counterparty of this name; a desk has none.
fn shipped_profile(name: &str, dress: Dress) -> Option<&'static str> {
    match name {
        "platform" => Some(match dress {
            Dress::Default => connector_municipal_12345::KIND.default_profile,
            Dress::Canghai => connector_municipal_12345::CANGHAI,
            Dress::Yunjing => connector_municipal_12345::YUNJING,
        }),
        "province" => match dress {
            Dress::Default => Some(connector_provincial_12328::KIND.default_profile),
            Dress::Yunjing => Some(connector_provincial_12328::YUNJING),
            Dress::Canghai => None,
        },
        "bureau" => Some(connector_bureau::KIND.default_profile),
        "taxi-qr" => Some(connector_taxi_qr::KIND.default_profile),
        CARS => Some(gateway_connector::profile::OperatingDataProfile::DEFAULT),
        _ => connector_web_12328::shipped(name),
    }
}

/// The profile of a simulated counterparty, in the default dress, with the limits of one that stands beside us.
///
/// # Errors
/// When there is no counterparty of this name, or its profile has no such limits.
pub fn unhurried_profile(name: &str, request_timeout_ms: u64) -> Result<String, Failure> {
    let profile = shipped_profile(name, Dress::Default);
    let profile = profile.ok_or_else(|| Failure(format!("no simulated counterparty is called {name:?}")))?;
    unhurried(profile, request_timeout_ms)
}

/// The gateway's channels for these counterparties, and the rules of what is owed to whom.
pub(super) fn channels_and_routes(parties: &[Party]) -> String {
    let mut toml = String::new();
    for party in parties {
        let (Some(channel), Some(kind)) = (party.channel(), party.kind()) else { continue };
        let (address, profile, [request, webhook]) = (party.address, party.profile_file(), party.secrets());
        let _ = write!(
            toml,
            r#"
[[channel]]
id = "{channel}"
kind = "{kind}"
base_url = "http://{address}"
profile = "../gateway/{profile}"
app_id = "transport-bureau"
request_secret_file = "../secrets/{request}"
"#
        );
        // A front asks after its orders with that secret, also where it pushes nothing.
        if party.pushes() || party.is_front() {
            let _ = writeln!(toml, r#"webhook_secret_files = ["../secrets/{webhook}"]"#);
        }
        if channel == VERIFIED {
            toml.push_str("verification = true\n");
        }
    }
    for cars in parties.iter().filter(|party| party.role == Role::Cars) {
        let (address, profile, [request, _]) = (cars.address, cars.profile_file(), cars.secrets());
        let _ = write!(
            toml,
            r#"
[operating_data]
base_url = "http://{address}"
profile = "../gateway/{profile}"
app_id = "transport-bureau"
request_secret_file = "../secrets/{request}"
retry = {{ min_ms = 200, max_ms = 2000 }}
"#
        );
    }
    let mut route = |from: &str, datasets: &str, to: &str| {
        let _ = write!(toml, "\n[[route]]\nfrom = \"{from}\"\ndatasets = [{datasets}]\nto = \"{to}\"\n");
        if from == GRANTED && to == BUREAU {
            toml.push_str("person_fields = [\"pictures\"]\n");
        }
    };
    let origins = parties.iter().filter(|party| party.role == Role::Platform || party.is_front());
    let bureau = parties.iter().any(|party| party.role == Role::Bureau);
    for origin in origins.filter_map(Party::channel) {
        if bureau {
            route(origin, r#""acceptance", "handling", "evaluation""#, BUREAU);
            route(BUREAU, r#""handling", "completion""#, origin);
        } else {
            route("desk", r#""handling", "completion""#, origin);
        }
        route(origin, r#""acceptance", "handling", "completion", "evaluation""#, PROVINCE);
    }
    if bureau {
        // What a person asks: a further unit of the bureau, more time and appeals of the platform.
        route("desk", r#""handling""#, BUREAU);
        route("desk", r#""handling""#, CHANNEL);
    }
    toml
}
