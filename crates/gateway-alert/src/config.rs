//! The section `[alert]`, as it is written; [`crate::prepare`] makes sense of it.

use gateway_model::Severity;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The section `[alert]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertConfig {
    /// Switched off, nobody looks and nobody is told.
    pub enabled: bool,
    /// The language of notices.
    pub language: Language,
    /// What this installation is called in notices, as `市交通局热线网关`.
    pub installation: String,
    /// Where people look further: an address that notices and Alertmanager link to; empty for none.
    pub link: String,
    /// Between two rounds of all checks.
    pub every_ms: u64,
    /// How long one check may look.
    pub check_timeout_ms: u64,
    /// Incidents of one channel that open within this time go out in one notification; a critical one waits for no others.
    pub group_window_ms: u64,
    /// How long the lease `alert` outlasts its last renewal and the pause between two looks. It is renewed at a third of it during a look.
    pub lease_ms: u64,
    /// An acknowledged incident is repeated this often.
    pub repeat_acknowledged_ms: u64,
    /// A notification that was refused for this long is given up; the incident itself is repeated.
    pub give_up_after_ms: u64,
    /// Resolved incidents are kept this long.
    pub keep_days: u32,
    /// What is looked at.
    pub checks: crate::checks::ChecksConfig,
    /// How incidents of severity `info` go.
    pub info: PaceConfig,
    /// How incidents of severity `warning` go.
    pub warning: PaceConfig,
    /// How incidents of severity `critical` go.
    pub critical: PaceConfig,
    /// Who can be told.
    #[serde(rename = "notifier")]
    pub notifiers: Vec<NotifierConfig>,
    /// Who is told of what: the first that matches counts, and the next ones too where it says `proceed`.
    #[serde(rename = "route")]
    pub routes: Vec<RouteConfig>,
    /// Who is told where no route matches. Its conditions are not looked at; without `to`, every notifier.
    pub default_route: RouteConfig,
    /// The dead-man heartbeat.
    pub heartbeat: HeartbeatConfig,
}

impl Default for AlertConfig {
    fn default() -> Self {
        let (minute, hour) = (60_000, 3_600_000);
        let pace = |open_after_ms, repeat_every_ms, escalate_after_ms| PaceConfig {
            open_after_ms,
            resolve_after_ms: 2 * minute,
            repeat_every_ms,
            escalate_after_ms,
        };
        Self {
            enabled: true,
            language: Language::Zh,
            installation: String::new(),
            link: String::new(),
            every_ms: 10_000,
            check_timeout_ms: 30_000,
            group_window_ms: 30_000,
            lease_ms: 8_000,
            repeat_acknowledged_ms: 24 * hour,
            give_up_after_ms: 72 * hour,
            keep_days: 400,
            checks: crate::checks::ChecksConfig::default(),
            info: pace(minute, 24 * hour, 0),
            warning: pace(30_000, 4 * hour, 2 * hour),
            critical: pace(0, hour / 2, hour / 2),
            notifiers: Vec::new(),
            routes: Vec::new(),
            default_route: RouteConfig::default(),
            heartbeat: HeartbeatConfig::default(),
        }
    }
}

impl AlertConfig {
    /// Every path in it, to be made absolute.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let notifiers = self.notifiers.iter_mut().flat_map(|notifier| {
            let files =
                [&mut notifier.url_file, &mut notifier.secret_file, &mut notifier.password_file, &mut notifier.ca_file];
            files.into_iter().flatten()
        });
        notifiers.chain(&mut self.heartbeat.url_file)
    }
}

/// A language that notices are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// 中文.
    Zh,
    /// English.
    En,
}

/// How incidents of one severity go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaceConfig {
    /// Found for this long, it opens.
    pub open_after_ms: u64,
    /// Not found for this long, it is resolved.
    pub resolve_after_ms: u64,
    /// While it lasts, it is told again this often.
    pub repeat_every_ms: u64,
    /// Not acknowledged this long after it was first told, it is escalated; 0 for never.
    pub escalate_after_ms: u64,
}

/// Somebody who can be told. What is needed depends on the kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifierConfig {
    /// Its id, as `duty-phone`.
    pub id: String,
    /// `webhook`, `smtp`, `alertmanager`, `wecom` or `dingtalk`.
    pub kind: String,
    /// Where it is, if the address is no secret.
    pub url: String,
    /// A file with the address, where the address holds a key.
    pub url_file: Option<PathBuf>,
    /// `webhook`: the signing secret. `dingtalk`: the robot's signing secret.
    pub secret_file: Option<PathBuf>,
    /// `smtp`: the server's name.
    pub host: String,
    /// `smtp`: its port; 465, 587 or 25 by `tls` where absent.
    pub port: Option<u16>,
    /// `smtp`: `implicit`, `starttls` or `none`; `starttls` where absent.
    pub tls: String,
    /// `smtp`: who logs in; nobody where empty.
    pub username: String,
    /// `smtp`: with which password.
    pub password_file: Option<PathBuf>,
    /// `smtp`: a PEM file with the certificate of an authority that is trusted besides those of the system, for a server of one's own house.
    pub ca_file: Option<PathBuf>,
    /// `smtp`: the sender's address.
    pub from: String,
    /// `smtp`: the recipients' addresses.
    pub to: Vec<String>,
    /// `alertmanager`: how often lasting alerts are sent again, so that they don't expire there; a minute where absent.
    pub refresh_ms: Option<u64>,
    /// `alertmanager`: keep an alert `Watchdog` firing, so that its silence tells that the gateway is gone.
    pub watchdog: bool,
    /// How long one attempt may take; ten seconds where absent.
    pub timeout_ms: Option<u64>,
}

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// Incidents of one of these channels; of all, and of none, where empty.
    pub channels: Vec<String>,
    /// Incidents with one of these codes; with any where empty.
    pub codes: Vec<String>,
    /// Incidents that matter at least so much.
    pub min_severity: Severity,
    /// The notifiers that are told.
    pub to: Vec<String>,
    /// The notifiers that are told too, once nobody acknowledged the incident in time.
    pub escalate_to: Vec<String>,
    /// When only critical ones go out.
    pub quiet: Option<QuietConfig>,
    /// Whether routes below are looked at as well.
    pub proceed: bool,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            codes: Vec::new(),
            min_severity: Severity::Info,
            to: Vec::new(),
            escalate_to: Vec::new(),
            quiet: None,
            proceed: false,
        }
    }
}

/// Quiet hours in China time, every day; they may pass midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietConfig {
    /// From, as `22:00`.
    pub from: String,
    /// Until, as `07:30`.
    pub until: String,
}

/// The dead-man heartbeat: an outside watcher is called while the gateway is healthy, and raises the alarm when the calls stay out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// Where to call, if the address is no secret; no heartbeat where this and `url_file` are absent.
    pub url: String,
    /// A file with the address, where the address holds a key.
    pub url_file: Option<PathBuf>,
    /// `GET` or `POST`.
    pub method: String,
    /// Between two calls.
    pub every_ms: u64,
    /// How long a call may take.
    pub timeout_ms: u64,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self { url: String::new(), url_file: None, method: "GET".into(), every_ms: 60_000, timeout_ms: 10_000 }
    }
}
