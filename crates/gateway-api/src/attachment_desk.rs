//! What destinations come for: the file behind an address that we gave out.
//!
//! `GET /attachments/{id}?to=&until=&mac=` on the public listener. The address proves that we gave it to that destination; whether it still may have the file is
//! decided now, by the rules and by the order as it stands: a grant that was withdrawn and an order that became secret end every address at once. What is
//! refused is never told why. Transfers are bounded: who comes when all are under way is asked to come again, and intake is not held up.

use crate::duplicates::group;
use crate::kept_file;
use crate::observe::{method_not_allowed, observe};
use crate::{ApiConfig, Code, Problem};
use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gateway_model::{AddressKey, AttachmentAddress, ChannelId, Clock, Field, FieldValue, Fields, OrderId};
use gateway_store::{AttachmentDir, Store};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// So many files are on their way at once.
const AT_ONCE: usize = 16;
/// After how many seconds one that was turned away may come again.
const RETRY_AFTER_S: u32 = 2;

/// Gives files to those who come with an address of ours.
pub struct AttachmentDesk {
    /// Makes and knows addresses.
    pub key: AddressKey,
    /// Whose pictures go to whom, by the rules as they are now.
    pub grants: BTreeSet<(ChannelId, ChannelId)>,
    /// What is known of the files.
    pub store: Arc<dyn Store>,
    /// Where they are.
    pub dir: AttachmentDir,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for AttachmentDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentDesk").field("grants", &self.grants).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Asked {
    to: String,
    until: i64,
    mac: String,
}

#[derive(Clone)]
struct DeskState {
    desk: Arc<AttachmentDesk>,
    slots: Arc<Semaphore>,
}

/// The route by which destinations fetch files; merged into the routes that the outside can reach.
pub fn attachment_router(desk: AttachmentDesk, config: &Arc<ApiConfig>) -> Router {
    Router::new()
        .route("/attachments/{id}", get(give))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(config.clone(), observe))
        .with_state(DeskState { desk: Arc::new(desk), slots: Arc::new(Semaphore::new(AT_ONCE)) })
}

async fn give(
    State(DeskState { desk, slots }): State<DeskState>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Asked>, QueryRejection>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let address = match (path, query) {
        (Ok(Path(id)), Ok(Query(asked))) => desk.known(&id, asked),
        _ => None,
    };
    let Some(address) = address else {
        count("unknown", "refused");
        return refused().into_response();
    };
    let given = async {
        let Ok(slot) = slots.try_acquire_owned() else {
            let text = "as many files are on their way as may be at once; come again";
            return Err(Problem::new(Code::AttachmentsBusy, text).after(RETRY_AFTER_S));
        };
        let unknown = || Problem::not_found("attachment", address.id);
        let row = desk.store.attachment(address.id).await?.ok_or_else(unknown)?;
        if !desk.grants.contains(&(row.channel.clone(), address.to.clone())) || desk.hides(row.order_id).await? {
            return Err(refused());
        }
        kept_file::answer(&desk.dir, &row, &*desk.clock, (&method, &headers), Some(slot)).await
    };
    let given = given.await;
    count(address.to.as_str(), outcome(&given));
    given.into_response()
}

impl AttachmentDesk {
    /// The address, if it is one of ours and has not ended.
    fn known(&self, id: &str, asked: Asked) -> Option<AttachmentAddress> {
        let address =
            AttachmentAddress { id: id.parse().ok()?, to: ChannelId::new(asked.to).ok()?, until: asked.until };
        self.key.opens(&address, &asked.mac, self.clock.now()).then_some(address)
    }

    /// Whether the order, or one that is one with it, is secret or anonymous by anybody's word.
    async fn hides(&self, order: OrderId) -> Result<bool, Problem> {
        let flagged = |fields: &Fields| {
            let flag = |field| fields.get(field) == Some(&FieldValue::Flag(true));
            flag(Field::IsSecret) || flag(Field::IsAnonymous)
        };
        let views = self.store.orders(&group(&*self.store, order).await?, false).await?;
        let hidden = views.iter().any(|view| {
            let all = &view.aggregate;
            let mut said = all.facets.iter().filter(|facet| facet.gone_at.is_none());
            flagged(&all.order.fields) || said.any(|facet| flagged(&facet.fields))
        });
        Ok(hidden || views.is_empty())
    }
}

fn refused() -> Problem {
    Problem::new(Code::AddressRefused, "the address is not one of ours, has ended, or does not open anything any more")
        .zh("该地址不是本网关给出的、已过期，或已不再有效")
}

fn outcome(given: &Result<Response, Problem>) -> &'static str {
    match given.as_ref().map_err(Problem::code) {
        Ok(_) => "given",
        Err(Code::AddressRefused) => "refused",
        Err(Code::NotFound) => "unknown",
        Err(Code::AttachmentOwed) => "owed",
        Err(Code::AttachmentGone) => "gone",
        Err(Code::AttachmentLost) => "lost",
        Err(Code::AttachmentsBusy) => "busy",
        Err(_) => "failed",
    }
}

/// `to` is a channel only where the address is one of ours, so that labels stay bounded.
fn count(to: &str, outcome: &'static str) {
    metrics::counter!("gateway_attachment_answers_total", "to" => to.to_owned(), "outcome" => outcome).increment(1);
}
