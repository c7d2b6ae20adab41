//! Commands.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

/// A repeated command keeps its verdict and its deliveries.
pub async fn the_first_verdict_on_a_command_stays(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    let row = CommandRow {
        id: command_id("desk", "k1"),
        order_id: order_id(0),
        operation: Operation::Reply,
        round: 0,
        state: CommandState::Applied,
        reason: None,
        raw_id: RawId(1),
        at: at(5),
    };
    let other = CommandRow { state: CommandState::Refused, reason: Some("late".into()), ..row.clone() };
    let request = IngestRequest { commands: vec![row.id, command_id("desk", "k2")], ..IngestRequest::default() };
    assert!(load(&*store, request.clone()).await.commands.is_empty());
    let (first, second) = (&row, &other);
    write(&*store, |loaded, writes| {
        writes.commands.push(first.clone());
        writes.new_deliveries.push(NewDelivery {
            id: DeliveryId(loaded.next_delivery_id),
            order_id: order_id(0),
            destination: municipal(),
            from: desk(),
            operation: Operation::Reply,
            dataset: Dataset::Completion,
            part: Part::Cycle(0),
            round: 0,
            raw_id: RawId(1),
            command_id: Some(first.id),
            created_at: at(5),
        });
    })
    .await
    .unwrap();
    write(&*store, |_, writes| writes.commands.push(second.clone())).await.unwrap();
    assert_eq!(load(&*store, request).await.commands, [row.id]);
    let (held, deliveries) = store.command(row.id).await.unwrap().unwrap();
    assert_eq!(held, row);
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].command_id, Some(row.id));
    assert_eq!(store.command(command_id("desk", "k2")).await.unwrap(), None);
}
