//! The registry of operating data (运营数据): what it holds, and taking a file of it.
//!
//! A file is read whole and checked whole before anything is written, and written in one transaction: it is taken as it is, or not at all. Drivers are kept as
//! keyed hashes, so a file of them leaves nothing of a person behind.

mod file;

use crate::extract::{Params, Segment, read_body};
use crate::views::ChinaTime;
use crate::{ApiConfig, Code, Problem};
use axum::Json;
use axum::extract::{Request, State};
use file::{FileMistake, Taken, read};
use gateway_model::{Clock, PersonKey, RegistryKind};
use gateway_store::Store;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The largest file, in bytes.
const LARGEST_FILE: usize = 64 * 1024 * 1024;

/// How many mistakes are told one by one.
const MOST_MISTAKES: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportParams {
    /// The file is the whole registry of its kind: what it lacks is removed.
    #[serde(default)]
    whole: bool,
}

/// `GET /api/v1/registry`
pub(crate) async fn show(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
) -> Result<Json<Value>, Problem> {
    let imports = store.registry_imports().await?;
    let registry: Vec<_> = imports
        .iter()
        .map(|import| {
            json!({
                "kind": import.kind, "entries": import.entries, "imported_at": ChinaTime(import.imported_at), "seq": import.seq,
            })
        })
        .collect();
    let tallies = store.verification_tallies().await?;
    let verifications: Vec<_> = tallies
        .iter()
        .map(|(channel, verdict, orders)| json!({"channel": channel, "verdict": verdict, "orders": orders}))
        .collect();
    let waiting = store.waiting_lookups(clock.now()).await?;
    let pending: Vec<_> = waiting
        .iter()
        .map(|one| json!({"channel": one.kind, "orders": one.count, "since": ChinaTime(one.oldest)}))
        .collect();
    Ok(Json(json!({"registry": registry, "verifications": verifications, "pending": pending})))
}

/// `POST /api/v1/registry/{kind}`: the body is the file.
pub(crate) async fn import(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(config): State<Arc<ApiConfig>>,
    State(key): State<PersonKey>,
    kind: Segment,
    Params(params): Params<ImportParams>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let kind: RegistryKind = kind.0.parse().map_err(|_| {
        let names = RegistryKind::ALL.map(RegistryKind::as_str).join(", ");
        Problem::new(Code::NoSuchPath, format!("a registry file lists one of: {names}"))
            .zh(format!("登记数据的种类为：{names}"))
    })?;
    let (parts, body) = request.into_parts();
    let bytes = read_body(&parts.headers, body, LARGEST_FILE, config.body_timeout()).await?;
    // Some hundred milliseconds of arithmetic for each hundred thousand lines.
    let taken = tokio::task::spawn_blocking(move || read(kind, &bytes, &key)).await;
    let taken = taken.map_err(|_| Problem::new(Code::Internal, "the file could not be read"))?;
    let Taken { entries, ignored_columns } = taken.map_err(|mistakes| refused(&mistakes))?;
    let change = store.import_registry(kind, &entries, params.whole, clock.now()).await?;
    tracing::info!(
        %kind, entries = entries.len(), added = change.added, changed = change.changed, removed = change.removed,
        "a registry file was imported"
    );
    Ok(Json(json!({
        "kind": kind, "entries": entries.len(), "added": change.added, "changed": change.changed, "unchanged": change.unchanged,
        "removed": change.removed, "ignored_columns": ignored_columns,
    })))
}

fn refused(mistakes: &[FileMistake]) -> Problem {
    let shown: Vec<_> = mistakes
        .iter()
        .take(MOST_MISTAKES)
        .map(|mistake| json!({"line": mistake.line, "column": mistake.column, "what": mistake.what, "what_zh": mistake.what_zh}))
        .collect();
    let count = mistakes.len();
    Problem::new(Code::InvalidRegistry, format!("the file has {count} mistakes; nothing of it was taken"))
        .zh(format!("文件有 {count} 处错误，未导入任何内容"))
        .with("mistakes", Value::Array(shown))
        .with("mistake_count", json!(count))
}
