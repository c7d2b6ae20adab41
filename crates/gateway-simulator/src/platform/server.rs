//! The platform's server: signature, faults of transport, dispatch, and the rule that nothing is answered before it is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, OriginalUri, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::any;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::disruption::Gate;
use super::read::Parameters;
use super::{Platform, PlatformEnd, PlatformKind, control, life, push};
use crate::error::SimError;
use crate::faults::FaultKind;
use crate::sign::Signed;

/// An answer in the platform's dress, before it meets the network.
pub(super) struct Answer {
    code: u16,
    message: &'static str,
    data: Value,
    /// What becomes of it on the way back.
    pub(super) way: Way,
}

/// What becomes of an answer on the way back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It goes out, unless a fault of transport befalls it.
    Open,
    /// A gateway in between answers in its place (fault `lost_receipt`).
    Lost,
    /// The connection ends before it is whole (fault `upload_hang_up`).
    Cut,
}

impl Answer {
    pub(super) fn data(data: Value) -> Self {
        Self { code: 0, message: "ok", data, way: Way::Open }
    }

    pub(super) fn refused(code: u16, message: &'static str) -> Self {
        Self { code, message, data: Value::Null, way: Way::Open }
    }

    pub(super) fn invalid(what: &'static str) -> Self {
        Self { code: 1004, message: what, data: Value::Null, way: Way::Open }
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&json!({"code": self.code, "message": self.message, "data": self.data})).unwrap_or_default()
    }
}

/// The platform's own time, which may be driven, and not the machine's.
async fn dated(State(platform): State<Arc<Platform>>, mut answer: Response) -> Response {
    let now = jiff::Timestamp::from_millisecond(platform.now()).ok();
    let text = now.and_then(|now| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok());
    if let Some(date) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
        answer.headers_mut().insert(header::DATE, date);
    }
    answer
}

/// Serves, lives and pushes until shut down.
pub(super) async fn run(platform: Arc<Platform>, listener: TcpListener) -> Result<PlatformEnd, SimError> {
    let shutdown = platform.shutdown.clone();
    let app = Router::new()
        .nest("/sim", control::routes(platform.clone()))
        .route("/gateway/{*rest}", any(call))
        .layer(DefaultBodyLimit::max(4 << 20))
        .layer(middleware::map_response_with_state(platform.clone(), dated))
        .with_state(platform.clone());
    // Stepped, it lives and pushes when its handle says so.
    let own = if platform.options.stepped {
        Vec::new()
    } else {
        vec![
            tokio::spawn(life::run(platform.clone())).abort_handle(),
            tokio::spawn(push::run(platform.clone())).abort_handle(),
        ]
    };
    let gate = Gate { listener, platform: platform.clone() };
    let serving = tokio::spawn(async move { axum::serve(gate, app).await });
    shutdown.cancelled().await;
    // No draining: a peer that restarts cuts its connections, and everything that was answered is on disk.
    for task in own.into_iter().chain([serving.abort_handle()]) {
        task.abort();
    }
    // The listener is only free when its task is gone.
    let _ = serving.await;
    platform.ledger.settled().await?;
    Ok(if platform.restart.load(Ordering::SeqCst) { PlatformEnd::RestartWanted } else { PlatformEnd::Stopped })
}

async fn call(
    State(platform): State<Arc<Platform>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = platform.now();
    platform.answered_ms.fetch_max(now, Ordering::SeqCst);
    if platform.is_out(now) {
        let mut response =
            json_response(StatusCode::SERVICE_UNAVAILABLE, b"<html>503 Service Unavailable</html>".to_vec());
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        return response;
    }
    if !authentic(&platform, &method, &uri, &headers, &body) {
        return json_response(StatusCode::UNAUTHORIZED, Answer::refused(401, "签名错误").bytes());
    }
    if let Some(refusal) = before(&platform).await {
        return refusal;
    }
    let writes = method == Method::POST && !uri.path().ends_with("/query");
    let Some(answer) = dispatch(&platform, &method, &uri, &headers, &body) else {
        return json_response(StatusCode::NOT_FOUND, Answer::refused(404, "not found").bytes());
    };
    if platform.ledger.settled().await.is_err() {
        platform.shutdown.cancel();
        return json_response(StatusCode::INTERNAL_SERVER_ERROR, Answer::refused(500, "journal").bytes());
    }
    after(&platform, &answer, writes.then(|| uri.path())).await
}

fn authentic(platform: &Platform, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let message = Signed {
        method: method.as_str(),
        target,
        app_id: text("x-app-id"),
        timestamp: text("x-timestamp"),
        nonce: text("x-nonce"),
        sign: text("x-sign"),
        body,
    };
    platform.incoming.verify(&message, platform.shown_ms(platform.now()))
}

/// Faults in whose case nothing is done.
async fn before(platform: &Platform) -> Option<Response> {
    let kind = {
        let mut book = platform.ledger.lock();
        [FaultKind::ServerError, FaultKind::Throttle, FaultKind::Hang]
            .into_iter()
            .find(|&kind| platform.inject(&mut book, kind, platform.now()))
    }?;
    // A counter that is shown must survive a restart like everything else.
    let _ = platform.ledger.settled().await;
    Some(match kind {
        FaultKind::Throttle => {
            let mut response = json_response(StatusCode::TOO_MANY_REQUESTS, Answer::refused(429, "请求过快").bytes());
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            response
        }
        FaultKind::Hang => {
            tokio::time::sleep(platform.options.client_timeout + Duration::from_secs(1)).await;
            json_response(StatusCode::SERVICE_UNAVAILABLE, Vec::new())
        }
        _ => json_response(StatusCode::BAD_GATEWAY, b"<html>502 Bad Gateway</html>".to_vec()),
    })
}

/// Faults on the way back: what was done is done. `operation` is the path of an operation, where the call was one.
async fn after(platform: &Platform, answer: &Answer, operation: Option<&str>) -> Response {
    match answer.way {
        Way::Open => {}
        Way::Lost => return json_response(StatusCode::BAD_GATEWAY, b"<html>502 Bad Gateway</html>".to_vec()),
        Way::Cut => {
            let end = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("hung up")) });
            return Response::new(Body::from_stream(end));
        }
    }
    let now = platform.now();
    let kind = {
        let mut book = platform.ledger.lock();
        let done = operation.filter(|_| answer.code == 0);
        let kinds = [FaultKind::LateAnswer, FaultKind::TruncatedBody, FaultKind::MalformedBody];
        let possible = |kind: &FaultKind| *kind != FaultKind::LateAnswer || done.is_some();
        if done.is_some_and(|path| path.ends_with("/complete")) && platform.late_complete(&mut book, now) {
            Some(FaultKind::LateAnswer)
        } else {
            kinds.into_iter().filter(possible).find(|&kind| platform.inject(&mut book, kind, now))
        }
    };
    let mut bytes = answer.bytes();
    match kind {
        Some(FaultKind::LateAnswer) => {
            tokio::time::sleep(platform.options.client_timeout + Duration::from_secs(1)).await
        }
        Some(FaultKind::TruncatedBody) => bytes.truncate(bytes.len() / 2),
        Some(FaultKind::MalformedBody) => damage(&mut bytes),
        _ => {}
    }
    if kind.is_some() {
        let _ = platform.ledger.settled().await;
    }
    json_response(StatusCode::OK, bytes)
}

/// Damages bytes so that they are surely no JSON any more: a byte that occurs in no UTF-8 text, in the middle.
pub(super) fn damage(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    for byte in bytes.iter_mut().skip(middle).take(3) {
        *byte = 0xff;
    }
}

fn dispatch(platform: &Platform, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Option<Answer> {
    let Ok(Query(query)) = Query::<Parameters>::try_from_uri(uri) else { return Some(Answer::invalid("query")) };
    let segments: Vec<String> = uri.path().split('/').skip(2).map(unescape).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Some(match (method.as_str(), segments.as_slice()) {
        ("GET", ["orders"]) => platform.list(&query),
        ("GET", ["manifest"]) => platform.manifest(&query),
        ("GET", ["receipts"]) => platform.receipt(&query),
        ("POST", ["orders", "query"]) => platform.query(body),
        ("POST", ["orders", number, operation]) => {
            let request_id = headers.get("x-request-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
            match operation.strip_prefix("upload_") {
                Some(kind) if platform.options.kind == PlatformKind::Province => {
                    platform.upload(number, kind, request_id, body)
                }
                _ if matches!(*operation, "progress" | "result") && !platform.options.kind.is_front() => return None,
                _ => platform.operate(number, operation, request_id, body),
            }
        }
        _ => return None,
    })
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

pub(super) fn json_response(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
