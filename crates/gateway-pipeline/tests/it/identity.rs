//! Two orders that are one: joined by what records say, in whatever order it comes; shown as one; owed once; separated by a person.

use crate::forward::{province, route, world};
use crate::peer::{Wire, item, ms, whole};
use crate::world::{Record, World, peer};
use gateway_model::{
    DeliveryState, Field, FieldValue, OrderId, OrderPair, OrderState, PairId, PairState, PersonKey, SystemClock,
};
use gateway_pipeline::{DuplicateFinder, PairShower};
use gateway_store::{IdentityStore, OrderReader};
use std::collections::BTreeSet;
use std::sync::Arc;

fn theirs(revision: i64, acceptance: &str, state: &str) -> Record {
    let wire = whole("P9", revision, &[("acceptance/c0", acceptance), ("handling/c0", state)]);
    Record::poll(revision * 10, &wire).from(province())
}

fn ours(revision: i64, acceptance: &str, state: &str) -> Record {
    let wire: Wire = whole("N1", revision, &[("acceptance/c0", acceptance), ("handling/c0", state)]);
    Record::poll(revision * 10, &wire)
}

async fn lead(world: &World, number: &str) -> OrderId {
    let id = world.id(number).await;
    world.store.groups_of(&[id]).await.unwrap().get(&id).copied().unwrap_or(id)
}

/// What people see of the order with this number.
async fn shown(world: &World, number: &str) -> (Option<OrderState>, Vec<(Field, FieldValue)>, usize) {
    let id = lead(world, number).await;
    let order = world.store.order(id, false).await.unwrap().unwrap().aggregate.order;
    (order.state, order.fields.iter().map(|(field, value)| (field, value.clone())).collect(), order.conflicts.len())
}

async fn decide(world: &World, state: PairState) {
    let (a, b) = (world.id("N1").await, world.id("P9").await);
    let was = world.store.pair(&PairId::of(a, b)).await.unwrap().map(|pair| pair.state);
    let mut pair = OrderPair::new(a, b, state, "王", ms(5_000));
    (pair.reason, pair.pending) = (Some("核对过".into()), true);
    world.store.decide_pair(&pair, was).await.unwrap();
    let shower = PairShower::new(world.store.clone(), world.decider.clone(), Arc::new(SystemClock));
    assert!(shower.show().await.unwrap());
    assert!(!shower.show().await.unwrap(), "once");
}

fn permutations(left: Vec<usize>) -> Vec<Vec<usize>> {
    if left.len() < 2 {
        return vec![left];
    }
    let mut all = Vec::new();
    for (at, first) in left.iter().enumerate() {
        let mut rest = left.clone();
        rest.remove(at);
        all.extend(permutations(rest).into_iter().map(|tail| [vec![*first], tail].concat()));
    }
    all
}

/// Every order of arrival of four records, one by one or in one batch, shows the same joined order.
#[tokio::test]
async fn arrival_order_does_not_matter_for_the_joined_row() {
    let records = [
        ours(1, "a", "dispatched 0"),
        theirs(1, "x", "dispatched 0"),
        theirs(2, "关联 N1 y", "dispatched 0"),
        theirs(3, "关联 N1 y", "replied 0"),
    ];
    let mut seen = BTreeSet::new();
    for (turn, order) in permutations((0..records.len()).collect()).into_iter().enumerate() {
        let mut world = world(Vec::new()).await;
        let records: Vec<Record> = order.iter().map(|at| records[*at].clone()).collect();
        if turn % 2 == 0 {
            world.feed(&records).await;
        } else {
            for record in records {
                world.one(record).await;
            }
        }
        assert_eq!(lead(&world, "N1").await, lead(&world, "P9").await, "{order:?}");
        let whole = shown(&world, "P9").await;
        assert_eq!(whole.0, Some(OrderState::Replied));
        seen.insert(format!("{whole:?}"));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn a_person_separates_what_a_record_joined_and_no_record_joins_it_again() {
    let mut world = world(Vec::new()).await;
    world.one(ours(1, "a", "dispatched 0")).await;
    let alone = shown(&world, "N1").await;
    world.one(theirs(1, "关联 N1 y", "replied 0")).await;
    assert_ne!(shown(&world, "N1").await, alone);
    decide(&world, PairState::Rejected).await;
    assert_eq!(shown(&world, "N1").await, alone, "as it was");
    world.one(theirs(2, "关联 N1 z", "replied 0")).await;
    assert_eq!(shown(&world, "N1").await, alone);
    decide(&world, PairState::Joined).await;
    assert_eq!(shown(&world, "N1").await.0, Some(OrderState::Replied), "a person may");
    let id = PairId::of(world.id("N1").await, world.id("P9").await);
    let steps: Vec<_> = world.store.pair_steps(&id).await.unwrap().into_iter().map(|step| step.state).collect();
    assert_eq!(steps.len(), 3);
}

#[tokio::test]
async fn what_a_record_does_not_name_any_more_is_two_again() {
    let mut world = world(Vec::new()).await;
    world.feed(&[ours(1, "a", "dispatched 0"), theirs(1, "关联 N1 y", "replied 0")]).await;
    assert_eq!(lead(&world, "N1").await, lead(&world, "P9").await);
    world.one(theirs(2, "y", "replied 0")).await;
    assert_ne!(lead(&world, "N1").await, lead(&world, "P9").await);
    world.one(theirs(3, "关联 N1 y", "replied 0")).await;
    assert_eq!(lead(&world, "N1").await, lead(&world, "P9").await);
}

/// The province has the complaint as its own: what the hotline says of it goes to the province's order, and its acceptance goes nowhere.
#[tokio::test]
async fn what_is_one_is_owed_once() {
    for together in [false, true] {
        let mut world = world(vec![route(peer(), province())]).await;
        let first = ours(1, "a", "dispatched 0");
        let named = theirs(1, "关联 N1 y", "dispatched 0");
        if together {
            world.feed(&[first, named]).await;
        } else {
            world.one(first).await;
            assert_eq!(world.states("N1").await, [DeliveryState::Owed; 2]);
            world.one(named).await;
        }
        assert_eq!(world.states("N1").await, [DeliveryState::Superseded; 2], "never tried, and needless");
        assert_eq!(world.states("P9").await, [], "the province said both itself");
        let mut done = whole("N1", 2, &[("acceptance/c0", "a"), ("handling/c0", "dispatched 0")]);
        done.items.push(item("completion/c0", "办结"));
        world.one(Record::poll(50, &done)).await;
        assert_eq!(world.states("P9").await, [DeliveryState::Owed], "under the number that the province knows");
        assert_eq!(world.states("N1").await, [DeliveryState::Superseded; 2]);
    }
}

#[tokio::test]
async fn likeness_offers_and_a_person_decides() {
    let mut world = world(Vec::new()).await;
    let plate = "车牌 粤AD12345 甲公司";
    world.one(ours(1, plate, "dispatched 0")).await;
    world.one(theirs(1, plate, "dispatched 0")).await;
    let mut finder =
        DuplicateFinder::new(world.store.clone(), Arc::new(SystemClock), PersonKey::of_installation(&[7; 32]));
    assert_eq!(finder.look().await.unwrap(), 2);
    assert_eq!(finder.look().await.unwrap(), 0);
    let offered = world.store.pairs(PairState::Candidate, None, 9).await.unwrap();
    assert_eq!(offered.len(), 1);
    assert!(offered[0].likeness.iter().any(|likeness| likeness.what == "plate"));
    assert_ne!(lead(&world, "N1").await, lead(&world, "P9").await, "a candidate joins nothing");
    decide(&world, PairState::Rejected).await;
    world.one(theirs(2, plate, "signed 0")).await;
    assert_eq!(finder.look().await.unwrap(), 1);
    assert!(world.store.pairs(PairState::Candidate, None, 9).await.unwrap().is_empty());
    decide(&world, PairState::Joined).await;
    assert_eq!(lead(&world, "N1").await, lead(&world, "P9").await);
}
