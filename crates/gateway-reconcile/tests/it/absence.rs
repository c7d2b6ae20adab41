//! What the source does not hold any more: the account denies it, the order is read again, the book gives it up, the gap closes.

use crate::world::{LOOK, World, channel, item, order};
use gateway_model::{BookItem, Dataset, EventId, GapKind, GapState, Part};
use gateway_store::{BookPut, JobKind};

/// The account denies these; the second look confirms it, and the order is asked for by number. Returns the numbers.
async fn denied(world: &mut World, items: &[BookItem]) -> Vec<String> {
    items.iter().for_each(|item| world.peer.remove(&item.key));
    world.round().await.unwrap();
    assert!(world.states().await.iter().all(|state| *state == GapState::Suspected));
    world.wait(LOOK);
    world.round().await.unwrap();
    let gaps = world.gaps().await;
    assert_eq!(gaps.len(), items.len(), "{gaps:?}");
    assert!(gaps.iter().all(|gap| (gap.state, gap.kind) == (GapState::Repairing, GapKind::DeniedBySource)));
    world.take_jobs(JobKind::Reread).await
}

/// What the pipeline writes at the word that these are not there.
async fn give_up(world: &World, items: &[BookItem]) {
    let remove = |item: &BookItem| BookPut::Remove { channel: channel(), key: item.key.clone() };
    world.write(|_, writes| writes.book = items.iter().map(remove).collect()).await;
}

async fn all_closed(world: &mut World) {
    world.run_for(LOOK).await;
    let states = world.states().await;
    assert!(states.iter().all(|state| *state == GapState::Closed), "{states:?}");
    // And a comparison of everything finds nothing.
    world.run_for(12).await;
    assert_eq!(world.states().await, states);
}

#[tokio::test]
async fn a_deleted_order_leaves_both_books() {
    let mut world = World::new().await;
    let kept: Vec<BookItem> = (0..80).map(order).collect();
    let deleted = [order(200), item(Dataset::Handling, 200, 7_400, 2), item(Dataset::Completion, 200, 7_500, 3)];
    world.agree(&kept).await;
    world.agree(&deleted).await;
    assert_eq!(denied(&mut world, &deleted).await, ["GZ000200"], "one reading for the whole order");
    give_up(&world, &deleted).await;
    all_closed(&mut world).await;
}

#[tokio::test]
async fn a_vanished_event_is_one_gap_and_closes() {
    let mut world = World::new().await;
    world.agree(&(0..80).map(order).collect::<Vec<_>>()).await;
    let mut event = item(Dataset::Handling, 7, 300, 2);
    event.key.part = Part::Event(EventId::new("E17").unwrap());
    world.agree(std::slice::from_ref(&event)).await;
    assert_eq!(denied(&mut world, std::slice::from_ref(&event)).await, ["GZ000007"]);
    give_up(&world, &[event]).await;
    all_closed(&mut world).await;
}

#[tokio::test]
async fn a_corrected_creation_day_is_two_gaps_of_one_reading() {
    let mut world = World::new().await;
    world.agree(&(0..80).map(order).collect::<Vec<_>>()).await;
    let before = order(200);
    world.agree(std::slice::from_ref(&before)).await;
    let mut after = before.clone();
    after.key.day = "2026-01-04".parse().unwrap();
    world.peer.remove(&before.key);
    world.peer.put(after.clone());
    world.round().await.unwrap();
    world.wait(LOOK);
    world.round().await.unwrap();
    let mut kinds: Vec<GapKind> = world.gaps().await.into_iter().map(|gap| gap.kind).collect();
    kinds.sort_by_key(|kind| kind.as_str());
    assert_eq!(kinds, [GapKind::DeniedBySource, GapKind::MissingOrder]);
    assert_eq!(world.reread(std::slice::from_ref(&after)).await, ["GZ000200"], "both days are one question");
    give_up(&world, &[before]).await;
    all_closed(&mut world).await;
}

#[tokio::test]
async fn what_the_source_shows_in_spite_of_its_account_is_left_to_a_person() {
    let mut world = World::new().await;
    let one = order(5);
    world.agree(&[order(1), one.clone()]).await;
    denied(&mut world, std::slice::from_ref(&one)).await;
    // Asked by number, it is there: nothing is given up.
    world.run_for(60).await;
    let gap = world.gap().await;
    assert_eq!(gap.state, GapState::Open);
    assert!(gap.reason.unwrap().contains("the source's account still lacks the item"));
}
