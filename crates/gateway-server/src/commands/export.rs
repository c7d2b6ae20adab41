//! `export`: files over a front-end box.

use super::print::{cell, json, table};
use super::{ApiClient, ops};
use crate::Failure;
use crate::cli::ExportOptions;
use serde_json::{Value, json as object};
use std::process::ExitCode;

/// Asks for a batch of files, or shows how the last ones stand.
///
/// # Errors
/// What the API tells.
pub async fn export(options: ExportOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.query.installation).await?;
    if options.show {
        return show(&api, &options).await;
    }
    let Some(channel) = &options.channel else { return Err(Failure("name the channel: --channel 渠道".to_owned())) };
    let mut body = object!({ "channel": channel });
    let text = match &options.day {
        Some(day) => {
            body["day"] = Value::from(day.as_str());
            "the files of the day are going to be written 已提交当日文件导出"
        }
        None => "the whole files are going to be written 已提交全量文件导出",
    };
    let answer = api.post("/api/v1/exports", &body).await?;
    ops::asked(&answer, options.query.json, &api, text);
    Ok(ExitCode::SUCCESS)
}

async fn show(api: &ApiClient, options: &ExportOptions) -> Result<ExitCode, Failure> {
    let answer = api.must("/api/v1/exports", &[]).await?;
    if options.query.json {
        json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    let chosen = |row: &&Value| options.channel.as_ref().is_none_or(|channel| row["channel"] == channel.as_str());
    for channel in answer["channels"].as_array().into_iter().flatten().filter(chosen) {
        for batch in channel["files"]["batches"].as_array().into_iter().flatten() {
            for file in batch["files"].as_array().into_iter().flatten() {
                let receipt =
                    if file["refused"] == true { "refused 拒收".to_owned() } else { cell(&batch["receipt_at"]) };
                let mut cells = vec![cell(&channel["channel"]), cell(&batch["scope"]), cell(&file["name"])];
                cells.extend(["rows", "accepted", "rejected", "reopened", "stopped"].map(|key| cell(&file[key])));
                cells.push(receipt);
                rows.push(cells);
            }
        }
    }
    let head = [
        "channel 渠道",
        "scope 范围",
        "file 文件",
        "rows 行数",
        "accepted 接受",
        "rejected 拒绝",
        "reopened 重发",
        "left to a person 待人工",
        "receipt 回执",
    ];
    table(&head, &rows);
    Ok(ExitCode::SUCCESS)
}
