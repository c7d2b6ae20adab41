//! Sending: refusals and silence of a receiver, retries, repeats under one key, a notifier's own trouble, and the heartbeat.

use crate::place::{Place, at, config, finding, pace, round, webhook};
use crate::receiver::{Answer, Receiver};
use gateway_alert::{AlertConfig, HEARTBEAT, HeartbeatConfig, NotifierConfig};
use gateway_model::{Clock, IncidentId, News, NotificationState, Severity};
use gateway_runtime::Task as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn stuck() -> gateway_alert::Finding {
    finding("delivery_stuck", "x", Severity::Critical)
}

/// A kill after the receiver took it and before that was written down: it is sent again, under the same key.
#[tokio::test]
async fn what_was_sent_and_not_marked_is_sent_again_under_the_same_key() {
    let receiver = Receiver::start().await;
    let mut place = Place::new(AlertConfig { notifiers: vec![webhook("hook", &receiver.url)], ..config() }).await;
    place.find(vec![stuck()]);
    place.round(0).await;
    // The round is cut off between the receiver's answer and the store: the receiver answers only after the round was dropped.
    receiver.answer(Answer::After(Duration::from_millis(300)));
    let cut = tokio::time::timeout(Duration::from_millis(100), place.send()).await;
    assert!(cut.is_err());
    let first = receiver.take();
    assert_eq!(first.len(), 1);
    let mut place = place.restart().await;
    receiver.answer(Answer::With(200, String::new()));
    place.send_well().await;
    let second = receiver.take();
    assert_eq!(second[0].header("webhook-id"), first[0].header("webhook-id"));
    assert!(place.owed("hook").await.is_empty());
    place.send_well().await;
    assert!(receiver.take().is_empty());
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_with_growing_waits() {
    let receiver = Receiver::start().await;
    let mut place = Place::new(AlertConfig { notifiers: vec![webhook("hook", &receiver.url)], ..config() }).await;
    place.find(vec![stuck()]);
    place.round(0).await;
    receiver.answer(Answer::With(500, "no".into()));
    let mut attempts = Vec::new();
    for second in 0..=600 {
        place.clock.advance_to(at(second));
        place.send_well().await;
        if !receiver.take().is_empty() {
            attempts.push(second);
        }
    }
    assert_eq!(attempts, [0, 2, 6, 14, 30, 62, 126, 254, 510]);
    let row = place.owed_rows("hook").await.remove(0);
    assert_eq!((row.attempts, row.error.as_deref()), (9, Some("no answer: HTTP 500")));
    receiver.answer(Answer::With(204, String::new()));
    place.clock.advance_to(at(1_000));
    place.send_well().await;
    assert!(place.owed("hook").await.is_empty());
    let row = place.store.notifications_of(IncidentId(1), 1).await.unwrap().remove(0);
    assert_eq!((row.state, row.attempts), (NotificationState::Sent, 10));
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_in_time_is_given_up_for_now() {
    let receiver = Receiver::start().await;
    let slow = NotifierConfig { timeout_ms: Some(100), ..webhook("hook", &receiver.url) };
    let mut place = Place::new(AlertConfig { notifiers: vec![slow], ..config() }).await;
    place.find(vec![stuck()]);
    place.round(0).await;
    receiver.answer(Answer::After(Duration::from_secs(30)));
    place.send_well().await;
    assert_eq!(place.owed_rows("hook").await[0].error.as_deref(), Some("no answer: timeout"));
}

#[tokio::test]
async fn who_asks_for_patience_gets_it() {
    let receiver = Receiver::start().await;
    let mut place = Place::new(AlertConfig { notifiers: vec![webhook("hook", &receiver.url)], ..config() }).await;
    place.find(vec![stuck()]);
    place.round(0).await;
    receiver.answer(Answer::Later(429, 90));
    place.send_well().await;
    assert_eq!(place.owed_rows("hook").await[0].due_at, at(90));
}

#[tokio::test]
async fn a_receiver_hears_of_the_end_only_after_the_beginning() {
    let receiver = Receiver::start().await;
    let mut place = Place::new(AlertConfig { notifiers: vec![webhook("hook", &receiver.url)], ..config() }).await;
    receiver.answer(Answer::With(500, String::new()));
    place.find(vec![stuck()]);
    place.round(0).await;
    place.send_well().await;
    place.find(Vec::new());
    place.rounds(10..=100).await;
    place.send_well().await;
    receiver.answer(Answer::With(200, String::new()));
    receiver.take();
    place.clock.advance_to(at(400));
    place.send_well().await;
    let news: Vec<_> = receiver
        .take()
        .iter()
        .map(|got| got.json()["data"]["incidents"][0]["news"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(news, ["opened", "resolved"]);
}

#[tokio::test]
async fn a_failing_notifier_is_told_of_through_the_others() {
    let (down, up) = (Receiver::start().await, Receiver::start().await);
    let notifiers = vec![webhook("down", &down.url), webhook("up", &up.url)];
    let mut place = Place::new(AlertConfig { notifiers, ..config() }).await;
    down.answer(Answer::With(403, "who are you".into()));
    place.find(vec![stuck()]);
    for second in (0..=90).step_by(2) {
        place.clock.advance_to(at(second));
        place.look_once().await;
        place.send_well().await;
    }
    let codes = |receiver: &Receiver| -> Vec<(String, String)> {
        let got = receiver.take();
        let bodies: Vec<_> = got.iter().map(crate::receiver::Got::json).collect();
        let incidents = bodies.iter().flat_map(|body| body["data"]["incidents"].as_array().unwrap().clone());
        incidents
            .map(|incident| {
                (incident["code"].as_str().unwrap().to_owned(), incident["news"].as_str().unwrap().to_owned())
            })
            .collect()
    };
    let pair = |code: &str, news: &str| (code.to_owned(), news.to_owned());
    assert_eq!(codes(&up), [pair("delivery_stuck", "opened"), pair("notifier_failing", "opened")]);
    let failing = place.incidents().await.into_iter().find(|incident| incident.code == "notifier_failing").unwrap();
    assert_eq!(failing.subject, "down");
    assert!(failing.facts["error"].contains("http_403"), "{failing:?}");
    assert!(codes(&down).iter().all(|(code, _)| code == "delivery_stuck"), "not through itself");
    // It works again: what it was owed arrives, and the others hear that it does.
    down.answer(Answer::With(200, String::new()));
    for second in (100..=300).step_by(10) {
        place.clock.advance_to(at(second));
        place.look_once().await;
        place.send_well().await;
    }
    assert_eq!(codes(&down), [pair("delivery_stuck", "opened")]);
    assert_eq!(codes(&up), [pair("notifier_failing", "resolved")]);
}

#[tokio::test]
async fn what_is_refused_for_days_is_given_up_and_the_incident_repeated() {
    let receiver = Receiver::start().await;
    let config = AlertConfig {
        notifiers: vec![webhook("hook", &receiver.url)],
        give_up_after_ms: 3_600_000,
        critical: pace(0, 60, 1_800, 0),
        ..config()
    };
    let mut place = Place::new(config).await;
    place.find(vec![stuck()]);
    receiver.answer(Answer::With(400, "not like this".into()));
    for second in (0..=5_400).step_by(60) {
        place.clock.advance_to(at(second));
        place.look_once().await;
        place.send_well().await;
    }
    let told = place.store.notifications_of(IncidentId(1), 10).await.unwrap();
    assert_eq!(told.last().unwrap().state, NotificationState::Abandoned);
    assert_eq!(place.owed("hook").await, [[(News::Repeated, "x".to_owned())]]);
}

#[tokio::test]
async fn the_heartbeat_calls_while_the_gateway_is_well_and_stays_out_when_it_is_not() {
    let receiver = Receiver::start().await;
    let heartbeat = HeartbeatConfig { url: format!("{}/ping/abc", receiver.url), ..HeartbeatConfig::default() };
    let place = Place::new(AlertConfig { heartbeat, ..config() }).await;
    let well = Arc::new(AtomicBool::new(true));
    let told = well.clone();
    let clock: Arc<dyn Clock> = place.clock.clone();
    let healthy = Arc::new(move || told.load(Ordering::Relaxed));
    let mut heartbeat = place.alerting.heartbeat(place.store.clone(), clock, healthy).unwrap();
    heartbeat.run(&round()).await.unwrap();
    let got = receiver.take();
    assert_eq!((got.len(), got[0].method.as_str(), got[0].target.as_str()), (1, "GET", "/ping/abc"));
    well.store(false, Ordering::Relaxed);
    heartbeat.run(&round()).await.unwrap();
    assert!(receiver.take().is_empty());
    well.store(true, Ordering::Relaxed);
    receiver.answer(Answer::With(404, String::new()));
    let failed = heartbeat.run(&round()).await.unwrap_err();
    assert_eq!(failed.code, "notice_refused");
    assert!(!failed.text.contains("ping"), "the address may hold a key: {}", failed.text);
    let rows = place.store.notifiers().await.unwrap();
    assert_eq!((rows[0].id.as_str(), rows[0].failures), (HEARTBEAT, 1));
}

#[tokio::test]
async fn a_test_notice_goes_through_every_notifier_and_each_result_is_told() {
    let (good, bad) = (Receiver::start().await, Receiver::start().await);
    bad.answer(Answer::With(500, String::new()));
    let notifiers = vec![webhook("good", &good.url), webhook("bad", &bad.url)];
    let place = Place::new(AlertConfig { notifiers, ..config() }).await;
    let tried = place.alerting.try_notifiers(None, at(0)).await;
    let results: Vec<_> = tried.iter().map(|tried| (tried.notifier.as_str(), tried.outcome.is_ok())).collect();
    assert_eq!(results, [("good", true), ("bad", false)]);
    assert_eq!(good.take()[0].json()["type"], "incident.test");
    assert_eq!(place.alerting.try_notifiers(Some("bad"), at(0)).await.len(), 1);
    assert!(place.incidents().await.is_empty() && place.owed("good").await.is_empty());
}
