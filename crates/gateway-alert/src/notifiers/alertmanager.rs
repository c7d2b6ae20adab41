//! Prometheus Alertmanager, API v2. An alert there is a state, not a message: it is sent again for as long as it lasts, each time with the time
//! at which it would expire, and once more with the time at which it ended.

use super::http::Http;
use super::{Notifier, SendError};
use crate::Mistake;
use crate::config::NotifierConfig;
use crate::notice::{Entry, Notice};
use async_trait::async_trait;
use gateway_model::{News, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const PATH: &str = "/api/v2/alerts";
/// An alert that was not sent again for so many refreshes is over for Alertmanager.
const MISSED: u32 = 4;

struct Alertmanager {
    http: Http,
    refresh: Duration,
    watchdog: bool,
    /// Since when the watchdog fires: since this notifier is there.
    started_at: std::sync::OnceLock<Timestamp>,
}

pub(super) fn build(
    key: &str,
    config: &NotifierConfig,
    timeout: Duration,
    mistakes: &mut Vec<Mistake>,
) -> Option<Arc<dyn Notifier>> {
    let http = super::http(key, config, timeout, mistakes);
    let refresh_ms = config.refresh_ms.unwrap_or(60_000);
    if !(1_000..=3_600_000).contains(&refresh_ms) {
        mistakes.push(Mistake::new(format!("{key}.refresh_ms"), "must be 1000 to 3600000"));
    }
    let refresh = Duration::from_millis(refresh_ms);
    let watchdog = config.watchdog;
    Some(Arc::new(Alertmanager { http: http?, refresh, watchdog, started_at: std::sync::OnceLock::new() }))
}

impl Alertmanager {
    fn expires(&self, now: Timestamp) -> Timestamp {
        let ms = u64::try_from((self.refresh * MISSED).as_millis()).unwrap_or(u64::MAX);
        crate::alerter::add(now, ms)
    }

    fn alert(&self, entry: &Entry, notice: &Notice, now: Timestamp) -> Value {
        let item = &entry.item;
        // The incident's id is no label: the alert is the cause, and labels are what it is recognized by.
        let mut labels = json!({ "alertname": item.code });
        let mut label = |name: &str, value: &str| {
            if !value.is_empty() {
                labels[name] = json!(value);
            }
        };
        label("channel", item.channel.as_ref().map_or("", |channel| channel.as_str()));
        label("severity", item.severity.as_str());
        label("subject", &item.subject);
        label("installation", &notice.installation);
        let ended = match item.news {
            News::Resolved | News::Passed => Some(item.resolved_at.unwrap_or(now)),
            News::Test => Some(crate::alerter::add(now, 60_000)),
            _ => None,
        };
        json!({
            "labels": labels,
            "annotations": {
                "summary": entry.name, "description": format!("{} {}", entry.what, entry.todo).trim(),
                "incident": item.incident_id.to_string(), "count": item.count.to_string(),
            },
            "startsAt": item.opened_at.to_string(),
            "endsAt": ended.unwrap_or_else(|| self.expires(now)).to_string(),
            "generatorURL": notice.link,
        })
    }

    fn watchdog(&self, notice: &Notice, now: Timestamp) -> Value {
        let started_at = self.started_at.get_or_init(|| now);
        let mut labels = json!({ "alertname": "Watchdog", "severity": "none" });
        if !notice.installation.is_empty() {
            labels["installation"] = json!(notice.installation);
        }
        json!({
            "labels": labels,
            "annotations": { "summary": "hotline-gateway is there; its silence is the alarm 网关在线，此告警消失即为异常" },
            "startsAt": started_at.to_string(),
            "endsAt": self.expires(now).to_string(),
            "generatorURL": notice.link,
        })
    }
}

/// The same alert with a lower severity: where it rose, the alert with the old label has ended.
fn outgrown(alert: &Value, entry: &Entry, now: Timestamp) -> Vec<Value> {
    if !matches!(entry.item.news, News::Worsened | News::Escalated) {
        return Vec::new();
    }
    let lower = ["info", "warning"].into_iter().filter(|lower| Some(*lower) != alert["labels"]["severity"].as_str());
    lower
        .map(|lower| {
            let mut alert = alert.clone();
            alert["labels"]["severity"] = json!(lower);
            alert["endsAt"] = json!(now.to_string());
            alert
        })
        .collect()
}

#[async_trait]
impl Notifier for Alertmanager {
    fn kind(&self) -> &'static str {
        "alertmanager"
    }

    async fn send(&self, notice: &Notice, now: Timestamp) -> Result<(), SendError> {
        let mut alerts = Vec::new();
        for entry in &notice.entries {
            let alert = self.alert(entry, notice, now);
            alerts.extend(outgrown(&alert, entry, now));
            alerts.push(alert);
        }
        if self.watchdog {
            alerts.push(self.watchdog(notice, now));
        }
        if alerts.is_empty() {
            return Ok(());
        }
        self.http.post(PATH, Value::Array(alerts).to_string().into_bytes()).await.map(drop)
    }

    fn refresh_every(&self) -> Option<Duration> {
        Some(self.refresh)
    }
}
