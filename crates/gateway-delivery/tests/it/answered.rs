//! Attempts that are answered.

use crate::bench::{Bench, at, config, run};
use crate::sink::{receipt, refused};
use gateway_connector::{Outcome, Reason};
use gateway_model::{DeliveryState, Field, FieldValue, Moment, Operation, ReceiptSource};
use gateway_runtime::Ran;

fn not_taken(not_before: Option<i64>) -> Outcome {
    Outcome::NotTaken { reason: Reason::new("http_429", "too fast"), not_before: not_before.map(at) }
}

#[tokio::test]
async fn a_reply_is_sent_once_and_its_receipt_kept() {
    let bench = Bench::new().await;
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    assert_eq!(run(&mut worker).await.unwrap(), Ran::Idle);
    run(&mut worker).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.receipt), (DeliveryState::Acknowledged, Some(receipt(ReceiptSource::Answer))));
    let sent = bench.destination.sent();
    assert_eq!(sent.len(), 1);
    let fields = &sent[0].fields;
    assert_eq!(sent[0].event_time, Moment::At(at(-60)));
    assert_eq!(fields.get(Field::RepliedAt), Some(&FieldValue::Time(Moment::At(at(-60)))));
    assert_eq!((fields.text(Field::ReplyText), fields.text(Field::Operator)), (Some("已处理"), Some("王")));
    assert!(fields.iter().all(|(field, _)| !field.is_person()), "person fields never leave without a grant");
}

#[tokio::test]
async fn a_refusal_of_the_first_attempt_is_believed() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([refused()]);
    let id = bench.owe(1, Operation::Sign).await;
    run(&mut bench.worker()).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::Rejected, Some("state_refused")));
}

#[tokio::test]
async fn what_was_not_taken_waits_and_the_peers_wish_for_patience_holds_for_all() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([not_taken(Some(100))]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.next_attempt_at, row.unanswered), (DeliveryState::Owed, at(100), false));
    let other = bench.owe(2, Operation::Reply).await;
    bench.set_time(99);
    assert!(matches!(run(&mut worker).await.unwrap(), Ran::After(_)));
    assert_eq!(bench.destination.sent().len(), 1);
    bench.set_time(100);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Acknowledged);
    assert_eq!(bench.state(other).await, DeliveryState::Acknowledged);
    let mut keys = bench.destination.keys();
    keys.sort();
    assert_eq!(
        keys,
        ["d1-1-00000001", "d1-1-00000001", "d2-1-00000002"],
        "every attempt of a generation has the same key"
    );
}

#[tokio::test]
async fn a_delivery_waits_for_the_one_before_it_in_its_order_and_for_no_other() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([not_taken(None)]);
    let sign = bench.owe(1, Operation::Sign).await;
    let reply = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    assert_eq!(bench.destination.sent().len(), 1);
    let elsewhere = bench.owe(2, Operation::Reply).await;
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(elsewhere).await, DeliveryState::Acknowledged);
    assert_eq!(bench.state(reply).await, DeliveryState::Owed);
    bench.set_time(10);
    run(&mut worker).await.unwrap();
    let order: Vec<_> = bench.destination.sent().into_iter().map(|delivery| delivery.id).collect();
    assert_eq!(order, [sign, elsewhere, sign, reply]);
    assert_eq!(bench.state(reply).await, DeliveryState::Acknowledged);
}

#[tokio::test]
async fn what_can_not_be_said_is_dead_lettered_before_anything_is_sent() {
    let bench = Bench::new().await;
    let number = crate::bench::number;
    let damaged = bench.owe_body(1, Operation::Reply, b"{}".to_vec(), Some(number(1))).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    assert_eq!(bench.row(damaged).await.reason_code.as_deref(), Some("content"));
    assert_eq!(bench.state(damaged).await, DeliveryState::DeadLettered);
    bench.destination.refuse_to_prepare();
    let incomplete = bench.owe(2, Operation::Reply).await;
    run(&mut worker).await.unwrap();
    assert_eq!(bench.row(incomplete).await.reason_code.as_deref(), Some("missing_field"));
    assert_eq!(bench.state(incomplete).await, DeliveryState::DeadLettered);
    assert_eq!(bench.destination.sent().len(), 0);
}

#[tokio::test]
async fn an_order_without_a_number_at_the_destination_waits_and_is_held_at_last() {
    let bench = Bench::new().await;
    let command = bench.owe(1, Operation::Reply).await;
    let body = {
        use gateway_store::IngestStore;
        bench.store.raw(bench.row(command).await.raw_id).await.unwrap().unwrap().body.unwrap()
    };
    let id = bench.owe_body(2, Operation::Reply, body, None).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::Owed, Some("no_number")));
    assert!(row.next_attempt_at > at(0));
    bench.set_time((config().hold_after_ms / 1_000) as i64);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Held);
}
