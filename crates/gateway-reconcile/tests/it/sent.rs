//! What we delivered and the destination lost or holds differently.

use crate::world::{LOOK, World, channel, item, order};
use gateway_model::{
    AskBy, BookItem, ChannelId, Clock, Dataset, DeliveryId, DeliveryState, EventId, GapKind, GapState, Operation,
    OrderId, OrderNumber, Origin, Part, RawId, Receipt, ReceiptSource,
};
use gateway_store::{AttemptResult, AttemptStart, DeliveryStore, JobKind, NewDelivery, NewRaw, RawMeta, WorkOrderRow};

fn desk() -> ChannelId {
    ChannelId::new("desk").unwrap()
}

/// An order of ours with a delivery owed for it.
async fn owed(world: &World) -> DeliveryId {
    let now = world.clock.now();
    let order_id = OrderId(uuid::Uuid::from_u128(7));
    let id = std::sync::Mutex::new(DeliveryId(0));
    world
        .write(|loaded, writes| {
            *id.lock().unwrap() = DeliveryId(loaded.next_delivery_id);
            writes.raws.push(NewRaw {
                id: RawId(loaded.next_raw_id),
                meta: RawMeta {
                    channel: desk(),
                    origin: Origin::Poll,
                    number: None,
                    received_at: now,
                    read_at: now,
                    topic: "raw".to_owned(),
                    partition: 0,
                    offset: 0,
                },
                body: b"{}".to_vec(),
                key_id: "plain".to_owned(),
            });
            writes.orders.push(WorkOrderRow {
                id: order_id,
                seq: 1,
                feed_seq: loaded.next_feed_seq,
                created_at: now,
                changed_at: now,
                state: None,
                round: 0,
                fields: Default::default(),
                conflicts: Vec::new(),
            });
            let key = order(5).key;
            writes.numbers.push((order_id, OrderNumber { channel: channel(), number: key.number, day: key.day }));
            writes.new_deliveries.push(NewDelivery {
                id: DeliveryId(loaded.next_delivery_id),
                order_id,
                destination: channel(),
                from: desk(),
                operation: Operation::Reply,
                dataset: Dataset::Completion,
                part: Part::Cycle(0),
                round: 0,
                raw_id: RawId(loaded.next_raw_id),
                command_id: None,
                created_at: now,
            });
        })
        .await;
    id.into_inner().unwrap()
}

async fn begin(world: &World, id: DeliveryId, item: &BookItem) {
    let start =
        AttemptStart { id, item: item.clone(), projection_version: 1, ask_by: AskBy::Receipt, at: world.clock.now() };
    world.store.begin_attempts(&[start], None).await.unwrap();
}

async fn end(world: &World, id: DeliveryId, state: DeliveryState) {
    let now = world.clock.now();
    let receipt = Receipt { receipt_number: None, received_at: None, source: ReceiptSource::Answer };
    let acknowledged = state == DeliveryState::Acknowledged;
    let result = AttemptResult {
        id,
        state,
        receipt: acknowledged.then_some(receipt),
        reason_code: (!acknowledged).then(|| "1003".to_owned()),
        reason: (!acknowledged).then(|| "the order's state does not allow it".to_owned()),
        unanswered: state == DeliveryState::Ambiguous,
        next_attempt_at: now,
        at: now,
    };
    world.store.end_attempts(&[result], None).await.unwrap();
}

fn reply() -> BookItem {
    item(Dataset::Completion, 5, 5 * 37 + 60, 8)
}

async fn replied() -> (World, DeliveryId) {
    let world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    let id = owed(&world).await;
    begin(&world, id, &reply()).await;
    end(&world, id, DeliveryState::Acknowledged).await;
    (world, id)
}

async fn state(world: &World, id: DeliveryId) -> (DeliveryState, u32) {
    let row = world.store.delivery(id).await.unwrap().unwrap();
    (row.state, row.generation)
}

async fn confirmed(world: &mut World) {
    world.round().await.unwrap();
    world.wait(LOOK);
    world.round().await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_is_sent_again_and_verified() {
    let (mut world, id) = replied().await;
    confirmed(&mut world).await;
    let gap = world.gap().await;
    assert_eq!((gap.kind, gap.state, gap.delivery_id), (GapKind::NotHeldByDestination, GapState::Repairing, Some(id)));
    assert_eq!(state(&world, id).await, (DeliveryState::Owed, 2));
    // The delivery takes its time: that is no reason for another generation.
    world.run_for(20).await;
    assert_eq!((world.gap().await.generation, state(&world, id).await.1), (1, 2));
    begin(&world, id, &reply()).await;
    world.peer.put(reply());
    end(&world, id, DeliveryState::Acknowledged).await;
    world.run_for(2).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn a_lost_event_comes_back_under_another_id() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    let event = |id: &str| {
        let mut event = item(Dataset::Handling, 5, 5 * 37 + 3, 8);
        event.key.part = Part::Event(EventId::new(id).unwrap());
        event
    };
    let id = owed(&world).await;
    begin(&world, id, &event("d1-1")).await;
    end(&world, id, DeliveryState::Acknowledged).await;
    confirmed(&mut world).await;
    assert_eq!(world.gap().await.kind, GapKind::NotHeldByDestination);
    begin(&world, id, &event("d1-2")).await;
    world.peer.put(event("d1-2"));
    end(&world, id, DeliveryState::Acknowledged).await;
    world.run_for(12).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn a_repetition_refused_again_and_again_is_left_to_a_person() {
    let (mut world, id) = replied().await;
    confirmed(&mut world).await;
    let most = world.config.max_generations;
    for generation in 1..=most {
        assert_eq!(
            world.gap().await.generation,
            generation,
            "refused once, it is tried again: what comes before it may come later"
        );
        begin(&world, id, &reply()).await;
        end(&world, id, DeliveryState::Rejected).await;
        world.run_for(20).await;
    }
    let gap = world.gap().await;
    assert_eq!((gap.state, gap.generation), (GapState::Open, most));
    assert!(gap.reason.unwrap().contains("1003"));
    assert_eq!(state(&world, id).await, (DeliveryState::Rejected, most + 1));
}

#[tokio::test]
async fn what_is_held_differently_is_read_again_first_and_then_sent_again() {
    let (mut world, id) = replied().await;
    world.peer.put(item(Dataset::Completion, 5, 5 * 37 + 60, 9));
    confirmed(&mut world).await;
    let gap = world.gap().await;
    assert_eq!((gap.kind, gap.generation), (GapKind::HeldDifferently, 1));
    assert_eq!(world.take_jobs(JobKind::Reread).await, ["GZ000005"]);
    assert_eq!(state(&world, id).await, (DeliveryState::Acknowledged, 1));
    world.run_for(4).await;
    assert_eq!(state(&world, id).await, (DeliveryState::Owed, 2));
    begin(&world, id, &reply()).await;
    world.peer.put(reply());
    end(&world, id, DeliveryState::Acknowledged).await;
    world.run_for(4).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}

#[tokio::test]
async fn a_delivery_in_flight_is_no_difference() {
    let mut world = World::new().await;
    world.agree(&(0..50).map(order).collect::<Vec<_>>()).await;
    let id = owed(&world).await;
    begin(&world, id, &reply()).await;
    // It had its effect, but we had no answer.
    world.peer.put(reply());
    end(&world, id, DeliveryState::Ambiguous).await;
    world.run_for(20).await;
    assert!(world.gaps().await.iter().all(|gap| gap.state == GapState::Suspected));
    end(&world, id, DeliveryState::Acknowledged).await;
    world.run_for(2).await;
    assert!(world.gaps().await.is_empty());
}

#[tokio::test]
async fn an_item_said_back_by_the_channel_and_then_lost_is_sent_again() {
    let (mut world, id) = replied().await;
    // The echo moved it to the source side.
    world.hold(&[reply()]).await;
    confirmed(&mut world).await;
    let gap = world.gap().await;
    assert_eq!((gap.kind, gap.delivery_id), (GapKind::NotHeldByDestination, Some(id)));
    assert_eq!(state(&world, id).await, (DeliveryState::Owed, 2));
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_repair_changes_nothing() {
    let (mut world, id) = replied().await;
    confirmed(&mut world).await;
    world.restart();
    world.run_for(6).await;
    assert_eq!(state(&world, id).await, (DeliveryState::Owed, 2));
    begin(&world, id, &reply()).await;
    world.peer.put(reply());
    end(&world, id, DeliveryState::Acknowledged).await;
    world.restart();
    world.run_for(4).await;
    assert_eq!(world.gap().await.state, GapState::Closed);
}
