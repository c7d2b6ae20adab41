//! `status`, `reconcile`.

use super::ApiClient;
use super::print::{cell, json, say, table};
use crate::Failure;
use crate::cli::{BackfillOptions, QueryOptions, ReconcileOptions};
use serde_json::{Value, json as object};
use std::process::ExitCode;

/// Tells how the gateway is; fails when it does not run or is not healthy, so that scripts can ask.
///
/// # Errors
/// When there is no installation.
pub async fn status(options: QueryOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.installation).await?;
    let mut status = api.must("/api/v1/status", &[]).await?;
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
    if running {
        task_table(&status["tasks"]);
    }
    if let Some(channels) = status["reconcile"].as_array() {
        channel_table(channels);
    }
    books(&status["books"]);
    attachments(&status["books"]["attachments"]);
    for left in status["months_left"].as_array().into_iter().flatten() {
        let holds: Vec<String> = left["holds"].as_array().into_iter().flatten().map(super::archive::hold).collect();
        say(format_args!("month 月份 {}: stays 未归档: {}", cell(&left["month"]), holds.join("; ")));
    }
    for warning in status["warnings"].as_array().into_iter().flatten() {
        // What is about the gateway itself names no channel.
        let about: Vec<String> =
            ["code", "channel"].into_iter().map(|key| cell(&warning[key])).filter(|text| !text.is_empty()).collect();
        say(format_args!("{} 告警: {}: {}", cell(&warning["severity"]), about.join(" "), cell(&warning["text"])));
    }
    Ok(exit(healthy))
}

fn task_table(tasks: &Value) {
    let tasks = tasks.as_array().map(Vec::as_slice).unwrap_or_default();
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
    let unfinished = |row: &Value| matches!(row["state"].as_str(), Some("open" | "repairing"));
    say(format_args!(
        "books 账目: orders 工单 {}, gaps unfinished 未关闭缺口 {}, dead letters open 未处置死信 {}, records on the bus 总线待处理 {}",
        cell(&books["orders"]),
        count("gaps", &unfinished),
        cell(&books["dead_letters_open"]),
        count("records_on_bus", &|_| true),
    ));
}

/// How far the files are that records refer to, a line for each channel.
fn attachments(tallies: &Value) {
    for tally in tallies.as_array().into_iter().flatten() {
        say(format_args!(
            "attachments 附件 {}: kept 已存 {}, owed 待取 {}, missing 缺失 {}, refused 不收 {}",
            cell(&tally["channel"]),
            cell(&tally["kept"]),
            cell(&tally["owed"]),
            cell(&tally["missing"]),
            cell(&tally["refused"]),
        ));
    }
}

/// Asks for a comparison now.
///
/// # Errors
/// What the API tells.
pub async fn reconcile(options: ReconcileOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.query.installation).await?;
    if options.show {
        return show_comparisons(&api, &options).await;
    }
    let mut body = object!({});
    for (key, value) in [("channel", &options.channel), ("dataset", &options.dataset)] {
        if let Some(value) = value {
            body[key] = Value::from(value.as_str());
        }
    }
    let text = match (&options.from, &options.to) {
        (Some(from), Some(to)) => {
            body["window"] = object!({ "start": from, "end": to });
            "a comparison of the window is asked for 已提交时段对账"
        }
        _ if options.recent => {
            body["scope"] = Value::from("recent");
            "a comparison of the recent past is asked for 已提交近期对账"
        }
        _ => "a whole comparison is asked for 已提交全量对账",
    };
    let answer = api.post("/api/v1/reconcile", &body).await?;
    asked(&answer, options.query.json, &api, text);
    Ok(ExitCode::SUCCESS)
}

/// Asks for a window of a channel's past to be read again.
///
/// # Errors
/// What the API tells.
pub async fn backfill(options: BackfillOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.query.installation).await?;
    let mut body = object!({ "channel": options.channel, "start": options.from, "end": options.to });
    if let Some(dataset) = options.dataset {
        body["dataset"] = Value::from(dataset);
    }
    let answer = api.post("/api/v1/backfill", &body).await?;
    asked(&answer, options.query.json, &api, "the window is going to be read again 已提交补采");
    Ok(ExitCode::SUCCESS)
}

async fn show_comparisons(api: &ApiClient, options: &ReconcileOptions) -> Result<ExitCode, Failure> {
    let filter: Vec<(&str, &str)> = options.channel.iter().map(|channel| ("channel", channel.as_str())).collect();
    let totals = api.must("/api/v1/reconcile", &[]).await?;
    let chosen = |row: &&Value| options.channel.as_ref().is_none_or(|channel| row["channel"] == channel.as_str());
    let channels: Vec<Value> = totals["channels"].as_array().into_iter().flatten().filter(chosen).cloned().collect();
    let mut query = filter;
    query.push(("limit", "20"));
    let page = api.must("/api/v1/comparisons", &query).await?;
    if options.query.json {
        json(&object!({ "channels": channels, "comparisons": page["comparisons"] }));
        return Ok(ExitCode::SUCCESS);
    }
    channel_table(&channels);
    let rows = page["comparisons"].as_array().into_iter().flatten().map(|row| {
        ["channel", "kind", "started_at", "ended_at", "in_step", "calls", "bytes", "suspicions_vanished"]
            .map(|key| cell(&row[key]))
            .to_vec()
    });
    let head = [
        "channel 渠道",
        "comparison 对账",
        "started 开始",
        "ended 结束",
        "in step 相符",
        "calls 调用",
        "bytes 字节",
        "vanished 疑似消失",
    ];
    table(&head, &rows.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

/// How the reconciliation of each channel stands.
fn channel_table(channels: &[Value]) {
    let comparison = |last: &Value| match last["in_step"].as_bool() {
        None => "never 从未".to_owned(),
        Some(true) => format!("{} in step 相符", cell(&last["ended_at"])),
        Some(false) => format!("{} differs 有差异", cell(&last["ended_at"])),
    };
    let counts = |value: &Value| {
        let pairs = value.as_object().into_iter().flatten().map(|(name, count)| format!("{name} {count}"));
        pairs.collect::<Vec<_>>().join(", ")
    };
    let rows = channels.iter().map(|row| {
        let stopped = row["repair_stops"].as_array().into_iter().flatten().filter(|stop| stop["waiting"] == true);
        let stopped: Vec<String> = stopped.map(|stop| cell(&stop["dataset"])).collect();
        if row["verifiable"] != true {
            let mut cells = vec![cell(&row["channel"]), "unverifiable 不可核对".to_owned()];
            cells.extend([String::new(), String::new(), counts(&row["unfinished_by_severity"]), stopped.join(", ")]);
            return cells;
        }
        let allowance = row["allowance_ms"].as_u64().map(|ms| format!("{} s", ms / 1_000)).unwrap_or_default();
        vec![
            cell(&row["channel"]),
            comparison(&row["last_whole_comparison"]),
            comparison(&row["last_recent_comparison"]),
            allowance,
            counts(&row["unfinished_by_severity"]),
            stopped.join(", "),
        ]
    });
    let head = [
        "channel 渠道",
        "whole 全量",
        "recent 近期",
        "allowance 容许",
        "unfinished gaps 未关闭缺口",
        "repair stopped 修复暂停",
    ];
    table(&head, &rows.collect::<Vec<_>>());
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
