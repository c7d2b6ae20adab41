//! The finder of duplicates: what it offers does not depend on how the feed was cut into rounds, nor on where it was killed; and what a person said is shown once.

use crate::forward::{province, route, world};
use crate::peer::{item, ms, whole};
use crate::world::{Record, World, peer};
use gateway_model::{ChannelId, DeliveryState, OrderId, OrderPair, PairId, PairState, PersonKey, SystemClock};
use gateway_pipeline::{DuplicateFinder, PairShower};
use gateway_store::{IdentityStore, OrderReader};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

fn finder(world: &World) -> DuplicateFinder {
    DuplicateFinder::new(world.store.clone(), Arc::new(SystemClock), PersonKey::of_installation(&[7; 32]))
}

fn shower(world: &World) -> PairShower {
    PairShower::new(world.store.clone(), world.decider.clone(), Arc::new(SystemClock))
}

/// A complaint about a car, as one channel has it.
fn complaint(channel: &ChannelId, name: &str, revision: i64, plate: &str) -> Record {
    let acceptance = format!("车牌 {plate} 甲公司");
    let wire = whole(name, revision, &[("acceptance/c0", &acceptance), ("handling/c0", "dispatched 0")]);
    Record::poll(revision * 10, &wire).from(channel.clone())
}

/// Cars, of which each of the two channels tells of some twice.
fn complaints() -> Vec<Record> {
    let mut all = Vec::new();
    for n in 0..40 {
        let plate = format!("粤AD1{:04}", n % 13);
        let channel = if n % 3 == 0 { province() } else { peer() };
        all.push(complaint(&channel, &format!("N{n}"), 1, &plate));
    }
    all
}

/// The offered pairs by the numbers of their orders, with their scores.
async fn offered(world: &World) -> BTreeSet<(String, String, Option<u32>)> {
    let pairs = world.store.pairs(PairState::Candidate, None, 500).await.unwrap();
    let mut shown = BTreeSet::new();
    for pair in pairs {
        let mut names = Vec::new();
        for id in [pair.a, pair.b] {
            let order = world.store.order(id, false).await.unwrap().unwrap();
            names.push(order.aggregate.numbers[0].number.to_string());
        }
        names.sort();
        let (one, other) = (names.remove(0), names.remove(0));
        shown.insert((one, other, pair.score));
    }
    shown
}

async fn look_to_the_end(finder: &mut DuplicateFinder) -> usize {
    let mut seen = 0;
    loop {
        match finder.look().await.unwrap() {
            0 => return seen,
            some => seen += some,
        }
    }
}

/// Polls it so often, and drops it; whether it had ended.
async fn killed_after<F: Future>(polls: u32, future: F) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn rounds_of_any_size_offer_the_same() {
    let mut whole = world(Vec::new()).await;
    whole.feed(&complaints()).await;
    assert_eq!(look_to_the_end(&mut finder(&whole)).await, 40);
    let expected = offered(&whole).await;
    assert!(expected.len() > 10, "{expected:?}");
    // A car is the same, an hour and a text too: only those of one channel are not compared.
    assert!(expected.iter().all(|(one, other, _)| {
        let of = |name: &str| name[1..].parse::<u32>().unwrap() % 3 == 0;
        of(one) != of(other)
    }));

    let mut single = world(Vec::new()).await;
    let mut follower = finder(&single);
    for record in complaints() {
        single.one(record).await;
        assert_eq!(follower.look().await.unwrap(), 1);
    }
    assert_eq!(offered(&single).await, expected);
}

#[tokio::test]
async fn a_finder_that_is_killed_anywhere_offers_what_one_that_lives_does() {
    let mut undisturbed = world(Vec::new()).await;
    undisturbed.feed(&complaints()).await;
    look_to_the_end(&mut finder(&undisturbed)).await;
    let expected = offered(&undisturbed).await;
    let mut stopped = 0;
    for polls in 1..40 {
        let mut world = world(Vec::new()).await;
        world.feed(&complaints()).await;
        stopped += u32::from(!killed_after(polls, finder(&world).look()).await);
        // What it left is a whole round or none.
        let left = offered(&world).await;
        let position = world.store.match_position().await.unwrap();
        assert!(if position == 0 { left.is_empty() } else { left == expected }, "{polls}: {position} {left:?}");
        world.reopen().await;
        look_to_the_end(&mut finder(&world)).await;
        assert_eq!(offered(&world).await, expected, "{polls}");
        assert_eq!(finder(&world).look().await.unwrap(), 0, "what was written is not looked at again");
    }
    assert!(stopped > 3, "killed {stopped} times only");
}

#[tokio::test]
async fn what_changed_nothing_is_not_written_and_may_be_seen_again() {
    let mut world = world(Vec::new()).await;
    world.feed(&[complaint(&peer(), "N1", 1, "粤AD12345"), complaint(&province(), "P9", 1, "粤AD12346")]).await;
    let mut living = finder(&world);
    assert_eq!(living.look().await.unwrap(), 2);
    let position = world.store.match_position().await.unwrap();
    // The order goes on, and its acceptance is as it was.
    let mut wire = whole("N1", 2, &[("acceptance/c0", "车牌 粤AD12345 甲公司"), ("handling/c0", "signed 0")]);
    world.one(Record::poll(50, &wire)).await;
    assert_eq!(living.look().await.unwrap(), 1);
    assert_eq!(living.look().await.unwrap(), 0);
    assert_eq!(world.store.match_position().await.unwrap(), position, "nothing was worth a commit");
    assert_eq!(finder(&world).look().await.unwrap(), 1, "after a kill it is seen again");
    assert!(offered(&world).await.is_empty());
    // The car was another: it is compared anew, and what it was found by before finds nothing any more.
    wire.revision = Some(3);
    wire.items[0] = item("acceptance/c0", "车牌 粤AD12346 甲公司");
    world.one(Record::poll(60, &wire)).await;
    assert_eq!(living.look().await.unwrap(), 1);
    assert!(world.store.match_position().await.unwrap() > position);
    assert_eq!(offered(&world).await.len(), 1);
    world.one(complaint(&province(), "P10", 1, "粤AD12345")).await;
    assert_eq!(living.look().await.unwrap(), 1);
    assert_eq!(offered(&world).await.len(), 1);
}

#[tokio::test]
async fn of_two_finders_one_writes_and_both_go_on() {
    let mut world = world(Vec::new()).await;
    let (mut one, mut other) = (finder(&world), finder(&world));
    for n in 0..20 {
        let channel = if n % 2 == 0 { peer() } else { province() };
        world.one(complaint(&channel, &format!("N{n}"), 1, &format!("粤AD1{:04}", n / 2))).await;
        let (first, second) = tokio::join!(one.look(), other.look());
        assert!(first.unwrap() + second.unwrap() >= 1);
    }
    look_to_the_end(&mut one).await;
    look_to_the_end(&mut other).await;
    assert_eq!(offered(&world).await.len(), 10);
}

/// Who hangs together is in the joined order's rows, its feed and what is owed, whichever moment the shower was killed at.
#[tokio::test]
async fn what_a_person_joined_is_shown_once_wherever_the_shower_was_killed() {
    let mut outcomes = BTreeSet::new();
    let mut stopped = 0;
    for polls in 0..40 {
        let mut world = world(vec![route(peer(), province())]).await;
        world.one(complaint(&peer(), "N1", 1, "粤AD12345")).await;
        world.one(complaint(&province(), "P9", 1, "粤AD12345")).await;
        look_to_the_end(&mut finder(&world)).await;
        let (a, b) = (world.id("N1").await, world.id("P9").await);
        let mut pair = world.store.pair(&PairId::of(a, b)).await.unwrap().unwrap();
        assert_eq!(pair.state, PairState::Candidate);
        pair = OrderPair { state: PairState::Joined, by: "王".into(), pending: true, at: ms(5_000), ..pair };
        world.store.decide_pair(&pair, Some(PairState::Candidate)).await.unwrap();
        let ended = killed_after(polls, shower(&world).show()).await;
        stopped += u32::from(!ended);
        // Shown and settled, or neither.
        let groups = world.store.groups_of(&[a, b]).await.unwrap();
        let held = world.store.pair(&pair.id()).await.unwrap().unwrap();
        assert_eq!((held.state, held.pending), (PairState::Joined, groups.is_empty()), "{polls}");

        world.reopen().await;
        while shower(&world).show().await.unwrap() {}
        let groups = world.store.groups_of(&[a, b]).await.unwrap();
        assert_eq!(groups.values().collect::<BTreeSet<_>>(), BTreeSet::from([&a.min(b)]), "{polls}");
        assert_eq!(world.states("N1").await, [DeliveryState::Superseded; 2], "the province said both itself");
        assert_eq!(world.states("P9").await, []);
        let steps = world.store.pair_steps(&pair.id()).await.unwrap();
        assert_eq!(steps.len(), 1, "{polls}: said once");
        outcomes.insert(rows(&world, &[a, b]).await);
        // The finder does not offer what is joined.
        look_to_the_end(&mut finder(&world)).await;
        assert!(offered(&world).await.is_empty());
    }
    assert!(stopped > 3, "killed {stopped} times only");
    assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
}

/// What the rows of orders show, but for ids and places in the feed.
async fn rows(world: &World, ids: &[OrderId]) -> String {
    let mut shown = String::new();
    for id in ids {
        let view = world.store.order(*id, true).await.unwrap().unwrap();
        let order = view.aggregate.order;
        let fields: Vec<_> = order.fields.iter().collect();
        shown += &format!("{:?} {} {fields:?} {}\n", order.state, order.seq, view.aggregate.deliveries.len());
    }
    shown
}

/// A group that falls apart is compared again, though no channel said anything new.
#[tokio::test]
async fn who_was_separated_is_compared_again() {
    let mut world = world(Vec::new()).await;
    let plate = "粤AD12345";
    world.one(complaint(&peer(), "N1", 1, plate)).await;
    world.one(complaint(&province(), "P9", 1, plate)).await;
    let mut finder = finder(&world);
    look_to_the_end(&mut finder).await;
    let id = PairId::of(world.id("N1").await, world.id("P9").await);
    let candidate = world.store.pair(&id).await.unwrap().unwrap();
    for (was, state) in [(PairState::Candidate, PairState::Joined), (PairState::Joined, PairState::Withdrawn)] {
        let said = OrderPair { state, by: "王".into(), pending: true, at: ms(5_000), ..candidate.clone() };
        world.store.decide_pair(&said, Some(was)).await.unwrap();
        while shower(&world).show().await.unwrap() {}
        look_to_the_end(&mut finder).await;
    }
    assert_eq!(world.store.pair(&id).await.unwrap().unwrap().state, PairState::Candidate);
}
