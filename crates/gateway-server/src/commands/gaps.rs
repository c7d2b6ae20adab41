//! `gaps`.

use super::client::{ApiClient, Thing};
use super::ops::{asked, show};
use super::print::{cell, json, say, table};
use crate::Failure;
use crate::cli::{ExportFormat, GapsAction, GapsOptions};
use serde_json::{Value, json as object};
use std::process::ExitCode;

const NOTHING: &str = "there is nothing to repair: no gap is unfinished 没有未关闭的缺口，无需修复";

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
            let gap = api.find(&format!("/api/v1/gaps/{id}"), &[], Thing::new("gap", "缺口", id)).await?;
            show(&gap, query.json);
            Ok(ExitCode::SUCCESS)
        }
        GapsAction::Repair { id, group, dry_run: true, query, .. } => {
            let api = ApiClient::connect(&query.installation).await?;
            let chosen = [("gap", id.map(|id| id.to_string())), ("group", group.map(|id| id.to_string()))];
            let filter: Vec<(&str, &str)> =
                chosen.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))).collect();
            plan(&api.list("/api/v1/gaps/repair-plan", "plan", &filter).await?, query.json);
            Ok(ExitCode::SUCCESS)
        }
        GapsAction::Repair { id: Some(id), query, .. } => {
            let api = ApiClient::connect(&query.installation).await?;
            let answer = api.post(&format!("/api/v1/gaps/{id}/repair"), &object!({})).await?;
            asked(&answer, query.json, &api, &format!("the repair of gap {id} is asked for 已提交修复"));
            Ok(ExitCode::SUCCESS)
        }
        GapsAction::Repair { id: None, group, query, .. } => {
            let api = ApiClient::connect(&query.installation).await?;
            let body = group.map_or_else(|| object!({}), |group| object!({ "group": group }));
            let answer = api.post("/api/v1/gaps/repair", &body).await?;
            if !query.json && answer["jobs"].as_array().is_some_and(Vec::is_empty) {
                say(NOTHING);
                return Ok(ExitCode::SUCCESS);
            }
            asked(
                &answer,
                query.json,
                &api,
                "the repairs are asked for; they go as live traffic allows 已提交修复,随业务流量进行",
            );
            Ok(ExitCode::SUCCESS)
        }
        GapsAction::Waive { id, reason, by, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let gap = api.post(&format!("/api/v1/gaps/{id}/waive"), &object!({ "reason": reason, "by": by })).await?;
            show(&gap, query.json);
            Ok(ExitCode::SUCCESS)
        }
        GapsAction::Approve { channel, dataset, by, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let body = object!({ "channel": channel, "dataset": dataset, "by": by });
            let stop = api.post("/api/v1/repair-stops/approve", &body).await?;
            show(&stop, query.json);
            Ok(ExitCode::SUCCESS)
        }
        GapsAction::Export { group, channel, format, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let group = group.map(|group| group.to_string());
            let chosen = [("group", &group), ("channel", &channel)];
            let filter: Vec<(&str, &str)> =
                chosen.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))).collect();
            let gaps = api.list("/api/v1/gaps/export", "gaps", &filter).await?;
            let by_default = if query.json { ExportFormat::Json } else { ExportFormat::Csv };
            match format.unwrap_or(by_default) {
                ExportFormat::Json => json(&object!({ "gaps": gaps })),
                ExportFormat::Csv => csv(&gaps)?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What a repair would do.
fn plan(plan: &[Value], as_json: bool) {
    if as_json {
        json(&object!({ "plan": plan }));
        return;
    }
    if plan.is_empty() {
        say(NOTHING);
        return;
    }
    let rows = plan.iter().map(|gap| {
        let by_itself = if gap["by_itself"] == true { "yes 是" } else { "no 否" };
        let mut row = ["id", "channel", "dataset", "kind", "step", "subject"].map(|key| cell(&gap[key])).to_vec();
        row.extend([by_itself.to_owned(), cell(&gap["why"])]);
        row
    });
    let head = [
        "id",
        "channel 渠道",
        "dataset 数据集",
        "kind 类型",
        "step 修复方式",
        "subject 对象",
        "by itself 自动",
        "why 说明",
    ];
    table(&head, &rows.collect::<Vec<_>>());
}

/// The list for the other side, as Excel opens it: UTF-8 needs its mark there, and text that begins like a formula a quote before it.
fn csv(gaps: &[Value]) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(vec![0xef, 0xbb, 0xbf]);
    let head = [
        "序号",
        "渠道",
        "数据集",
        "工单编号",
        "创建日期",
        "环节或事件",
        "差异类型",
        "事件时间起",
        "事件时间止",
        "贵方摘要",
        "我方摘要",
        "贵方清单时间",
        "确认时间",
        "说明",
        "请贵方",
    ];
    writer.write_record(head)?;
    for gap in gaps {
        let cells = [
            cell(&gap["id"]),
            cell(&gap["channel"]),
            cell(&gap["dataset_name"]),
            cell(&gap["number"]),
            cell(&gap["day"]),
            cell(&gap["part"]),
            cell(&gap["kind_name"]),
            cell(&gap["event_time"]["start"]),
            cell(&gap["event_time"]["end"]),
            cell(&gap["theirs"]),
            cell(&gap["ours"]),
            cell(&gap["as_of"]),
            cell(&gap["since"]),
            cell(&gap["detail"]),
            cell(&gap["asked"]),
        ];
        writer.write_record(cells.map(|text| harmless(&text)))?;
    }
    let bytes = writer.into_inner().map_err(|error| Failure(error.to_string()))?;
    say(String::from_utf8_lossy(&bytes).trim_end());
    Ok(())
}

fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() }
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
        "unfinished/all 未关闭/全部",
        "kinds 类型",
        "datasets 数据集",
        "window 时段",
        "since 发现时间",
    ];
    table(&head, &rows.collect::<Vec<_>>());
}
