//! Records that wait for their order.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

async fn park(store: &dyn Store, offset: u64, waits_for: u64, since: Timestamp) -> RawId {
    let id = std::sync::Mutex::new(RawId(0));
    write(store, |loaded, writes| {
        let raw_id = RawId(loaded.next_raw_id);
        *id.lock().unwrap() = raw_id;
        writes.raws.push(raw(raw_id.0, offset));
        writes.park.push(NewPark { raw_id, channel: municipal(), number: number(waits_for), since, changes: 2 });
    })
    .await
    .unwrap();
    id.into_inner().unwrap()
}

fn letter(raw_id: RawId) -> NewDeadLetter {
    NewDeadLetter {
        raw_id,
        channel: municipal(),
        number: Some(number(7)),
        code: "order_never_came".into(),
        reason: "no order of that number came".into(),
        at: at(90),
    }
}

/// A parked record is found by its number with its bytes, and is gone when applied.
pub async fn records_park_and_leave_whole(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let first = park(&*store, 0, 7, at(10)).await;
    let second = park(&*store, 1, 8, at(20)).await;
    assert_eq!(store.parked_changes().await.unwrap(), [(municipal(), 4)]);
    let request = IngestRequest { numbers: vec![(municipal(), number(7))], ..IngestRequest::default() };
    let parked = load(&*store, request.clone()).await.parked;
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].raw.id, &parked[0].number, parked[0].since), (first, &number(7), at(10)));
    assert_eq!(parked[0].raw.body, Some(raw(first.0, 0).body));

    let ids = |parked: Vec<Parked>| parked.into_iter().map(|one| one.raw.id).collect::<Vec<_>>();
    assert_eq!(ids(store.parked_before(at(20), 10).await.unwrap()), [first]);
    assert_eq!(ids(store.parked_before(at(21), 10).await.unwrap()), [first, second]);
    assert_eq!(ids(store.parked_before(at(21), 1).await.unwrap()), [first]);

    write(&*store, |_, writes| writes.unpark.push(first)).await.unwrap();
    assert!(load(&*store, request).await.parked.is_empty());
    assert_eq!(store.parked_changes().await.unwrap(), [(municipal(), 2)]);
}

/// What was applied meanwhile is neither buried nor counted twice.
pub async fn burying_is_refused_for_what_has_left(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let first = park(&*store, 0, 7, at(10)).await;
    let second = park(&*store, 1, 7, at(20)).await;
    write(&*store, |_, writes| writes.unpark.push(first)).await.unwrap();
    let tally = FlowTally {
        channel: municipal(),
        dataset: Some(Dataset::Handling),
        outcome: FlowOutcome::DeadLettered,
        changes: 2,
    };
    let refused = store.bury_parked(vec![letter(first), letter(second)], vec![tally.clone()]).await;
    assert!(matches!(refused, Err(StoreError::WrongState { .. })), "{refused:?}");
    assert!(store.flow_tallies().await.unwrap().is_empty());
    assert_eq!(store.parked_changes().await.unwrap(), [(municipal(), 2)]);

    store.bury_parked(vec![letter(second)], vec![tally.clone()]).await.unwrap();
    assert_eq!(store.flow_tallies().await.unwrap(), [tally]);
    assert!(store.parked_changes().await.unwrap().is_empty());
    let letters = store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].raw_id, letters[0].state), (second, DeadLetterState::Open));
}
