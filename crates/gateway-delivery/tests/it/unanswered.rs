//! Attempts without an answer, and what asking brings.

use crate::bench::{Bench, at, config, round, run};
use crate::sink::{no_answer, receipt, refused};
use gateway_connector::{Outcome, Reason, RequestError};
use gateway_model::{DeliveryState, Operation, ReceiptSource};
use gateway_runtime::Task;
use std::time::Duration;

fn already() -> Outcome {
    Outcome::Ambiguous(Reason::new("already_submitted", "the platform answered 1001"))
}

#[tokio::test]
async fn a_lost_answer_is_found_by_asking_and_nothing_is_sent_again() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer()]);
    bench.destination.answers_questions([Ok(Some(receipt(ReceiptSource::Query)))]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.unanswered), (DeliveryState::Ambiguous, true));
    bench.set_time(1);
    run(&mut worker).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.receipt.unwrap().source), (DeliveryState::Acknowledged, ReceiptSource::Query));
    assert_eq!(bench.destination.sent().len(), 1);
}

#[tokio::test]
async fn unknown_is_believed_only_when_the_attempt_had_time_to_land() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer()]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    for second in [1, 5, 14] {
        bench.set_time(second);
        run(&mut worker).await.unwrap();
        assert_eq!(bench.state(id).await, DeliveryState::Ambiguous, "after {second} s");
    }
    bench.set_time(15);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Acknowledged);
    let keys = bench.destination.keys();
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
    assert_eq!(bench.row(id).await.generation, 1);
}

#[tokio::test]
async fn a_question_without_an_answer_is_asked_again() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer()]);
    let patience = Some(Duration::from_secs(40));
    bench.destination.answers_questions([
        Err(RequestError::Throttled { retry_after: patience }),
        Ok(Some(receipt(ReceiptSource::Query))),
    ]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    bench.set_time(20);
    run(&mut worker).await.unwrap();
    assert_eq!((bench.state(id).await, bench.row(id).await.next_attempt_at), (DeliveryState::Ambiguous, at(60)));
    bench.set_time(59);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.destination.asked(), 1);
    bench.set_time(60);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Acknowledged);
    assert_eq!(bench.destination.sent().len(), 1);
}

#[tokio::test]
async fn while_our_credentials_are_refused_a_question_waits_and_nobody_is_bothered() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer()]);
    let unauthorized = || Err(RequestError::Unauthorized { code: "1101".to_owned() });
    bench.destination.answers_questions([unauthorized(), unauthorized(), Ok(Some(receipt(ReceiptSource::Query)))]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    let hour = (config().hold_after_ms / 1_000) as i64;
    for (at, state) in
        [(20, DeliveryState::Ambiguous), (2 * hour, DeliveryState::Ambiguous), (4 * hour, DeliveryState::Acknowledged)]
    {
        bench.set_time(at);
        run(&mut worker).await.unwrap();
        assert_eq!(bench.state(id).await, state, "after {at} s");
    }
    assert_eq!((bench.destination.sent().len(), bench.destination.asked()), (1, 3));
}

#[tokio::test]
async fn a_question_that_is_refused_for_long_is_left_to_a_person() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer()]);
    let refusal = || Err(RequestError::Business { code: "1004".to_owned(), message: "无此接口".to_owned() });
    bench.destination.answers_questions([refusal(), refusal()]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    bench.set_time(20);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Ambiguous);
    bench.set_time((config().hold_after_ms / 1_000) as i64);
    run(&mut worker).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::Held, Some("no_answer")));
}

#[tokio::test]
async fn what_shows_only_in_the_record_is_looked_for_there() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer()]);
    let id = bench.owe(1, Operation::Complete).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    let ended = bench.row(id).await.last_attempt_ended_at;
    bench.set_time(1);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.rereads().await, ["GZ1"]);
    bench.set_time(30);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.rereads().await, ["GZ1"], "asked again while nothing came of it");
    let row = bench.row(id).await;
    assert_eq!((row.state, row.last_attempt_ended_at), (DeliveryState::Ambiguous, ended), "asking is no attempt");
    // The record, read again, does not show it.
    bench.pipeline_says(id, DeliveryState::Owed, "not_in_record").await;
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Acknowledged);
    assert_eq!((bench.destination.sent().len(), bench.destination.asked()), (2, 0));
}

#[tokio::test]
async fn an_echo_ends_it_and_a_later_answer_changes_nothing() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer()]);
    let id = bench.owe(1, Operation::Complete).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    bench.pipeline_says(id, DeliveryState::Acknowledged, "echo").await;
    bench.set_time(100);
    run(&mut worker).await.unwrap();
    assert_eq!((bench.state(id).await, bench.rereads().await.len()), (DeliveryState::Acknowledged, 0));
    assert_eq!(bench.destination.sent().len(), 1);
}

#[tokio::test]
async fn what_is_never_found_out_is_held_for_a_person() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer(), no_answer()]);
    let by_record = bench.owe(1, Operation::Complete).await;
    let by_nothing = bench.owe(2, Operation::Refuse).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    bench.set_time(1);
    run(&mut worker).await.unwrap();
    let row = bench.row(by_nothing).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::Held, Some("unaskable")));
    bench.set_time((config().hold_after_ms / 1_000) as i64);
    run(&mut worker).await.unwrap();
    let row = bench.row(by_record).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::Held, Some("no_echo")));
    assert_eq!(bench.destination.sent().len(), 2);
}

#[tokio::test]
async fn a_refusal_after_an_unanswered_attempt_is_believed_when_it_comes_again() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer(), refused(), refused()]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    bench.set_time(15);
    run(&mut worker).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::Ambiguous, Some("state_refused")));
    bench.set_time(30);
    run(&mut worker).await.unwrap();
    assert_eq!((bench.state(id).await, bench.destination.sent().len()), (DeliveryState::Rejected, 3));
}

#[tokio::test]
async fn a_refusal_that_was_our_own_echo_ends_acknowledged() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([no_answer(), refused()]);
    bench.destination.answers_questions([Ok(None), Ok(Some(receipt(ReceiptSource::Query)))]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    bench.set_time(15);
    run(&mut worker).await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Ambiguous);
    bench.set_time(16);
    run(&mut worker).await.unwrap();
    assert_eq!((bench.state(id).await, bench.destination.sent().len()), (DeliveryState::Acknowledged, 2));
}

#[tokio::test]
async fn already_submitted_is_believed_when_neither_receipt_nor_record_has_ours() {
    let bench = Bench::new().await;
    bench.destination.answers_attempts([already()]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut worker = bench.worker();
    run(&mut worker).await.unwrap();
    bench.set_time(1);
    run(&mut worker).await.unwrap();
    assert_eq!((bench.state(id).await, bench.rereads().await.len()), (DeliveryState::Ambiguous, 1));
    bench.set_time(30);
    run(&mut worker).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.reason_code.as_deref()), (DeliveryState::Rejected, Some("already_submitted")));
    assert_eq!(bench.destination.sent().len(), 1);
}

#[tokio::test]
async fn a_worker_killed_while_sending_leaves_a_question_and_no_second_attempt() {
    let bench = Bench::new().await;
    bench.destination.hang(true);
    bench.destination.answers_questions([Ok(Some(receipt(ReceiptSource::Query)))]);
    let id = bench.owe(1, Operation::Reply).await;
    let mut killed = bench.worker();
    {
        let round = round();
        let running = killed.run(&round);
        tokio::pin!(running);
        // The attempt is under way when the destination has seen it.
        loop {
            tokio::select! {
                biased;
                _ = &mut running => panic!("the destination hangs"),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
            if !bench.destination.sent().is_empty() {
                break;
            }
        }
    }
    drop(killed);
    assert_eq!(bench.state(id).await, DeliveryState::Sending);
    bench.destination.hang(false);
    run(&mut bench.worker()).await.unwrap();
    let row = bench.row(id).await;
    assert_eq!((row.state, row.unanswered), (DeliveryState::Acknowledged, true));
    assert_eq!((bench.destination.sent().len(), bench.destination.asked()), (1, 1));
}
