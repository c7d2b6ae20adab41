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

/// What is over is active no more; what is waived can begin again.
pub async fn active_gaps_are_those_that_are_not_over(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let ids = store.suspect(&(0..5).map(|n| suspicion(n, GapKind::Differing)).collect::<Vec<_>>()).await.unwrap();
    store.suspect(&[NewGap { channel: desk(), ..suspicion(9, GapKind::Differing) }]).await.unwrap();
    let active = async |after, limit| -> Vec<GapId> {
        store.active_gaps(&municipal(), after, limit).await.unwrap().into_iter().map(|gap| gap.id).collect()
    };
    assert_eq!(active(None, 9).await, ids);
    for id in &ids[1..] {
        step(&*store, *id, GapState::Open, 20).await.unwrap();
    }
    step(&*store, ids[2], GapState::Repairing, 21).await.unwrap();
    step(&*store, ids[3], GapState::Closed, 22).await.unwrap();
    step(&*store, ids[4], GapState::Waived, 23).await.unwrap();
    assert_eq!(active(None, 9).await, ids[..3]);
    assert_eq!(active(Some(ids[0]), 1).await, [ids[1]]);
    let gap = store.active_gaps(&municipal(), Some(ids[1]), 9).await.unwrap().pop();
    assert_eq!(gap, store.gap(ids[2]).await.unwrap());
    step(&*store, ids[4], GapState::Open, 24).await.unwrap();
    store.forget(&ids[..1]).await.unwrap();
    assert_eq!(active(None, 9).await, [ids[1], ids[2], ids[4]]);
}

/// A round's end is one transaction: accounts, comparisons and what is remembered; under a stale epoch, none of them.
pub async fn a_round_ends_whole_or_not_at_all(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let old = store.acquire_lease("reconcile", "a", at(0), at(30)).await.unwrap().unwrap();
    let comparison = |kind| Comparison {
        channel: municipal(),
        started_at: at(0),
        ended_at: at(5),
        kind,
        in_step: true,
        calls: 2,
        bytes: 100,
        vanished: 1,
    };
    let days = Days { from: day(), to: day_of(at(2 * 86_400)) };
    let account = |days_said: Option<&[u64]>, second| NewAccount {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        asked: days,
        days: days_said.map(|said| {
            let one = |(n, count): (usize, &u64)| AccountDay {
                dataset: Dataset::Acceptance,
                day: day_of(at(i64::try_from(n).unwrap() * 86_400)),
                count: *count,
                sum: Some(BucketSum::ZERO),
                as_of: at(second),
            };
            said.iter().enumerate().map(one).collect()
        }),
        in_step: if days_said.is_none() { vec![days] } else { Vec::new() },
        as_of: at(second),
        at: at(second),
    };
    let round = ReconcileRound {
        channel: municipal(),
        // Of one day the last account counts; a day that it no longer names is empty.
        accounts: vec![
            account(None, 1),
            account(Some(&[3, 4]), 2),
            account(Some(&[5]), 3),
            NewAccount { dataset: Dataset::Handling, ..account(None, 4) },
        ],
        comparisons: vec![comparison(ComparisonKind::Whole), comparison(ComparisonKind::Recent)],
        checkpoint: Some(("reconcile".to_owned(), "one".to_owned())),
        at: at(6),
    };
    store.save_reconcile_round(&round, &old).await.unwrap();
    let said = store.account_days(&municipal(), days, day_of(at(0))).await.unwrap();
    let said: Vec<_> = said.iter().map(|day| (day.day, day.count, day.as_of)).collect();
    assert_eq!(said, [(day(), 5, at(3)), (day_of(at(86_400)), 0, at(3))]);
    let spans = store.account_spans(&municipal(), days, day_of(at(0))).await.unwrap();
    let spans: Vec<_> = spans.iter().map(|span| (span.dataset, span.days, span.compared_at)).collect();
    assert_eq!(spans, [(Dataset::Acceptance, days, at(1)), (Dataset::Handling, days, at(4))]);
    assert_eq!(store.comparisons(&municipal(), 9).await.unwrap().len(), 2);
    assert_eq!(store.comparison_totals().await.unwrap(), (4, 200, 2));
    assert_eq!(store.checkpoint(&municipal(), "reconcile").await.unwrap().as_deref(), Some("one"));
    assert_eq!(store.checkpoint_saved_at(&municipal(), "reconcile").await.unwrap(), Some(at(6)));

    // Nothing to remember leaves what is remembered.
    let quiet = ReconcileRound { accounts: Vec::new(), comparisons: Vec::new(), checkpoint: None, ..round.clone() };
    store.save_reconcile_round(&quiet, &old).await.unwrap();
    assert_eq!(store.checkpoint(&municipal(), "reconcile").await.unwrap().as_deref(), Some("one"));

    let new = store.acquire_lease("reconcile", "b", at(31), at(60)).await.unwrap().unwrap();
    let two = ReconcileRound { checkpoint: Some(("reconcile".to_owned(), "two".to_owned())), ..round };
    let stale = store.save_reconcile_round(&two, &old).await;
    assert!(matches!(stale, Err(StoreError::LeaseLost { epoch: 1, .. })), "{stale:?}");
    assert_eq!(store.comparisons(&municipal(), 9).await.unwrap().len(), 2);
    assert_eq!(store.checkpoint(&municipal(), "reconcile").await.unwrap().as_deref(), Some("one"));
    store.save_reconcile_round(&two, &new).await.unwrap();
    assert_eq!(store.checkpoint(&municipal(), "reconcile").await.unwrap().as_deref(), Some("two"));
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
