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

/// An order's commands, dead letters and what waits for it, with the records that they refer to; no bytes.
pub async fn an_order_is_traced(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    let id = CommandId(uuid::Uuid::from_u128(7));
    write(&*store, |loaded, writes| {
        let raw_id = |n: i64| RawId(loaded.next_raw_id + n);
        writes.raws = (0..4).map(|n| raw(raw_id(n).0, 50 + n as u64)).collect();
        writes.commands.push(CommandRow {
            id,
            order_id: order_id(0),
            operation: Operation::Sign,
            round: 0,
            state: CommandState::Applied,
            reason: None,
            raw_id: raw_id(0),
            at: at(5),
        });
        let letter = |n: u64, raw_id| NewDeadLetter {
            raw_id,
            channel: municipal(),
            number: Some(number(n)),
            code: "unreadable".into(),
            reason: "no".into(),
            at: at(6),
        };
        writes.dead_letters = vec![letter(0, raw_id(1)), letter(1, raw_id(2))];
        let since = at(7);
        writes.park.push(NewPark { raw_id: raw_id(3), channel: municipal(), number: number(0), since, changes: 1 });
    })
    .await
    .unwrap();
    let trace = store.order_trace(order_id(0), &[number_row(0), number_row(0)], &[RawId(1)]).await.unwrap();
    assert_eq!(trace.commands.iter().map(|command| command.id).collect::<Vec<_>>(), [id]);
    assert_eq!(trace.dead_letters.iter().map(|letter| letter.raw_id).collect::<Vec<_>>(), [RawId(4)]);
    assert_eq!(trace.parked, [(RawId(6), at(7))]);
    let records: Vec<_> = trace.records.iter().map(|(id, meta)| (*id, meta.offset)).collect();
    assert_eq!(records, [(RawId(1), 0), (RawId(3), 50), (RawId(4), 51), (RawId(6), 53)]);
    let other = store.order_trace(order_id(9), &[], &[]).await.unwrap();
    assert_eq!(other, OrderTrace { records: vec![], commands: vec![], dead_letters: vec![], parked: vec![] });
}
