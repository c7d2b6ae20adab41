//! The robots of 企业微信 and 钉钉: an error inside an HTTP 200 is a refusal, and their limits are kept.

use crate::place::{Place, at, config, finding};
use crate::receiver::{Answer, Receiver};
use gateway_alert::{AlertConfig, NotifierConfig};
use gateway_model::Severity;
use std::process::Command;

fn wecom(url: &str) -> NotifierConfig {
    NotifierConfig {
        id: "robot".into(),
        kind: "wecom".into(),
        url: format!("{url}/cgi-bin/webhook/send?key=K"),
        ..NotifierConfig::default()
    }
}

fn dingtalk(url: &str) -> NotifierConfig {
    NotifierConfig {
        id: "robot".into(),
        kind: "dingtalk".into(),
        url: format!("{url}/robot/send?access_token=T"),
        secret_file: Some("robot.secret".into()),
        ..NotifierConfig::default()
    }
}

async fn place(notifier: NotifierConfig) -> Place {
    let mut place = Place::new(AlertConfig { notifiers: vec![notifier], ..config() }).await;
    place.find(vec![finding("delivery_stuck", "completion", Severity::Critical)]);
    place.round(0).await;
    place
}

#[tokio::test]
async fn wecom_takes_markdown() {
    let receiver = Receiver::start().await;
    receiver.answer(Answer::With(200, r#"{"errcode":0,"errmsg":"ok"}"#.into()));
    let mut place = place(wecom(&receiver.url)).await;
    place.send_well().await;
    let got = receiver.take();
    assert_eq!(got[0].target, "/cgi-bin/webhook/send?key=K");
    let body = got[0].json();
    assert_eq!(body["msgtype"], "markdown");
    let content = body["markdown"]["content"].as_str().unwrap();
    assert!(
        content.contains("投递停滞") && content.contains("municipal-12345") && content.contains("处理："),
        "{content}"
    );
    assert!(place.owed("robot").await.is_empty());
}

#[tokio::test]
async fn an_error_inside_a_200_is_a_refusal() {
    for (errcode, error) in
        [(93000, "refused: errcode_93000 invalid webhook url"), (45009, "refused for now: too many")]
    {
        let receiver = Receiver::start().await;
        receiver.answer(Answer::With(200, format!(r#"{{"errcode":{errcode},"errmsg":"invalid webhook url"}}"#)));
        let mut place = place(wecom(&receiver.url)).await;
        place.send_well().await;
        let row = &place.owed_rows("robot").await[0];
        assert_eq!((row.attempts, row.error.as_deref()), (1, Some(error)));
        let wait = row.due_at.as_second() - at(0).as_second();
        assert_eq!(wait, if errcode == 45009 { 60 } else { 2 });
    }
    for answer in ["<html>login</html>", "", "{}"] {
        let receiver = Receiver::start().await;
        receiver.answer(Answer::With(200, answer.into()));
        let mut place = place(dingtalk(&receiver.url)).await;
        place.send_well().await;
        assert!(place.owed_rows("robot").await[0].error.as_deref().unwrap().contains("undecodable"), "{answer}");
    }
}

/// The signature as the platform's documentation writes it down, by Python's own libraries.
const SIGN: &str = r"
import sys, hmac, hashlib, base64, urllib.parse
secret, timestamp = sys.argv[1:3]
digest = hmac.new(secret.encode(), f'{timestamp}\n{secret}'.encode(), hashlib.sha256).digest()
print(urllib.parse.quote_plus(base64.b64encode(digest)), end='')
";

#[tokio::test]
async fn dingtalk_is_signed_as_it_asks() {
    let receiver = Receiver::start().await;
    receiver.answer(Answer::With(200, r#"{"errcode":0,"errmsg":"ok"}"#.into()));
    let mut place = place(dingtalk(&receiver.url)).await;
    place.send_well().await;
    let got = receiver.take();
    let ms = at(0).as_millisecond();
    let python = Command::new("python3").args(["-c", SIGN, "SEC0123456789abcdef", &ms.to_string()]).output().unwrap();
    let sign = String::from_utf8(python.stdout).unwrap();
    assert_eq!(got[0].target, format!("/robot/send?access_token=T&timestamp={ms}&sign={sign}"));
    let body = got[0].json();
    assert_eq!(body["msgtype"], "markdown");
    assert!(body["markdown"]["title"].as_str().unwrap().contains("投递停滞"));
    assert!(place.owed("robot").await.is_empty());
}

#[tokio::test]
async fn no_more_than_twenty_a_minute_go_out_and_the_rest_follows() {
    let receiver = Receiver::start().await;
    receiver.answer(Answer::With(200, r#"{"errcode":0,"errmsg":"ok"}"#.into()));
    let mut place = Place::new(AlertConfig { notifiers: vec![wecom(&receiver.url)], ..config() }).await;
    // Thirty channels, so thirty notifications.
    let findings = (0..30).map(|n| gateway_alert::Finding {
        channel: Some(crate::place::channel(&format!("c-{n}"))),
        ..finding("delivery_stuck", "x", Severity::Critical)
    });
    place.find(findings.collect());
    place.round(0).await;
    assert_eq!(place.owed("robot").await.len(), 30);
    for second in 0..60 {
        place.clock.advance_to(at(second));
        place.send_well().await;
    }
    assert_eq!(receiver.take().len(), 20);
    place.clock.advance_to(at(60));
    place.send_well().await;
    assert_eq!(receiver.take().len(), 10);
}

#[tokio::test]
async fn a_message_is_never_longer_than_the_robot_takes() {
    let receiver = Receiver::start().await;
    receiver.answer(Answer::With(200, r#"{"errcode":0,"errmsg":"ok"}"#.into()));
    let mut place = Place::new(AlertConfig { notifiers: vec![wecom(&receiver.url)], ..config() }).await;
    let subject = |n: usize| format!("{n}{}", "很长的主题".repeat(40));
    place.find((0..80).map(|n| finding("delivery_stuck", &subject(n), Severity::Critical)).collect());
    place.round(0).await;
    place.send_well().await;
    let body = receiver.take()[0].json();
    let content = body["markdown"]["content"].as_str().unwrap();
    assert!(content.len() <= 4096, "{}", content.len());
    assert!(content.contains("另有"), "{content}");
}
