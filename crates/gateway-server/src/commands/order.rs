//! `order show`: everything that is held of an order, and how it came and went.

use super::attachments::{self, Of};
use super::client::{ApiClient, Thing};
use super::columns::{self, section};
use super::print::{cell, json, say};
use crate::Failure;
use crate::cli::{OrderAction, OrderOptions};
use gateway_model::Field;
use serde_json::{Value, json as object};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Shows an order, or sends what a person asks about it.
///
/// # Errors
/// What the API tells; several orders of that number are listed in it.
pub async fn order(options: OrderOptions) -> Result<ExitCode, Failure> {
    let (number, channel, person, query) = match options.action {
        OrderAction::Show { number, channel, person, query } => (number, channel, person, query),
        OrderAction::Attachments { number, channel, save, again, query } => {
            let of = Of { number, channel, query };
            return attachments::attachments(of, save.as_deref(), again).await;
        }
        asked => return super::request::request(asked).await,
    };
    let api = ApiClient::connect(&query.installation).await?;
    let mut filter = vec![("person", if person { "true" } else { "false" })];
    if let Some(channel) = &channel {
        filter.push(("channel", channel));
    }
    let order = api.find(&format!("/api/v1/orders/{number}"), &filter, Thing::new("order", "工单", &number)).await?;
    let id = cell(&order["id"]);
    let timeline = api.get(&format!("/api/v1/orders/{id}/timeline"), &[]).await?.unwrap_or_default();
    let records = records(&api, &timeline["timeline"], person).await?;
    let attempts = attempts(&api, &timeline["deliveries"]).await?;
    if query.json {
        let (timeline, deliveries) = (&timeline["timeline"], &timeline["deliveries"]);
        json(&object!({
            "order": order, "timeline": timeline, "records": records, "deliveries": deliveries, "attempts": attempts,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    head(&order);
    let (units, events) = units_and_events(&order["events"]);
    section(&columns::FACETS, &order["facets"]);
    section(&columns::EVENTS, &events);
    section(&columns::UNITS, &units);
    section(&columns::OVERLAYS, &order["overlays"]);
    section(&columns::STATES, &order["states"]);
    section(&columns::CONFLICTS, &order["conflicts"]);
    section(&columns::DUPLICATES, &order["duplicates"]);
    section(&columns::VERIFICATION, &order["verifications"]);
    section(&columns::ATTACHMENTS, &order["attachments"]);
    section(&columns::PERSONS, &order["persons"]);
    section(&columns::TIMELINE, &timeline["timeline"]);
    section(if person { &columns::RECORDS_WHOLE } else { &columns::RECORDS }, &records);
    section(&columns::DELIVERIES, &timeline["deliveries"]);
    section(&columns::ATTEMPTS, &attempts);
    Ok(ExitCode::SUCCESS)
}

/// The units at work on an order, and what else happened to it: a unit is kept among the events, since each has an id of its own.
fn units_and_events(events: &Value) -> (Value, Value) {
    let events = events.as_array().into_iter().flatten();
    let (units, others): (Vec<&Value>, Vec<&Value>) = events.partition(|event| !event["fields"]["unit_role"].is_null());
    let unit = |event: &Value| {
        let fields = &event["fields"];
        object!({
            "channel": event["channel"], "unit": fields["handling_unit"], "role": fields["unit_role"], "state": fields["state"],
            "round": fields["round"], "since": event["event_time"], "note": fields["event_text"], "gone_at": event["gone_at"],
        })
    };
    (units.into_iter().map(unit).collect(), others.into_iter().cloned().collect())
}

/// The records that the timeline refers to; their bytes hold personal data and are shown only when asked for.
async fn records(api: &ApiClient, timeline: &Value, person: bool) -> Result<Value, Failure> {
    let ids: BTreeSet<i64> =
        timeline.as_array().into_iter().flatten().filter_map(|line| line["raw_id"].as_i64()).collect();
    let mut records = Vec::new();
    for id in ids {
        let Some(mut record) = api.get(&format!("/api/v1/raw/{id}"), &[]).await? else { continue };
        if !person && let Some(record) = record.as_object_mut() {
            record.remove("body");
        }
        records.push(record);
    }
    Ok(Value::Array(records))
}

/// Every attempt of every delivery.
async fn attempts(api: &ApiClient, deliveries: &Value) -> Result<Value, Failure> {
    let mut attempts = Vec::new();
    for delivery in deliveries.as_array().into_iter().flatten() {
        let id = &delivery["id"];
        let Some(shown) = api.get(&format!("/api/v1/deliveries/{id}"), &[]).await? else { continue };
        for attempt in shown["attempts"].as_array().into_iter().flatten() {
            let mut attempt = attempt.clone();
            attempt["delivery_id"] = id.clone();
            attempts.push(attempt);
        }
    }
    Ok(Value::Array(attempts))
}

fn head(order: &Value) {
    say(format_args!("工单 order {}", cell(&order["id"])));
    for number in order["numbers"].as_array().into_iter().flatten() {
        let absent = &number["absent_since"];
        let absent =
            if absent.is_null() { String::new() } else { format!("  来源缺失于 absent since {}", cell(absent)) };
        let (channel, text, day) = (cell(&number["channel"]), cell(&number["number"]), cell(&number["day"]));
        say(format_args!("  {channel} {text} ({day}){absent}"));
    }
    for alias in order["aliases"].as_array().into_iter().flatten() {
        say(format_args!("  已归一 one with {}", cell(alias)));
    }
    for (name, value) in order["fields"].as_object().into_iter().flatten() {
        let chinese = name.parse::<Field>().map(Field::chinese).unwrap_or_default();
        say(format_args!("  {chinese} {name}: {}", columns::field_value(name, value)));
    }
}
