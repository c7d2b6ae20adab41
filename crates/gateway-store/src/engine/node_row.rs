//! A node, read back.

use super::column::{Cells, Columns};
use crate::{NodeRow, StoreError};

/// The columns of `node/list`.
pub(crate) fn node_row<R: Cells>(row: &R) -> Result<NodeRow, StoreError> {
    let mut columns = Columns::of("node", row);
    Ok(NodeRow {
        name: columns.string()?,
        holder: columns.string()?,
        roles: columns.string()?.split(',').filter(|role| !role.is_empty()).map(str::to_owned).collect(),
        version: columns.string()?,
        key_print: columns.string()?,
        started_at: columns.time()?,
        seen_at: columns.time()?,
        stopped_at: columns.maybe_time()?,
        spool_messages: columns.count()?,
        spool_oldest_at: columns.maybe_time()?,
        spool: columns.json()?,
        findings: columns.string()?,
    })
}

/// Why a node was not written.
pub(crate) fn taken(node: &NodeRow) -> StoreError {
    StoreError::WrongState {
        what: "node",
        id: node.name.clone(),
        state: "run by a process that was started later".into(),
    }
}

/// What a node's spool holds, for its column.
pub(crate) fn spool_json(node: &NodeRow) -> Result<String, StoreError> {
    serde_json::to_string(&node.spool).map_err(|source| StoreError::Damaged {
        what: format!("what the spool of node {} holds can't be written", node.name),
        source: Some(Box::new(source)),
    })
}
