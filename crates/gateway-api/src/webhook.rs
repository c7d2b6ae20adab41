//! The public listener: channels push, and are answered in their own dress.

use crate::extract::{BodyError, Segment, read_body};
use crate::observe::{method_not_allowed, no_such_path, observe};
use crate::{ApiConfig, Code, Problem};
use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use gateway_connector::{WebhookIntake, WebhookReply, WebhookRequest};
use gateway_model::{ChannelId, Clock};
use std::sync::Arc;

#[derive(Clone)]
struct PublicState {
    intake: Arc<dyn WebhookIntake>,
    clock: Arc<dyn Clock>,
    config: Arc<ApiConfig>,
}

/// The routes that the outside can reach: `POST /webhooks/{channel}` and nothing else.
pub fn public_router(intake: Arc<dyn WebhookIntake>, clock: Arc<dyn Clock>, config: &Arc<ApiConfig>) -> Router {
    Router::new()
        .route("/webhooks/{channel}", post(take))
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(config.clone(), observe))
        .with_state(PublicState { intake, clock, config: config.clone() })
}

async fn take(
    State(state): State<PublicState>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Response {
    let unknown = || Problem::new(Code::UnknownChannel, "no channel of this name takes pushes").into_response();
    let Ok(channel) = ChannelId::new(segment.0) else { return unknown() };
    let Some(limit) = state.intake.body_limit(&channel) else { return unknown() };
    let received_at = state.clock.now();
    let (parts, body) = request.into_parts();
    let body = match read_body(&parts.headers, body, limit, state.config.body_timeout()).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return state.intake.too_large(&channel).map_or_else(unknown, dressed),
        Err(error) => return Problem::from(error).into_response(),
    };
    let request = WebhookRequest {
        method: parts.method.as_str().to_owned(),
        target: uri.path_and_query().map_or_else(|| uri.path().to_owned(), |target| target.as_str().to_owned()),
        headers: text_headers(&parts.headers),
        body,
        received_at,
    };
    state.intake.take(&channel, request).await.map_or_else(unknown, dressed)
}

pub(crate) fn text_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
    headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

pub(crate) fn dressed(reply: WebhookReply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(seconds) = reply.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
