//! The files that records refer to: `GET /gateway/files/{reference}`, where citizens write themselves.
//!
//! Whether a file is there is decided when it is asked for the first time, and stands in the journal: it is there, or its upload ends some time later
//! (fault `late_file`), or it is lost for good (`lost_file`). Everything else that goes wrong befalls one answer. An answer is never a part of a file that
//! looks whole: nobody could tell it from the file, and no judge could demand that anybody does.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::Platform;
use super::server::json_response;
use crate::book::Book;
use crate::book::entry::{Answered, Entry, There};
use crate::faults::FaultKind;
use crate::picture;

/// The code of an answer of HTTP 200 that says: no such file.
const ABSENT: u16 = 1404;

/// Answers a question for a file.
pub(super) async fn answer(platform: &Arc<Platform>, reference: &str) -> Response {
    let Some(answered) = decide(platform, reference) else {
        return said(StatusCode::NOT_FOUND, 404, "not found");
    };
    if platform.ledger.settled().await.is_err() {
        platform.shutdown.cancel();
        return said(StatusCode::INTERNAL_SERVER_ERROR, 500, "journal");
    }
    match answered {
        Answered::Whole => {
            typed(kind_told(reference), Body::from(picture::picture(&platform.options.channel, reference)))
        }
        // Both are told of the same thing.
        Answered::Absent if is_even(reference) => said(StatusCode::NOT_FOUND, 404, "文件不存在"),
        Answered::Absent | Answered::Denied => said(StatusCode::OK, ABSENT, "文件不存在"),
        Answered::Error => said(StatusCode::INTERNAL_SERVER_ERROR, 500, "系统繁忙"),
        Answered::Page => {
            typed("text/html; charset=utf-8", Body::from("<!DOCTYPE html><html><body>系统维护中</body></html>"))
        }
        Answered::Torn => torn(picture::picture(&platform.options.channel, reference), reference),
    }
}

/// What is answered, and journalled; `None` where no record refers to it.
fn decide(platform: &Platform, reference: &str) -> Option<Answered> {
    let now = platform.now();
    let mut book = platform.ledger.lock();
    if !book.references.contains(reference) {
        return None;
    }
    let known = book.files.get(reference).map(|file| file.there);
    let there = known.unwrap_or_else(|| {
        if platform.inject(&mut book, FaultKind::LostFile, now) {
            There::Never
        } else if platform.inject(&mut book, FaultKind::LateFile, now) {
            There::From(now + late_by_ms(platform, reference))
        } else {
            There::From(0)
        }
    });
    let answer = if is_there(there, now) {
        let befalls = [
            (FaultKind::FileError, Answered::Error),
            (FaultKind::TornFile, Answered::Torn),
            (FaultKind::DeniedFile, Answered::Denied),
            (FaultKind::PageForFile, Answered::Page),
        ];
        let befallen = befalls.into_iter().find(|(kind, _)| platform.inject(&mut book, *kind, now));
        befallen.map_or(Answered::Whole, |(_, answered)| answered)
    } else {
        Answered::Absent
    };
    let there = known.is_none().then_some(there);
    platform.ledger.write(&mut book, &Entry::File { at: now, reference: reference.to_owned(), there, answer });
    Some(answer)
}

/// The platform's book of its files, for the judge.
pub(super) fn book(platform: &Platform) -> Value {
    let now = platform.now();
    let files: Vec<(String, There, Value)> = {
        let book = platform.ledger.lock();
        book.references.iter().map(|reference| row(&book, reference)).collect()
    };
    // Pictures are drawn without the lock.
    let shown = files.into_iter().map(|(reference, there, answers)| {
        let bytes = picture::picture(&platform.options.channel, &reference);
        let state = match there {
            There::Never => "lost",
            There::From(_) if is_there(there, now) => "there",
            There::From(_) => "late",
        };
        json!({
            "reference": reference, "state": state, "sha256": hex::encode(picture::digest(&bytes)), "size": bytes.len(),
            "mediaType": picture::media_type(&reference), "answers": answers,
        })
    });
    json!({"files": shown.collect::<Vec<_>>()})
}

fn row(book: &Book, reference: &str) -> (String, There, Value) {
    let file = book.files.get(reference);
    let there = file.map_or(There::From(0), |file| file.there);
    (reference.to_owned(), there, json!(file.map(|file| &file.answers)))
}

fn is_there(there: There, now: i64) -> bool {
    matches!(there, There::From(from) if from <= now)
}

/// How long after the first question its upload ends: seconds, where a pace gives hours to everything else, hours.
fn late_by_ms(platform: &Platform, reference: &str) -> i64 {
    let unit = if platform.options.pace.is_some() { 3_600_000 } else { 1_000 };
    unit * (2 + reference.len() as i64 % 3)
}

fn is_even(reference: &str) -> bool {
    reference.bytes().map(u32::from).sum::<u32>().is_multiple_of(2)
}

/// The media type that is told; of some files none that says anything.
fn kind_told(reference: &str) -> &'static str {
    if is_even(reference) { picture::media_type(reference) } else { "application/octet-stream" }
}

fn said(status: StatusCode, code: u16, message: &str) -> Response {
    let body = json!({"code": code, "message": message, "data": null});
    json_response(status, body.to_string().into_bytes())
}

fn typed(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Half of the file, then the connection breaks: of a length that was told, or of one that was not.
fn torn(bytes: Vec<u8>, reference: &str) -> Response {
    let whole = bytes.len();
    let half = Bytes::from(bytes).slice(..whole / 2);
    let parts = [Ok(half), Err(std::io::Error::other("broken off"))];
    let mut response = typed(picture::media_type(reference), Body::from_stream(futures::stream::iter(parts)));
    if is_even(reference) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(whole));
    }
    response
}
