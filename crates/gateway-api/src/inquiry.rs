//! What a channel's own front end asks: how far is this order? Answered from the canonical record, in the channel's dress, never with person data.
//!
//! `GET /webhooks/{channel}/orders/{number}`, signed as the channel's pushes are. Only a channel whose profile has `[inquiry]` is answered, and only of
//! orders that it has a number for. Look-ups are bounded: who comes when all are taken is asked to come again, and intake is not held up.

use crate::observe::{method_not_allowed, observe};
use crate::webhook::{dressed, text_headers};
use crate::{ApiConfig, Code, Problem};
use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gateway_connector::{Connector, Inquiry, InquiryOutcome, Progress, WebhookReply, WebhookRequest};
use gateway_model::{ChannelId, Clock, Field, FieldValue, SourceNumber};
use gateway_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// So many look-ups are under way at once; a citizen's page can wait, a push can't.
const AT_ONCE: usize = 16;
/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// After how many seconds one that was turned away may come again.
const RETRY_AFTER_S: u32 = 2;

/// Answers the front ends of all channels that may ask.
pub struct InquiryDesk {
    channels: BTreeMap<ChannelId, Arc<dyn Connector>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    slots: Semaphore,
}

impl fmt::Debug for InquiryDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InquiryDesk").field("channels", &self.channels.keys()).finish_non_exhaustive()
    }
}

impl InquiryDesk {
    /// A desk for those of the channels that may ask.
    #[must_use]
    pub fn new(
        channels: impl IntoIterator<Item = (ChannelId, Arc<dyn Connector>)>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let channels = channels.into_iter().filter(|(_, connector)| connector.inquiry().is_some()).collect();
        Self { channels, store, clock, slots: Semaphore::new(AT_ONCE) }
    }

    async fn answer(
        &self,
        channel: &ChannelId,
        number: &str,
        inquiry: &dyn Inquiry,
        asked: &WebhookRequest,
    ) -> WebhookReply {
        if let Err(error) = inquiry.verify(asked) {
            let code = error.code();
            metrics::counter!("gateway_inquiry_refused_total", "channel" => channel.to_string(), "code" => code)
                .increment(1);
            return inquiry.reply(&InquiryOutcome::Refused(error));
        }
        let unavailable = InquiryOutcome::Unavailable { retry_after_s: RETRY_AFTER_S };
        let Ok(number) = SourceNumber::new(number) else { return inquiry.reply(&InquiryOutcome::Unknown) };
        let Ok(_slot) = self.slots.try_acquire() else { return inquiry.reply(&unavailable) };
        let outcome = match tokio::time::timeout(PATIENCE, self.look_up(channel, &number)).await {
            Ok(Ok(Some(progress))) => InquiryOutcome::Found(progress),
            Ok(Ok(None)) => InquiryOutcome::Unknown,
            Ok(Err(error)) => {
                tracing::warn!(%channel, error = &error as &dyn std::error::Error, "an order's progress can't be looked up");
                unavailable
            }
            Err(_) => {
                tracing::warn!(%channel, "an order's progress was not looked up in time");
                unavailable
            }
        };
        inquiry.reply(&outcome)
    }

    /// The channel's order of this number; of several days, where it was used again, the last.
    async fn look_up(&self, channel: &ChannelId, number: &SourceNumber) -> Result<Option<Progress>, StoreError> {
        let mut found: Option<Progress> = None;
        for id in self.store.orders_by_number(number, Some(channel)).await? {
            let Some(view) = self.store.order(id, false).await? else { continue };
            let (order, numbers) = (view.aggregate.order, view.aggregate.numbers);
            let days = numbers.into_iter().filter(|other| other.channel == *channel && other.number == *number);
            let Some(number) = days.max_by_key(|number| number.day) else { continue };
            if found.as_ref().is_some_and(|found| found.number.day >= number.day) {
                continue;
            }
            let mut fields = order.fields;
            if let Some(state) = order.state {
                fields.set(Field::State, FieldValue::Text(state.as_str().to_owned()));
            }
            found = Some(Progress { number, round: order.round, fields });
        }
        Ok(found)
    }
}

/// The route by which front ends ask; merged into the routes that the outside can reach.
pub fn inquiry_router(desk: Arc<InquiryDesk>, config: &Arc<ApiConfig>) -> Router {
    Router::new()
        .route("/webhooks/{channel}/orders/{number}", get(ask))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(config.clone(), observe))
        .with_state(desk)
}

async fn ask(
    State(desk): State<Arc<InquiryDesk>>,
    Path((channel, number)): Path<(String, String)>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let unknown = || Problem::new(Code::UnknownChannel, "no channel of this name asks for orders here").into_response();
    let Ok(channel) = ChannelId::new(channel) else { return unknown() };
    let Some(inquiry) = desk.channels.get(&channel).and_then(|connector| connector.inquiry()) else { return unknown() };
    let asked = WebhookRequest {
        method: method.as_str().to_owned(),
        target: uri.path_and_query().map_or_else(|| uri.path().to_owned(), |target| target.as_str().to_owned()),
        headers: text_headers(&headers),
        body: Default::default(),
        received_at: desk.clock.now(),
    };
    dressed(desk.answer(&channel, &number, inquiry, &asked).await)
}
