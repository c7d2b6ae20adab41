//! Orders that are one, and orders that may be.

use super::StoreUnderTest;
use super::fixture::*;
use super::ingest::drop_after;
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

/// What is compared of an order, told of by `channel` at `minute`.
fn comparable(n: u64, channel: ChannelId, minute: i64, said: &[(Field, &str)]) -> Comparable {
    let fields: Fields = said.iter().map(|(field, text)| (*field, FieldValue::from(*text))).collect();
    let at = Moment::At(at(minute * 60));
    let subject = MatchSubject::of(&fields, at, &Fields::new(), &PersonKey::of_installation(&[7; 32]));
    Comparable { order_id: order_id(n), channel, subject }
}

fn kept(was: Option<&Comparable>, comparable: &Comparable) -> MatchTurn {
    let (comparable, lead) = (comparable.clone(), comparable.order_id);
    let is = MatchEntry { comparable, part: Part::Cycle(0), content_hash: [9; 32], lead };
    MatchTurn { was: was.cloned(), is: Some(is) }
}

async fn like(store: &dyn Store, one: &Comparable, limit: u32) -> Vec<u64> {
    let found = store.matches(&[one], limit).await.unwrap();
    let mut found: Vec<OrderId> = found.into_iter().map(|(_, other)| other.order_id).collect();
    found.sort_unstable();
    found.dedup();
    found.iter().map(|id| (id.0.as_u128() & 0xffff) as u64).collect()
}

const PLATE: (Field, &str) = (Field::Plate, "粤AD12345");
const PLACE: (Field, &str) = (Field::Address, "天河区体育东路1号");

/// Orders of other channels are found by their keys within the keys' reach, the latest first; a round is written whole and once; what a person settled is not offered
/// again.
pub async fn duplicates_are_offered_once(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    write_orders(store, 1, 6).await;
    assert_eq!(store.match_position().await.unwrap(), 0);
    let (hour, day) = (60, 24 * 60);
    let all = [
        comparable(1, municipal(), 0, &[PLATE, PLACE]),
        comparable(2, channel("web"), hour, &[PLATE]),
        comparable(3, channel("web"), 2 * day, &[PLATE, PLACE]),
        comparable(4, channel("web"), 8 * day, &[PLATE]),
        comparable(5, channel("qr"), -day, &[PLACE]),
    ];
    let mut offer = pair(1, 2, PairState::Candidate, "likeness");
    (offer.score, offer.likeness) = (Some(70), vec![Likeness { what: "plate".into(), points: 35 }]);
    let round = MatchRound {
        from: 0,
        to: 3,
        turns: all.iter().map(|one| kept(None, one)).collect(),
        offers: vec![offer.clone(), pair(3, 4, PairState::Candidate, "likeness")],
    };
    store.save_matches(&round).await.unwrap();
    assert!(matches!(store.save_matches(&round).await, Err(StoreError::WrongState { .. })), "it was overtaken");
    assert_eq!(store.match_position().await.unwrap(), 3);
    assert_eq!(like(store, &all[0], 9).await, [2, 3, 5], "4 is further than a week");
    assert_eq!(like(store, &all[0], 1).await, [3, 5], "the latest of each key and channel");
    assert_eq!(like(store, &all[1], 9).await, [1], "those of its own channel are not looked for");
    assert_eq!(like(store, &all[2], 9).await, [1], "a place reaches a day");
    assert_eq!(like(store, &comparable(9, desk(), 0, &[]), 9).await, [0; 0]);
    let beside = store.matches(&[&all[3], &all[4]], 9).await.unwrap();
    assert_eq!(beside, [(1, all[0].clone())], "as it was written");
    let candidates = store.pairs(PairState::Candidate, None, 9).await.unwrap();
    assert_eq!(candidates.len(), 2);
    assert!(candidates.contains(&offer));

    store.decide_pair(&pair(3, 4, PairState::Rejected, "王"), Some(PairState::Candidate)).await.unwrap();
    let again = pair(3, 4, PairState::Candidate, "likeness");
    offer.score = Some(80);
    let moved = comparable(2, channel("qr"), hour, &[PLACE]);
    let round = MatchRound {
        from: 3,
        to: 5,
        turns: vec![kept(Some(&all[1]), &moved), MatchTurn { was: Some(all[2].clone()), is: None }],
        offers: vec![again, offer.clone()],
    };
    store.save_matches(&round).await.unwrap();
    assert_eq!(store.pairs(PairState::Candidate, None, 9).await.unwrap(), [offer]);
    assert_eq!(like(store, &comparable(9, desk(), 0, &[PLATE]), 9).await, [1], "the old keys are gone");
    assert_eq!(like(store, &all[0], 9).await, [2, 5]);
    assert_eq!(store.orders(&[order_id(2), order_id(99)], true).await.unwrap().len(), 1);
}

/// Who looks for duplicates is told of the orders of which something else may be compared, with what is said of them first-hand, and of no others.
pub async fn only_what_changed_is_compared_again(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    assert_eq!(store.match_changes(0, 9).await.unwrap(), MatchPage::default());
    write_orders(store, 1, 4).await;
    let persons: Fields = [(Field::RequesterPhone, FieldValue::from("13800000000"))].into_iter().collect();
    write(store, |_, writes| {
        writes.persons.push(PersonRow {
            order_id: order_id(2),
            channel: municipal(),
            dataset: Dataset::Acceptance,
            part: Part::Cycle(0),
            fields: persons.clone(),
            key_id: "plain".into(),
        });
        // The channel that comes first tells of the third; what another only repeats, or does not say any more, is nobody's first-hand word.
        writes.facets.push((order_id(3), FacetRow { channel: channel("a"), content_hash: [3; 32], ..facet(1) }));
        writes.facets.push((order_id(2), FacetRow { channel: channel("a"), echo: true, ..facet(1) }));
        writes.facets.push((order_id(1), FacetRow { gone_at: Some(at(5)), ..facet(1) }));
    })
    .await
    .unwrap();
    let page = store.match_changes(0, 2).await.unwrap();
    assert_eq!((page.seen, page.changes.len()), (2, 1), "the first has nothing to compare, and never had");
    let [second] = &page.changes[..] else { panic!("{page:?}") };
    let said = FirstHand {
        channel: municipal(),
        part: Part::Cycle(0),
        content_hash: [9; 32],
        event_time: Moment::At(at(0)),
        fields: fields("路灯不亮"),
        persons,
    };
    let expected = MatchChange { order_id: order_id(2), lead: order_id(2), was: None, first_hand: Some(said) };
    assert_eq!(*second, expected);
    let rest = store.match_changes(page.next, 9).await.unwrap();
    assert_eq!((rest.seen, rest.changes[0].order_id), (1, order_id(3)));
    assert_eq!(rest.changes[0].first_hand.as_ref().unwrap().channel, channel("a"));
    assert_eq!(rest.changes[0].first_hand.as_ref().unwrap().persons, Fields::new());

    // Kept, they are not told of again until what they were made of is another.
    let second = comparable(2, municipal(), 0, &[PLATE]);
    let third = comparable(3, channel("a"), 0, &[PLATE]);
    let mut turns = vec![kept(None, &second), kept(None, &third)];
    turns[1].is.as_mut().unwrap().content_hash = [3; 32];
    let round = MatchRound { from: 0, to: rest.next, turns, ..MatchRound::default() };
    store.save_matches(&round).await.unwrap();
    let again = store.match_changes(0, 9).await.unwrap();
    assert_eq!((again.seen, again.next, again.changes.len()), (3, rest.next, 0));

    write(store, |loaded, writes| {
        for (place, n) in [2, 3].into_iter().enumerate() {
            writes.orders.push(order(n, 2, loaded.next_feed_seq + place as u64));
        }
        writes.facets.push((order_id(2), FacetRow { content_hash: [4; 32], ..facet(1) }));
        writes.aliases.extend([(order_id(1), order_id(1)), (order_id(3), order_id(1))]);
    })
    .await
    .unwrap();
    let page = store.match_changes(rest.next, 9).await.unwrap();
    let was: Vec<_> = page.changes.iter().map(|change| change.was.clone()).collect();
    assert_eq!(was, [Some(second.clone()), Some(third)], "other content; another group");
    assert_eq!(page.changes[1].lead, order_id(1));

    write(store, |loaded, writes| {
        writes.orders.push(order(2, 3, loaded.next_feed_seq));
        writes.facets.push((order_id(2), FacetRow { gone_at: Some(at(9)), ..facet(1) }));
    })
    .await
    .unwrap();
    let page = store.match_changes(page.next, 9).await.unwrap();
    let gone = MatchChange { order_id: order_id(2), lead: order_id(2), was: Some(second.clone()), first_hand: None };
    assert_eq!(page.changes, [gone]);
    let left = MatchTurn { was: Some(second), is: None };
    let round = MatchRound { from: rest.next, to: page.next, turns: vec![left], ..MatchRound::default() };
    store.save_matches(&round).await.unwrap();
    assert!(store.match_changes(rest.next, 9).await.unwrap().changes.iter().all(|one| one.order_id != order_id(2)));
}

/// Of a round, and of what a person says of a pair, that is dropped while it is written, everything is there or nothing, and the next begins where it stands.
pub async fn a_dropped_round_of_matches_is_whole_or_absent(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    write_orders(store, 1, 80).await;
    for polls in 1..40 {
        let from = store.match_position().await.unwrap();
        let (n, plate) = (2 * u64::from(polls) - 1, format!("粤AD1{polls:04}"));
        let said = [(Field::Plate, plate.as_str())];
        let (one, other) = (comparable(n, municipal(), 0, &said), comparable(n + 1, channel("web"), 0, &said));
        let offers = vec![pair(n, n + 1, PairState::Candidate, "likeness")];
        let turns = vec![kept(None, &one), kept(None, &other)];
        let round = MatchRound { from, to: from + 2, turns, offers: offers.clone() };
        drop_after(polls, store.save_matches(&round)).await;
        store.check().await.unwrap();
        let written = store.match_position().await.unwrap() == from + 2;
        assert_eq!(like(store, &one, 9).await.len(), usize::from(written));
        assert_eq!(store.pair(&offers[0].id()).await.unwrap().is_some(), written);
        if !written {
            store.save_matches(&round).await.unwrap();
        }
        let mut joined = pair(n, n + 1, PairState::Joined, "王");
        joined.pending = true;
        drop_after(polls, store.decide_pair(&joined, Some(PairState::Candidate))).await;
        store.check().await.unwrap();
        let said = store.pair_steps(&joined.id()).await.unwrap().len();
        let held = store.pair(&joined.id()).await.unwrap().unwrap();
        assert_eq!(said, usize::from(held.state == PairState::Joined), "what was said is told once");
        assert_eq!(store.pending_pairs(99).await.unwrap().contains(&joined), held.pending);
    }
}

/// What the victim of a kill does beside its batches: looks for duplicates, joins a pair as a person would, and shows what was said before.
pub(super) async fn match_and_decide(store: &dyn Store, n: u64) {
    let from = store.match_position().await.unwrap();
    let page = store.match_changes(from, 30).await.unwrap();
    let turns: Vec<MatchTurn> = page
        .changes
        .into_iter()
        .filter_map(|change| {
            let said = change.first_hand?;
            let place = (change.order_id.0.as_u128() & 0xffff) as u64;
            let plate = format!("粤AD1{:04}", place / 2);
            let told = if place.is_multiple_of(2) { said.channel } else { channel("web") };
            Some(kept(None, &comparable(place, told, 0, &[(Field::Plate, plate.as_str())])))
        })
        .collect();
    let ids: Vec<OrderId> =
        turns.iter().filter_map(|turn| turn.is.as_ref()).map(|entry| entry.comparable.order_id).collect();
    let offer = |two: &[OrderId]| OrderPair::new(two[0], two[1], PairState::Candidate, "likeness", at(9));
    let offers: Vec<OrderPair> = ids.chunks_exact(2).map(offer).collect();
    store.save_matches(&MatchRound { from, to: page.next, turns, offers }).await.unwrap();
    let candidates = store.pairs(PairState::Candidate, None, 1).await.unwrap();
    for pair in candidates {
        let said = OrderPair { state: PairState::Joined, by: "王".into(), pending: true, at: at(n as i64), ..pair };
        store.decide_pair(&said, Some(PairState::Candidate)).await.unwrap();
    }
    // Every other one waits a while.
    let pending = store.pending_pairs(1).await.unwrap();
    write(store, |_, writes| {
        for pair in pending.iter().filter(|_| n.is_multiple_of(2)) {
            writes.pairs.push(OrderPair { pending: false, ..pair.clone() });
            writes.aliases.extend([(pair.a, pair.a), (pair.b, pair.a)]);
        }
    })
    .await
    .unwrap();
}

/// After a kill: each round of matches is there whole or not at all, and what a person said of a pair is told once, and shown or still to be shown.
pub(super) async fn assert_matches_whole(store: &dyn Store) {
    let position = store.match_position().await.unwrap();
    let (mut after, mut kept) = (0, 0);
    while after < position {
        let page = store.match_changes(after, 100).await.unwrap();
        let orders = store.orders_after(after, 100, false).await.unwrap().orders;
        for view in orders.iter().filter(|view| view.aggregate.order.feed_seq <= position) {
            // It would have another content hash or group: only a group that was shown since tells it again.
            let id = view.aggregate.order.id;
            let change = page.changes.iter().find(|change| change.order_id == id);
            assert!(change.is_none_or(|change| change.was.is_some()), "{id} was passed and is not kept");
            kept += 1;
        }
        after = page.next;
    }
    let mut pairs = Vec::new();
    for state in [PairState::Candidate, PairState::Joined] {
        pairs.extend(store.pairs(state, None, 10_000).await.unwrap());
    }
    assert!(kept == 0 || !pairs.is_empty(), "{kept} orders were compared");
    for pair in pairs {
        let steps = store.pair_steps(&pair.id()).await.unwrap().len();
        assert_eq!(steps, usize::from(pair.state == PairState::Joined), "{pair:?}");
        let group = store.groups_of(&[pair.a, pair.b]).await.unwrap();
        assert_eq!(group.len() == 2, pair.state == PairState::Joined && !pair.pending, "{pair:?}");
    }
}
