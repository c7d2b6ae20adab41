//! From the configuration to what works: every mistake told at once.

use crate::config::{AlertConfig, NotifierConfig};
use crate::finding::Check;
use crate::heartbeat::{self, Heartbeat};
use crate::notice::Writer;
use crate::notifiers::http::Http;
use crate::notifiers::{self, Notifier, SendError};
use crate::policy::Policy;
use crate::sender::{Sender, SenderParts};
use crate::{Alerter, HEARTBEAT, texts};
use gateway_model::{Clock, IncidentId, News, NotificationId, NotificationState, Severity, Timestamp};
use gateway_store::{NotificationItem, NotificationRow, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key, as `alert.notifier[0].url`.
    pub key: String,
    /// What is wrong, and what is expected.
    pub text: String,
}

impl Mistake {
    pub(crate) fn new(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { key: key.into(), text: text.into() }
    }
}

/// Alerting, ready to run.
pub struct Alerting {
    config: AlertConfig,
    policy: Policy,
    writer: Writer,
    notifiers: Vec<(String, Arc<dyn Notifier>)>,
    heartbeat: Option<(Http, bool)>,
}

/// What came of a test notice.
#[derive(Debug)]
pub struct Tried {
    /// The notifier.
    pub notifier: String,
    /// Its kind.
    pub kind: &'static str,
    /// Whether it took it.
    pub outcome: Result<(), SendError>,
}

/// Makes sense of the configuration and reads the secrets that it names; relative paths must have been made absolute.
///
/// # Errors
/// Every mistake.
pub fn prepare(config: AlertConfig) -> Result<Alerting, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut ids = BTreeSet::new();
    let mut built = Vec::new();
    for (at, notifier) in config.notifiers.iter().enumerate() {
        let key = format!("alert.notifier[{at}]");
        if !is_plain(&notifier.id) || notifier.id == HEARTBEAT {
            mistakes.push(Mistake::new(
                format!("{key}.id"),
                "must be 1 to 64 lower-case letters, digits and dashes, and not `heartbeat`",
            ));
        } else if !ids.insert(notifier.id.clone()) {
            mistakes.push(Mistake::new(format!("{key}.id"), format!("{} is there twice", notifier.id)));
        }
        if let Some(made) = notifiers::build(&key, notifier, &mut mistakes) {
            built.push((notifier.id.clone(), made));
        }
    }
    for (key, text) in config.checks.mistakes() {
        mistakes.push(Mistake::new(format!("alert.checks.{key}"), text));
    }
    let policy = Policy::new(&config, &mut mistakes);
    let heartbeat = read_heartbeat(&config, &mut mistakes);
    if config.installation.chars().count() > 64 || config.installation.chars().any(char::is_control) {
        mistakes.push(Mistake::new("alert.installation", "must be at most 64 characters, without control characters"));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let writer =
        Writer { language: config.language, installation: config.installation.clone(), link: config.link.clone() };
    Ok(Alerting { config, policy, writer, notifiers: built, heartbeat })
}

impl Alerting {
    /// The task that looks; `holder` names this process in leases.
    #[must_use]
    pub fn alerter(
        &self,
        checks: Vec<Box<dyn Check>>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        holder: String,
    ) -> Alerter {
        let (policy, config) = (self.policy.clone(), self.config.clone());
        Alerter::new(checks, store, clock, policy, config, holder, self.heartbeat.is_some())
    }

    /// The tasks that send, one for each notifier.
    #[must_use]
    pub fn senders(&self, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>, holder: &str) -> Vec<Sender> {
        let parts = SenderParts {
            writer: self.writer.clone(),
            store: store.clone(),
            clock: clock.clone(),
            holder: holder.to_owned(),
            give_up_after_ms: self.config.give_up_after_ms,
        };
        let made =
            |(id, notifier): &(String, Arc<dyn Notifier>)| Sender::new(id.clone(), notifier.clone(), parts.clone());
        self.notifiers.iter().map(made).collect()
    }

    /// The heartbeat, where one is configured; `healthy` tells whether the gateway is.
    #[must_use]
    pub fn heartbeat(
        &self,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        healthy: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Option<Heartbeat> {
        let (http, post) = self.heartbeat.clone()?;
        let every = Duration::from_millis(self.config.heartbeat.every_ms);
        Some(Heartbeat { http, post, store, clock, healthy, every })
    }

    /// Sends a test notice through one notifier, or through every one. Writes nothing down.
    pub async fn try_notifiers(&self, only: Option<&str>, now: Timestamp) -> Vec<Tried> {
        let wanted = self.notifiers.iter().filter(|(id, _)| only.is_none_or(|only| only == id));
        let tries = wanted.map(|(id, notifier)| async move {
            let row = NotificationRow {
                id: NotificationId(0),
                key: uuid::Uuid::new_v4().to_string(),
                notifier: id.clone(),
                summary: false,
                items: vec![test_item(id, now)],
                state: NotificationState::Owed,
                created_at: now,
                due_at: now,
                attempts: 0,
                error: None,
                ended_at: None,
            };
            let outcome = notifier.send(&self.writer.write(&row, now), now).await;
            Tried { notifier: id.clone(), kind: notifier.kind(), outcome }
        });
        futures::future::join_all(tries).await
    }

    /// The notifiers' ids and kinds.
    #[must_use]
    pub fn notifiers(&self) -> Vec<(&str, &'static str)> {
        self.notifiers.iter().map(|(id, notifier)| (id.as_str(), notifier.kind())).collect()
    }

    /// Whether an outside watcher is called.
    #[must_use]
    pub fn has_heartbeat(&self) -> bool {
        self.heartbeat.is_some()
    }
}

fn test_item(notifier: &str, now: Timestamp) -> NotificationItem {
    NotificationItem {
        incident_id: IncidentId(0),
        news: News::Test,
        code: texts::TEST.into(),
        channel: None,
        subject: notifier.to_owned(),
        severity: Severity::Info,
        count: 1,
        since: now,
        opened_at: now,
        resolved_at: None,
        facts: BTreeMap::new(),
        acknowledged_by: None,
    }
}

fn read_heartbeat(config: &AlertConfig, mistakes: &mut Vec<Mistake>) -> Option<(Http, bool)> {
    let heartbeat = &config.heartbeat;
    if !heartbeat::wanted(heartbeat) {
        return None;
    }
    let post = match heartbeat.method.as_str() {
        "GET" => false,
        "POST" => true,
        other => {
            mistakes.push(Mistake::new("alert.heartbeat.method", format!("`{other}` is neither GET nor POST")));
            false
        }
    };
    if heartbeat.every_ms < 1_000 {
        mistakes.push(Mistake::new("alert.heartbeat.every_ms", "must be at least 1000"));
    }
    let url = read_url("alert.heartbeat", &heartbeat.url, heartbeat.url_file.as_deref(), mistakes)?;
    match Http::new(&url, Duration::from_millis(heartbeat.timeout_ms.max(100))) {
        Ok(http) => Some((http, post)),
        Err(text) => {
            mistakes.push(Mistake::new("alert.heartbeat.url", text));
            None
        }
    }
}

/// The address, from the configuration or from the file that it names.
pub(crate) fn read_url(key: &str, url: &str, file: Option<&Path>, mistakes: &mut Vec<Mistake>) -> Option<String> {
    match (url.is_empty(), file) {
        (false, None) => Some(url.to_owned()),
        (true, Some(file)) => read_secret(&format!("{key}.url_file"), file, mistakes),
        (true, None) => {
            mistakes
                .push(Mistake::new(format!("{key}.url"), "is missing: give `url`, or `url_file` where it holds a key"));
            None
        }
        (false, Some(_)) => {
            mistakes.push(Mistake::new(format!("{key}.url"), "is there beside `url_file`: give one of them"));
            None
        }
    }
}

/// What a file holds, without the line end.
pub(crate) fn read_secret(key: &str, file: &Path, mistakes: &mut Vec<Mistake>) -> Option<String> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let text = text.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                mistakes.push(Mistake::new(key, format!("{}: the file is empty", file.display())));
                return None;
            }
            Some(text.to_owned())
        }
        Err(error) => {
            mistakes.push(Mistake::new(key, format!("{}: {error}", file.display())));
            None
        }
    }
}

/// The file that a kind of notifier can't do without.
pub(crate) fn needed_secret(
    key: &str,
    file: Option<&PathBuf>,
    what: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<String> {
    match file {
        Some(file) => read_secret(key, file, mistakes),
        None => {
            mistakes.push(Mistake::new(key, format!("is missing: name the file with {what}")));
            None
        }
    }
}

fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The keys that a notifier's configuration sets, besides `id`, `kind` and `timeout_ms`.
pub(crate) fn set_keys(config: &NotifierConfig) -> Vec<&'static str> {
    let set = [
        ("url", !config.url.is_empty()),
        ("url_file", config.url_file.is_some()),
        ("secret_file", config.secret_file.is_some()),
        ("host", !config.host.is_empty()),
        ("port", config.port.is_some()),
        ("tls", !config.tls.is_empty()),
        ("username", !config.username.is_empty()),
        ("password_file", config.password_file.is_some()),
        ("ca_file", config.ca_file.is_some()),
        ("from", !config.from.is_empty()),
        ("to", !config.to.is_empty()),
        ("refresh_ms", config.refresh_ms.is_some()),
        ("watchdog", config.watchdog),
    ];
    set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}
