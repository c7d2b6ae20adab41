//! Groups of gaps, and stopped repairs.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

fn evidence() -> GapEvidence {
    GapEvidence { theirs: Some(digest(1)), ours: None, as_of: at(1), compared_at: at(2) }
}

fn suspicion(n: u64, kind: GapKind) -> NewGap {
    NewGap {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        kind,
        key: Some(key(n)),
        window: Window::new(at(n as i64), at(n as i64 + 1)),
        delivery_id: None,
        evidence: evidence(),
        detail: None,
        at: at(10),
    }
}

async fn confirm(store: &dyn Store, numbers: std::ops::Range<u64>, kind: GapKind, second: i64) -> Vec<GapGroupId> {
    let ids = store.suspect(&numbers.map(|n| suspicion(n, kind)).collect::<Vec<_>>()).await.unwrap();
    let confirmed: Vec<_> = ids.into_iter().map(|id| (id, evidence())).collect();
    store.open_gaps(&confirmed, 60_000, at(second)).await.unwrap()
}

async fn close(store: &dyn Store, group: GapGroupId, second: i64) {
    let filter = GapFilter { group: Some(group), ..GapFilter::default() };
    for gap in store.gaps(&filter, 1_000).await.unwrap() {
        if matches!(gap.state, GapState::Open | GapState::Repairing) {
            store.move_gap(gap.id, GapState::Closed, None, None, None, at(second)).await.unwrap();
        }
    }
}

async fn groups(store: &dyn Store, unfinished: bool) -> Vec<GapGroupRow> {
    store.gap_groups(&GapGroupFilter { unfinished, ..GapGroupFilter::default() }, 100).await.unwrap()
}

/// One outage is one group, by channel and direction, while it lasts and for a while after.
pub async fn one_outage_is_one_group(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let first = confirm(&*store, 0..300, GapKind::MissingOrder, 20).await;
    assert!(first.iter().all(|group| *group == first[0]) && first.len() == 300);
    let sent = confirm(&*store, 300..302, GapKind::HeldDifferently, 21).await;
    assert_ne!(sent[0], first[0], "the other direction is another outage");
    // Its end comes in pieces.
    assert_eq!(confirm(&*store, 400..401, GapKind::Differing, 79).await[0], first[0]);
    // A gap that nobody can repair keeps no group open for what comes days later.
    let later = confirm(&*store, 401..402, GapKind::Differing, 10_000).await[0];
    assert_ne!(later, first[0]);
    close(&*store, later, 10_010).await;
    close(&*store, first[0], 10_010).await;
    let ended = groups(&*store, false).await;
    assert_eq!((ended[0].ended_at, ended[1].ended_at), (Some(at(10_010)), None));
    assert_eq!((ended[0].opened_at, ended[0].last_opened_at), (at(20), at(79)));
    // Finished, but a moment ago.
    assert_eq!(confirm(&*store, 402..403, GapKind::Differing, 10_059).await[0], later);
    assert_eq!(groups(&*store, true).await.len(), 2, "it has an unfinished gap again");
    close(&*store, later, 10_060).await;
    assert_ne!(confirm(&*store, 403..404, GapKind::Differing, 10_119).await[0], later, "a minute later");
}

/// A group tells what its gaps have in common.
pub async fn a_group_counts_its_gaps(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let group = confirm(&*store, 5..8, GapKind::MissingOrder, 20).await[0];
    let filter = GapFilter { group: Some(group), ..GapFilter::default() };
    let gaps = store.gaps(&filter, 9).await.unwrap();
    assert_eq!(gaps.len(), 3);
    assert!(gaps.iter().all(|gap| gap.group_id == Some(group) && gap.opened_at == Some(at(20))));
    store.move_gap(gaps[0].id, GapState::Repairing, None, None, None, at(21)).await.unwrap();
    store.move_gap(gaps[0].id, GapState::Open, None, Some("it did not help"), None, at(22)).await.unwrap();
    store.move_gap(gaps[1].id, GapState::Waived, None, Some("known"), Some("li"), at(23)).await.unwrap();
    let tallies = groups(&*store, true).await.pop().unwrap().tallies;
    let seen: Vec<_> = tallies.iter().map(|one| (one.state, one.left, one.tried, one.count)).collect();
    assert_eq!(
        seen,
        [(GapState::Open, false, false, 1), (GapState::Open, true, true, 1), (GapState::Waived, false, false, 1)]
    );
    assert_eq!(tallies[0].window, Window::new(at(7), at(8)));
    let open_only = GapGroupFilter { unfinished: true, count_unfinished: true, ..GapGroupFilter::default() };
    let counted = store.gap_groups(&open_only, 9).await.unwrap().pop().unwrap();
    assert_eq!((counted.id, counted.tallies.as_slice()), (group, &tallies[..2]), "what is over is not counted");
    assert_eq!(store.gaps(&GapFilter { state: Some(GapState::Waived), ..filter }, 9).await.unwrap().len(), 1);
    // What is opened by itself, as an offset that was lost, belongs to a group as well.
    let lost = store.suspect(&[suspicion(9, GapKind::LostOffset)]).await.unwrap()[0];
    store.move_gap(lost, GapState::Open, None, Some("offsets 1 to 2"), None, at(24)).await.unwrap();
    assert_eq!(store.gap(lost).await.unwrap().unwrap().group_id, Some(group));
}

/// Confirming is whole or not at all.
pub async fn what_is_no_suspicion_is_not_confirmed(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let ids = store.suspect(&[suspicion(1, GapKind::Differing), suspicion(2, GapKind::Differing)]).await.unwrap();
    store.open_gaps(&[(ids[1], evidence())], 1, at(20)).await.unwrap();
    let refused = store.open_gaps(&[(ids[0], evidence()), (ids[1], evidence())], 1, at(21)).await;
    assert!(matches!(refused, Err(StoreError::WrongState { .. })), "{refused:?}");
    assert_eq!(store.gap(ids[0]).await.unwrap().unwrap().state, GapState::Suspected);
    let unknown = store.open_gaps(&[(GapId(999), evidence())], 1, at(22)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
}

/// A stop survives, is renewed without beginning anew, and is answered once.
pub async fn a_stopped_repair_waits_for_an_answer(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let stop = |gaps, second| RepairStop {
        channel: municipal(),
        dataset: Dataset::Handling,
        since: at(second),
        gaps,
        ours: 10,
        theirs: 20,
        approved_at: None,
        approved_by: None,
    };
    store.stop_repair(&stop(5, 1)).await.unwrap();
    store.stop_repair(&stop(7, 9)).await.unwrap();
    store.close().await;
    let store = place.open().await;
    let held = store.repair_stops().await.unwrap();
    assert_eq!(held, [RepairStop { gaps: 7, ..stop(7, 1) }]);
    assert!(held[0].is_waiting());
    store.approve_repair(&municipal(), Dataset::Handling, "li", at(20)).await.unwrap();
    store.stop_repair(&stop(8, 21)).await.unwrap();
    let held = store.repair_stops().await.unwrap();
    assert_eq!((held[0].approved_at, held[0].approved_by.as_deref()), (Some(at(20)), Some("li")));
    for unknown in [Dataset::Handling, Dataset::Acceptance] {
        let refused = store.approve_repair(&municipal(), unknown, "li", at(22)).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    }
    store.end_repair_stop(&municipal(), Dataset::Handling).await.unwrap();
    assert!(store.repair_stops().await.unwrap().is_empty());
}
