//! `archive`.

use super::client::ApiClient;
use super::print::{cell, json, say, table};
use crate::Failure;
use crate::cli::{ArchiveAction, ArchiveOptions, QueryOptions};
use serde_json::{Value, json as object};
use std::process::ExitCode;

/// Lists the months of records and timelines, takes one out, or brings one back.
///
/// # Errors
/// What the API tells.
pub async fn archive(options: ArchiveOptions) -> Result<ExitCode, Failure> {
    match options.action {
        ArchiveAction::List { query } => list(&query).await?,
        ArchiveAction::Take { month, query } => {
            let answer = move_month(&query, &month, "take").await?;
            let (records, changes) = (cell(&answer["records"]), cell(&answer["changes"]));
            if !query.json {
                say(format_args!(
                    "{month}: archived 已归档, records 原始记录 {records}, timeline lines 轨迹 {changes}"
                ));
            }
        }
        ArchiveAction::Return { month, query } => {
            move_month(&query, &month, "return").await?;
            if !query.json {
                say(format_args!("{month}: back 已取回"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn move_month(query: &QueryOptions, month: &str, how: &str) -> Result<Value, Failure> {
    let api = ApiClient::connect(&query.installation).await?;
    let by = std::env::var("USER").unwrap_or_else(|_| "command line".into());
    let answer = api.post(&format!("/api/v1/archive/{month}/{how}"), &object!({ "by": by })).await?;
    if query.json {
        json(&answer);
    }
    Ok(answer)
}

async fn list(query: &QueryOptions) -> Result<(), Failure> {
    let api = ApiClient::connect(&query.installation).await?;
    let answer = api.must("/api/v1/archive", &[]).await?;
    if query.json {
        json(&answer);
        return Ok(());
    }
    let rows = answer["months"].as_array().into_iter().flatten().map(|month| {
        let megabytes = month["bytes"].as_u64().map(|bytes| format!("{:.1}", bytes as f64 / 1e6)).unwrap_or_default();
        let holds: Vec<String> = month["holds"].as_array().into_iter().flatten().map(hold).collect();
        vec![
            cell(&month["month"]),
            cell(&month["place"]),
            cell(&month["records"]),
            cell(&month["changes"]),
            megabytes,
            cell(&month["beside"]),
            cell(&month["taken_at"]),
            cell(&month["taken_by"]),
            holds.join("; "),
        ]
    });
    let head = [
        "month 月份",
        "place 位置",
        "records 原始记录",
        "changes 轨迹",
        "MB",
        "beside 迟到",
        "taken at 归档时间",
        "by 操作人",
        "held back by 不能归档的原因",
    ];
    table(&head, &rows.collect::<Vec<_>>());
    for left in answer["months_left"].as_array().into_iter().flatten() {
        let holds: Vec<String> = left["holds"].as_array().into_iter().flatten().map(hold).collect();
        let (month, at) = (cell(&left["month"]), cell(&left["looked_at"]));
        say(format_args!("{month}: left by the job at {at} 自动归档未处理: {}", holds.join("; ")));
    }
    Ok(())
}

/// One reason, as `deliveries 未了结投递 3 (17, 18, 21)`.
pub(super) fn hold(hold: &Value) -> String {
    let kind = hold["kind"].as_str().unwrap_or_default();
    let zh = match kind {
        "running" => "未结束",
        "newest_record" => "含最新记录",
        "parked_records" => "等待工单的记录",
        "dead_letters" => "未处置死信",
        "deliveries" => "未了结投递",
        "open_orders" => "未办结工单",
        "in_use" => "正被读取",
        _ => "",
    };
    let first: Vec<String> = hold["first"].as_array().into_iter().flatten().map(cell).collect();
    if first.is_empty() {
        return format!("{kind} {zh}");
    }
    let more = if hold["count"].as_u64().is_some_and(|count| count > first.len() as u64) { ", …" } else { "" };
    format!("{kind} {zh} {} ({}{more})", cell(&hold["count"]), first.join(", "))
}
