//! The platform's server: signature, faults of transport, dispatch, and the rule that nothing is answered before it is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;

use super::disruption::Gate;
use super::{Platform, PlatformEnd, PlatformKind, control, files, front_box, life, push};
use crate::dress::{Call, Dress, Incoming, Said, Unread};
use crate::error::SimError;
use crate::faults::FaultKind;

/// What the platform answers, before it is dressed and meets the network.
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

    fn dressed(&self, dress: Dress, call: Option<&Call>) -> Vec<u8> {
        dress.write(call, &Said { code: self.code, message: self.message, data: &self.data })
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
        .fallback(call)
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
            tokio::spawn(front_box::run(platform.clone())).abort_handle(),
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
    let dress = platform.options.dress;
    let respond = |status: StatusCode, bytes: Vec<u8>| response(dress, status, bytes);
    if platform.is_out(now) {
        let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, b"<html>503 Service Unavailable</html>".to_vec());
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        return response;
    }
    let incoming = Incoming { method: &method, uri: &uri, headers: &headers, body: &body };
    if !dress.authentic(&platform.incoming, &incoming, platform.shown_ms(now)) {
        let status = StatusCode::from_u16(dress.refused_status()).unwrap_or(StatusCode::UNAUTHORIZED);
        return respond(status, Answer::refused(401, "签名错误").dressed(dress, None));
    }
    if let Some(refusal) = before(&platform).await {
        return refusal;
    }
    let read = dress.read(&incoming);
    if let Ok(Call::File(reference)) = &read
        && platform.options.kind.is_front()
    {
        return files::answer(&platform, reference).await;
    }
    let (call, answer) = match read {
        Ok(call) => {
            let answer = dispatch(&platform, &call);
            (Some(call), answer)
        }
        Err(Unread::Invalid(what)) => (None, Some(Answer::invalid(what))),
        Err(Unread::Nowhere) => (None, None),
    };
    let Some(answer) = answer else {
        return respond(StatusCode::NOT_FOUND, Answer::refused(404, "not found").dressed(dress, None));
    };
    if platform.ledger.settled().await.is_err() {
        platform.shutdown.cancel();
        let bytes = Answer::refused(500, "journal").dressed(dress, None);
        return respond(StatusCode::INTERNAL_SERVER_ERROR, bytes);
    }
    after(&platform, &answer, call.as_ref()).await
}

/// Faults in whose case nothing is done.
async fn before(platform: &Platform) -> Option<Response> {
    let kind = {
        let mut book = platform.ledger.lock();
        [FaultKind::ServerError, FaultKind::Throttle, FaultKind::Hang]
            .into_iter()
            .find(|&kind| platform.inject(&mut book, kind, platform.now()))
    }?;
    let dress = platform.options.dress;
    // A counter that is shown must survive a restart like everything else.
    let _ = platform.ledger.settled().await;
    Some(match kind {
        FaultKind::Throttle => {
            let bytes = Answer::refused(429, "请求过快").dressed(dress, None);
            let mut response = response(dress, StatusCode::TOO_MANY_REQUESTS, bytes);
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            response
        }
        FaultKind::Hang => {
            tokio::time::sleep(platform.options.client_timeout + Duration::from_secs(1)).await;
            response(dress, StatusCode::SERVICE_UNAVAILABLE, Vec::new())
        }
        _ => response(dress, StatusCode::BAD_GATEWAY, b"<html>502 Bad Gateway</html>".to_vec()),
    })
}

/// Faults on the way back: what was done is done.
async fn after(platform: &Platform, answer: &Answer, call: Option<&Call>) -> Response {
    let dress = platform.options.dress;
    match answer.way {
        Way::Open => {}
        Way::Lost => return response(dress, StatusCode::BAD_GATEWAY, b"<html>502 Bad Gateway</html>".to_vec()),
        Way::Cut => {
            let end = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("hung up")) });
            return Response::new(Body::from_stream(end));
        }
    }
    let operation = match call {
        Some(Call::Operate { operation, .. }) => Some(operation.as_str()),
        _ => None,
    };
    let now = platform.now();
    let kind = {
        let mut book = platform.ledger.lock();
        let done = operation.filter(|_| answer.code == 0);
        let kinds = [FaultKind::LateAnswer, FaultKind::TruncatedBody, FaultKind::MalformedBody];
        let possible = |kind: &FaultKind| *kind != FaultKind::LateAnswer || done.is_some();
        if done == Some("complete") && platform.late_complete(&mut book, now) {
            Some(FaultKind::LateAnswer)
        } else {
            kinds.into_iter().filter(possible).find(|&kind| platform.inject(&mut book, kind, now))
        }
    };
    let mut bytes = answer.dressed(dress, call);
    match kind {
        Some(FaultKind::LateAnswer) => {
            tokio::time::sleep(platform.options.client_timeout + Duration::from_secs(1)).await
        }
        Some(FaultKind::TruncatedBody) => bytes.truncate(bytes.len() / 2),
        Some(FaultKind::MalformedBody) => dress.damage(&mut bytes),
        _ => {}
    }
    if kind.is_some() {
        let _ = platform.ledger.settled().await;
    }
    response(dress, StatusCode::OK, bytes)
}

/// `None` where there is no such address at this kind of platform.
fn dispatch(platform: &Platform, call: &Call) -> Option<Answer> {
    Some(match call {
        Call::List(query) => platform.list(query),
        Call::ByNumber(numbers) => platform.query(numbers),
        Call::Account(query, _) => platform.manifest(query),
        Call::Receipt(query) => platform.receipt(query),
        // Only where citizens write themselves there are files.
        Call::File(_) => return None,
        Call::Operate { number, operation, request_id, body } => match operation.strip_prefix("upload_") {
            // To the bureau nobody replies.
            None if platform.options.kind == PlatformKind::Bureau => {
                platform.upload(number, operation, request_id, body)
            }
            Some(kind) if platform.options.kind == PlatformKind::Province => {
                platform.upload(number, kind, request_id, body)
            }
            _ if matches!(operation.as_str(), "progress" | "result") && !platform.options.kind.is_front() => {
                return None;
            }
            _ => platform.operate(number, operation, request_id, body),
        },
    })
}

fn response(dress: Dress, status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = json_response(status, bytes);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(dress.content_type()));
    response
}

pub(super) fn json_response(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
