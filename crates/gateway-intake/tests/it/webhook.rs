//! Pushes.

use crate::bench::{Bench, at, id};
use gateway_connector::{Connector, WebhookIntake, WebhookReply, WebhookRequest};
use gateway_intake::{WebhookConfig, WebhookGate};
use gateway_model::{ChannelId, Clock, Origin};
use std::sync::Arc;

fn gate(bench: &Bench) -> WebhookGate {
    let channel: Arc<dyn Connector> = bench.channel.clone();
    WebhookGate::new([(id(), channel)], bench.bus.clone(), bench.clock.clone(), WebhookConfig::default())
}

fn signed(bench: &Bench, sign: &str, nonce: &str, body: &str) -> WebhookRequest {
    WebhookRequest {
        method: "POST".into(),
        target: "/webhooks/municipal-12345".into(),
        headers: vec![("x-sign".into(), sign.into()), ("x-nonce".into(), nonce.into())],
        body: body.to_owned().into(),
        received_at: bench.clock.now(),
    }
}

async fn push(gate: &WebhookGate, bench: &Bench, nonce: &str, body: &str) -> WebhookReply {
    gate.take(&id(), signed(bench, "good", nonce, body)).await.unwrap()
}

#[tokio::test]
async fn a_push_is_durable_before_it_is_answered_and_its_repeat_changes_nothing() {
    let bench = Bench::new().await;
    let gate = gate(&bench);
    assert_eq!(push(&gate, &bench, "n1", "GZ1:a\nGZ2:b").await.status, 200);
    assert_eq!(push(&gate, &bench, "n1", "GZ1:a\nGZ2:b").await.status, 200);
    assert_eq!(bench.bodies().await, ["GZ1:a", "GZ2:b"]);
    assert!(bench.raw().await.iter().all(|one| one.origin == Origin::Webhook && one.number.is_some()));
    // The same body under a new nonce is an ordinary push.
    assert_eq!(push(&gate, &bench, "n2", "GZ1:a").await.status, 200);
    assert_eq!(bench.raw().await.len(), 3);
}

#[tokio::test]
async fn another_body_under_a_used_nonce_is_a_conflict_and_kept_for_reading_again() {
    let bench = Bench::new().await;
    let gate = gate(&bench);
    push(&gate, &bench, "n1", "GZ1:a").await;
    for _ in 0..2 {
        assert_eq!(push(&gate, &bench, "n1", "GZ1:x\nGZ2:y\nGZ3:z").await.status, 409);
    }
    let all = bench.raw().await;
    let applied: Vec<_> = all.iter().filter(|one| one.origin == Origin::Webhook).collect();
    assert_eq!(applied.len(), 1, "nothing of the other body is believed");
    let conflicting = all.iter().filter(|one| one.origin == Origin::WebhookConflict).count();
    assert_eq!(conflicting, 3, "kept once");
}

#[tokio::test]
async fn a_push_that_was_cut_off_is_completed_by_the_retry() {
    let bench = Bench::new().await;
    let gate = gate(&bench);
    bench.bus.fail_after(1);
    assert_eq!(push(&gate, &bench, "n1", "GZ1:a\nGZ2:b\nGZ3:c").await.status, 503);
    assert_eq!(bench.bodies().await, ["GZ1:a"]);
    bench.bus.recover();
    assert_eq!(push(&gate, &bench, "n1", "GZ1:a\nGZ2:b\nGZ3:c").await.status, 200);
    assert_eq!(bench.bodies().await, ["GZ1:a", "GZ2:b", "GZ3:c"]);
}

#[tokio::test]
async fn a_bus_that_can_not_append_is_told_as_such() {
    let bench = Bench::new().await;
    let gate = gate(&bench);
    bench.bus.fail_after(0);
    let reply = push(&gate, &bench, "n1", "GZ1:a").await;
    assert_eq!((reply.status, reply.retry_after_s), (503, Some(WebhookConfig::default().retry_after_s)));
    bench.bus.recover();
    assert_eq!(push(&gate, &bench, "n1", "GZ1:a").await.status, 200);
}

#[tokio::test]
async fn an_undecodable_body_is_kept_whole_and_answered_as_undecodable() {
    let bench = Bench::new().await;
    let gate = gate(&bench);
    for _ in 0..2 {
        assert_eq!(push(&gate, &bench, "n1", "!{{{").await.status, 400);
    }
    let all = bench.raw().await;
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].payload.as_slice(), all[0].number.is_none()), (&b"!{{{"[..], true));
    assert!(all[0].undecodable.as_deref().unwrap().contains("line 1"));
    // One undecodable record does not stop its neighbours.
    assert_eq!(push(&gate, &bench, "n2", "GZ1:a\nbroken\nGZ2:b").await.status, 400);
    assert_eq!(bench.bodies().await, ["!{{{", "GZ1:a", "GZ2:b", "broken"]);
}

#[tokio::test]
async fn refused_pushes_leave_nothing_but_a_warning_when_all_are_refused() {
    let bench = Bench::new().await;
    let gate = gate(&bench);
    push(&gate, &bench, "n1", "GZ1:a").await;
    bench.set_time(10);
    let refused = gate.take(&id(), signed(&bench, "forged", "n2", "GZ1:b")).await.unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(gate.warnings(), [], "a forged push among good ones");
    bench.set_time(90);
    assert_eq!(gate.take(&id(), signed(&bench, "stale", "n3", "GZ1:b")).await.unwrap().status, 401);
    assert_eq!(gate.too_large(&id()).unwrap().status, 413);
    let warnings = gate.warnings();
    assert_eq!((warnings.len(), warnings[0].refused, warnings[0].clock_offset_ms), (1, 3, Some(-400_000)));
    assert_eq!(warnings[0].since, at(10));
    assert_eq!(bench.raw().await.len(), 1);
    push(&gate, &bench, "n4", "GZ1:c").await;
    assert_eq!(gate.warnings(), []);
}

#[tokio::test]
async fn an_unknown_channel_has_no_way_in() {
    let bench = Bench::new().await;
    let gate = gate(&bench);
    let other = ChannelId::new("elsewhere").unwrap();
    assert!(gate.take(&other, signed(&bench, "good", "n", "GZ1:a")).await.is_none());
    assert_eq!((gate.body_limit(&other), gate.body_limit(&id())), (None, Some(1_024)));
}
