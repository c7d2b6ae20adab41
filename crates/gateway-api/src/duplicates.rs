//! Orders that may be one, and what a person says of it: candidates, confirmation, rejection; and orders that are one, shown as one.
//!
//! What is shown of a pair is in what its orders are alike, never a value of either.

use crate::extract::{PageSize, Params, Said, Segment};
use crate::orders::find;
use crate::settling::{person, sentence};
use crate::state::Channels;
use crate::views::ChinaTime;
use crate::{Code, Problem};
use axum::Json;
use axum::extract::State;
use gateway_model::{Clock, OrderId, OrderPair, PairId, PairState};
use gateway_store::{OrderView, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Orders in one group at most, as in the pipeline.
const MOST_IN_GROUP: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairParams {
    /// `candidate` by default.
    state: Option<PairState>,
    after: Option<PairId>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saying {
    reason: String,
    by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Joining {
    order: String,
    other: String,
    reason: String,
    by: String,
}

/// A pair as it is listed.
pub(crate) fn show(pair: &OrderPair) -> Value {
    json!({
        "id": pair.id(), "orders": [pair.a, pair.b], "state": pair.state, "by": pair.by, "reason": pair.reason,
        "score": pair.score, "likeness": pair.likeness, "pending": pair.pending, "at": ChinaTime(pair.at),
    })
}

/// The orders of an order's group, the lead first; the order alone where there is none.
pub(crate) async fn group(store: &dyn Store, id: OrderId) -> Result<Vec<OrderId>, Problem> {
    let groups = store.groups_of(&[id]).await?;
    let Some(lead) = groups.get(&id) else { return Ok(vec![id]) };
    // The lead has the smallest id.
    Ok(groups.iter().filter(|(_, of)| *of == lead).map(|(member, _)| *member).collect())
}

/// An order with everything that is held of the orders that are one with it, and the ids of those.
pub(crate) async fn whole(
    store: &dyn Store,
    id: OrderId,
    persons: bool,
) -> Result<Option<(OrderView, Vec<OrderId>)>, Problem> {
    let members = group(store, id).await?;
    let mut views = store.orders(&members, persons).await?.into_iter();
    let Some(mut lead) = views.next() else { return Ok(None) };
    for other in views {
        let (into, from) = (&mut lead.aggregate, other.aggregate);
        into.numbers.extend(from.numbers);
        into.readings.extend(from.readings);
        into.facets.extend(from.facets);
        into.events.extend(from.events);
        into.deliveries.extend(from.deliveries);
        lead.persons.extend(other.persons);
    }
    let all = &mut lead.aggregate;
    all.numbers.sort_unstable();
    all.facets.sort_by(|a, b| (&a.channel, a.dataset, &a.part).cmp(&(&b.channel, b.dataset, &b.part)));
    all.events.sort_by_key(|event| event.event_time.start());
    all.deliveries.sort_by_key(|delivery| delivery.id);
    Ok(Some((lead, members.into_iter().skip(1).collect())))
}

/// `GET /api/v1/duplicates`
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    Params(params): Params<PairParams>,
) -> Result<Json<Value>, Problem> {
    let page = PageSize::new(params.limit)?;
    let state = params.state.unwrap_or(PairState::Candidate);
    let (rows, more) = page.cut(store.pairs(state, params.after.as_ref(), page.and_one()).await?);
    let mut ids: Vec<OrderId> = rows.iter().flat_map(|pair| [pair.a, pair.b]).collect();
    ids.sort_unstable();
    ids.dedup();
    let views = store.orders(&ids, false).await?;
    let pairs: Vec<Value> = rows
        .iter()
        .map(|pair| {
            let mut shown = show(pair);
            let numbers = [pair.a, pair.b].map(|id| {
                let view = views.iter().find(|view| view.aggregate.order.id == id);
                view.map(|view| json!(view.aggregate.numbers))
            });
            shown["numbers"] = json!(numbers);
            shown
        })
        .collect();
    Ok(Json(json!({"duplicates": pairs, "more": more})))
}

fn unknown(id: &str) -> Problem {
    Problem::not_found("pair of orders", format!("{id}: `hotline-gateway duplicates list` shows those there are"))
        .zh(format!("没有疑似重复 {id}；用 hotline-gateway duplicates list 查看"))
}

async fn load(store: &dyn Store, segment: &Segment) -> Result<OrderPair, Problem> {
    let id: PairId = segment.0.parse().map_err(|_| unknown(&segment.0))?;
    store.pair(&id).await?.ok_or_else(|| unknown(&segment.0))
}

async fn detail(store: &dyn Store, id: &PairId) -> Result<Json<Value>, Problem> {
    let pair = store.pair(id).await?.ok_or_else(|| unknown(id.as_str()))?;
    let mut shown = show(&pair);
    let steps = store.pair_steps(id).await?;
    let steps: Vec<Value> = steps
        .iter()
        .map(|step| json!({"at": ChinaTime(step.at), "state": step.state, "by": step.by, "reason": step.reason}))
        .collect();
    shown["steps"] = json!(steps);
    let views = store.orders(&[pair.a, pair.b], false).await?;
    let sides: Vec<Value> = views
        .iter()
        .map(|view| {
            let order = &view.aggregate.order;
            json!({
                "id": order.id, "numbers": view.aggregate.numbers, "state": order.state, "fields": order.fields,
                "created_at": ChinaTime(order.created_at),
            })
        })
        .collect();
    shown["sides"] = json!(sides);
    Ok(Json(shown))
}

/// `GET /api/v1/duplicates/{id}`
pub(crate) async fn one(State(store): State<Arc<dyn Store>>, segment: Segment) -> Result<Json<Value>, Problem> {
    let pair = load(&*store, &segment).await?;
    detail(&*store, &pair.id()).await
}

/// A person says of a pair what holds.
async fn decide(
    store: &dyn Store,
    known: Option<OrderPair>,
    (a, b): (OrderId, OrderId),
    state: PairState,
    (reason, by): (&str, &str),
    clock: &dyn Clock,
) -> Result<Json<Value>, Problem> {
    let (reason, by) = (sentence(reason)?, person(by)?);
    if state == PairState::Joined {
        let together: BTreeSet<OrderId> = group(store, a).await?.into_iter().chain(group(store, b).await?).collect();
        if together.len() > MOST_IN_GROUP {
            let detail = format!("more than {MOST_IN_GROUP} orders would be one: separate some first");
            return Err(
                Problem::new(Code::WrongState, detail).zh(format!("合并后将超过 {MOST_IN_GROUP} 个工单，请先拆分"))
            );
        }
    }
    let was = known.as_ref().map(|pair| pair.state);
    let mut pair = OrderPair::new(a, b, state, by, clock.now());
    pair.reason = Some(reason.to_owned());
    pair.pending = true;
    if let Some(known) = known {
        pair.score = known.score;
        pair.likeness = known.likeness;
    }
    store.decide_pair(&pair, was).await?;
    detail(store, &pair.id()).await
}

/// `POST /api/v1/duplicates/{id}/confirm`: the two are one.
pub(crate) async fn confirm(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
    Said(saying): Said<Saying>,
) -> Result<Json<Value>, Problem> {
    let pair = load(&*store, &segment).await?;
    let orders = (pair.a, pair.b);
    decide(&*store, Some(pair), orders, PairState::Joined, (&saying.reason, &saying.by), &*clock).await
}

/// `POST /api/v1/duplicates/{id}/reject`: the two are two, and never offered or joined again but by a person; what was joined is separated.
pub(crate) async fn reject(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
    Said(saying): Said<Saying>,
) -> Result<Json<Value>, Problem> {
    let pair = load(&*store, &segment).await?;
    let orders = (pair.a, pair.b);
    decide(&*store, Some(pair), orders, PairState::Rejected, (&saying.reason, &saying.by), &*clock).await
}

/// `POST /api/v1/duplicates`: two orders that nobody offered are one.
pub(crate) async fn join(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(channels): State<Channels>,
    Said(joining): Said<Joining>,
) -> Result<Json<Value>, Problem> {
    let one = find(&*store, &channels, &joining.order, None, false).await?.aggregate.order.id;
    let other = find(&*store, &channels, &joining.other, None, false).await?.aggregate.order.id;
    if one == other {
        let detail = "both name the same order: they are one already";
        return Err(Problem::new(Code::WrongState, detail).zh("两个编号指向同一工单，无需合并"));
    }
    let known = store.pair(&PairId::of(one, other)).await?;
    let orders = (one.min(other), one.max(other));
    decide(&*store, known, orders, PairState::Joined, (&joining.reason, &joining.by), &*clock).await
}
