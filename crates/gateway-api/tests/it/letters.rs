//! Dead letters.

use crate::gateway::{ADMIN, Answer, Gateway, JUDGE, at, municipal};
use crate::seed;
use gateway_bus::{Bus, Envelope};
use gateway_model::Origin;
use serde_json::json;

const RETRY: &str = "/api/v1/dead-letters/1/retry";

async fn envelopes(gateway: &Gateway) -> Vec<Envelope> {
    let messages = gateway.messages(&municipal()).await;
    messages.into_iter().map(|message| Envelope::from_message(message).unwrap()).collect()
}

fn count(answer: &Answer) -> usize {
    answer.ok(200)["dead_letters"].as_array().unwrap().len()
}

#[tokio::test]
async fn letters_are_listed_by_state_and_page() {
    let gateway = Gateway::start().await;
    for body in [b"a", b"b", b"c"] {
        seed::dead_letter(gateway.store(), body).await;
    }
    let page = gateway.get(JUDGE, "/api/v1/dead-letters?state=open&limit=2").await;
    assert_eq!((count(&page), &page.body["more"]), (2, &json!(true)));
    let letter = json!({
        "id": 1, "channel": "municipal-12345", "raw_id": 1, "dataset": null, "number": "GZ00000001", "code": "undecodable",
        "reason": "not JSON", "state": "open", "at": "2026-11-23T09:00:02+08:00", "settled_at": null, "settled_reason": null,
    });
    assert_eq!(page.body["dead_letters"][0], letter);
    let rest = gateway.get(JUDGE, "/api/v1/dead-letters?after=2").await;
    assert_eq!((count(&rest), &rest.body["more"]), (1, &json!(false)));
    let waived = gateway.post(ADMIN, "/api/v1/dead-letters/3/waive", &json!({"reason": "重复", "by": "李四"})).await;
    assert_eq!(waived.ok(200)["state"], "waived");
    assert!(waived.body["settled_reason"].as_str().unwrap().contains("李四"), "{waived:?}");
    assert_eq!(count(&gateway.get(JUDGE, "/api/v1/dead-letters?state=open").await), 2);
    assert_eq!(count(&gateway.get(JUDGE, "/api/v1/dead-letters?state=waived").await), 1);
    gateway.get(JUDGE, "/api/v1/dead-letters?state=lost").await.problem(400, "invalid_parameter");
    gateway.post(ADMIN, "/api/v1/dead-letters/3/retry", &json!({})).await.problem(409, "wrong_state");
    gateway.post(ADMIN, "/api/v1/dead-letters/9/retry", &json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_retry_puts_the_bytes_back_on_the_bus() {
    let gateway = Gateway::start().await;
    seed::dead_letter(gateway.store(), b"\xc4\xe3 not UTF-8").await;
    let shown = gateway.get(ADMIN, "/api/v1/dead-letters/1").await;
    assert_eq!((&shown.ok(200)["body"], &shown.body["body_encoding"]), (&json!("xOMgbm90IFVURi04"), &json!("base64")));
    let retried = gateway.post(ADMIN, RETRY, &json!({})).await;
    assert_eq!(retried.ok(202)["state"], "resubmitted");
    let there = envelopes(&gateway).await;
    assert_eq!(there.len(), 1);
    assert_eq!((there[0].origin, there[0].payload.as_slice()), (Origin::Resubmitted, b"\xc4\xe3 not UTF-8".as_slice()));
    assert_eq!((there[0].received_at, there[0].read_at), (at(3600), at(0)));
    assert_eq!(there[0].number.as_ref().unwrap().as_str(), "GZ00000001");
    gateway.post(ADMIN, RETRY, &json!({})).await.problem(409, "wrong_state");
    assert_eq!(envelopes(&gateway).await.len(), 1);
}

#[tokio::test]
async fn a_correction_goes_instead_of_the_bytes_and_an_unsettled_retry_is_no_second_record() {
    let gateway = Gateway::start().await;
    seed::dead_letter(gateway.store(), b"{\"broken\"").await;
    gateway
        .post(ADMIN, RETRY, &json!({"body": "no base64!", "body_encoding": "base64"}))
        .await
        .problem(400, "malformed_body");
    gateway.post(ADMIN, RETRY, &json!({"boddy": ""})).await.problem(400, "malformed_body");
    let correction = json!({"body": "{\"mended\":true}"});
    gateway.post(ADMIN, RETRY, &correction).await.ok(202);
    assert_eq!(envelopes(&gateway).await[0].payload, b"{\"mended\":true}");

    // A crash between append and settling: a second letter of the same id and bytes is what the bus sees.
    let guard = |content: &[u8]| {
        let digest: [u8; 32] =
            sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), content)).into();
        gateway_bus::Guard { nonce: format!("dead-letter-2-{}", hex::encode(digest)), digest, until: at(9999) }
    };
    seed::dead_letter(gateway.store(), b"again").await;
    let early = Envelope { payload: b"again".to_vec(), ..envelopes(&gateway).await[0].clone() };
    let topic = gateway_bus::TopicName::raw(&municipal());
    gateway.bus.append(&topic, vec![early.into_message(Some(guard(b"again")))]).await.unwrap();
    gateway.post(ADMIN, "/api/v1/dead-letters/2/retry", &json!({})).await.ok(202);
    assert_eq!(envelopes(&gateway).await.len(), 2);
}

#[tokio::test]
async fn a_retry_that_can_not_be_made_durable_leaves_the_letter_open() {
    let gateway = Gateway::start().await;
    seed::dead_letter(gateway.store(), b"{}").await;
    gateway.bus.close().await;
    gateway.post(ADMIN, RETRY, &json!({})).await.problem(503, "bus_unavailable");
    assert_eq!(gateway.get(JUDGE, "/api/v1/dead-letters/1").await.ok(200)["state"], "open");
}
