//! Orders that are one, and orders that may be.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

fn pair(one: u64, other: u64, state: PairState, by: &str) -> OrderPair {
    OrderPair::new(order_id(one), order_id(other), state, by, at(9))
}

/// A pair is written with a batch, decided by a person, refused over what changed meanwhile, and every step is kept.
pub async fn a_pair_lives_as_agreed(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    write_orders(store, 1, 5).await;
    let named = pair(1, 2, PairState::Joined, "record:municipal-12345");
    write(store, |_, writes| {
        writes.pairs.push(named.clone());
        writes.pair_steps.push(PairStep::to(&named));
        writes.aliases.extend([(order_id(1), order_id(1)), (order_id(2), order_id(1))]);
    })
    .await
    .unwrap();
    assert_eq!(store.pair(&named.id()).await.unwrap(), Some(named.clone()));
    let group = [(order_id(1), order_id(1)), (order_id(2), order_id(1))].into();
    assert_eq!(store.groups_of(&[order_id(2), order_id(3)]).await.unwrap(), group);
    assert!(store.groups_of(&[order_id(3)]).await.unwrap().is_empty());
    assert!(store.pending_pairs(10).await.unwrap().is_empty());

    let mut rejected = pair(1, 2, PairState::Rejected, "王");
    (rejected.reason, rejected.pending, rejected.at) = (Some("两辆车".into()), true, at(10));
    let late = store.decide_pair(&rejected, Some(PairState::Candidate)).await;
    assert!(matches!(late, Err(StoreError::WrongState { .. })));
    store.decide_pair(&rejected, Some(PairState::Joined)).await.unwrap();
    assert_eq!(store.pending_pairs(10).await.unwrap(), [rejected.clone()]);
    let steps = store.pair_steps(&named.id()).await.unwrap();
    assert_eq!(steps, [PairStep::to(&named), PairStep::to(&rejected)]);
    let nobody = store.decide_pair(&pair(1, 99, PairState::Joined, "王"), None).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));

    // Who is alone again is in no group.
    write(store, |_, writes| writes.aliases.push((order_id(2), order_id(2)))).await.unwrap();
    assert!(store.groups_of(&[order_id(1), order_id(2)]).await.unwrap().is_empty());

    let third = pair(3, 4, PairState::Rejected, "王");
    store.decide_pair(&third, None).await.unwrap();
    let first = store.pairs(PairState::Rejected, None, 1).await.unwrap();
    assert_eq!(first, std::slice::from_ref(&third), "the older first");
    assert_eq!(store.pairs(PairState::Rejected, Some(&third.id()), 9).await.unwrap(), [rejected]);
    assert_eq!(store.pairs_of(&[order_id(4), order_id(3)]).await.unwrap(), [third]);
}

/// A batch sees the whole group of an order, who names its number, whom its record names, and the pairs among them.
pub async fn a_group_is_loaded_whole(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    write_orders(store, 1, 6).await;
    let joined = pair(1, 2, PairState::Joined, "record:desk");
    write(store, |_, writes| {
        writes.pairs.push(joined.clone());
        writes.aliases.extend([(order_id(1), order_id(1)), (order_id(2), order_id(1))]);
        writes.references.push(OrderReference { order_id: order_id(3), channel: desk(), number: Some(number(77)) });
        writes.references.push(OrderReference {
            order_id: order_id(4),
            channel: municipal(),
            number: Some(number(77)),
        });
    })
    .await
    .unwrap();
    let ids = |loaded: &Loaded| loaded.orders.iter().map(|order| order.order.id).collect::<Vec<_>>();
    let by_number = |n: u64| IngestRequest { numbers: vec![(municipal(), number(n))], ..IngestRequest::default() };

    let group = load(store, by_number(2)).await;
    assert_eq!(ids(&group), [order_id(1), order_id(2)]);
    assert_eq!((group.groups.len(), group.pairs), (2, vec![joined]));
    let alone = load(store, by_number(5)).await;
    assert_eq!((ids(&alone), alone.groups.len(), alone.pairs.len()), (vec![order_id(5)], 0, 0));
    // A channel's own number names nobody else.
    assert_eq!(ids(&load(store, by_number(77)).await), [order_id(3)]);
    let related = load(store, IngestRequest { related: vec![number(5), number(1)], ..IngestRequest::default() }).await;
    assert_eq!(ids(&related), [order_id(1), order_id(2), order_id(5)]);

    let gone = OrderReference { order_id: order_id(3), channel: desk(), number: None };
    write(store, |_, writes| writes.references.push(gone.clone())).await.unwrap();
    assert!(ids(&load(store, by_number(77)).await).is_empty());
}

/// Orders are found by their keys within a time, the latest first; a round is written whole and once; what a person settled is not offered again.
pub async fn duplicates_are_offered_once(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    write_orders(store, 1, 6).await;
    let key = |name: &str| MatchKey(name.into());
    assert_eq!(store.match_position().await.unwrap(), 0);
    let mut offer = pair(1, 2, PairState::Candidate, "likeness");
    (offer.score, offer.likeness) = (Some(70), vec![Likeness { what: "plate".into(), points: 35 }]);
    let round = MatchRound {
        from: 0,
        to: 3,
        keys: vec![
            (order_id(1), 100, vec![key("plate"), key("phone")]),
            (order_id(2), 200, vec![key("plate")]),
            (order_id(3), 900, vec![key("plate")]),
        ],
        offers: vec![offer.clone(), pair(3, 4, PairState::Candidate, "likeness")],
    };
    store.save_matches(&round).await.unwrap();
    assert!(matches!(store.save_matches(&round).await, Err(StoreError::WrongState { .. })), "it was overtaken");
    assert_eq!(store.match_position().await.unwrap(), 3);
    let found = |keys: Vec<MatchKey>, from, until, limit| async move {
        store.matches(&keys, from, until, limit).await.unwrap()
    };
    assert_eq!(found(vec![key("plate"), key("phone")], 0, 900, 9).await, [order_id(1), order_id(2)]);
    assert_eq!(found(vec![key("plate")], 0, 901, 1).await, [order_id(3)]);
    assert!(found(vec![], 0, 901, 1).await.is_empty());
    let candidates = store.pairs(PairState::Candidate, None, 9).await.unwrap();
    assert_eq!(candidates.len(), 2);
    assert!(candidates.contains(&offer));

    store.decide_pair(&pair(3, 4, PairState::Rejected, "王"), Some(PairState::Candidate)).await.unwrap();
    let again = pair(3, 4, PairState::Candidate, "likeness");
    offer.score = Some(80);
    let round = MatchRound {
        from: 3,
        to: 5,
        keys: vec![(order_id(2), 250, vec![key("phone")])],
        offers: vec![again, offer.clone()],
    };
    store.save_matches(&round).await.unwrap();
    assert_eq!(store.pairs(PairState::Candidate, None, 9).await.unwrap(), [offer]);
    assert_eq!(found(vec![key("plate")], 0, 900, 9).await, [order_id(1)], "the old keys are gone");
    assert_eq!(store.orders(&[order_id(2), order_id(99)], true).await.unwrap().len(), 1);
}
