//! An installation where all is well.

use super::world::*;
use gateway_alert::checks::{ChecksConfig, PollReading, all};
use gateway_connector::{BreakerState, PeerClock};
use gateway_runtime::TaskHealth;
use gateway_store::{Comparison, GapStore};

#[tokio::test]
async fn nothing_is_found_where_all_is_well() {
    let world = World::new().await;
    let (mut checks, last) = all(&world.deps, &ChecksConfig::default()).together();
    assert!(checks.len() >= 20);
    for minute in 0..600 {
        let now = at(minute * 60);
        world.play(|played| {
            played.tasks =
                vec![task("pipeline", TaskHealth::Healthy, 5), task("poll/municipal-12345", TaskHealth::Healthy, 5)];
            played.breaker = Some(BreakerState::Closed { failures: 1 });
            played.poll = Some(PollReading { channel: municipal(), swept_at: Some(now), through: Some(at(0)) });
            played.clock = Some(PeerClock { offset_ms: 800, observed_at: now });
        });
        // A few are always on their way.
        world.process_all().await;
        world.append(2).await;
        if minute % 60 == 0 {
            let whole = Comparison {
                channel: municipal(),
                started_at: now,
                ended_at: now,
                kind: gateway_store::ComparisonKind::Whole,
                in_step: true,
                calls: 1,
                bytes: 1,
                vanished: 0,
            };
            world.store.save_comparison(&whole).await.unwrap();
        }
        for check in &mut checks {
            let found = check.look(now).await.unwrap();
            assert!(found.is_empty(), "{}: {found:?}", check.name());
        }
    }
    assert!(last.findings().is_empty());
}

#[test]
fn the_defaults_make_sense_and_mistakes_are_told_with_their_keys() {
    assert!(ChecksConfig::default().mistakes().is_empty());
    let mut config = ChecksConfig::default();
    config.channel_quiet.share = 1.5;
    config.pipeline_lag.leave_age_s = 900;
    config.disk_low.critical_share = 0.5;
    let keys: Vec<_> = config.mistakes().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["channel_quiet.share", "pipeline_lag.leave_age_s", "disk_low.critical_share"]);
}
