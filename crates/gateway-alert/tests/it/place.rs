//! A gateway's alerting with everything around it played: checks that find what a test says, on a clock that it drives.

use async_trait::async_trait;
use gateway_alert::{
    AlertConfig, Alerter, Alerting, Check, CheckError, Finding, NotifierConfig, PaceConfig, Sender, prepare,
};
use gateway_model::{ChannelId, Clock, IncidentId, IncidentState, ManualClock, News, Severity, Timestamp};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{IncidentFilter, IncidentRow, NewSilence, NotificationRow, SqliteOptions, SqliteStore, Store};
use std::collections::BTreeMap;

use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// What the played check finds, or why it can't look.
pub type Look = Arc<Mutex<Result<Vec<Finding>, String>>>;

struct PlayedCheck(Look);

#[async_trait]
impl Check for PlayedCheck {
    fn name(&self) -> &'static str {
        "played"
    }

    async fn look(&mut self, _now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        self.0
            .lock()
            .unwrap()
            .clone()
            .map_err(|text| CheckError::Unreadable { what: text, source: std::io::Error::other("played") })
    }
}

pub struct Place {
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    pub look: Look,
    pub alerting: Alerting,
    pub alerter: Alerter,
    pub senders: Vec<Sender>,
    pub directory: tempfile::TempDir,
    config: AlertConfig,
}

/// Monday 2026-11-23, 09:00 in China, and seconds after it.
pub fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
    Timestamp::from_second(start.as_second() + seconds).unwrap()
}

pub fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

pub fn finding(code: &'static str, subject: &str, severity: Severity) -> Finding {
    Finding {
        code,
        channel: Some(channel("municipal-12345")),
        subject: subject.into(),
        severity,
        count: 7,
        since: at(-300),
        facts: BTreeMap::from([
            ("deliveries".into(), "7".to_owned()),
            ("waiting".into(), "9".to_owned()),
            ("oldest_s".into(), "300".to_owned()),
        ]),
    }
}

pub fn pace(open_s: u64, resolve_s: u64, repeat_s: u64, escalate_s: u64) -> PaceConfig {
    PaceConfig {
        open_after_ms: open_s * 1_000,
        resolve_after_ms: resolve_s * 1_000,
        repeat_every_ms: repeat_s * 1_000,
        escalate_after_ms: escalate_s * 1_000,
    }
}

/// Opens at once, resolves after a minute, repeats every ten minutes, never escalates; groups for 30 s.
pub fn config() -> AlertConfig {
    let pace = pace(0, 60, 600, 0);
    AlertConfig { info: pace, warning: pace, critical: pace, ..AlertConfig::default() }
}

/// A webhook that nobody listens to; the secret lies in the directory.
pub fn webhook(id: &str, url: &str) -> NotifierConfig {
    NotifierConfig {
        id: id.into(),
        kind: "webhook".into(),
        url: url.into(),
        secret_file: Some("webhook.secret".into()),
        ..NotifierConfig::default()
    }
}

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl Place {
    pub async fn new(config: AlertConfig) -> Self {
        Self::at(config, at(0)).await
    }

    /// With an Alertmanager or a mail server, whose clocks are real.
    pub async fn at(config: AlertConfig, now: Timestamp) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("webhook.secret"), SECRET).unwrap();
        std::fs::write(directory.path().join("robot.secret"), "SEC0123456789abcdef").unwrap();
        let clock = Arc::new(ManualClock::new(now));
        Self::open(config, directory, clock, Arc::new(Mutex::new(Ok(Vec::new())))).await
    }

    async fn open(config: AlertConfig, directory: tempfile::TempDir, clock: Arc<ManualClock>, look: Look) -> Self {
        let path = directory.path().join("store.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(SqliteOptions::at(&path)).await.unwrap());
        let mut absolute = config.clone();
        for path in absolute.paths_mut() {
            *path = directory.path().join(&*path);
        }
        let alerting = prepare(absolute).map_err(|mistakes| format!("{mistakes:?}")).unwrap();
        let checks: Vec<Box<dyn Check>> = vec![Box::new(PlayedCheck(look.clone()))];
        let shared: Arc<dyn Clock> = clock.clone();
        let alerter = alerting.alerter(checks, store.clone(), shared.clone(), "played".into());
        let senders = alerting.senders(&store, &shared, "played");
        Self { store, clock, look, alerting, alerter, senders, directory, config }
    }

    /// The process dies and another begins, on the same store.
    pub async fn restart(self) -> Self {
        self.store.close().await;
        Self::open(self.config, self.directory, self.clock, self.look).await
    }

    /// The same with another configuration.
    pub async fn reconfigure(mut self, config: AlertConfig) -> Self {
        self.config = config;
        self.restart().await
    }

    pub fn find(&self, findings: Vec<Finding>) {
        *self.look.lock().unwrap() = Ok(findings);
    }

    pub fn fail(&self, why: &str) {
        *self.look.lock().unwrap() = Err(why.into());
    }

    /// Sets the clock to seconds after the beginning and runs a round of the alerter.
    pub async fn round(&mut self, seconds: i64) {
        self.clock.advance_to(at(seconds));
        self.look_once().await;
    }

    pub async fn look_once(&mut self) {
        self.alerter.run(&round()).await.unwrap();
    }

    /// Rounds every ten seconds.
    pub async fn rounds(&mut self, seconds: std::ops::RangeInclusive<i64>) {
        for second in seconds.step_by(10) {
            self.round(second).await;
        }
    }

    /// Rounds so many seconds after now.
    pub async fn rounds_from_now(&mut self, seconds: &[i64]) {
        let now = self.clock.now();
        for second in seconds {
            self.clock.advance_to(Timestamp::from_second(now.as_second() + second).unwrap());
            self.look_once().await;
        }
    }

    /// One round of every sender.
    pub async fn send(&mut self) -> Vec<Result<Ran, TaskError>> {
        let mut ran = Vec::new();
        for sender in &mut self.senders {
            ran.push(sender.run(&round()).await);
        }
        ran
    }

    /// One round of every sender; that a notifier did not take something is no failure of the round.
    pub async fn send_well(&mut self) {
        for ran in self.send().await {
            ran.unwrap();
        }
    }

    /// What a notifier is owed, as (news, subject) of each notification.
    pub async fn owed(&self, notifier: &str) -> Vec<Vec<(News, String)>> {
        let rows = self.owed_rows(notifier).await;
        let shown =
            |row: &NotificationRow| row.items.iter().map(|item| (item.news, item.subject.clone())).collect::<Vec<_>>();
        rows.iter().map(shown).collect()
    }

    pub async fn owed_rows(&self, notifier: &str) -> Vec<NotificationRow> {
        self.store.owed_notifications(notifier, 1_000).await.unwrap()
    }

    /// What a notifier is owed, and takes it off.
    pub async fn take(&self, notifier: &str) -> Vec<Vec<(News, String)>> {
        let taken = self.owed(notifier).await;
        for row in self.owed_rows(notifier).await {
            let sent = gateway_model::NotificationState::Sent;
            self.store.end_notification(row.id, sent, None, self.clock.now()).await.unwrap();
        }
        taken
    }

    pub async fn incidents(&self) -> Vec<IncidentRow> {
        self.store.incidents(&IncidentFilter::default(), 1_000).await.unwrap()
    }

    pub async fn states(&self) -> Vec<(i64, IncidentState)> {
        self.incidents().await.iter().map(|incident| (incident.id.0, incident.state)).collect()
    }

    pub async fn acknowledge(&self, id: i64) {
        self.store.acknowledge_incident(IncidentId(id), "李工", self.clock.now()).await.unwrap();
    }

    pub async fn silence(&self, subject: &str, from: i64, until: i64) -> gateway_model::SilenceId {
        let silence = NewSilence {
            code: None,
            channel: None,
            subject: Some(subject.into()),
            starts_at: at(from),
            ends_at: at(until),
            reason: "planned work".into(),
            by: "李工".into(),
            at: self.clock.now(),
        };
        self.store.add_silence(&silence).await.unwrap()
    }
}

pub fn round() -> Round {
    Round { stopping: CancellationToken::new() }
}
