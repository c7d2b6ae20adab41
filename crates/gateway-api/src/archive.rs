//! Months of records and timelines: listing them with what holds each back, taking one out, bringing one back.

use crate::auth::Caller;
use crate::extract::{Said, Segment};
use crate::refusals::no_month;
use crate::settling::person;
use crate::views::ChinaTime;
use crate::{Code, Problem};
use axum::extract::State;
use axum::{Extension, Json};
use gateway_model::Clock;
use gateway_store::{ArchiveStore, Hold, HoldKind, Month, MonthLeft, MonthRow, Returning, Store, Taking};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The body of `take` and `return`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mover {
    by: String,
}

fn show(row: &MonthRow) -> Value {
    json!({
        "month": row.month, "place": row.place, "records": row.records, "changes": row.changes, "bytes": row.bytes, "beside": row.beside,
        "taken_at": row.taken_at.map(ChinaTime), "taken_by": row.taken_by, "holds": row.holds,
    })
}

/// A month that the job left, for the status and the list.
pub(crate) fn left(left: &MonthLeft) -> Value {
    json!({ "month": left.month, "holds": left.holds, "looked_at": ChinaTime(left.looked_at) })
}

fn archive(store: &dyn Store) -> Result<&dyn ArchiveStore, Problem> {
    store.archive().ok_or_else(|| {
        Problem::new(
            Code::NoArchive,
            "the embedded store keeps every month in its one file and takes none out; what outgrows it moves to PostgreSQL by `hotline-gateway migrate-to`",
        )
        .zh("嵌入式存储把所有月份保存在同一个文件中，不支持按月归档；数据量超出时请用 hotline-gateway migrate-to 迁移到 PostgreSQL")
    })
}

fn month_of(Segment(text): &Segment) -> Result<Month, Problem> {
    text.parse().map_err(|_| no_month(text))
}

/// `GET /api/v1/archive`
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
) -> Result<Json<Value>, Problem> {
    let archive = archive(&*store)?;
    let months: Vec<Value> = archive.months(clock.now()).await?.iter().map(show).collect();
    let months_left: Vec<Value> = archive.months_left().await?.iter().map(left).collect();
    Ok(Json(json!({ "months": months, "months_left": months_left })))
}

/// `POST /api/v1/archive/{month}/take`
pub(crate) async fn take(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    Extension(caller): Extension<Caller>,
    segment: Segment,
    Said(mover): Said<Mover>,
) -> Result<Json<Value>, Problem> {
    let (archive, month) = (archive(&*store)?, month_of(&segment)?);
    let by = format!("{} ({})", person(&mover.by)?, caller.0.as_str());
    match archive.take_month(month, &by, clock.now(), None).await? {
        Taking::Taken { records, changes } => {
            tracing::info!(%month, records, changes, by, "a month was archived");
            Ok(Json(json!({ "month": month, "place": "archived", "records": records, "changes": changes })))
        }
        Taking::Held(holds) => Err(held(month, &holds)),
        Taking::Busy => Err(busy(month)),
    }
}

/// `POST /api/v1/archive/{month}/return`
pub(crate) async fn bring_back(
    State(store): State<Arc<dyn Store>>,
    Extension(caller): Extension<Caller>,
    segment: Segment,
    Said(mover): Said<Mover>,
) -> Result<Json<Value>, Problem> {
    let (archive, month) = (archive(&*store)?, month_of(&segment)?);
    let by = format!("{} ({})", person(&mover.by)?, caller.0.as_str());
    match archive.return_month(month).await? {
        Returning::Returned => {
            tracing::info!(%month, by, "a month was brought back from the archive");
            Ok(Json(json!({ "month": month, "place": "attached" })))
        }
        Returning::Busy => Err(busy(month)),
    }
}

fn busy(month: Month) -> Problem {
    let text = format!("{month} stays where it is: its tables were read without pause; nothing was changed, try again");
    Problem::new(Code::StoreUnavailable, text).zh(format!("{month} 未变动：相关表一直被读取；请稍后再试"))
}

fn held(month: Month, holds: &[Hold]) -> Problem {
    let told = |say: &dyn Fn(&Hold) -> String| holds.iter().map(say).collect::<Vec<_>>().join("; ");
    let ids = |hold: &Hold| if hold.first.is_empty() { String::new() } else { format!(": {}", hold.first.join(", ")) };
    let en = told(&|hold| format!("{}{}", reason(hold).0, ids(hold)));
    let zh = told(&|hold| format!("{}{}", reason(hold).1, ids(hold)));
    Problem::new(Code::MonthHeld, format!("{month} stays where it is: {en}"))
        .zh(format!("{month} 不能归档：{zh}"))
        .with("holds", json!(holds))
}

/// Why, and what ends it, in both languages.
fn reason(hold: &Hold) -> (String, String) {
    let n = hold.count;
    match hold.kind {
        HoldKind::Running => ("it is not over".into(), "该月尚未结束".into()),
        HoldKind::NewestRecord => {
            ("it has the newest record, after which ids go on".into(), "含最新一条记录，新编号须接续其后".into())
        }
        HoldKind::InUse => ("its tables were read without pause".into(), "相关表一直被读取".into()),
        HoldKind::ParkedRecords => (format!("{n} records wait for their order"), format!("{n} 条记录仍在等待其工单")),
        HoldKind::DeadLetters => {
            (format!("{n} dead letters are open, retry or waive them"), format!("{n} 条死信未处置，请重投或作废"))
        }
        HoldKind::Deliveries => {
            (format!("{n} deliveries have not ended, or wait for a person"), format!("{n} 条投递未了结或待人工处理"))
        }
        HoldKind::OpenOrders => (format!("{n} orders are not closed"), format!("{n} 张工单未办结归档")),
    }
}
