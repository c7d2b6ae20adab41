//! `GET /api/v1/orders/{id}/trace`: the trace (轨迹) of one order, every stage in the order of time.
//!
//! Stages are what the rows say; nothing is guessed. No field of the order is told, so none of a person's.

mod inbound;
mod outbound;
mod stage;

use crate::Problem;
use crate::extract::{Params, Segment};
use crate::orders::find;
use crate::report::{Language, typed};
use crate::state::Channels;
use crate::views::ChinaTime;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gateway_model::{RawId, format_china};
use gateway_store::{GapFilter, OrderView, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use stage::Stage;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many gaps of one number are told.
const MOST_GAPS: u32 = 500;

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceParams {
    channel: Option<String>,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    language: Language,
}

/// `GET /api/v1/orders/{id}/trace`
pub(crate) async fn trace(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    segment: Segment,
    Params(params): Params<TraceParams>,
) -> Result<Response, Problem> {
    let view = find(&*store, &channels, &segment.0, params.channel, false).await?;
    let mut stages = stages(&*store, &view, params.language).await?;
    stages.sort_by_key(|stage| (stage.at, stage.rank));
    Ok(match params.format {
        Format::Json => Json(json(&view, &stages)).into_response(),
        Format::Text => typed("text/plain; charset=utf-8", text(&view, &stages, params.language).into_bytes()),
    })
}

async fn stages(store: &dyn Store, view: &OrderView, language: Language) -> Result<Vec<Stage>, Problem> {
    let order = &view.aggregate;
    let timeline = store.timeline(order.order.id).await?;
    let raws: Vec<RawId> = timeline
        .iter()
        .map(|line| line.raw_id)
        .chain(order.facets.iter().map(|facet| facet.raw_id))
        .chain(order.events.iter().map(|event| event.raw_id))
        .chain(order.deliveries.iter().map(|delivery| delivery.raw_id))
        .collect();
    let traced = store.order_trace(order.order.id, &order.numbers, &raws).await?;
    let records: BTreeMap<_, _> = traced.records.iter().map(|(id, meta)| (*id, meta)).collect();
    let mut stages = inbound::stages(view, &timeline, &traced, &records, language);
    let verifications = store.verifications(order.order.id).await?;
    stages.extend(verifications.iter().map(|row| inbound::verified(row, language)));
    for delivery in &order.deliveries {
        let attempts = store.attempts(delivery.id).await?;
        outbound::push(&mut stages, delivery, &attempts, language);
    }
    for number in &order.numbers {
        let filter = GapFilter {
            channel: Some(number.channel.clone()),
            number: Some(number.number.clone()),
            ..GapFilter::default()
        };
        for gap in store.gaps(&filter, MOST_GAPS).await? {
            // A number may be used again, for an order of another day.
            if gap.key.as_ref().is_some_and(|key| key.day == number.day) {
                inbound::push_gap(&mut stages, &gap, &store.gap_steps(gap.id).await?, language);
            }
        }
    }
    Ok(stages)
}

fn json(view: &OrderView, stages: &[Stage]) -> Value {
    let order = &view.aggregate;
    let mut before = None;
    let stages: Vec<Value> = stages
        .iter()
        .map(|stage| {
            let mut told =
                json!({"at": ChinaTime(stage.at), "since_previous_ms": stage.since(before), "stage": stage.kind});
            before = Some(stage.at);
            if let (Some(told), Value::Object(details)) = (told.as_object_mut(), stage.details.clone()) {
                told.extend(details);
            }
            told
        })
        .collect();
    json!({"order_id": order.order.id, "numbers": order.numbers, "state": order.order.state, "round": order.order.round, "stages": stages})
}

fn text(view: &OrderView, stages: &[Stage], language: Language) -> String {
    let order = &view.aggregate;
    let mut text = format!("{} {}\n", language.say("工单", "order"), order.order.id);
    for number in &order.numbers {
        text.push_str(&format!("  {} {} ({})\n", number.channel, number.number, number.day));
    }
    let mut rows = Vec::new();
    let mut before = None;
    for stage in stages {
        let since = stage.since(before).map_or_else(String::new, |ms| format!("+{}", language.duration(ms)));
        before = Some(stage.at);
        let at = format_china(stage.at).trim_end_matches("+08:00").replace('T', " ");
        rows.push(vec![at, since, stage.text.clone()]);
    }
    crate::report::push_aligned(&mut text, &rows);
    text
}
