//! A real Prometheus Alertmanager hears of an incident's beginning, of its lasting, and of its end. Its word counts: `GET /api/v2/alerts`.

use crate::place::{Place, config, finding, pace};
use crate::program::{Program, free_port};
use crate::receiver::{Answer, Receiver};
use gateway_alert::{AlertConfig, NotifierConfig};
use gateway_model::{Clock as _, Severity, Timestamp};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "prometheus-alertmanager";

struct Alertmanager {
    url: String,
    // Told what Alertmanager sends on.
    receiver: Receiver,
    _program: Program,
    _directory: tempfile::TempDir,
}

async fn get(url: &str) -> Option<Value> {
    let client = reqwest_client();
    client.get(url).send().await.ok()?.error_for_status().ok()?.json().await.ok()
}

fn reqwest_client() -> reqwest::Client {
    gateway_connector::install_crypto();
    reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build().unwrap()
}

impl Alertmanager {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let receiver = Receiver::start().await;
        receiver.answer(Answer::With(200, String::new()));
        let settings = format!(
            "route:\n  receiver: played\n  group_by: [alertname]\n  group_wait: 0s\n  group_interval: 100ms\n  repeat_interval: 1h\n\
             receivers:\n- name: played\n  webhook_configs:\n  - url: {}/\n    send_resolved: true\n",
            receiver.url
        );
        let file = directory.path().join("alertmanager.yml");
        std::fs::write(&file, settings).unwrap();
        let url = format!("http://127.0.0.1:{}", free_port());
        let address = url.strip_prefix("http://").unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", directory.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=");
        let mut program = Program::start(&mut command, directory.path(), PACKAGE);
        program.until(PACKAGE, async || get(&format!("{url}/api/v2/status")).await.is_some()).await;
        Self { url, receiver, _program: program, _directory: directory }
    }

    /// The alerts that are firing now.
    async fn alerts(&self) -> Vec<Value> {
        let Some(Value::Array(alerts)) = get(&format!("{}/api/v2/alerts", self.url)).await else {
            panic!("no list of alerts")
        };
        alerts
    }

    /// What Alertmanager sends on, until one with this status and alert name comes.
    async fn until_sent_on(&self, status: &str, name: &str) {
        for _ in 0..1_000 {
            for got in self.receiver.take() {
                let alerts = got.json()["alerts"].as_array().unwrap().clone();
                if alerts.iter().any(|alert| alert["status"] == status && alert["labels"]["alertname"] == name) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("Alertmanager did not send on that {name} is {status}");
    }
}

fn notifier(url: &str) -> NotifierConfig {
    NotifierConfig {
        id: "am".into(),
        kind: "alertmanager".into(),
        url: url.into(),
        refresh_ms: Some(60_000),
        watchdog: true,
        ..NotifierConfig::default()
    }
}

fn named<'a>(alerts: &'a [Value], name: &str) -> Option<&'a Value> {
    alerts.iter().find(|alert| alert["labels"]["alertname"] == name)
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(now.as_second() + seconds).unwrap()
}

#[tokio::test]
async fn a_real_alertmanager_hears_the_beginning_the_lasting_and_the_end() {
    let real = Alertmanager::start().await;
    let config = AlertConfig {
        notifiers: vec![notifier(&real.url)],
        installation: "市局热线网关".into(),
        link: "http://gateway.example/".into(),
        warning: pace(0, 0, 14_400, 0),
        group_window_ms: 0,
        ..config()
    };
    // Alertmanager's clock is real, so ours begins at the same time.
    let start = Timestamp::now();
    let mut place = Place::at(config, after(start, -200)).await;

    // It opens.
    place.find(vec![finding("channel_quiet", "acceptance", Severity::Warning)]);
    place.look_once().await;
    place.send_well().await;
    let alerts = real.alerts().await;
    let opened = named(&alerts, "channel_quiet").unwrap_or_else(|| panic!("{alerts:#?}"));
    let labels = &opened["labels"];
    assert_eq!(labels["channel"], "municipal-12345");
    assert_eq!(labels["severity"], "warning");
    assert_eq!(labels["subject"], "acceptance");
    assert_eq!(labels["installation"], "市局热线网关");
    assert_eq!(opened["generatorURL"], "http://gateway.example/");
    assert!(opened["annotations"]["summary"].as_str().unwrap().contains("渠道静默"), "{opened}");
    assert!(opened["annotations"]["description"].as_str().unwrap().contains("处理："), "{opened}");
    assert_eq!(time(&opened["startsAt"]).as_millisecond(), place.clock.now().as_millisecond());
    assert!(named(&alerts, "Watchdog").is_some(), "{alerts:#?}");
    real.until_sent_on("firing", "channel_quiet").await;

    // It lasts: before the alert would expire there it is sent again, though no repeat is due.
    let expires = time(&opened["endsAt"]);
    place.clock.advance_to(after(start, -130));
    place.look_once().await;
    place.send_well().await;
    let alerts = real.alerts().await;
    let lasting = named(&alerts, "channel_quiet").unwrap_or_else(|| panic!("{alerts:#?}"));
    assert!(time(&lasting["endsAt"]) > expires, "{lasting}");
    assert_eq!(lasting["startsAt"], opened["startsAt"]);
    assert_eq!(lasting["fingerprint"], opened["fingerprint"], "it is the same alert");

    // It gets worse: the alert with the lower severity has ended, there are not two.
    place.find(vec![finding("channel_quiet", "acceptance", Severity::Critical)]);
    place.clock.advance_to(after(start, -100));
    place.look_once().await;
    place.send_well().await;
    let alerts = real.alerts().await;
    let of_code: Vec<_> = alerts.iter().filter(|alert| alert["labels"]["alertname"] == "channel_quiet").collect();
    assert_eq!(of_code.len(), 1, "{alerts:#?}");
    assert_eq!(of_code[0]["labels"]["severity"], "critical");

    // It ends.
    place.find(Vec::new());
    place.clock.advance_to(after(start, -90));
    place.rounds_from_now(&[0, 60]).await;
    place.send_well().await;
    let alerts = real.alerts().await;
    assert!(named(&alerts, "channel_quiet").is_none(), "{alerts:#?}");
    assert!(named(&alerts, "Watchdog").is_some(), "the gateway itself is still there");
    real.until_sent_on("resolved", "channel_quiet").await;
    assert!(place.owed("am").await.is_empty());
}

#[tokio::test]
async fn what_is_silenced_here_is_not_kept_alive_there() {
    let receiver = Receiver::start().await;
    let config = AlertConfig { notifiers: vec![notifier(&receiver.url)], group_window_ms: 0, ..config() };
    let mut place = Place::new(config).await;
    place.find(vec![finding("channel_quiet", "x", Severity::Warning)]);
    place.round(0).await;
    place.send().await;
    let names = |body: &Value| {
        let alerts = body.as_array().unwrap().clone();
        alerts.iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let got = receiver.take();
    assert!(got.iter().any(|got| names(&got.json()).contains(&"channel_quiet".to_owned())));
    assert!(got.iter().all(|got| got.target == "/api/v2/alerts" && got.method == "POST"));
    place.silence("x", 0, 3_600).await;
    place.rounds(10..=120).await;
    place.send().await;
    let got = receiver.take();
    assert_eq!(got.len(), 1);
    assert_eq!(names(&got[0].json()), ["Watchdog"]);
}
