//! Files of attachments: what people see of them, and what a destination gets for an address of ours.

use crate::gateway::{ADMIN, DESK, Gateway, JUDGE, address_key, at, channel, municipal, send};
use crate::seed::{self, order_id};
use gateway_model::{
    AttachmentAddress, AttachmentId, AttachmentState, Clock, Digest, Field, FieldValue, OrderState, RawId,
};
use gateway_store::{AttachmentRow, AttachmentStore, OrderReader};
use reqwest::{Method, Response};
use serde_json::json;
use std::time::Duration;

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 as good as a picture";

/// The first order refers to a file.
async fn gateway() -> (Gateway, AttachmentRow) {
    let gateway = Gateway::start().await;
    seed::orders(gateway.store(), &[(1, 1)]).await;
    let row = AttachmentRow::owed(order_id(1), municipal(), "p/1.jpg", RawId(1), at(0));
    let owed = row.clone();
    seed::write(gateway.store(), move |_, writes| writes.attachments.push(owed.clone())).await;
    (gateway, row)
}

/// What came of asking for it.
async fn settle(gateway: &Gateway, row: &AttachmentRow, state: AttachmentState, bytes: &[u8]) -> AttachmentRow {
    let store = &gateway.store;
    let claimed = store.claim_attachments(&municipal(), at(10), at(20), 9).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let kept = state == AttachmentState::Kept;
    let digest = kept.then(|| gateway.files.keep(bytes).unwrap());
    let settled = AttachmentRow {
        state,
        digest,
        size_bytes: if kept { bytes.len() as u64 } else { 0 },
        media_type: kept.then(|| "image/jpeg".to_owned()),
        attempts: 1,
        error: (!kept).then(|| "not_there".to_owned()),
        fetched_at: kept.then(|| at(12)),
        fetch_at: (state == AttachmentState::Owed).then(|| at(3_700)),
        ..row.clone()
    };
    store.write_attachments(std::slice::from_ref(&settled)).await.unwrap();
    assert_eq!(store.attachment(row.id).await.unwrap(), Some(settled.clone()));
    settled
}

async fn kept() -> (Gateway, AttachmentRow) {
    let (gateway, row) = gateway().await;
    let row = settle(&gateway, &row, AttachmentState::Kept, JPEG).await;
    (gateway, row)
}

fn address(id: AttachmentId, to: &str, until: i64) -> String {
    address_key().address("", &AttachmentAddress { id, to: channel(to), until: at(until).as_second() })
}

/// Until an hour after the gateway's present.
fn good(row: &AttachmentRow) -> String {
    address(row.id, "bureau", 7_200)
}

async fn fetch(gateway: &Gateway, target: &str) -> Response {
    gateway.outside(Method::GET, target).send().await.unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_address_gives_the_bytes_that_were_kept() {
    let (gateway, row) = kept().await;
    let response = fetch(&gateway, &good(&row)).await;
    assert_eq!(response.status(), 200);
    let tag = format!("\"{}\"", row.digest.unwrap());
    let file = format!("attachment; filename=\"{}.jpg\"", row.id);
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("content-length", &JPEG.len().to_string()),
        ("content-disposition", &file),
        ("etag", &tag),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-store"),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    assert_eq!(response.bytes().await.unwrap(), JPEG);
    // Only its head, or only if it is another.
    let head = gateway.outside(Method::HEAD, &good(&row)).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, JPEG.len().to_string().as_str()));
    assert!(head.bytes().await.unwrap().is_empty());
    let known = gateway.outside(Method::GET, &good(&row)).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    assert!(known.bytes().await.unwrap().is_empty());
    send(gateway.outside(Method::POST, &good(&row))).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn an_address_opens_nothing_but_what_it_was_made_for() {
    let (gateway, row) = kept().await;
    let good = good(&row);
    let other = AttachmentId::of(order_id(2), &municipal(), "p/1.jpg");
    let mac = good.split("&mac=").nth(1).unwrap();
    let until = at(7_200).as_second();
    let strange = gateway_model::AddressKey::of_installation(&[8; 32]);
    let strange = strange.address("", &AttachmentAddress { id: row.id, to: channel("bureau"), until });
    for wrong in [
        good.replace(&row.id.to_string(), &other.to_string()),
        good.replace("to=bureau", "to=province"),
        good.replace("to=bureau", "to="),
        good.replace(&format!("until={until}"), &format!("until={}", until + 1)),
        good.replace(&format!("until={until}"), "until=never"),
        good.replace(mac, &"0".repeat(64)),
        good.replace(mac, &mac[..62]),
        good.replace(&format!("&mac={mac}"), ""),
        good.replace("/attachments/", "/attachments/x"),
        format!("{good}&to=bureau"),
        format!("/attachments/{}", row.id),
        "/attachments/%ff?to=bureau&until=1&mac=0".to_owned(),
        strange,
        // Made for somebody to whom no rule grants pictures, or does not any more.
        address(row.id, "province", 7_200),
        address(row.id, "bureau", 3_600),
        address(row.id, "bureau", 0),
    ] {
        let answer = send(gateway.outside(Method::GET, &wrong)).await;
        let problem = answer.problem(403, "address_refused");
        assert_eq!(problem["detail"], "the address is not one of ours, has ended, or does not open anything any more");
    }
    // Its time runs out.
    gateway.clock.advance_to(at(7_199));
    assert_eq!(fetch(&gateway, &good).await.status(), 200);
    gateway.clock.advance_to(at(7_200));
    send(gateway.outside(Method::GET, &good)).await.problem(403, "address_refused");
    // What is ours and names nothing (any more) is not there.
    send(gateway.outside(Method::GET, &address(other, "bureau", 9_999))).await.problem(404, "not_found");
}

#[tokio::test]
async fn an_order_that_became_secret_or_anonymous_closes_its_addresses_at_once() {
    for flag in [Field::IsSecret, Field::IsAnonymous] {
        for by_another_channel in [false, true] {
            let (gateway, row) = kept().await;
            assert_eq!(fetch(&gateway, &good(&row)).await.status(), 200);
            let view = gateway.store.order(order_id(1), false).await.unwrap().unwrap();
            let mut facet = view.aggregate.facets[0].clone();
            facet.fields.set(flag, FieldValue::Flag(true));
            facet.channel = channel("web");
            seed::write(gateway.store(), move |loaded, writes| {
                let mut head = seed::head(1, 2, loaded.next_feed_seq, OrderState::Signed);
                if by_another_channel {
                    writes.facets.push((order_id(1), facet.clone()));
                } else {
                    head.fields.set(flag, FieldValue::Flag(true));
                }
                writes.orders.push(head);
            })
            .await;
            send(gateway.outside(Method::GET, &good(&row))).await.problem(403, "address_refused");
            // People who may see persons still do.
            let own = gateway.request(Method::GET, &format!("/api/v1/attachments/{}", row.id)).bearer_auth(ADMIN);
            assert_eq!(own.send().await.unwrap().bytes().await.unwrap(), JPEG);
        }
    }
}

#[tokio::test]
async fn an_order_that_is_one_with_a_secret_one_is_as_secret() {
    let (gateway, row) = kept().await;
    seed::orders(gateway.store(), &[(2, 2)]).await;
    seed::write(gateway.store(), |_, writes| writes.aliases.extend([1, 2].map(|n| (order_id(n), order_id(1))))).await;
    assert_eq!(fetch(&gateway, &good(&row)).await.status(), 200);
    let order = gateway.get(DESK, &format!("/api/v1/orders/{}", order_id(2))).await;
    assert_eq!(order.ok(200)["attachments"][0]["id"], json!(row.id), "it is shown by either");
    seed::write(gateway.store(), |loaded, writes| {
        let mut head = seed::head(2, 2, loaded.next_feed_seq, OrderState::Signed);
        head.fields.set(Field::IsSecret, FieldValue::Flag(true));
        writes.orders.push(head);
    })
    .await;
    send(gateway.outside(Method::GET, &good(&row))).await.problem(403, "address_refused");
}

#[tokio::test]
async fn what_is_not_here_is_told_as_what_it_is() {
    let (gateway, row) = gateway().await;
    let owed = send(gateway.outside(Method::GET, &good(&row))).await;
    owed.problem(503, "attachment_owed");
    assert_eq!(owed.retry_after.as_deref(), Some("10"), "it may come at any moment");
    let row = settle(&gateway, &row, AttachmentState::Owed, b"").await;
    let owed = send(gateway.outside(Method::GET, &good(&row))).await;
    owed.problem(503, "attachment_owed");
    assert_eq!(owed.retry_after.as_deref(), Some("100"), "it is asked for in 100 s");
    for state in [AttachmentState::Missing, AttachmentState::Refused] {
        let (gateway, row) = self::gateway().await;
        let row = settle(&gateway, &row, state, b"").await;
        let answer = send(gateway.outside(Method::GET, &good(&row))).await;
        assert!(answer.problem(410, "attachment_gone")["detail"].as_str().unwrap().contains("not_there"));
        let own = gateway.get(ADMIN, &format!("/api/v1/attachments/{}", row.id)).await;
        own.problem(410, "attachment_gone");
    }
}

#[tokio::test]
async fn a_kept_file_that_is_gone_or_damaged_is_an_error_and_is_fetched_again_by_a_person() {
    let (gateway, row) = kept().await;
    let path = gateway.files.path_of(&row.digest.unwrap());
    let again = format!("/api/v1/attachments/{}/fetch", row.id);
    gateway.post(ADMIN, &again, &json!({})).await.problem(409, "wrong_state");
    for torn in [Some(&JPEG[..4]), None] {
        match torn {
            Some(torn) => std::fs::write(&path, torn).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let answer = send(gateway.outside(Method::GET, &good(&row))).await;
        let detail = answer.problem(500, "attachment_lost")["detail"].as_str().unwrap().to_owned();
        assert!(!detail.contains('/'), "an answer names no path: {detail}");
        gateway.get(ADMIN, &format!("/api/v1/attachments/{}", row.id)).await.problem(500, "attachment_lost");
    }
    // Other bytes of the same length are found while they pass, and never given whole.
    let mut other = JPEG.to_vec();
    other[0] ^= 1;
    std::fs::write(&path, other).unwrap();
    let answer = fetch(&gateway, &good(&row)).await;
    assert!(answer.bytes().await.is_err());
    let asked = gateway.post(ADMIN, &again, &json!({})).await;
    assert_eq!(asked.ok(202)["state"], "owed");
    let now = gateway.clock.now();
    let claimed = gateway.store.claim_attachments(&municipal(), now, at(9_999), 9).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].id), (1, row.id));
}

#[tokio::test]
async fn people_see_what_is_known_of_an_orders_files() {
    let (gateway, row) = kept().await;
    let expected = json!([{
        "id": row.id, "channel": "municipal-12345", "reference": "p/1.jpg", "state": "kept", "media_type": "image/jpeg",
        "size_bytes": JPEG.len(), "sha256": row.digest.unwrap(), "attempts": 1, "error": null, "raw_id": 1,
        "owed_at": "2026-11-23T09:00:00+08:00", "fetched_at": "2026-11-23T09:00:12+08:00", "fetch_at": null,
    }]);
    for token in [DESK, JUDGE, ADMIN] {
        let order = gateway.get(token, &format!("/api/v1/orders/{}", order_id(1))).await;
        assert_eq!(order.ok(200)["attachments"], expected);
    }
    let status = gateway.get(JUDGE, "/api/v1/status").await;
    let tally =
        json!([{"channel": "municipal-12345", "kept": 1, "owed": 0, "missing": 0, "refused": 0, "withdrawn": 0}]);
    assert_eq!(status.ok(200)["books"]["attachments"], tally);
    // The bytes are for those who may see records' bytes.
    let bytes = format!("/api/v1/attachments/{}", row.id);
    for token in [DESK, JUDGE] {
        gateway.get(token, &bytes).await.problem(403, "role_not_allowed");
        gateway.post(token, &format!("{bytes}/fetch"), &json!({})).await.problem(403, "role_not_allowed");
    }
    let response = gateway.request(Method::GET, &bytes).bearer_auth(ADMIN).send().await.unwrap();
    assert_eq!(Digest(sha2_of(&response.bytes().await.unwrap())), row.digest.unwrap());
    for id in ["x", "00112233445566778899aabbccddeeff"] {
        gateway.get(ADMIN, &format!("/api/v1/attachments/{id}")).await.problem(404, "not_found");
        gateway.post(ADMIN, &format!("/api/v1/attachments/{id}/fetch"), &json!({})).await.problem(404, "not_found");
    }
}

fn sha2_of(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

#[tokio::test]
async fn a_missing_file_is_asked_for_again_when_a_person_says_so() {
    let (gateway, row) = gateway().await;
    let row = settle(&gateway, &row, AttachmentState::Missing, b"").await;
    let asked = gateway.post(ADMIN, &format!("/api/v1/attachments/{}/fetch", row.id), &json!({})).await;
    let shown = asked.ok(202);
    assert_eq!((&shown["state"], &shown["attempts"], &shown["error"]), (&json!("owed"), &json!(0), &json!(null)));
    assert_eq!(shown["fetch_at"], "2026-11-23T10:00:00+08:00");
}

#[tokio::test]
async fn transfers_are_bounded_and_a_place_falls_free_when_one_ends() {
    let (gateway, row) = gateway().await;
    let large: Vec<u8> = (0..24_000_000u32).map(|n| (n % 251) as u8).collect();
    let row = settle(&gateway, &row, AttachmentState::Kept, &large).await;
    let mut under_way = Vec::new();
    for _ in 0..16 {
        let response = fetch(&gateway, &good(&row)).await;
        assert_eq!(response.status(), 200);
        under_way.push(response);
    }
    let busy = send(gateway.outside(Method::GET, &good(&row))).await;
    busy.problem(503, "attachments_busy");
    assert_eq!(busy.retry_after.as_deref(), Some("2"));
    // Who goes away makes room, and whoever is read to the end has it whole.
    let first = under_way.swap_remove(0);
    assert!(first.bytes().await.unwrap() == large);
    drop(under_way);
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while fetch(&gateway, &good(&row)).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
}
