//! `nodes`.

use super::ApiClient;
use super::print::{cell, json, say, table};
use crate::Failure;
use crate::cli::{NodesAction, NodesOptions};
use serde_json::json as object;
use std::process::ExitCode;

/// Lists the processes of a gateway, or signs one off.
///
/// # Errors
/// What the API tells.
pub async fn nodes(options: NodesOptions) -> Result<ExitCode, Failure> {
    if let Some(NodesAction::Forget { name, query }) = options.action {
        let api = ApiClient::connect(&query.installation).await?;
        let answer = api.post(&format!("/api/v1/nodes/{name}/forget"), &object!({})).await?;
        if query.json {
            json(&answer);
        } else {
            say(format_args!("{name}: signed off 已注销"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let api = ApiClient::connect(&options.query.installation).await?;
    let answer = api.must("/api/v1/nodes", &[]).await?;
    if options.query.json {
        json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = answer["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|node| {
            let roles: Vec<String> = node["roles"].as_array().into_iter().flatten().map(cell).collect();
            let mut row = vec![cell(&node["name"]), roles.join(",")];
            row.extend(["state", "seen_at", "spool_messages", "findings", "version"].map(|key| cell(&node[key])));
            row
        })
        .collect();
    if rows.is_empty() {
        say(format_args!("one process does everything; none has told of itself 单进程运行，没有节点登记"));
        return Ok(ExitCode::SUCCESS);
    }
    let head = [
        "node 节点",
        "roles 角色",
        "state 状态",
        "last word 最近消息",
        "spool 缓冲条数",
        "findings 异常数",
        "version 版本",
    ];
    table(&head, &rows);
    Ok(ExitCode::SUCCESS)
}
