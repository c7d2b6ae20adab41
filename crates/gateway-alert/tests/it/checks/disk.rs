//! The machine and its files.

use super::world::*;
use gateway_alert::checks::{ChecksConfig, Space};
use gateway_model::{Severity, day_of};
use gateway_store::NodeSpool;
use std::time::{Duration, SystemTime};

#[tokio::test]
async fn a_full_disk_is_told_before_it_is() {
    let world = World::new().await;
    let mut check = world.check("disk_low");
    let set = |free_mib: u64| {
        *world.space.lock().unwrap() = Space { free: free_mib << 20, total: 100_000 << 20, filesystem: 1 }
    };
    set(5_001);
    check.nothing(at(0)).await;
    set(5_000);
    let found = check.one(at(10)).await;
    assert_eq!((found.subject.as_str(), found.severity, found.since), ("data", Severity::Warning, at(10)));
    let expected = [("directory", "data"), ("free_mib", "5000"), ("free_percent", "5.0"), ("days_left", "-")];
    assert_eq!(facts(&found), expected.into());
    set(6_000);
    assert_eq!(check.one(at(20)).await.since, at(10));
    set(900);
    assert_eq!(check.one(at(30)).await.severity, Severity::Critical);
    set(6_300);
    check.nothing(at(40)).await;
}

#[tokio::test]
async fn a_disk_that_fills_is_told_by_its_trend() {
    let world = World::new().await;
    let mut check = world.check("disk_low");
    let mut found = None;
    // 200 MiB an hour: 40,000 MiB last eight days and a third.
    for hour in 0..100i64 {
        let free = 40_000 - 200 * u64::try_from(hour).unwrap();
        *world.space.lock().unwrap() = Space { free: free << 20, total: 100_000 << 20, filesystem: 1 };
        if let Some(first) = check.look(at(hour * 3_600)).await.first() {
            found = Some((hour, first.clone()));
            break;
        }
    }
    let (hour, found) = found.unwrap();
    assert!((23..=33).contains(&hour), "{hour}");
    assert_eq!(facts(&found)["days_left"], "7");
}

#[tokio::test]
async fn a_large_bus_directory_is_told_with_its_size() {
    let world = World::new().await;
    let mut config = ChecksConfig::default();
    (config.bus_size.warn_mib, config.bus_size.leave_mib) = (3, 2);
    let mut check = world.check_with("bus_size", &config);
    let other = world.dir.path().join("bus/other");
    std::fs::create_dir_all(&other).unwrap();
    let file = std::fs::File::create(other.join("segment")).unwrap();
    let mut seen = Vec::new();
    for (second, mib) in (0..).zip([0u64, 3, 2, 0, 2]) {
        file.set_len(mib << 20).unwrap();
        seen.push(check.look(at(second)).await.first().map(|found| found.since));
    }
    assert_eq!(seen, [None, Some(at(1)), Some(at(1)), None, None]);
}

#[tokio::test]
async fn what_waits_in_the_spool_is_told_until_nothing_does() {
    let world = World::new().await;
    let mut check = world.check("spool_depth");
    let holds = |messages: u64, since: i64| {
        let held = NodeSpool { channel: municipal(), messages, oldest_at: Some(at(since)) };
        world.play(|played| played.spool = vec![held]);
    };
    holds(7, 0);
    check.nothing(at(59)).await;
    let found = check.one(at(60)).await;
    assert_eq!((found.channel.as_ref(), found.count, found.severity), (Some(&municipal()), 7, Severity::Warning));
    assert_eq!(facts(&found), [("messages", "7"), ("waiting_s", "60")].into());
    holds(9_000, 0);
    assert_eq!(check.one(at(1_800)).await.severity, Severity::Critical);
    // It drains, and others join it meanwhile.
    holds(3, 1_799);
    assert_eq!(check.one(at(1_810)).await.since, at(60));
    holds(0, 0);
    check.nothing(at(1_820)).await;
}

#[tokio::test]
async fn credentials_are_told_a_month_a_week_and_a_day_before_they_end() {
    let mut world = World::new().await;
    let day = day_of(at(0));
    world.deps.channels[0].expires_on = Some(day);
    let mut check = world.check("credential_expiring");
    let days = |days: i64| at(days * 86_400);
    check.nothing(days(-31)).await;
    for (when, severity, left) in [
        (-30, Severity::Info, "30"),
        (-8, Severity::Info, "8"),
        (-7, Severity::Warning, "7"),
        (-1, Severity::Critical, "1"),
        (0, Severity::Critical, "0"),
        (3, Severity::Critical, "-3"),
    ] {
        let found = check.one(days(when)).await;
        assert_eq!((found.severity, facts(&found)["days_left"]), (severity, left));
        assert_eq!(facts(&found)["expires_on"], day.to_string());
    }
}

#[tokio::test]
async fn an_old_secret_without_a_day_is_worth_knowing() {
    let mut world = World::new().await;
    let path = world.dir.path().join("request.secret");
    let file = std::fs::File::create(&path).unwrap();
    world.deps.channels[0].secret_files = vec![path.clone()];
    let mut check = world.check("credential_expiring");
    let changed = |days: u64| {
        let start = SystemTime::from(at(0));
        file.set_modified(start - Duration::from_secs(days * 86_400)).unwrap();
    };
    changed(364);
    check.nothing(at(0)).await;
    changed(400);
    let found = check.one(at(0)).await;
    assert_eq!((found.severity, found.subject.as_str(), facts(&found)["age_days"]), (Severity::Info, "age", "400"));
    std::fs::remove_file(&path).unwrap();
    let (mut checks, last) = gateway_alert::checks::all(&world.deps, &ChecksConfig::default()).together();
    let check = checks.iter_mut().find(|check| check.name() == "credential_expiring").unwrap();
    assert!(check.look(at(0)).await.is_err(), "what can't be read is not nothing");
    assert_eq!(last.findings()[0].code, "check_failed");
}
