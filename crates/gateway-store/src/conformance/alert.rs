//! Incidents, notifications, silences.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;
use std::collections::BTreeMap;

fn incident(id: i64, subject: &str, state: IncidentState) -> IncidentRow {
    let told = Told { at: Some(at(2)), first_at: None, severity: Some(Severity::Info), escalation: 1, held: true };
    IncidentRow {
        id: IncidentId(id),
        found_by: "a check".into(),
        code: "delivery_stuck".into(),
        channel: (subject != "none").then(municipal),
        subject: subject.into(),
        state,
        severity: Severity::Warning,
        count: 3,
        facts: BTreeMap::from([("task".to_owned(), "轮询".to_owned())]),
        since: at(-5),
        first_seen_at: at(0),
        last_seen_at: at(1),
        absent_since: Some(at(3)),
        opened_at: Some(at(0)),
        resolved_at: (state == IncidentState::Resolved).then(|| at(9)),
        escalation: 1,
        escalated_at: Some(at(4)),
        told: BTreeMap::from([("mail".to_owned(), told)]),
        unsettled: false,
        acknowledged_at: None,
        acknowledged_by: None,
    }
}

fn notification(key: &str, notifier: &str, ids: &[i64]) -> NewNotification {
    let items = ids.iter().map(|id| NotificationItem {
        incident_id: IncidentId(*id),
        news: News::Opened,
        code: "delivery_stuck".into(),
        channel: None,
        subject: "x".into(),
        severity: Severity::Critical,
        count: 1,
        since: at(0),
        opened_at: at(1),
        resolved_at: None,
        facts: BTreeMap::new(),
        acknowledged_by: None,
    });
    NewNotification { key: key.into(), notifier: notifier.into(), summary: false, items: items.collect(), at: at(0) }
}

async fn lease(store: &dyn Store) -> LeaseGrant {
    store.acquire_lease("alert", "a", at(0), at(1_000)).await.unwrap().unwrap()
}

/// What a round wrote is what the next one begins with, and an id is never given twice.
pub async fn a_round_of_alerts_is_read_back_as_it_was_written(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let grant = lease(&*store).await;
    let empty = store.alert_state(at(0)).await.unwrap();
    assert_eq!(empty.next_incident_id, IncidentId(1));
    let incidents = vec![
        incident(1, "x", IncidentState::Open),
        incident(2, "none", IncidentState::Suspected),
        incident(3, "z", IncidentState::Resolved),
        IncidentRow { unsettled: true, ..incident(4, "w", IncidentState::Resolved) },
    ];
    let notifications = vec![notification("k1", "mail", &[1, 4]), notification("k2", "robot", &[1])];
    let round = AlertRound { incidents: incidents.clone(), notifications, forgotten: Vec::new() };
    store.save_alert_round(&round, &grant).await.unwrap();
    let state = place.open().await.alert_state(at(0)).await.unwrap();
    // A resolved one is over, unless somebody has still to be told.
    let live: Vec<_> = incidents.iter().filter(|incident| incident.id != IncidentId(3)).cloned().collect();
    assert_eq!(state.incidents, live);
    assert_eq!(state.next_incident_id, IncidentId(5));
    let mut owed = state.owed;
    owed.sort();
    let pair = |notifier: &str, id| (notifier.to_owned(), IncidentId(id));
    assert_eq!(owed, [pair("mail", 1), pair("mail", 4), pair("robot", 1)]);
    let forgotten = AlertRound { forgotten: vec![IncidentId(1), IncidentId(2)], ..AlertRound::default() };
    store.save_alert_round(&forgotten, &grant).await.unwrap();
    let state = store.alert_state(at(0)).await.unwrap();
    let left: Vec<_> = state.incidents.iter().map(|incident| incident.id.0).collect();
    assert_eq!(left, [1, 4], "only a suspected one can be forgotten");
    assert_eq!(state.next_incident_id, IncidentId(5));
    let filter = IncidentFilter { state: Some(IncidentState::Resolved), ..IncidentFilter::default() };
    assert_eq!(store.incidents(&filter, 10).await.unwrap().len(), 2);
    let after = IncidentFilter { after: Some(IncidentId(3)), channel: Some(municipal()), ..filter };
    assert_eq!(store.incidents(&after, 10).await.unwrap()[0].id, IncidentId(4));
}

/// A person's acknowledgement is not overwritten by a round that had read the incident before.
pub async fn an_acknowledgement_survives_the_round(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let grant = lease(&*store).await;
    let row = incident(1, "x", IncidentState::Open);
    let round = AlertRound { incidents: vec![row.clone()], ..AlertRound::default() };
    store.save_alert_round(&round, &grant).await.unwrap();
    store.acknowledge_incident(IncidentId(1), "李工", at(5)).await.unwrap();
    store.save_alert_round(&round, &grant).await.unwrap();
    let read = store.incident(IncidentId(1)).await.unwrap().unwrap();
    assert_eq!((read.acknowledged_at, read.acknowledged_by.as_deref()), (Some(at(5)), Some("李工")));
    let again = store.acknowledge_incident(IncidentId(1), "王工", at(6)).await;
    assert!(matches!(again, Err(StoreError::WrongState { .. })), "{again:?}");
    let unknown = store.acknowledge_incident(IncidentId(9), "王工", at(6)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
}

/// A notifier's notifications are owed in order, until each is sent or given up; an end is final.
pub async fn notifications_are_owed_until_they_end(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let grant = lease(&*store).await;
    let round = AlertRound {
        incidents: vec![incident(1, "x", IncidentState::Open)],
        notifications: vec![notification("k1", "mail", &[1]), notification("k2", "mail", &[1])],
        forgotten: Vec::new(),
    };
    store.save_alert_round(&round, &grant).await.unwrap();
    let owed = store.owed_notifications("mail", 10).await.unwrap();
    assert_eq!(owed.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["k1", "k2"]);
    assert_eq!(owed[0].items, round.notifications[0].items);
    store.fail_notification(owed[0].id, "no answer", at(60)).await.unwrap();
    let failed = store.owed_notifications("mail", 1).await.unwrap().remove(0);
    assert_eq!((failed.attempts, failed.error.as_deref(), failed.due_at), (1, Some("no answer"), at(60)));
    store.end_notification(owed[0].id, NotificationState::Sent, None, at(61)).await.unwrap();
    store.end_notification(owed[0].id, NotificationState::Abandoned, Some("late"), at(62)).await.unwrap();
    assert_eq!(store.owed_notifications("mail", 10).await.unwrap().len(), 1);
    let told = store.notifications_of(IncidentId(1), 10).await.unwrap();
    assert_eq!(told.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["k2", "k1"]);
    let ended = (told[1].state, told[1].attempts, told[1].ended_at);
    assert_eq!(ended, (NotificationState::Sent, 2, Some(at(61))));
    // Dropped with what it told of, but not while it is owed.
    let resolved = AlertRound {
        incidents: vec![IncidentRow { id: IncidentId(1), ..incident(1, "x", IncidentState::Resolved) }],
        ..AlertRound::default()
    };
    store.save_alert_round(&resolved, &grant).await.unwrap();
    assert_eq!(store.drop_ended_alerts(at(100)).await.unwrap(), 1);
    assert_eq!(store.owed_notifications("mail", 10).await.unwrap().len(), 1);
    assert_eq!(store.notifications_of(IncidentId(1), 10).await.unwrap().len(), 1);
}

/// Failures add up until a success.
pub async fn a_notifier_fails_until_it_succeeds(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    store.note_notifier("mail", Some("no answer"), at(1)).await.unwrap();
    store.note_notifier("mail", Some("refused"), at(2)).await.unwrap();
    let rows = store.notifiers().await.unwrap();
    let row = &rows[0];
    assert_eq!((row.failing_since, row.failures, row.error.as_deref()), (Some(at(1)), 2, Some("refused")));
    store.note_notifier("mail", None, at(3)).await.unwrap();
    store.note_notifier("heartbeat", None, at(4)).await.unwrap();
    let rows = store.alert_state(at(5)).await.unwrap().notifiers;
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["heartbeat", "mail"]);
    assert_eq!((rows[1].failing_since, rows[1].failures, rows[1].sent_at), (None, 0, Some(at(3))));
}

/// A silence covers what it names, for as long as it says or until it is ended.
pub async fn silences_begin_and_end(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let silence = NewSilence {
        code: Some("delivery_stuck".into()),
        channel: Some(municipal()),
        subject: None,
        starts_at: at(10),
        ends_at: at(20),
        reason: "planned".into(),
        by: "李工".into(),
        at: at(0),
    };
    let id = store.add_silence(&silence).await.unwrap();
    let row = store.silence(id).await.unwrap().unwrap();
    assert_eq!(row.silence, silence);
    let covered = |second| row.covers("delivery_stuck", Some(&municipal()), "any", at(second));
    assert_eq!([9, 10, 19, 20].map(covered), [false, true, true, false]);
    assert!(!row.covers("disk_low", Some(&municipal()), "any", at(15)));
    assert!(!row.covers("delivery_stuck", None, "any", at(15)));
    assert_eq!(store.alert_state(at(19)).await.unwrap().silences.len(), 1);
    assert!(store.alert_state(at(20)).await.unwrap().silences.is_empty());
    store.end_silence(id, "王工", at(5)).await.unwrap();
    let row = store.silence(id).await.unwrap().unwrap();
    assert_eq!((row.silence.starts_at, row.silence.ends_at, row.ended_by.as_deref()), (at(5), at(5), Some("王工")));
    let again = store.end_silence(id, "王工", at(6)).await;
    assert!(matches!(again, Err(StoreError::WrongState { .. })), "{again:?}");
    let unknown = store.end_silence(SilenceId(99), "王工", at(6)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
    assert_eq!(store.silences(None, None, 10).await.unwrap().len(), 1);
    assert!(store.silences(None, Some(id), 10).await.unwrap().is_empty());
    assert!(store.silences(Some(at(5)), None, 10).await.unwrap().is_empty());
}

/// Who lost the lease writes neither incidents nor notifications.
pub async fn a_stale_epoch_writes_no_alerts(place: &dyn StoreUnderTest) {
    let (a, b) = (place.open().await, place.open().await);
    let old = a.acquire_lease("alert", "a", at(0), at(30)).await.unwrap().unwrap();
    b.acquire_lease("alert", "b", at(31), at(60)).await.unwrap().unwrap();
    let round = AlertRound {
        incidents: vec![incident(1, "x", IncidentState::Open)],
        notifications: vec![notification("k1", "mail", &[1])],
        forgotten: Vec::new(),
    };
    let stale = a.save_alert_round(&round, &old).await;
    assert!(matches!(stale, Err(StoreError::LeaseLost { .. })), "{stale:?}");
    assert!(a.owed_notifications("mail", 1).await.unwrap().is_empty());
    assert!(a.alert_state(at(31)).await.unwrap().incidents.is_empty());
}

/// When an incident opened and was resolved is known also after it was dropped; a suspicion never opened.
pub async fn an_incidents_life_outlives_it(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let lease = lease(&*store).await;
    let save = async |incidents: Vec<IncidentRow>| {
        let round = AlertRound { incidents, ..AlertRound::default() };
        store.save_alert_round(&round, &lease).await.unwrap();
    };
    let suspected = IncidentRow { opened_at: None, ..incident(3, "z", IncidentState::Suspected) };
    save(vec![incident(1, "x", IncidentState::Open), incident(2, "none", IncidentState::Open), suspected]).await;
    save(vec![incident(1, "x", IncidentState::Resolved)]).await;
    let first = IncidentLife {
        channel: Some(municipal()),
        code: "delivery_stuck".into(),
        opened_at: at(0),
        resolved_at: Some(at(9)),
    };
    let second = IncidentLife { channel: None, resolved_at: None, ..first.clone() };
    assert!(store.drop_ended_alerts(at(100)).await.unwrap() > 0);
    assert_eq!(store.incident_lives(at(1), at(9)).await.unwrap(), [first, second.clone()]);
    assert_eq!(store.incident_lives(at(1), at(10)).await.unwrap(), [second]);
    assert_eq!(store.incident_lives(at(0), at(0)).await.unwrap(), []);
}
