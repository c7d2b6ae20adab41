//! Records on their way in.

use super::world::*;
use gateway_alert::checks::PollReading;
use gateway_model::*;
use gateway_runtime::TaskHealth;
use gateway_store::*;

#[tokio::test]
async fn records_that_stay_on_the_bus_are_lag() {
    let world = World::new().await;
    let mut check = world.check("pipeline_lag");
    check.nothing(at(0)).await;
    world.append(3).await;
    check.nothing(at(10)).await;
    check.nothing(at(309)).await;
    let found = check.one(at(310)).await;
    assert_eq!((found.code, found.count, found.since, found.severity), ("pipeline_lag", 3, at(10), Severity::Warning));
    assert_eq!(facts(&found), [("age_s", "300"), ("backfill_records", "0"), ("records", "3")].into());
    assert_eq!(check.one(at(4_000)).await.severity, Severity::Critical);
    // The old ones are done, new ones stand there: younger than what ends it.
    world.process_all().await;
    world.append(2).await;
    check.nothing(at(4_030)).await;
    check.nothing(at(4_329)).await;
    let found = check.one(at(4_330)).await;
    assert_eq!((found.count, found.since), (2, at(4_030)));
    world.process_all().await;
    check.nothing(at(4_331)).await;
}

#[tokio::test]
async fn many_records_are_lag_whatever_their_age_until_few_are_left() {
    let world = World::new().await;
    let mut config = gateway_alert::checks::ChecksConfig::default();
    config.pipeline_lag.records = 10;
    config.pipeline_lag.leave_records = 5;
    let mut check = world.check_with("pipeline_lag", &config);
    world.append(9).await;
    check.nothing(at(0)).await;
    world.append(1).await;
    assert_eq!(check.one(at(1)).await.count, 10);
    world.process_all().await;
    world.append(6).await;
    assert_eq!(check.one(at(2)).await.count, 6, "between the thresholds it stays");
    world.process_all().await;
    world.append(4).await;
    check.nothing(at(3)).await;
    world.append(5).await;
    check.nothing(at(4)).await;
}

#[tokio::test]
async fn a_poller_that_never_gets_to_the_end_is_behind() {
    let world = World::new().await;
    let mut check = world.check("poll_behind");
    let reading =
        |swept: Option<i64>| PollReading { channel: municipal(), swept_at: swept.map(at), through: Some(at(5)) };
    world.play(|played| {
        played.tasks = vec![task("poll/municipal-12345", TaskHealth::Healthy, 0)];
        played.poll = Some(reading(None));
    });
    check.nothing(at(0)).await;
    check.nothing(at(899)).await;
    let found = check.one(at(900)).await;
    assert_eq!((found.channel.clone(), found.since), (Some(municipal()), at(0)));
    assert_eq!(facts(&found)["last_sweep"], "-");
    world.play(|played| played.poll = Some(reading(Some(950))));
    check.nothing(at(960)).await;
    let found = check.one(at(1_850)).await;
    assert_eq!((found.since, facts(&found)["behind_s"]), (at(950), "900"));
    // Failing is another trouble, with a cause.
    world.play(|played| played.tasks = vec![task("poll/municipal-12345", TaskHealth::Failing, 9)]);
    check.nothing(at(1_851)).await;
}

#[tokio::test]
async fn records_that_wait_for_their_order_and_dead_letters_are_told_by_age() {
    let world = World::new().await;
    let (mut parked, mut letters) = (world.check("parked_overdue"), world.check("dead_letters_open"));
    world
        .write(|loaded, writes| {
            for place in 0..2 {
                let raw_id = RawId(loaded.next_raw_id + place);
                writes.raws.push(raw(raw_id.0, at(0)));
                let since = at(place * 100);
                writes.park.push(NewPark { raw_id, channel: municipal(), number: number(7), since, changes: 1 });
                writes.dead_letters.push(NewDeadLetter {
                    raw_id,
                    channel: municipal(),
                    number: None,
                    code: "undecodable".into(),
                    reason: "damaged".into(),
                    at: since,
                });
            }
        })
        .await;
    parked.nothing(at(1_800)).await;
    let found = parked.one(at(1_801)).await;
    assert_eq!((found.count, found.since), (1, at(0)));
    assert_eq!(parked.one(at(1_901)).await.count, 2);
    world.write(|_, writes| writes.unpark.extend([RawId(1), RawId(2)])).await;
    parked.nothing(at(1_902)).await;

    letters.nothing(at(7_200)).await;
    let found = letters.one(at(7_201)).await;
    assert_eq!((found.count, found.since, facts(&found)["letters"]), (2, at(0), "2"));
    let ids = [DeadLetterId(1)];
    world.store.settle_dead_letters(&ids, DeadLetterState::Waived, "looked at", at(7_202)).await.unwrap();
    // The one that is left is younger than what begins it; it stays until all are settled.
    assert_eq!(letters.one(at(7_203)).await.count, 1);
    world.store.settle_dead_letters(&[DeadLetterId(2)], DeadLetterState::Waived, "too", at(7_204)).await.unwrap();
    letters.nothing(at(7_205)).await;
}

#[tokio::test]
async fn complaints_that_wait_for_the_operating_data_service_are_told_by_age() {
    let world = World::new().await;
    let mut check = world.check("verification_overdue");
    check.nothing(at(0)).await;
    let order_id = world.order(number(7), "2026-11-23".parse().unwrap()).await;
    let waiting = VerificationRow {
        order_id,
        channel: municipal(),
        raw_id: RawId(1),
        subject: VerificationSubject { plate: Some("粤A00001".into()), ..VerificationSubject::default() },
        result: Verification::pending(),
        registry_seq: 0,
        at: at(0),
        looked_up: None,
        look_up_at: Some(at(1_000)),
    };
    world.write(|_, writes| writes.verifications.push(waiting.clone())).await;
    check.nothing(at(900)).await;
    let found = check.one(at(901)).await;
    assert_eq!((found.channel.clone(), found.count, found.since), (Some(municipal()), 1, at(0)));
    assert_eq!((facts(&found)["waiting"], facts(&found)["oldest_s"]), ("1", "901"));
    let answered = VerificationRow { result: Verification::default(), look_up_at: None, ..waiting };
    world.store.write_lookups(&[answered]).await.unwrap();
    check.nothing(at(902)).await;
}

#[tokio::test]
async fn unknown_codes_are_told_by_name_for_a_day() {
    let world = World::new().await;
    let mut check = world.check("unmapped_codes");
    let seen = |kind: &'static str, subject: &'static str, at: Timestamp| NewAnomaly {
        channel: municipal(),
        kind: kind.into(),
        subject: subject.into(),
        order_id: None,
        raw_id: RawId(1),
        at,
    };
    world.write(|_, writes| writes.anomalies.push(seen("tie", "acceptance", at(0)))).await;
    check.nothing(at(0)).await;
    world
        .write(|_, writes| {
            writes.anomalies.push(seen("unknown_code", "statusCode", at(5)));
            writes.anomalies.push(seen("unknown_code", "statusCode", at(6)));
            writes.anomalies.push(seen("unknown_field", "newField", at(7)));
        })
        .await;
    let found = check.one(at(10)).await;
    assert_eq!((found.count, found.severity), (2, Severity::Info));
    let expected = [("names", "unknown_code statusCode, unknown_field newField"), ("records", "3"), ("more", "0")];
    assert_eq!(facts(&found), expected.into());
    let since = found.since;
    world.write(|_, writes| writes.anomalies.push(seen("unknown_code", "statusCode", at(50_000)))).await;
    assert_eq!(check.one(at(86_406)).await.since, since, "since does not move while it lasts");
    check.nothing(at(50_000 + 86_401)).await;
}
