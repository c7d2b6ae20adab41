//! `status`, `reconcile`.

use super::ApiClient;
use super::print::{cell, json, say, table};
use crate::Failure;
use crate::cli::{QueryOptions, ReconcileOptions};
use serde_json::{Value, json as object};
use std::process::ExitCode;

/// Tells how the gateway is; fails when it does not run or is not healthy, so that scripts can ask.
///
/// # Errors
/// When there is no installation.
pub async fn status(options: QueryOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.installation).await?;
    let mut status = api.get_one("/api/v1/status", &[], "status").await?;
    let running = api.is_running();
    status["running"] = Value::Bool(running);
    if !running {
        // What was only opened for this command is neither.
        status["healthy"] = Value::Bool(false);
        status["ready"] = Value::Bool(false);
    }
    let healthy = running && status["healthy"].as_bool().unwrap_or(false);
    if options.json {
        json(&status);
        return Ok(exit(healthy));
    }
    say(format_args!("{}", if running { "gateway: running 运行中" } else { "gateway: not running 未运行" }));
    let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
    let rows = tasks.iter().map(|task| {
        let since = task["since_success_ms"].as_u64().unwrap_or(0) / 1000;
        let since = if task["rounds"] == 0 { "never 从未".to_owned() } else { format!("{since} s") };
        let error = match (task["error_code"].as_str(), task["error"].as_str()) {
            (Some(code), Some(text)) => format!("{code}: {text}").replace('\n', " "),
            _ => String::new(),
        };
        vec![cell(&task["name"]), cell(&task["health"]), since, cell(&task["failures"]), error]
    });
    table(
        &["task 任务", "health 状态", "last success 上次成功", "failures 失败", "error 错误"],
        &rows.collect::<Vec<_>>(),
    );
    books(&status["books"]);
    for warning in status["warnings"].as_array().into_iter().flatten() {
        let (code, channel) = (cell(&warning["code"]), cell(&warning["channel"]));
        say(format_args!("{} 告警: {code} {channel}: {}", cell(&warning["severity"]), cell(&warning["text"])));
    }
    Ok(exit(healthy))
}

/// The books in one line.
fn books(books: &Value) {
    let count = |name: &str, keep: &dyn Fn(&Value) -> bool| -> u64 {
        books[name]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|row| keep(row))
            .filter_map(|row| row["count"].as_u64())
            .sum()
    };
    let open = |row: &Value| matches!(row["state"].as_str(), Some("open" | "repairing"));
    say(format_args!(
        "books 账目: orders 工单 {}, gaps open 未闭合缺口 {}, dead letters open 未处置死信 {}, records on the bus 总线待处理 {}",
        cell(&books["orders"]),
        count("gaps", &open),
        cell(&books["dead_letters_open"]),
        count("records_on_bus", &|_| true),
    ));
}

/// Asks for a comparison now.
///
/// # Errors
/// What the API tells.
pub async fn reconcile(options: ReconcileOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.query.installation).await?;
    let body = options.channel.map_or_else(|| object!({}), |channel| object!({ "channel": channel }));
    let answer = api.post("/api/v1/reconcile", &body).await?;
    asked(&answer, options.query.json, &api, "a whole comparison is asked for 已提交全量对账");
    Ok(ExitCode::SUCCESS)
}

/// Prints an object key by key, or as JSON.
pub(super) fn show(value: &Value, as_json: bool) {
    if as_json {
        json(value);
        return;
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        say(format_args!("{key}: {}", cell(value)));
    }
}

pub(super) fn asked(answer: &Value, as_json: bool, api: &ApiClient, text: &str) {
    if as_json {
        json(answer);
        return;
    }
    say(text);
    if !api.is_running() {
        say("the gateway is not running; it will be done when it is started 网关未运行,启动后执行");
    }
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
