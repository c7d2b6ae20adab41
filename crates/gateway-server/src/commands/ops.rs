//! `status`, `gaps`, `reconcile`.

use super::ApiClient;
use super::print::{cell, json, table};
use crate::Failure;
use crate::cli::{GapsAction, GapsOptions, QueryOptions, ReconcileOptions};
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
    let healthy = running && status["healthy"].as_bool().unwrap_or(false);
    if options.json {
        json(&status);
        return Ok(exit(healthy));
    }
    println!("{}", if running { "gateway: running 运行中" } else { "gateway: not running 未运行" });
    let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
    let rows = tasks.iter().map(|task| {
        let since = task["since_success_ms"].as_u64().unwrap_or(0) / 1000;
        vec![
            cell(&task["name"]),
            cell(&task["health"]),
            format!("{since} s"),
            cell(&task["failures"]),
            cell(&task["error"]),
        ]
    });
    table(
        &["task 任务", "health 状态", "last success 上次成功", "failures 失败", "error 错误"],
        &rows.collect::<Vec<_>>(),
    );
    for warning in status["warnings"].as_array().into_iter().flatten() {
        println!("warning 告警: {}", cell(&warning["text"]));
    }
    Ok(exit(healthy))
}

/// Lists, shows and repairs gaps.
///
/// # Errors
/// What the API tells.
pub async fn gaps(options: GapsOptions) -> Result<ExitCode, Failure> {
    match options.action {
        GapsAction::List { state, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let filter: Vec<(&str, &str)> = state.iter().map(|state| ("state", state.as_str())).collect();
            let gaps = api.list("/api/v1/gaps", "gaps", &filter).await?;
            if query.json {
                json(&object!({ "gaps": gaps }));
                return Ok(ExitCode::SUCCESS);
            }
            let rows = gaps.iter().map(|gap| {
                ["id", "channel", "dataset", "kind", "number", "part", "state", "first_seen_at", "reason"]
                    .map(|key| cell(&gap[key]))
                    .to_vec()
            });
            let head = [
                "id",
                "channel 渠道",
                "dataset 数据集",
                "kind 类型",
                "number 工单编号",
                "part",
                "state 状态",
                "since 发现时间",
                "reason 原因",
            ];
            table(&head, &rows.collect::<Vec<_>>());
            Ok(ExitCode::SUCCESS)
        }
        GapsAction::Show { id, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let before = (id - 1).to_string();
            let page = api.get_one("/api/v1/gaps", &[("after", &before), ("limit", "1")], "gap").await?;
            let gap = page["gaps"].get(0).filter(|gap| gap["id"] == id).cloned();
            let gap = gap.ok_or_else(|| Failure(format!("there is no gap {id}")))?;
            show(&gap, query.json);
            Ok(ExitCode::SUCCESS)
        }
        GapsAction::Repair { id, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let answer = api.post(&format!("/api/v1/gaps/{id}/repair"), &object!({})).await?;
            asked(&answer, query.json, &api, &format!("the repair of gap {id} is asked for 已提交修复"));
            Ok(ExitCode::SUCCESS)
        }
    }
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
        println!("{key}: {}", cell(value));
    }
}

fn asked(answer: &Value, as_json: bool, api: &ApiClient, text: &str) {
    if as_json {
        json(answer);
        return;
    }
    println!("{text}");
    if !api.is_running() {
        println!("the gateway is not running; it will be done when it is started 网关未运行,启动后执行");
    }
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
