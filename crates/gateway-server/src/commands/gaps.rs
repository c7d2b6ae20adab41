//! `gaps`.

use super::ApiClient;
use super::ops::{asked, show};
use super::print::{cell, json, table};
use crate::Failure;
use crate::cli::{GapsAction, GapsOptions};
use serde_json::{Value, json as object};
use std::process::ExitCode;

/// Lists, shows and repairs gaps.
///
/// # Errors
/// What the API tells.
pub async fn gaps(options: GapsOptions) -> Result<ExitCode, Failure> {
    match options.action {
        GapsAction::List { state, group, all, finished, channel, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let group = group.map(|group| group.to_string());
            let mut filter: Vec<(&str, &str)> = Vec::new();
            filter.extend(channel.iter().map(|channel| ("channel", channel.as_str())));
            filter.extend(state.iter().map(|state| ("state", state.as_str())));
            filter.extend(group.iter().map(|group| ("group", group.as_str())));
            if all || state.is_some() || group.is_some() {
                rows(&api.list("/api/v1/gaps", "gaps", &filter).await?, query.json);
                return Ok(ExitCode::SUCCESS);
            }
            if finished {
                filter.push(("state", "all"));
            }
            groups(&api.list("/api/v1/gap-groups", "groups", &filter).await?, query.json);
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

/// Gaps one by one.
fn rows(gaps: &[Value], as_json: bool) {
    if as_json {
        json(&object!({ "gaps": gaps }));
        return;
    }
    let rows = gaps.iter().map(|gap| {
        let keys = [
            "id",
            "group_id",
            "channel",
            "dataset",
            "kind",
            "number",
            "part",
            "state",
            "severity",
            "owner",
            "first_seen_at",
        ];
        let mut row = keys.map(|key| cell(&gap[key])).to_vec();
        let detail = [cell(&gap["detail"]), cell(&gap["reason"])];
        row.push(detail.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": "));
        row
    });
    let head = [
        "id",
        "group 组",
        "channel 渠道",
        "dataset 数据集",
        "kind 类型",
        "number 工单编号",
        "part",
        "state 状态",
        "severity 级别",
        "owner 责任方",
        "since 发现时间",
        "reason 原因",
    ];
    table(&head, &rows.collect::<Vec<_>>());
}

/// Gaps by outage.
fn groups(groups: &[Value], as_json: bool) {
    if as_json {
        json(&object!({ "groups": groups }));
        return;
    }
    let counts = |value: &Value| {
        let pairs = value.as_object().into_iter().flatten().map(|(name, count)| format!("{name} {count}"));
        pairs.collect::<Vec<_>>().join(", ")
    };
    let names = |value: &Value| value.as_array().into_iter().flatten().map(cell).collect::<Vec<_>>().join(", ");
    let rows = groups.iter().map(|group| {
        vec![
            cell(&group["id"]),
            cell(&group["channel"]),
            cell(&group["direction"]),
            cell(&group["severity"]),
            cell(&group["owner"]),
            format!("{}/{}", cell(&group["unfinished"]), cell(&group["gaps"])),
            counts(&group["kinds"]),
            names(&group["datasets"]),
            format!("{} .. {}", cell(&group["window"]["start"]), cell(&group["window"]["end"])),
            cell(&group["opened_at"]),
        ]
    });
    let head = [
        "group 组",
        "channel 渠道",
        "direction 方向",
        "severity 级别",
        "owner 责任方",
        "open/all 未闭合/全部",
        "kinds 类型",
        "datasets 数据集",
        "window 时段",
        "since 发现时间",
    ];
    table(&head, &rows.collect::<Vec<_>>());
}
