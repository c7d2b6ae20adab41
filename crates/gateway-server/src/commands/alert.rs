//! `alert`: incidents, silences, notifiers. All but `test` asks the API; `test` needs only the configuration, so that it also works while nothing
//! runs.

use super::client::{ApiClient, Thing};
use super::ops::show;
use super::print::{cell, json, say, table};
use super::said;
use crate::cli::{AlertAction, AlertOptions, QueryOptions, SilenceAction};
use crate::{Failure, config};
use gateway_alert::{Language, Writer, texts};
use gateway_model::{ChannelId, Clock as _, IncidentId, News, SystemClock, Timestamp, format_china};
use gateway_store::NotificationItem;
use serde_json::{Value, json as object};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Lists, shows and acknowledges incidents, silences them, and tries the notifiers.
///
/// # Errors
/// What the API tells; mistakes in the configuration.
pub async fn alert(options: AlertOptions) -> Result<ExitCode, Failure> {
    match options.action {
        AlertAction::List { state, channel, code, query } => list(&state, channel, code, &query).await,
        AlertAction::Show { id, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let thing = Thing::new("incident", "告警事件", id);
            let incident = api.find(&format!("/api/v1/incidents/{id}"), &[], thing).await?;
            show_incident(&incident, query.json);
            Ok(ExitCode::SUCCESS)
        }
        AlertAction::Acknowledge { id, by, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let path = format!("/api/v1/incidents/{id}/acknowledge");
            let incident = api.post(&path, &object!({ "by": by.unwrap_or_else(user) })).await?;
            if query.json {
                json(&incident);
            } else {
                say(format_args!("incident {id} is acknowledged 已确认告警 {id}"));
            }
            Ok(ExitCode::SUCCESS)
        }
        AlertAction::Silence { action } => silence(action).await,
        AlertAction::Notifiers(query) => notifiers(&query).await,
        AlertAction::Test { notifier, query } => test(notifier.as_deref(), &query).await,
    }
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "command line".into())
}

async fn list(
    state: &str,
    channel: Option<String>,
    code: Option<String>,
    query: &QueryOptions,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&query.installation).await?;
    let mut filter = Vec::new();
    if state != "all" {
        filter.push(("state", state));
    }
    filter.extend(channel.as_deref().map(|channel| ("channel", channel)));
    filter.extend(code.as_deref().map(|code| ("code", code)));
    let incidents = api.list("/api/v1/incidents", "incidents", &filter).await?;
    if query.json {
        json(&object!({ "incidents": incidents }));
        return Ok(ExitCode::SUCCESS);
    }
    let rows = incidents.iter().map(|incident| {
        let name = incident["code"].as_str().and_then(texts::find).map_or("", |text| text.zh.name);
        let mut row = vec![cell(&incident["id"]), cell(&incident["severity"]), cell(&incident["state"])];
        row.push(cell(&incident["channel"]));
        row.push(format!("{} {name}", cell(&incident["code"])));
        row.extend(["subject", "count", "since", "acknowledged_by"].map(|key| cell(&incident[key])));
        row
    });
    let head = [
        "id",
        "severity 级别",
        "state 状态",
        "channel 渠道",
        "code 代码",
        "subject 对象",
        "count 数量",
        "since 起始",
        "acknowledged 确认人",
    ];
    table(&head, &rows.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

fn show_incident(incident: &Value, as_json: bool) {
    if as_json {
        json(incident);
        return;
    }
    if let Some(item) = item(incident) {
        for language in [Language::Zh, Language::En] {
            let writer = Writer { language, installation: String::new(), link: String::new() };
            let entry = writer.entry(&item, SystemClock.now());
            say(format_args!("[{}] {}", entry.severity, entry.name));
            say(format_args!("  {}", entry.what));
            if !entry.todo.is_empty() {
                say(format_args!("  {}", entry.todo));
            }
        }
        say("");
    }
    for (key, value) in incident.as_object().into_iter().flatten().filter(|(key, _)| *key != "notifications") {
        say(format_args!("{key}: {}", cell(value)));
    }
    say("");
    let told = incident["notifications"].as_array().cloned().unwrap_or_default();
    let keys = ["created_at", "notifier", "news", "state", "attempts", "ended_at", "error"];
    let rows = told.iter().map(|row| keys.map(|key| cell(&row[key])).to_vec());
    let head =
        ["told 通知时间", "notifier 渠道", "news 内容", "state 状态", "attempts 次数", "ended 完成", "error 错误"];
    table(&head, &rows.collect::<Vec<_>>());
}

/// What the API shows of an incident, as notices have it; `None` where another version shows something else.
fn item(incident: &Value) -> Option<NotificationItem> {
    let time = |key: &str| incident[key].as_str()?.parse::<Timestamp>().ok();
    let text = |key: &str| incident[key].as_str().map(str::to_owned);
    let resolved_at = time("resolved_at");
    let facts = incident["facts"].as_object()?;
    Some(NotificationItem {
        incident_id: IncidentId(incident["id"].as_i64()?),
        news: if resolved_at.is_some() { News::Resolved } else { News::Lasting },
        code: text("code")?,
        channel: text("channel").and_then(|channel| ChannelId::new(channel).ok()),
        subject: text("subject")?,
        severity: incident["severity"].as_str()?.parse().ok()?,
        count: incident["count"].as_u64()?,
        since: time("since")?,
        opened_at: time("opened_at").or_else(|| time("first_seen_at"))?,
        resolved_at,
        facts: facts.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
        acknowledged_by: text("acknowledged_by"),
    })
}

async fn silence(action: SilenceAction) -> Result<ExitCode, Failure> {
    match action {
        SilenceAction::Add { channel, code, subject, from, until, lasting, reason, by, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let ends_at = match (until, lasting) {
                (Some(until), _) => until,
                (None, Some(lasting)) => ends_at(from.as_deref(), &lasting, SystemClock.now())?,
                (None, None) => return Err(said::no_end()),
            };
            let given = [("channel", channel), ("code", code), ("subject", subject), ("starts_at", from)];
            let mut body: BTreeMap<&str, String> =
                given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            body.extend([("ends_at", ends_at), ("reason", reason), ("by", by.unwrap_or_else(user))]);
            let made = api.post("/api/v1/silences", &object!(body)).await?;
            show(&made, query.json);
        }
        SilenceAction::List { all, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let filter = if all { vec![("all", "true")] } else { Vec::new() };
            let silences = api.list("/api/v1/silences", "silences", &filter).await?;
            if query.json {
                json(&object!({ "silences": silences }));
                return Ok(ExitCode::SUCCESS);
            }
            let keys =
                ["id", "state", "channel", "code", "subject", "starts_at", "ends_at", "reason", "by", "ended_by"];
            let rows = silences.iter().map(|row| keys.map(|key| cell(&row[key])).to_vec());
            let head = [
                "id",
                "state 状态",
                "channel 渠道",
                "code 代码",
                "subject 对象",
                "from 起",
                "until 止",
                "reason 原因",
                "by 设置人",
                "ended by 结束人",
            ];
            table(&head, &rows.collect::<Vec<_>>());
        }
        SilenceAction::End { id, by, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let body = object!({ "by": by.unwrap_or_else(user) });
            let ended = api.post(&format!("/api/v1/silences/{id}/end"), &body).await?;
            show(&ended, query.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// When a silence ends that begins then, or now, and lasts so long.
fn ends_at(from: Option<&str>, lasting: &str, now: Timestamp) -> Result<String, Failure> {
    let starts_at = match from {
        None => now,
        Some(text) => text.parse::<Timestamp>().map_err(|_| said::no_time(text))?,
    };
    let wrong = || said::no_length(lasting);
    let unit = lasting.chars().last().ok_or_else(wrong)?;
    let seconds: i64 = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = lasting[..lasting.len() - 1].parse().map_err(|_| wrong())?;
    let end = starts_at.as_second().saturating_add(seconds.saturating_mul(i64::from(number)));
    Timestamp::from_second(end).map(format_china).map_err(|_| wrong())
}

async fn notifiers(query: &QueryOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&query.installation).await?;
    let answer = api.must("/api/v1/notifiers", &[]).await?;
    if query.json {
        json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = answer["notifiers"].as_array().into_iter().flatten().map(|row| {
        let state = match (row["configured"] == true, row["sent_at"].is_null(), row["failing_since"].is_null()) {
            (false, ..) => "not configured any more 已不在配置中",
            (true, true, true) => "never used 从未使用",
            (true, _, true) => "works 正常",
            (true, _, false) => "fails 故障",
        };
        let mut cells = vec![cell(&row["id"]), cell(&row["kind"]), state.to_owned()];
        cells.extend(["sent_at", "failing_since", "failures", "error"].map(|key| cell(&row[key])));
        cells
    });
    let head = [
        "id",
        "kind 类型",
        "state 状态",
        "last sent 上次成功",
        "failing since 故障起始",
        "failures 失败",
        "error 错误",
    ];
    table(&head, &rows.collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

/// Sends a test notice; fails when one was not taken, so that scripts can ask.
async fn test(only: Option<&str>, query: &QueryOptions) -> Result<ExitCode, Failure> {
    let installation = &query.installation;
    let mut mistakes = Vec::new();
    let read = config::read(&installation.dir, installation.config_file().as_deref(), &mut mistakes);
    // Whatever else is wrong there: this needs the notifiers alone.
    mistakes.retain(|mistake| mistake.key.starts_with("alert"));
    let alerting = match read {
        Ok(config) => config::prepare_alerting(&config, &mut mistakes),
        Err(unreadable) => return Err(Failure(unreadable.to_string())),
    };
    let (true, Some(alerting)) = (mistakes.is_empty(), alerting) else {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
        return Err(said::notifiers_wrong(&lines.join("\n")));
    };
    let known: Vec<&str> = alerting.notifiers().iter().map(|(id, _)| *id).collect();
    if known.is_empty() {
        return Err(said::no_notifier_configured());
    }
    if let Some(unknown) = only.filter(|only| !known.contains(only)) {
        return Err(said::unknown_notifier(unknown, &known));
    }
    let tried = alerting.try_notifiers(only, SystemClock.now()).await;
    let good = tried.iter().all(|tried| tried.outcome.is_ok());
    if query.json {
        let rows = tried.iter().map(|tried| {
            let error = tried.outcome.as_ref().err();
            object!({
                "notifier": tried.notifier, "kind": tried.kind, "sent": error.is_none(),
                "code": error.map(gateway_alert::SendError::code), "error": error.map(ToString::to_string),
            })
        });
        json(&object!({ "tried": rows.collect::<Vec<_>>() }));
    } else {
        let rows = tried.iter().map(|tried| {
            let outcome = match &tried.outcome {
                Ok(()) => "sent 已送达".to_owned(),
                Err(error) => format!("failed 失败: {error}"),
            };
            vec![tried.notifier.clone(), tried.kind.to_owned(), outcome]
        });
        table(&["notifier 通知渠道", "kind 类型", "outcome 结果"], &rows.collect::<Vec<_>>());
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_silence_lasts_as_long_as_it_says() {
        let now: Timestamp = "2026-11-25T02:00:00Z".parse().unwrap();
        for (lasting, end) in [
            ("30m", "2026-11-25T10:30:00+08:00"),
            ("8h", "2026-11-25T18:00:00+08:00"),
            ("2d", "2026-11-27T10:00:00+08:00"),
        ] {
            assert_eq!(ends_at(None, lasting, now).unwrap(), end);
        }
        let from = Some("2026-11-26T00:00:00+08:00");
        assert_eq!(ends_at(from, "1h", now).unwrap(), "2026-11-26T01:00:00+08:00");
        for wrong in ["", "h", "8", "-1h", "8 h", "两h", "1小时"] {
            assert!(ends_at(None, wrong, now).is_err(), "{wrong}");
        }
        assert!(ends_at(Some("tonight"), "1h", now).is_err());
    }
}
