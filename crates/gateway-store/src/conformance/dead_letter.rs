//! Dead letters.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

/// Each is settled once, and the first who did it is remembered.
pub async fn dead_letters_are_settled_once(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write(&*store, |loaded, writes| {
        for n in 0..3 {
            let id = loaded.next_raw_id + n;
            writes.raws.push(raw(id, n as u64));
            writes.dead_letters.push(NewDeadLetter {
                raw_id: RawId(id),
                channel: if n == 2 { desk() } else { municipal() },
                number: None,
                code: "undecodable".into(),
                reason: "not JSON".into(),
                at: at(n),
            });
        }
    })
    .await
    .unwrap();
    let ids = |letters: Vec<DeadLetterRow>| letters.into_iter().map(|letter| letter.id).collect::<Vec<_>>();
    let all = ids(store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap());
    assert_eq!(all.len(), 3);

    let settled = store.settle_dead_letters(&all[..2], DeadLetterState::Waived, "by li", at(50)).await.unwrap();
    assert_eq!(settled, 2);
    let again = store.settle_dead_letters(&all, DeadLetterState::Resubmitted, "by wang", at(60)).await.unwrap();
    assert_eq!(again, 1);
    let letter = store.dead_letter(all[0]).await.unwrap().unwrap();
    assert_eq!(letter.state, DeadLetterState::Waived);
    assert_eq!((letter.settled_at, letter.settled_reason.as_deref()), (Some(at(50)), Some("by li")));
    assert_eq!((letter.code.as_str(), letter.reason.as_str(), letter.at), ("undecodable", "not JSON", at(0)));

    let in_state = |state| DeadLetterFilter { state: Some(state), ..DeadLetterFilter::default() };
    assert!(store.dead_letters(&in_state(DeadLetterState::Open), 10).await.unwrap().is_empty());
    let waived = in_state(DeadLetterState::Waived);
    assert_eq!(ids(store.dead_letters(&waived, 1).await.unwrap()), all[..1]);
    let after = DeadLetterFilter { after: Some(all[0]), ..waived };
    assert_eq!(ids(store.dead_letters(&after, 10).await.unwrap()), all[1..2]);
    let of_desk = DeadLetterFilter { channel: Some(desk()), ..DeadLetterFilter::default() };
    assert_eq!(ids(store.dead_letters(&of_desk, 10).await.unwrap()), all[2..]);
    assert_eq!(store.dead_letter(DeadLetterId(999)).await.unwrap(), None);
    let reopened = store.settle_dead_letters(&all, DeadLetterState::Open, "", at(70)).await;
    assert!(matches!(reopened, Err(StoreError::WrongState { .. })), "{reopened:?}");
}
