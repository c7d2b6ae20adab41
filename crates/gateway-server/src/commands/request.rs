//! `order extend`, `order appeal` and `order assign`: what a person asks about an order beside its main line.
//!
//! Each is a command of the desk like any other: durable on the bus, decided by the pipeline, owed to whom the routing rules name. What the other side
//! says to it comes back as its own word, and stands in `order show`.

use super::client::{ApiClient, Thing};
use super::print::{cell, json, say, table};
use crate::Failure;
use crate::cli::{OrderAction, RequestOptions};
use gateway_model::{Clock as _, SystemClock, format_china};
use serde_json::{Map, Value, json as object};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// So long the pipeline's decision is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
const EVERY: Duration = Duration::from_millis(100);

/// What is asked.
struct Request {
    operation: &'static str,
    fields: Map<String, Value>,
}

/// Sends a person's request, and tells what became of it.
///
/// # Errors
/// What the API tells.
pub(super) async fn request(action: OrderAction) -> Result<ExitCode, Failure> {
    let text = |name: &str, value: String| (name.to_owned(), Value::String(value));
    let (operation, fields, options): (_, Vec<(String, Value)>, RequestOptions) = match action {
        OrderAction::Extend { reason, days, until, request } => {
            let asked = days.map(|days| ("extension_days".to_owned(), Value::from(days)));
            let asked = asked.or(until.map(|until| text("extended_to", until)));
            ("extend", [text("event_text", reason)].into_iter().chain(asked).collect(), request)
        }
        OrderAction::Appeal { ground, reason, request } => {
            let ground = text("appeal_ground", ground.as_str().to_owned());
            ("appeal", vec![ground, text("event_text", reason)], request)
        }
        OrderAction::Assign { unit, role, note, request } => {
            let asked = [text("handling_unit", unit), text("unit_role", role.as_str().to_owned())];
            let note = note.map(|note| text("event_text", note));
            ("assign", asked.into_iter().chain(note).collect(), request)
        }
        OrderAction::Show { .. } | OrderAction::Attachments { .. } => {
            return Err(Failure("showing is no request".into()));
        }
    };
    send(Request { operation, fields: fields.into_iter().collect() }, options).await
}

async fn send(asked: Request, options: RequestOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.query.installation).await?;
    let filter: Vec<(&str, &str)> = options.channel.iter().map(|channel| ("channel", channel.as_str())).collect();
    let number = &options.number;
    let order = api.find(&format!("/api/v1/orders/{number}"), &filter, Thing::new("order", "工单", number)).await?;
    let id = cell(&order["id"]);
    let operator = options.operator.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "command line".into());
    let body = object!({
        "operation": asked.operation, "round": options.round.map_or(order["round"].clone(), Value::from),
        "at": options.at.unwrap_or_else(|| format_china(SystemClock.now())), "operator": operator, "fields": asked.fields,
    });
    let key = options.key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let taken = api.post_once(&format!("/api/v1/orders/{id}/commands"), &key, &body).await?;
    let command = cell(&taken["command_id"]);
    let decided = if api.is_running() { decision(&api, &command).await? } else { None };
    let refused = decided.as_ref().is_some_and(|decided| decided["state"] == "refused");
    match decided {
        Some(decided) if options.query.json => json(&decided),
        None if options.query.json => json(&object!({ "id": command, "order_id": id, "state": null })),
        Some(decided) => tell(&decided),
        None => say(format_args!(
            "command 指令 {command}: kept, and decided as soon as the gateway works on it 已保存，网关处理后生效"
        )),
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the pipeline decided; `None` = nothing yet.
async fn decision(api: &ApiClient, command: &str) -> Result<Option<Value>, Failure> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(decided) = api.seen(&format!("/api/v1/commands/{command}")).await? {
            return Ok(Some(decided));
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(None)
}

fn tell(decided: &Value) {
    let (command, operation) = (cell(&decided["id"]), cell(&decided["operation"]));
    if decided["state"] == "refused" {
        say(format_args!("{operation} refused 未受理: {} (command 指令 {command})", cell(&decided["reason"])));
        return;
    }
    say(format_args!("{operation} taken 已受理 (command 指令 {command}); `order show` tells what becomes of it"));
    let keys = ["id", "destination", "operation", "round", "state"];
    let deliveries = decided["deliveries"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = deliveries.map(|delivery| keys.map(|key| cell(&delivery[key])).to_vec()).collect();
    table(&["delivery 投递", "to 目的渠道", "operation 操作", "round 轮次", "state 状态"], &rows);
}
