//! Gaps and comparisons.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

fn suspicion(n: u64, kind: GapKind) -> NewGap {
    NewGap {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        kind,
        key: Some(key(n)),
        window: Window::new(at(0), at(600)),
        delivery_id: None,
        evidence: evidence(1),
        detail: Some("a code".to_owned()),
        at: at(10),
    }
}

fn evidence(second: i64) -> GapEvidence {
    GapEvidence { theirs: Some(digest(1)), ours: None, as_of: at(second), compared_at: at(second + 1) }
}

async fn one(store: &dyn Store) -> GapId {
    store.suspect(&[suspicion(1, GapKind::MissingOrder)]).await.unwrap()[0]
}

async fn step(store: &dyn Store, id: GapId, to: GapState, second: i64) -> Result<(), StoreError> {
    store.move_gap(id, to, None, None, None, at(second)).await
}

/// Suspected, open, repairing, closed; each step with its time, each repair with its generation.
pub async fn a_gap_lives_as_agreed(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let unnamed = NewGap { key: None, delivery_id: Some(DeliveryId(7)), ..suspicion(2, GapKind::CountMismatch) };
    let ids = store.suspect(&[suspicion(1, GapKind::MissingOrder), unnamed.clone()]).await.unwrap();
    let other = store.gap(ids[1]).await.unwrap().unwrap();
    assert_eq!((other.key, other.delivery_id, other.window), (None, Some(DeliveryId(7)), unnamed.window));
    let id = ids[0];
    store.suspect_again(id, GapKind::Differing, evidence(20), at(22)).await.unwrap();
    let gap = store.gap(id).await.unwrap().unwrap();
    assert_eq!((gap.kind, gap.evidence, gap.first_seen_at), (GapKind::Differing, evidence(20), at(22)));
    assert_eq!((gap.state, gap.key, gap.generation), (GapState::Suspected, Some(key(1)), 0));

    store.move_gap(id, GapState::Open, Some(evidence(30)), None, None, at(31)).await.unwrap();
    step(&*store, id, GapState::Repairing, 32).await.unwrap();
    step(&*store, id, GapState::Open, 33).await.unwrap();
    step(&*store, id, GapState::Repairing, 34).await.unwrap();
    let gap = store.gap(id).await.unwrap().unwrap();
    assert_eq!((gap.evidence, gap.generation), (evidence(30), 2));
    assert_eq!((gap.opened_at, gap.repair_started_at, gap.ended_at), (Some(at(31)), Some(at(34)), None));
    step(&*store, id, GapState::Closed, 40).await.unwrap();
    assert_eq!(store.gap(id).await.unwrap().unwrap().ended_at, Some(at(40)));

    step(&*store, ids[1], GapState::Open, 41).await.unwrap();
    store.move_gap(ids[1], GapState::Waived, None, Some("test data"), Some("li"), at(42)).await.unwrap();
    let waived = store.gap(ids[1]).await.unwrap().unwrap();
    assert_eq!((waived.reason.as_deref(), waived.by.as_deref()), (Some("test data"), Some("li")));
    let tallies = store.gap_tallies().await.unwrap();
    assert_eq!(tallies.len(), 2);
    assert!(tallies.contains(&(municipal(), GapKind::Differing, GapState::Closed, 1)));
}

/// Wrong steps change nothing.
pub async fn gaps_refuse_steps_that_do_not_exist(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let id = one(&*store).await;
    for to in [GapState::Suspected, GapState::Repairing, GapState::Closed, GapState::Waived] {
        let refused = step(&*store, id, to, 20).await;
        assert!(matches!(refused, Err(StoreError::WrongState { .. })), "{to}: {refused:?}");
    }
    step(&*store, id, GapState::Open, 21).await.unwrap();
    let again = store.suspect_again(id, GapKind::Differing, evidence(3), at(22)).await;
    assert!(matches!(again, Err(StoreError::WrongState { .. })), "{again:?}");
    let suspected = one(&*store).await;
    let forgotten = store.forget(&[suspected, id]).await;
    assert!(matches!(forgotten, Err(StoreError::WrongState { .. })), "{forgotten:?}");
    assert!(store.gap(suspected).await.unwrap().is_some());
    step(&*store, id, GapState::Closed, 23).await.unwrap();
    for to in [GapState::Open, GapState::Repairing, GapState::Waived] {
        assert!(step(&*store, id, to, 24).await.is_err(), "{to}");
    }
    let unknown = step(&*store, GapId(999), GapState::Open, 25).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
}

/// A reader that goes by id never meets an old id with new content.
pub async fn forgotten_ids_do_not_come_back(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let first = one(&*store).await;
    store.forget(&[first]).await.unwrap();
    store.forget(&[first]).await.unwrap();
    assert_eq!(store.gap(first).await.unwrap(), None);
    store.close().await;
    assert!(one(&*place.open().await).await > first);
}

/// Filters combine; pages go by id.
pub async fn gaps_are_listed_by_what_is_asked(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let ids = store.suspect(&(0..4).map(|n| suspicion(n % 2, GapKind::Differing)).collect::<Vec<_>>()).await.unwrap();
    step(&*store, ids[0], GapState::Open, 20).await.unwrap();
    step(&*store, ids[2], GapState::Open, 20).await.unwrap();
    let listed = async |filter: GapFilter, limit| -> Vec<GapId> {
        store.gaps(&filter, limit).await.unwrap().into_iter().map(|gap| gap.id).collect()
    };
    let all = GapFilter::default;
    assert_eq!(listed(all(), 3).await, ids[..3]);
    assert_eq!(listed(GapFilter { after: Some(ids[1]), ..all() }, 9).await, ids[2..]);
    assert_eq!(listed(GapFilter { channel: Some(desk()), ..all() }, 9).await, []);
    let open = GapFilter { state: Some(GapState::Open), channel: Some(municipal()), ..all() };
    assert_eq!(listed(open.clone(), 9).await, [ids[0], ids[2]]);
    assert_eq!(listed(GapFilter { number: Some(number(1)), ..all() }, 9).await, [ids[1], ids[3]]);
    assert_eq!(listed(GapFilter { number: Some(number(1)), ..open }, 9).await, []);
}

/// Totals of all, the last of the whole ones.
pub async fn comparisons_add_up(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let (whole, recent) = (ComparisonKind::Whole, ComparisonKind::Recent);
    let comparison = |started: i64, kind| Comparison {
        channel: municipal(),
        started_at: at(started),
        ended_at: at(started + 5),
        kind,
        in_step: kind == whole,
        calls: 2,
        bytes: 100,
        vanished: 1,
    };
    assert_eq!(store.last_comparison(&municipal(), whole).await.unwrap(), None);
    assert_eq!(store.comparison_totals().await.unwrap(), (0, 0, 0));
    for one in [comparison(0, whole), comparison(10, whole), comparison(20, recent)] {
        store.save_comparison(&one).await.unwrap();
    }
    assert_eq!(store.last_comparison(&municipal(), whole).await.unwrap(), Some(comparison(10, whole)));
    assert_eq!(store.last_comparison(&desk(), whole).await.unwrap(), None);
    assert_eq!(store.comparisons(&municipal(), 2).await.unwrap(), [comparison(20, recent), comparison(10, whole)]);
    assert_eq!(store.comparison_totals().await.unwrap(), (6, 300, 3));
}
