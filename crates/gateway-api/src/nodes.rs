//! The processes of a gateway that runs in several.

use crate::Problem;
use crate::extract::Segment;
use crate::views::ChinaTime;
use axum::Json;
use axum::extract::State;
use gateway_store::{NodeRow, Store, StoreError};
use serde_json::{Value, json};
use std::sync::Arc;

fn show(node: &NodeRow) -> Value {
    let findings: Value = serde_json::from_str(&node.findings).unwrap_or_default();
    json!({
        "name": node.name, "roles": node.roles, "version": node.version, "state": if node.stopped_at.is_some() { "stopped" } else { "started" },
        "started_at": ChinaTime(node.started_at), "seen_at": ChinaTime(node.seen_at), "stopped_at": node.stopped_at.map(ChinaTime),
        "spool_messages": node.spool_messages, "spool_oldest_at": node.spool_oldest_at.map(ChinaTime),
        "findings": findings.as_array().map_or(0, Vec::len),
    })
}

/// `GET /api/v1/nodes`
pub(crate) async fn list(State(store): State<Arc<dyn Store>>) -> Result<Json<Value>, Problem> {
    let nodes: Vec<_> = store.nodes().await?.iter().map(show).collect();
    Ok(Json(json!({ "nodes": nodes })))
}

/// `POST /api/v1/nodes/{name}/forget`
pub(crate) async fn forget(
    State(store): State<Arc<dyn Store>>,
    Segment(name): Segment,
) -> Result<Json<Value>, Problem> {
    match store.forget_node(&name).await {
        Err(StoreError::NotFound { .. }) => Err(Problem::not_found("node", &name)
            .zh(format!("没有名为 {name} 的节点；hotline-gateway nodes 可查看全部节点"))),
        forgotten => {
            forgotten?;
            Ok(Json(json!({ "forgotten": name })))
        }
    }
}
