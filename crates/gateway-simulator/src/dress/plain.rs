//! The default dress: what the platform thinks is what it says.

use axum::extract::Query;
use serde_json::{Value, json};

use super::{Call, Incoming, Parameters, Said, SignedPush, Unread};
use crate::record::Order;
use crate::sign::{Signed, Signer};

pub(super) fn authentic(signer: &Signer, call: &Incoming<'_>, now_ms: i64) -> bool {
    let message = Signed {
        method: call.method.as_str(),
        target: call.target(),
        app_id: call.header("x-app-id"),
        timestamp: call.header("x-timestamp"),
        nonce: call.header("x-nonce"),
        sign: call.header("x-sign"),
        body: call.body,
    };
    signer.verify(&message, now_ms)
}

pub(super) fn read(call: &Incoming<'_>) -> Result<Call, Unread> {
    let mut segments = call.uri.path().split('/').skip(1);
    if segments.next() != Some("gateway") {
        return Err(Unread::Nowhere);
    }
    let Ok(Query(query)) = Query::<Parameters>::try_from_uri(call.uri) else { return Err(Unread::Invalid("query")) };
    let segments: Vec<String> = segments.map(unescape).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Ok(match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["orders"]) => Call::List(query),
        ("GET", ["manifest"]) => Call::Account(query, None),
        ("GET", ["receipts"]) => Call::Receipt(query),
        ("GET", ["files", reference @ ..]) if !reference.is_empty() => Call::File(reference.join("/")),
        ("POST", ["orders", "query"]) => Call::ByNumber(numbers(call.body).ok_or(Unread::Invalid("orderNos"))?),
        ("POST", ["orders", number, operation]) => Call::Operate {
            number: (*number).to_owned(),
            operation: (*operation).to_owned(),
            request_id: call.header("x-request-id").to_owned(),
            body: call.body.to_vec(),
        },
        _ => return Err(Unread::Nowhere),
    })
}

fn numbers(body: &[u8]) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["orderNos"].as_array()?.iter().map(|number| number.as_str().map(str::to_owned)).collect()
}

fn unescape(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| segment.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

pub(super) fn write(said: &Said<'_>) -> Vec<u8> {
    serde_json::to_vec(&json!({"code": said.code, "message": said.message, "data": said.data})).unwrap_or_default()
}

pub(super) fn push_records(nonce: &str, records: &[Order]) -> Vec<u8> {
    serde_json::to_vec(&json!({"pushId": nonce, "kind": "order", "records": records})).unwrap_or_default()
}

pub(super) fn push_event(nonce: &str, number: &str, event: &Value) -> Vec<u8> {
    serde_json::to_vec(&json!({"pushId": nonce, "kind": "event", "orderNo": number, "event": event}))
        .unwrap_or_default()
}

pub(super) fn sign_push(signer: &Signer, target: &str, now_ms: i64, nonce: &str, body: &[u8]) -> SignedPush {
    let timestamp = now_ms.to_string();
    let sign = signer.sign("POST", target, &timestamp, nonce, body);
    let headers = vec![
        ("x-app-id", signer.app_id.clone()),
        ("x-timestamp", timestamp),
        ("x-nonce", nonce.to_owned()),
        ("x-sign", sign),
    ];
    SignedPush { query: String::new(), headers }
}

pub(super) fn is_taken(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|answer| answer["code"] == 0)
}
