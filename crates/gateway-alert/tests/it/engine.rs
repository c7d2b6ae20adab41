//! The engine: one incident for one cause, and who hears of it when.

use crate::place::{Place, at, config, finding, pace, webhook};
use gateway_alert::{AlertConfig, QuietConfig, RouteConfig};
use gateway_model::{IncidentId, IncidentState, News, Severity};
use gateway_store::{AlertRound, StoreError};
use std::sync::Arc;

const NOWHERE: &str = "http://127.0.0.1:9/";

fn one() -> AlertConfig {
    AlertConfig { notifiers: vec![webhook("a", NOWHERE)], ..config() }
}

fn two() -> AlertConfig {
    AlertConfig { notifiers: vec![webhook("a", NOWHERE), webhook("b", NOWHERE)], ..config() }
}

fn told(news: News, subject: &str) -> Vec<(News, String)> {
    vec![(news, subject.into())]
}

fn stuck(subject: &str) -> gateway_alert::Finding {
    finding("delivery_stuck", subject, Severity::Warning)
}

#[tokio::test]
async fn one_cause_is_one_incident_however_often_it_is_found() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x"), stuck("x"), stuck("y")]);
    place.rounds(0..=120).await;
    let incidents = place.incidents().await;
    assert_eq!(incidents.len(), 2, "{incidents:#?}");
    assert_eq!(incidents[0].last_seen_at, at(120));
    assert_eq!((incidents[0].first_seen_at, incidents[0].since, incidents[0].count), (at(0), at(-300), 7));
    assert_eq!(place.take("a").await, [[(News::Opened, "x".to_owned()), (News::Opened, "y".to_owned())]]);
}

#[tokio::test]
async fn what_comes_and_goes_at_once_is_told_to_nobody() {
    let mut place = Place::new(AlertConfig { warning: pace(60, 60, 600, 0), ..one() }).await;
    for second in (0..600).step_by(20) {
        place.find(if second % 40 == 0 { vec![stuck("x")] } else { Vec::new() });
        place.round(second).await;
    }
    assert_eq!(place.states().await, []);
    assert_eq!(place.take("a").await, Vec::<Vec<_>>::new());
}

#[tokio::test]
async fn a_flapping_cause_stays_one_open_incident() {
    let mut place = Place::new(one()).await;
    for second in (0..600).step_by(20) {
        place.find(if second % 40 == 0 { vec![stuck("x")] } else { Vec::new() });
        place.round(second).await;
    }
    assert_eq!(place.states().await, [(1, IncidentState::Open)]);
    assert_eq!(place.take("a").await, [told(News::Opened, "x")]);
}

#[tokio::test]
async fn causes_of_a_channel_go_out_together_and_a_critical_one_takes_them_along() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    place.round(0).await;
    assert!(place.owed("a").await.is_empty(), "others may follow");
    place.find(vec![stuck("x"), stuck("y")]);
    place.rounds(10..=40).await;
    assert_eq!(place.take("a").await, [[(News::Opened, "x".to_owned()), (News::Opened, "y".to_owned())]]);
    let other = gateway_alert::Finding { channel: None, ..stuck("z") };
    place.find(vec![stuck("x"), stuck("y"), stuck("w"), other, finding("disk_low", "v", Severity::Critical)]);
    place.round(50).await;
    // The worst first; what is of another channel still waits.
    assert_eq!(place.take("a").await, [[(News::Opened, "v".to_owned()), (News::Opened, "w".to_owned())]]);
}

#[tokio::test]
async fn it_is_repeated_while_it_lasts_and_its_end_is_told() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=30).await;
    assert_eq!(place.take("a").await, [told(News::Opened, "x")]);
    place.rounds(40..=620).await;
    assert!(place.owed("a").await.is_empty());
    place.round(630).await;
    assert_eq!(place.take("a").await, [told(News::Repeated, "x")]);
    place.rounds(640..=1_230).await;
    assert_eq!(place.take("a").await, [told(News::Repeated, "x")]);
    place.find(Vec::new());
    place.rounds(1_240..=1_290).await;
    assert!(place.owed("a").await.is_empty(), "not gone for long enough");
    place.round(1_300).await;
    assert_eq!(place.take("a").await, [told(News::Resolved, "x")]);
    assert_eq!(place.states().await, [(1, IncidentState::Resolved)]);
    // The same cause again is a new incident.
    place.find(vec![stuck("x")]);
    place.rounds(1_310..=1_340).await;
    assert_eq!(place.states().await, [(1, IncidentState::Resolved), (2, IncidentState::Open)]);
    assert_eq!(place.take("a").await, [told(News::Opened, "x")]);
}

#[tokio::test]
async fn what_was_not_sent_yet_is_not_repeated() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=3_600).await;
    assert_eq!(place.take("a").await, [told(News::Opened, "x")]);
    place.round(3_610).await;
    assert_eq!(place.take("a").await, [told(News::Repeated, "x")]);
}

#[tokio::test]
async fn an_acknowledged_one_is_repeated_rarely_and_never_escalated() {
    let config = AlertConfig { warning: pace(0, 60, 600, 900), repeat_acknowledged_ms: 3_600_000, ..one() };
    let mut place = Place::new(config).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=30).await;
    place.take("a").await;
    place.acknowledge(1).await;
    place.rounds(40..=3_620).await;
    assert!(place.owed("a").await.is_empty());
    place.round(3_630).await;
    assert_eq!(place.take("a").await, [told(News::Repeated, "x")]);
    let again = place.store.acknowledge_incident(IncidentId(1), "王工", at(3_640)).await;
    assert!(matches!(again, Err(StoreError::WrongState { .. })), "{again:?}");
    assert_eq!(place.incidents().await[0].acknowledged_by.as_deref(), Some("李工"));
}

#[tokio::test]
async fn an_ignored_one_is_escalated_once_a_step_and_to_others() {
    let route = RouteConfig { to: vec!["a".into()], escalate_to: vec!["b".into()], ..RouteConfig::default() };
    let config =
        AlertConfig { warning: pace(0, 60, 600, 900), critical: pace(0, 60, 600, 900), routes: vec![route], ..two() };
    let mut place = Place::new(config).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=30).await;
    place.take("a").await;
    place.rounds(40..=920).await;
    assert_eq!(place.take("a").await, [told(News::Repeated, "x")]);
    assert!(place.owed("b").await.is_empty());
    place.round(930).await;
    assert_eq!(place.take("a").await, [told(News::Escalated, "x")]);
    let row = &place.owed_rows("b").await[0];
    assert_eq!((row.items[0].news, row.items[0].severity), (News::Opened, Severity::Critical));
    place.take("b").await;
    // Critical is as bad as it gets: it is repeated, and not escalated again.
    for round in 0..10 {
        place.rounds(940 + round * 600..=940 + round * 600 + 590).await;
        assert!(place.take("a").await.iter().flatten().all(|(news, _)| *news == News::Repeated));
        place.take("b").await;
    }
    place.find(Vec::new());
    place.rounds(7_000..=7_060).await;
    assert_eq!(place.take("a").await, [told(News::Resolved, "x")]);
    assert_eq!(place.take("b").await, [told(News::Resolved, "x")]);
}

#[tokio::test]
async fn worse_is_told_at_once_and_better_is_no_news() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=30).await;
    place.take("a").await;
    place.find(vec![finding("delivery_stuck", "x", Severity::Critical)]);
    place.round(40).await;
    assert_eq!(place.take("a").await, [told(News::Worsened, "x")]);
    place.find(vec![finding("delivery_stuck", "x", Severity::Info)]);
    place.round(50).await;
    assert!(place.owed("a").await.is_empty());
    assert_eq!(place.incidents().await[0].severity, Severity::Critical);
}

#[tokio::test]
async fn a_check_that_cannot_look_keeps_its_incidents_and_is_one_itself() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=30).await;
    place.take("a").await;
    place.fail("the disk");
    place.rounds(40..=400).await;
    let incidents = place.incidents().await;
    assert_eq!(incidents[0].state, IncidentState::Open);
    assert_eq!((incidents[1].code.as_str(), incidents[1].subject.as_str()), ("check_failed", "played"));
    assert!(incidents[1].facts["error"].contains("the disk"));
    assert_eq!(place.take("a").await, [told(News::Opened, "played")]);
    place.find(Vec::new());
    place.rounds(410..=480).await;
    assert_eq!(place.states().await, [(1, IncidentState::Resolved), (2, IncidentState::Resolved)]);
}

#[tokio::test]
async fn a_flood_is_cut_and_said() {
    let mut place = Place::new(one()).await;
    place.find((0..2_000).map(|n| stuck(&format!("{n:04}"))).collect());
    place.rounds(0..=40).await;
    let incidents = place.incidents().await;
    assert_eq!(incidents.len(), 501);
    assert!(incidents.iter().any(|incident| incident.code == "check_failed"));
    let owed = place.owed_rows("a").await;
    assert!(owed.iter().all(|row| row.items.len() <= 100), "a notification is bounded");
    assert_eq!(owed.iter().map(|row| row.items.len()).sum::<usize>(), 501);
}

#[tokio::test]
async fn a_silenced_one_is_recorded_and_told_when_the_silence_ends() {
    let mut place = Place::new(AlertConfig { warning: pace(0, 60, 600, 900), ..one() }).await;
    place.silence("x", -10, 3_600).await;
    place.find(vec![stuck("x"), stuck("y")]);
    place.rounds(0..=590).await;
    assert_eq!(place.take("a").await, [told(News::Opened, "y")]);
    assert_eq!(place.states().await, [(1, IncidentState::Open), (2, IncidentState::Open)]);
    place.find(vec![stuck("x")]);
    place.rounds(600..=3_590).await;
    place.take("a").await;
    place.round(3_600).await;
    assert_eq!(place.take("a").await, [told(News::Opened, "x")]);
    // A silence over one that was told: nothing, not its end either; ended early, whoever knew is told anew.
    let silence = place.silence("x", 3_600, 9_000).await;
    place.rounds(3_610..=6_000).await;
    assert!(place.owed("a").await.is_empty());
    place.store.end_silence(silence, "李工", place_now(&place)).await.unwrap();
    place.round(6_010).await;
    assert_eq!(place.take("a").await, [told(News::Repeated, "x")]);
    // The patience begins anew.
    place.rounds(6_020..=6_600).await;
    assert!(place.take("a").await.is_empty());
    place.rounds(6_610..=6_900).await;
    assert_eq!(place.take("a").await, [told(News::Repeated, "x")]);
    place.rounds(6_910..=6_930).await;
    assert_eq!(place.take("a").await, [told(News::Escalated, "x")]);
    place.silence("x", 6_930, 20_000).await;
    place.find(Vec::new());
    place.rounds(6_940..=7_100).await;
    assert!(place.owed("a").await.is_empty(), "its end is silenced too");
    assert!(place.store.alert_state(at(7_100)).await.unwrap().incidents.is_empty());
}

fn place_now(place: &Place) -> gateway_model::Timestamp {
    use gateway_model::Clock as _;
    place.clock.now()
}

#[tokio::test]
async fn routes_choose_by_channel_code_and_severity() {
    let route = |change: &dyn Fn(&mut RouteConfig)| {
        let mut route = RouteConfig::default();
        change(&mut route);
        route
    };
    let routes = vec![
        route(&|route| {
            route.codes = vec!["disk_low".into()];
            route.to = vec!["b".into()];
        }),
        route(&|route| {
            route.channels = vec!["municipal-12345".into()];
            route.min_severity = Severity::Warning;
            route.to = vec!["a".into()];
            route.proceed = true;
        }),
        route(&|route| {
            route.min_severity = Severity::Critical;
            route.to = vec!["b".into()];
        }),
    ];
    let default_route = RouteConfig { to: vec!["c".into()], ..RouteConfig::default() };
    let notifiers = ["a", "b", "c"].map(|id| webhook(id, NOWHERE)).into();
    let mut place = Place::new(AlertConfig { routes, default_route, notifiers, ..config() }).await;
    let elsewhere = gateway_alert::Finding { channel: None, ..stuck("nowhere") };
    place.find(vec![
        finding("disk_low", "disk", Severity::Info),
        finding("delivery_stuck", "both", Severity::Critical),
        finding("delivery_stuck", "a", Severity::Warning),
        finding("delivery_stuck", "quiet", Severity::Info),
        elsewhere,
    ]);
    place.rounds(0..=30).await;
    let subjects = async |notifier: &str| {
        let taken = place.take(notifier).await;
        let mut subjects: Vec<String> = taken.into_iter().flatten().map(|(_, subject)| subject).collect();
        subjects.sort();
        subjects
    };
    assert_eq!(subjects("a").await, ["a", "both"]);
    assert_eq!(subjects("b").await, ["both", "disk"]);
    assert_eq!(subjects("c").await, ["nowhere", "quiet"]);
}

#[tokio::test]
async fn quiet_hours_hold_back_all_but_critical_ones_and_end_with_one_summary() {
    // 09:00 to 12:00, in China; rounds begin at 09:00.
    let quiet = Some(QuietConfig { from: "09:00".into(), until: "12:00".into() });
    let default_route = RouteConfig { quiet, ..RouteConfig::default() };
    let config = AlertConfig { default_route, warning: pace(0, 60, 600, 900), ..one() };
    let mut place = Place::new(config).await;
    let other = gateway_alert::Finding { channel: None, ..stuck("other") };
    place.find(vec![stuck("lasts"), stuck("passes"), other.clone(), finding("disk_low", "now", Severity::Critical)]);
    place.rounds(0..=60).await;
    assert_eq!(place.take("a").await, [told(News::Opened, "now")]);
    place.find(vec![stuck("lasts"), other.clone()]);
    place.rounds(70..=10_790).await;
    assert!(place.owed("a").await.is_empty(), "{:?}", place.owed("a").await);
    place.round(10_800).await;
    let rows = place.owed_rows("a").await;
    assert!(rows.len() == 1 && rows[0].summary, "{rows:#?}");
    let mut items: Vec<_> = rows[0].items.iter().map(|item| (item.news, item.subject.as_str())).collect();
    items.sort();
    let expected =
        [(News::Opened, "lasts"), (News::Opened, "other"), (News::Resolved, "now"), (News::Passed, "passes")];
    assert_eq!(items, expected);
    place.take("a").await;
    // Nobody could ignore what nobody was told: the patience begins with the summary.
    place.rounds(10_810..=11_390).await;
    assert!(place.owed("a").await.is_empty());
    assert!(place.incidents().await.iter().all(|incident| !incident.unsettled && incident.escalation == 0));
}

/// A kill between writing down and sending: the notice is owed by the store, so another process sends it.
#[tokio::test]
async fn what_is_owed_outlives_the_process() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=30).await;
    let before = place.owed_rows("a").await;
    let mut place = place.restart().await;
    assert_eq!(place.owed_rows("a").await, before);
    place.rounds(40..=60).await;
    assert_eq!(place.owed_rows("a").await, before, "and is not owed twice");
    assert_eq!(place.states().await, [(1, IncidentState::Open)]);
}

/// Incidents and what they make owed are written together or not at all.
#[tokio::test]
async fn a_round_under_a_lost_lease_writes_nothing() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    place.round(0).await;
    let stale = place.store.acquire_lease("alert", "played", at(0), at(1)).await.unwrap().unwrap();
    place.store.acquire_lease("alert", "other", at(100), at(200)).await.unwrap().unwrap();
    let incidents = place.incidents().await;
    let round = AlertRound { forgotten: vec![IncidentId(1)], incidents, ..AlertRound::default() };
    let refused = place.store.save_alert_round(&round, &stale).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost { .. })), "{refused:?}");
    // The alerter itself rests while another holds the lease.
    place.round(110).await;
    assert!(place.owed("a").await.is_empty());
    place.round(200).await;
    assert_eq!(place.take("a").await, [told(News::Opened, "x")]);
}

#[tokio::test]
async fn two_processes_tell_once() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    let clock: Arc<dyn gateway_model::Clock> = place.clock.clone();
    let mut other = place.alerting.alerter(Vec::new(), place.store.clone(), clock, "other".into());
    for second in (0..=60).step_by(10) {
        place.round(second).await;
        // It has no check at all: if it looked, it would resolve everything.
        gateway_runtime::Task::run(&mut other, &crate::place::round()).await.unwrap();
    }
    assert_eq!(place.states().await, [(1, IncidentState::Open)]);
    assert_eq!(place.take("a").await, [told(News::Opened, "x")]);
}

#[tokio::test]
async fn who_is_configured_later_is_told_what_lasts_and_who_is_gone_is_forgotten() {
    let mut place = Place::new(one()).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=30).await;
    place.take("a").await;
    let mut place = place.reconfigure(AlertConfig { notifiers: vec![webhook("b", NOWHERE)], ..config() }).await;
    place.rounds(40..=50).await;
    assert_eq!(place.take("b").await, [told(News::Opened, "x")]);
    place.find(Vec::new());
    place.rounds(60..=120).await;
    assert_eq!(place.take("b").await, [told(News::Resolved, "x")]);
    assert!(place.take("a").await.is_empty());
}

#[tokio::test]
async fn what_ended_long_ago_is_dropped() {
    let mut place = Place::new(AlertConfig { keep_days: 1, ..one() }).await;
    place.find(vec![stuck("x")]);
    place.rounds(0..=30).await;
    place.find(Vec::new());
    place.rounds(40..=100).await;
    place.take("a").await;
    place.round(80_000).await;
    assert_eq!(place.incidents().await.len(), 1);
    place.round(90_000).await;
    assert_eq!(place.incidents().await.len(), 0);
    assert!(place.store.notifications_of(IncidentId(1), 10).await.unwrap().is_empty());
}
