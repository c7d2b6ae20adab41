//! `order show`: everything that is held of an order, and how it came and went.

use super::ApiClient;
use super::print::{cell, json, table};
use crate::Failure;
use crate::cli::{OrderAction, OrderOptions};
use gateway_model::Field;
use serde_json::{Value, json as object};
use std::process::ExitCode;

/// Shows an order.
///
/// # Errors
/// What the API tells; several orders of that number are listed in it.
pub async fn order(options: OrderOptions) -> Result<ExitCode, Failure> {
    let OrderAction::Show { number, channel, person, query } = options.action;
    let api = ApiClient::connect(&query.installation).await?;
    let mut filter = vec![("person", if person { "true" } else { "false" })];
    if let Some(channel) = &channel {
        filter.push(("channel", channel));
    }
    let order = api.get_one(&format!("/api/v1/orders/{number}"), &filter, &format!("order {number}")).await?;
    let id = cell(&order["id"]);
    let timeline = api.get(&format!("/api/v1/orders/{id}/timeline"), &[]).await?.unwrap_or_default();
    if query.json {
        json(&object!({ "order": order, "timeline": timeline["timeline"], "deliveries": timeline["deliveries"] }));
        return Ok(ExitCode::SUCCESS);
    }
    head(&order);
    section("facets 各方陈述", &["channel", "dataset", "part", "echo", "event_time", "received_at", "raw_id"], &order["facets"]);
    section("events 流转事件", &["channel", "kind", "event_id", "event_time", "raw_id"], &order["events"]);
    section("conflicts 不一致", &["field", "part", "values"], &order["conflicts"]);
    section("persons 当事人", &["channel", "dataset", "fields"], &order["persons"]);
    section("timeline 时间线", &["seq", "at", "channel", "dataset", "part", "origin", "raw_id"], &timeline["timeline"]);
    section(
        "deliveries 推送",
        &["id", "destination", "operation", "round", "state", "generation", "attempts", "reason", "receipt"],
        &timeline["deliveries"],
    );
    Ok(ExitCode::SUCCESS)
}

fn head(order: &Value) {
    println!("order 工单 {}", cell(&order["id"]));
    for number in order["numbers"].as_array().into_iter().flatten() {
        println!("  {} {} ({})", cell(&number["channel"]), cell(&number["number"]), cell(&number["day"]));
    }
    for (name, value) in order["fields"].as_object().into_iter().flatten() {
        let chinese = name.parse::<Field>().map(Field::chinese).unwrap_or_default();
        println!("  {name} {chinese}: {}", cell(value));
    }
}

fn section(title: &str, keys: &[&str], rows: &Value) {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return;
    }
    println!("\n{title}");
    let lines: Vec<Vec<String>> = rows.iter().map(|row| keys.iter().map(|key| cell(&row[*key])).collect()).collect();
    table(keys, &lines);
}
