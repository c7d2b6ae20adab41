//! Mistakes in the configuration are told all at once, with their keys, and never with a secret.

use crate::place::{config, webhook};
use gateway_alert::{AlertConfig, HeartbeatConfig, NotifierConfig, QuietConfig, RouteConfig, prepare};

fn keys(config: AlertConfig) -> Vec<String> {
    prepare(config).err().unwrap_or_default().into_iter().map(|mistake| mistake.key).collect()
}

#[test]
fn every_mistake_is_told_with_its_key() {
    let notifier = |kind: &str| NotifierConfig { id: "n".into(), kind: kind.into(), ..NotifierConfig::default() };
    let config = AlertConfig {
        notifiers: vec![
            NotifierConfig { id: "Bad Id".into(), ..notifier("pigeon") },
            notifier("webhook"),
            NotifierConfig { from: "x".into(), url: "ftp://x".into(), ..notifier("wecom") },
            NotifierConfig { tls: "maybe".into(), to: vec!["no address".into()], ..notifier("smtp") },
            NotifierConfig {
                url: "http://x".into(),
                secret_file: Some("/nonexistent/secret".into()),
                ..notifier("dingtalk")
            },
            NotifierConfig { refresh_ms: Some(1), url: "http://x".into(), ..notifier("alertmanager") },
            NotifierConfig { id: "heartbeat".into(), url: "http://x".into(), ..notifier("wecom") },
        ],
        routes: vec![RouteConfig {
            codes: vec!["no_such_code".into()],
            to: vec!["nobody".into()],
            quiet: Some(QuietConfig { from: "25:00".into(), until: "7".into() }),
            ..RouteConfig::default()
        }],
        heartbeat: HeartbeatConfig { url: "x".into(), method: "PUT".into(), every_ms: 1, ..HeartbeatConfig::default() },
        every_ms: 0,
        ..config()
    };
    let keys = keys(config);
    for key in [
        "alert.notifier[0].id",
        "alert.notifier[0].kind",
        "alert.notifier[1].url",
        "alert.notifier[1].secret_file",
        "alert.notifier[2].id",
        "alert.notifier[2].from",
        "alert.notifier[2].url",
        "alert.notifier[3].host",
        "alert.notifier[3].from",
        "alert.notifier[3].to[0]",
        "alert.notifier[3].tls",
        "alert.notifier[4].secret_file",
        "alert.notifier[5].refresh_ms",
        "alert.notifier[6].id",
        "alert.route[0].codes[0]",
        "alert.route[0].to[0]",
        "alert.route[0].quiet.from",
        "alert.route[0].quiet.until",
        "alert.heartbeat.method",
        "alert.heartbeat.every_ms",
        "alert.heartbeat.url",
        "alert.every_ms",
    ] {
        assert!(keys.iter().any(|told| told == key), "{key} is not told: {keys:#?}");
    }
}

#[test]
fn a_secret_is_in_no_mistake_and_an_address_with_a_key_may_lie_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("url");
    std::fs::write(&file, "not-an-address-SECRETKEY\n").unwrap();
    let notifier = NotifierConfig {
        id: "robot".into(),
        kind: "wecom".into(),
        url_file: Some(file.clone()),
        ..NotifierConfig::default()
    };
    let config = AlertConfig { notifiers: vec![notifier], ..config() };
    let told = format!("{:?}", prepare(config.clone()).err().unwrap());
    assert!(told.contains("alert.notifier[0].url_file") && !told.contains("SECRETKEY"), "{told}");
    std::fs::write(&file, "https://qyapi.example/cgi-bin/webhook/send?key=SECRETKEY\n").unwrap();
    assert!(prepare(config).is_ok());
}

#[test]
fn a_configuration_without_notifiers_is_well() {
    assert!(prepare(AlertConfig::default()).is_ok());
}

#[test]
fn relative_paths_can_be_made_absolute() {
    let mut config = AlertConfig { notifiers: vec![webhook("a", "http://x")], ..config() };
    config.heartbeat.url_file = Some("secrets/ping".into());
    assert_eq!(config.paths_mut().count(), 2);
}
