//! `GET /api/v1/status`: the truth about every task and channel on one page.
//!
//! It answers also while the store or the bus is down; what can't be read then is null, and the reason stands under `warnings`.

use crate::flow::lag;
use crate::health::unready;
use crate::reconcile::of_channel;
use crate::state::{ChannelInfo, Channels};
use crate::views::ChinaTime;
use crate::{ApiConfig, Problem, StatusSource, Warning};
use axum::Json;
use axum::extract::State;
use gateway_bus::Bus;
use gateway_model::{ChannelId, Clock, Severity, Timestamp};
use gateway_runtime::{TaskHealth, TaskStatus};
use gateway_store::{DeadLetterFilter, DeadLetterState, Store};
use serde_json::{Value, json};
use std::sync::Arc;

/// How many open dead letters are counted before "or more".
const COUNTED: u32 = 1000;

/// `GET /api/v1/status`
pub(crate) async fn status(
    State(store): State<Arc<dyn Store>>,
    State(bus): State<Arc<dyn Bus>>,
    State(status): State<Arc<dyn StatusSource>>,
    State(channels): State<Channels>,
    State(clock): State<Arc<dyn Clock>>,
    State(config): State<Arc<ApiConfig>>,
) -> Json<Value> {
    let reasons = unready(&*store, &*bus, &*status, config.check_timeout()).await;
    let tasks = status.tasks();
    let unhealthy = tasks.iter().find(|task| task.health != TaskHealth::Healthy);
    let mut warnings: Vec<Value> = status.warnings().iter().map(warning).collect();
    let now = ChinaTime(clock.now());
    warnings.extend(reasons.iter().map(|(part, text)| bare(&format!("unready_{part}"), text)));
    let books_readable = !reasons.iter().any(|(part, _)| matches!(*part, "store" | "bus"));
    let books = if books_readable {
        tokio::time::timeout(config.check_timeout(), books(&*store, &*bus, &channels)).await.ok()
    } else {
        None
    };
    let reconcile = if books_readable {
        tokio::time::timeout(config.check_timeout(), reconciled(&*store, &channels, clock.now())).await.ok()
    } else {
        None
    };
    let reconcile = reconcile.and_then(Result::ok);
    for stop in reconcile.iter().flatten().flat_map(|channel| channel["repair_stops"].as_array()).flatten() {
        if stop["waiting"] == true {
            warnings.push(json!({
                "code": "repair_stopped", "channel": stop["channel"], "since": stop["since"],
                "text": format!("{} gaps of {}: nothing is repaired until a person has looked and approves", stop["gaps"], stop["dataset"].as_str().unwrap_or_default()),
            }));
        }
    }
    let books = match books {
        Some(Ok(books)) => books,
        Some(Err(problem)) => {
            warnings.push(bare(problem.code().as_str(), "the books can't be read"));
            Value::Null
        }
        None => Value::Null,
    };
    let months_left = match store.archive().filter(|_| books_readable) {
        Some(archive) => tokio::time::timeout(config.check_timeout(), archive.months_left()).await.ok(),
        None => None,
    };
    let months_left: Option<Vec<Value>> =
        months_left.and_then(Result::ok).map(|months| months.iter().map(crate::archive::left).collect());
    Json(json!({
        "at": now, "started_at": ChinaTime(status.started_at()), "version": env!("CARGO_PKG_VERSION"),
        "ready": reasons.is_empty(), "healthy": reasons.is_empty() && unhealthy.is_none(), "health": worst(tasks.iter()), "tasks": tasks,
        "channels": channels.0.iter().map(|info| channel(info, &tasks)).collect::<Vec<_>>(),
        "reconcile": reconcile, "books": books, "months_left": months_left, "warnings": warnings,
    }))
}

fn warning(warning: &Warning) -> Value {
    json!({
        "code": warning.code, "channel": warning.channel, "subject": warning.subject, "severity": warning.severity, "count": warning.count,
        "facts": warning.facts, "text": warning.text, "since": ChinaTime(warning.since),
    })
}

/// What is wrong with this very answer.
fn bare(code: &str, text: &str) -> Value {
    json!({
        "code": code, "channel": null, "subject": "", "severity": Severity::Critical, "count": 1, "facts": {}, "text": text, "since": null,
    })
}

/// The health of the least healthy; null when there is none to be.
fn worst<'a>(tasks: impl Iterator<Item = &'a TaskStatus>) -> Option<TaskHealth> {
    let rank = |health: &TaskHealth| match health {
        TaskHealth::Healthy => 0,
        TaskHealth::Failing => 1,
        TaskHealth::Stalled => 2,
        TaskHealth::Ended => 3,
    };
    tasks.map(|task| task.health).max_by_key(rank)
}

fn channel(info: &ChannelInfo, tasks: &[TaskStatus]) -> Value {
    let suffix = format!("/{}", info.channel);
    let own = || tasks.iter().filter(|task| task.name.ends_with(&suffix));
    json!({
        "channel": info.channel, "connector": info.connector, "source": info.source, "receiver": info.receiver, "sink": info.sink,
        "verifiable": info.manifest, "health": worst(own()), "tasks": own().map(|task| &task.name).collect::<Vec<_>>(),
    })
}

async fn reconciled(store: &dyn Store, channels: &Channels, now: Timestamp) -> Result<Vec<Value>, Problem> {
    let mut shown = Vec::new();
    for info in channels.0.iter() {
        shown.push(of_channel(store, info, now).await?);
    }
    Ok(shown)
}

async fn books(store: &dyn Store, bus: &dyn Bus, channels: &Channels) -> Result<Value, Problem> {
    let by_channel = |pairs: Vec<(ChannelId, u64)>| -> Vec<Value> {
        pairs
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(channel, count)| json!({"channel": channel, "count": count}))
            .collect()
    };
    let waiting = lag(bus, channels, &store.flow_positions().await?).await?;
    let filter = DeadLetterFilter { state: Some(DeadLetterState::Open), ..DeadLetterFilter::default() };
    let letters = store.dead_letters(&filter, COUNTED).await?.len();
    let jobs = store.job_tallies().await?;
    let jobs: Vec<_> = jobs
        .iter()
        .map(|(kind, channel, count)| json!({"kind": kind.as_str(), "channel": channel, "count": count}))
        .collect();
    let gaps = store.gap_tallies().await?;
    let gaps: Vec<_> = gaps
        .iter()
        .map(|(channel, kind, state, count)| json!({"channel": channel, "kind": kind, "state": state, "count": count}))
        .collect();
    let anomalies = store.anomalies().await?;
    let anomalies: Vec<_> = anomalies
        .iter()
        .map(|one| {
            json!({"channel": one.channel, "kind": one.kind, "subject": one.subject, "count": one.count, "last_at": ChinaTime(one.last_at)})
        })
        .collect();
    Ok(json!({
        "orders": store.order_count().await?, "records_on_bus": by_channel(waiting), "changes_parked": by_channel(store.parked_changes().await?),
        "dead_letters_open": letters, "dead_letters_counted_to": COUNTED, "jobs": jobs, "gaps": gaps, "anomalies": anomalies,
        "attachments": crate::attachments::tallies(store).await?,
    }))
}
