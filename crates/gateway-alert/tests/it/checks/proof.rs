//! Comparing accounts, and what numbers tell.

use super::world::*;
use gateway_model::*;
use gateway_store::*;

fn whole(ended_at: Timestamp, in_step: bool) -> Comparison {
    Comparison {
        channel: municipal(),
        started_at: ended_at,
        ended_at,
        kind: gateway_store::ComparisonKind::Whole,
        in_step,
        calls: 1,
        bytes: 1,
        vanished: 0,
    }
}

#[tokio::test]
async fn a_channel_that_is_not_compared_is_told() {
    let world = World::new().await;
    let mut check = world.check("comparison_overdue");
    check.nothing(at(0)).await;
    check.nothing(at(7_199)).await;
    let found = check.one(at(7_200)).await;
    assert_eq!((found.since, facts(&found)["last"], facts(&found)["period_s"]), (at(0), "-", "3600"));
    world.store.save_comparison(&whole(at(7_300), false)).await.unwrap();
    check.nothing(at(7_400)).await;
    assert_eq!(check.one(at(14_500)).await.since, at(7_300));
    // After days without a gateway there is an hour to compare in.
    let mut later = world.check("comparison_overdue");
    later.nothing(at(900_000)).await;
    later.one(at(903_600)).await;
}

async fn gap(world: &World, kind: GapKind, opened_at: Timestamp) -> GapId {
    let gap = NewGap {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        kind,
        key: None,
        window: Window::new(at(0), at(60)),
        delivery_id: None,
        evidence: GapEvidence { theirs: None, ours: None, as_of: opened_at, compared_at: opened_at },
        detail: None,
        at: opened_at,
    };
    let id = world.store.suspect(&[gap]).await.unwrap()[0];
    world.store.move_gap(id, GapState::Open, None, None, None, opened_at).await.unwrap();
    id
}

#[tokio::test]
async fn gaps_are_told_by_group_and_by_whose_turn_it_is_until_they_are_closed() {
    let world = World::new().await;
    let mut check = world.check("gaps");
    check.nothing(at(0)).await;
    let first = gap(&world, GapKind::MissingOrder, at(10)).await;
    let second = gap(&world, GapKind::MissingItem, at(20)).await;
    world.store.move_gap(first, GapState::Repairing, None, None, None, at(30)).await.unwrap();
    let found = check.one(at(40)).await;
    assert_eq!((found.code, found.subject.as_str(), found.severity), ("gap_group_open", "1", Severity::Info));
    assert_eq!((found.count, found.since), (2, at(10)));
    let expected = [("gaps", "2"), ("kind", "missing_item, missing_order"), ("oldest_s", "30"), ("repairing", "1")];
    assert_eq!(facts(&found), expected.into());
    assert_eq!(check.one(at(1_810)).await.severity, Severity::Warning);
    // A repair that does not help: the other half is a person's.
    world.store.move_gap(second, GapState::Open, None, Some("repair does not help"), None, at(1_820)).await.unwrap();
    let found = check.look(at(1_821)).await;
    let told: Vec<_> = found.iter().map(|found| (found.code, found.count, found.severity)).collect();
    assert_eq!(told, [("gap_group_open", 1, Severity::Warning), ("gap_needs_person", 1, Severity::Warning)]);
    world.store.move_gap(first, GapState::Closed, None, None, None, at(1_900)).await.unwrap();
    assert_eq!(check.one(at(1_901)).await.code, "gap_needs_person");
    world.store.move_gap(second, GapState::Waived, None, Some("known"), Some("a person"), at(1_902)).await.unwrap();
    check.nothing(at(1_903)).await;

    gap(&world, GapKind::BookDamaged, at(9_000)).await;
    gap(&world, GapKind::ManifestUnreliable, at(9_000)).await;
    let found = check.look(at(9_001)).await;
    let told: Vec<_> = found.iter().map(|found| (found.code, found.severity)).collect();
    assert_eq!(told, [("book_damaged", Severity::Critical), ("manifest_unreliable", Severity::Warning)]);
}

#[tokio::test]
async fn a_mass_difference_is_told_until_a_person_has_answered() {
    let world = World::new().await;
    let mut check = world.check("gaps");
    let stop = RepairStop {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        since: at(5),
        gaps: 4_000,
        ours: 1_000,
        theirs: 5_000,
        approved_at: None,
        approved_by: None,
    };
    world.store.stop_repair(&stop).await.unwrap();
    gap(&world, GapKind::MissingOrder, at(5)).await;
    let found = check.look(at(6)).await;
    let told: Vec<_> = found.iter().map(|found| (found.code, found.subject.as_str(), found.severity)).collect();
    let expected =
        [("mass_difference", "acceptance", Severity::Critical), ("gap_needs_person", "1", Severity::Warning)];
    assert_eq!(told, expected);
    assert_eq!(facts(&found[0]), [("gaps", "4000"), ("ours", "1000"), ("theirs", "5000")].into());
    world.store.approve_repair(&municipal(), Dataset::Acceptance, "a person", at(7)).await.unwrap();
    assert_eq!(check.one(at(8)).await.code, "gap_group_open");
}

#[tokio::test]
async fn numbers_that_never_came_are_told_as_ranges() {
    let world = World::new().await;
    let today = day_of(at(0));
    let mut day = today;
    for back in 1..=5u64 {
        day = day.yesterday().unwrap();
        for counter in 1..=30u64 {
            // The day before yesterday lacks three in a row, and yesterday its seventh.
            if (back == 2 && (11..=13).contains(&counter)) || (back == 1 && counter == 7) {
                continue;
            }
            let text = format!("GZ{}{counter:06}", day.strftime("%Y%m%d"));
            world.order(SourceNumber::new(text).unwrap(), day).await;
        }
    }
    // Of today nothing is said yet.
    world.order(number(1), today).await;
    world.order(number(9), today).await;
    let mut check = world.check("number_holes");
    let found = check.one(at(0)).await;
    assert_eq!((found.subject.as_str(), found.count, found.severity), ("GZ", 4, Severity::Warning));
    let expected = [("missing", "4"), ("more", "0"), ("ranges", "20261122 000007, 20261121 000011-000013")];
    assert_eq!(facts(&found), expected.into());
    assert_eq!(found.since, Moment::On(day_of(at(-86_400))).start());
    // What came meanwhile is seen at the next look that is due, and a manifest in step says that the others were never given.
    let late = SourceNumber::new("GZ20261122000007").unwrap();
    world.order(late, day_of(at(-86_400))).await;
    world.store.save_comparison(&whole(at(10), true)).await.unwrap();
    assert_eq!(check.one(at(3_599)).await.count, 4);
    let found = check.one(at(3_600)).await;
    assert_eq!((found.count, found.severity), (3, Severity::Info));
    // A week later nobody looks for them any more.
    check.nothing(at(8 * 86_400)).await;
}

#[tokio::test]
async fn numbers_without_a_running_counter_say_nothing() {
    let world = World::new().await;
    let mut day = day_of(at(0));
    for _ in 0..5 {
        day = day.yesterday().unwrap();
        for counter in 1..=30u64 {
            let text = format!("GZ{}{:06}", day.strftime("%Y%m%d"), counter * 37);
            world.order(SourceNumber::new(text).unwrap(), day).await;
        }
    }
    world.check("number_holes").nothing(at(0)).await;
}
