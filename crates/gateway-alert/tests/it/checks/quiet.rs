//! Silence, with arrivals as the pipeline counts them.

use super::world::*;
use gateway_alert::checks::ChecksConfig;
use gateway_model::{Severity, Timestamp};
use gateway_store::*;

const HOUR: i64 = 3_600;

/// Records that come in an hour: many by day, few by night.
fn usual(hour: Timestamp) -> i64 {
    let of_day = gateway_model::CHINA.to_datetime(hour).hour();
    if (8..20).contains(&of_day) { 60 } else { 6 }
}

async fn arrive(world: &World, hour: Timestamp, records: i64) {
    world
        .write(|loaded, writes| {
            for nth in 0..records {
                let received = Timestamp::from_second(hour.as_second() + nth * 599 / records.max(1)).unwrap();
                writes.raws.push(raw(loaded.next_raw_id + nth, received));
            }
        })
        .await;
}

/// Three weeks of the past, watched all the time.
async fn past(world: &World) {
    let mut hours = Vec::new();
    for hour in -21 * 24..0 {
        let hour_at = at(hour * HOUR);
        arrive(world, hour_at, usual(hour_at)).await;
        hours.push(WatchedHour { hour_at, watched_ms: 3_600_000 });
    }
    world.store.add_watched(&hours).await.unwrap();
}

#[tokio::test]
async fn a_channel_that_stops_is_quiet_until_it_sends_again() {
    let world = World::new().await;
    past(&world).await;
    let mut check = world.check("channel_quiet");
    // A day as usual, looked at every ten minutes; what is not processed yet has come all the same.
    for ten in 0..24 * 6 {
        check.nothing(at(ten * 600)).await;
        arrive(&world, at(ten * 600), usual(at(ten * 600)) / 6).await;
    }
    let stop = 24 * HOUR;
    let mut found = None;
    for ten in 0..36 {
        if let Some(first) = check.look(at(stop + ten * 600)).await.first() {
            found = Some((ten, first.clone()));
            break;
        }
    }
    let (ten, first) = found.unwrap();
    assert!(ten <= 18, "a stop in the morning is found within three hours, not {ten} times ten minutes");
    assert_eq!((first.code, first.severity, first.since), ("channel_quiet", Severity::Warning, at(stop)));
    assert_eq!(facts(&first)["seen"], "0");
    assert!(facts(&first)["expected"].parse::<u64>().unwrap() > 40, "{first:?}");
    assert_eq!(facts(&first)["last_hour"], gateway_model::format_china(at(stop - HOUR)));

    // A process that starts anew knows it at its first look.
    let mut again = world.check("channel_quiet");
    assert_eq!(again.one(at(stop + ten * 600 + 60)).await.since, at(stop));

    let back = stop + (ten / 6 + 1) * HOUR;
    let mut ended = None;
    for ten in 0..36 {
        let now = at(back + ten * 600);
        if ended.is_some() {
            check.nothing(now).await;
        } else if check.look(now).await.is_empty() {
            ended = Some(ten);
        }
        arrive(&world, now, usual(now) / 6).await;
    }
    assert!(ended.is_some_and(|ten| (1..=9).contains(&ten)), "{ended:?}");
}

#[tokio::test]
async fn a_gateway_that_was_off_is_no_silence_of_the_channel() {
    let world = World::new().await;
    past(&world).await;
    let mut check = world.check("channel_quiet");
    // Off from nine to five, then back: nothing came, and nobody was there.
    check.nothing(at(8 * HOUR)).await;
    check.nothing(at(8 * HOUR + 600)).await;
    // Records that are on the bus count too.
    world.append(200).await;
    for ten in 2..24 {
        check.nothing(at(8 * HOUR + ten * 600)).await;
    }
}

#[tokio::test]
async fn without_a_habit_only_the_configured_silence_is_told() {
    let world = World::new().await;
    let mut config = ChecksConfig::default();
    config.channel_quiet.without_habit_h = 3;
    let other = World::new().await;
    arrive(&world, at(0), 5).await;
    arrive(&other, at(0), 5).await;
    let (mut told, mut silent) = (world.check_with("channel_quiet", &config), other.check("channel_quiet"));
    let mut first = None;
    for ten in 0..36 {
        let now = at(ten * 600);
        silent.nothing(now).await;
        if !told.look(now).await.is_empty() {
            first = first.or(Some(ten));
        }
    }
    // Three whole hours after the hour of the last arrival.
    assert_eq!(first, Some(24));
    arrive(&world, at(36 * 600), 1).await;
    told.nothing(at(36 * 600 + 1)).await;
}
