//! What the process tells of itself.

use super::world::*;
use gateway_alert::checks::Refusal;
use gateway_connector::PeerClock;
use gateway_model::Severity;
use gateway_runtime::TaskHealth;

#[tokio::test]
async fn a_task_that_does_not_succeed_is_named_with_its_error() {
    let world = World::new().await;
    let mut check = world.check("task_stalled");
    world.play(|played| {
        played.tasks =
            vec![task("pipeline", TaskHealth::Healthy, 1), task("poll/municipal-12345", TaskHealth::Failing, 30_000)];
    });
    check.nothing(at(100)).await;
    world.play(|played| played.tasks[1] = task("poll/municipal-12345", TaskHealth::Stalled, 90_000));
    let found = check.one(at(100)).await;
    assert_eq!((found.channel.clone(), found.subject.as_str()), (Some(municipal()), "poll/municipal-12345"));
    assert_eq!((found.since, found.severity), (at(10), Severity::Warning));
    assert_eq!((facts(&found)["error_code"], facts(&found)["for_s"]), ("unavailable", "90"));
    world.play(|played| played.tasks[0] = task("pipeline", TaskHealth::Ended, 5_000));
    let found = check.look(at(101)).await;
    assert_eq!((found[0].channel.clone(), found[0].severity), (None, Severity::Critical));
    world.play(|played| played.tasks.clear());
    check.nothing(at(102)).await;
}

#[tokio::test]
async fn refused_pushes_come_with_their_reasons() {
    let world = World::new().await;
    let mut check = world.check("webhooks_all_refused");
    check.nothing(at(0)).await;
    world.play(|played| {
        played.refusals = vec![Refusal {
            channel: municipal(),
            since: at(3),
            refused: 15,
            codes: [("bad_signature", 12), ("clock_skew", 3)].into(),
            clock_offset_ms: Some(-400_000),
        }];
    });
    let found = check.one(at(70)).await;
    assert_eq!((found.count, found.since, found.severity), (15, at(3), Severity::Critical));
    let expected = [("refused", "15"), ("codes", "bad_signature 12, clock_skew 3"), ("clock_offset_ms", "-400000")];
    assert_eq!(facts(&found), expected.into());
    world.play(|played| played.refusals.clear());
    check.nothing(at(71)).await;
}

#[tokio::test]
async fn clocks_that_differ_are_told_until_they_agree() {
    let world = World::new().await;
    let mut check = world.check("clock_skew");
    let set = |offset_ms, second| {
        world.play(|played| played.clock = Some(PeerClock { offset_ms, observed_at: at(second) }));
    };
    set(40_000, 0);
    check.nothing(at(0)).await;
    // A single answer out of step.
    set(100, 30);
    check.nothing(at(30)).await;
    set(-40_000, 40);
    check.nothing(at(40)).await;
    set(-40_000, 100);
    let found = check.one(at(100)).await;
    assert_eq!((found.since, found.severity), (at(40), Severity::Warning));
    let expected = [("offset_ms", "-40000"), ("offset_s", "40"), ("direction", "behind")];
    assert_eq!(facts(&found), expected.into());
    set(-20_000, 200);
    check.one(at(200)).await;
    set(-250_000, 300);
    assert_eq!(check.one(at(300)).await.severity, Severity::Critical);
    set(-10_000, 400);
    check.one(at(400)).await;
    check.nothing(at(460)).await;
    // What was seen long ago says nothing.
    set(90_000, 500);
    check.nothing(at(4_200)).await;
}
