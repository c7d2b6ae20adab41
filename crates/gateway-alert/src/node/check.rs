//! What the rows of all processes say.

use super::stored;
use crate::checks::finding;
use crate::{Check, CheckError, Finding, NodeConfig};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use gateway_store::{NodeRow, Store};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `node_silent`, subject = the node, facts `roles`, `silent_s` and, where its spool holds anything, `spool_messages`: a warning, critical with
/// messages in the spool, since nobody else has them. `role_absent` (critical), subject = the role, fact `role`: no process that lives does this part
/// of the work. And whatever the processes found themselves, with the fact `node`.
struct Nodes {
    store: Arc<dyn Store>,
    config: NodeConfig,
    roles: Vec<String>,
    absent_since: BTreeMap<String, Timestamp>,
}

/// The check of all processes; `roles` are the parts of the work that have to be done.
#[must_use]
pub fn nodes_check(store: Arc<dyn Store>, config: NodeConfig, roles: Vec<String>) -> Box<dyn Check> {
    Box::new(Nodes { store, config, roles, absent_since: BTreeMap::new() })
}

fn passed_ms(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond().saturating_sub(since.as_millisecond())).unwrap_or(0)
}

impl Nodes {
    fn is_silent(&self, node: &NodeRow, now: Timestamp) -> bool {
        passed_ms(node.seen_at, now) >= self.config.silent_after_ms
    }

    fn silent(&self, node: &NodeRow, now: Timestamp) -> Option<Finding> {
        let holds = node.spool_messages > 0;
        // One that ended in order and has given everything away is not missed.
        if !self.is_silent(node, now) || (node.stopped_at.is_some() && !holds) {
            return None;
        }
        let severity = if holds { Severity::Critical } else { Severity::Warning };
        let facts = [
            ("node", node.name.clone()),
            ("roles", node.roles.join(", ")),
            ("silent_s", (passed_ms(node.seen_at, now) / 1_000).to_string()),
            ("spool_messages", node.spool_messages.to_string()),
        ];
        Some(finding("node_silent", None, &node.name, severity, node.spool_messages.max(1), node.seen_at, facts))
    }

    fn absent(&mut self, nodes: &[NodeRow], now: Timestamp) -> Vec<Finding> {
        let lives = |node: &NodeRow| node.stopped_at.is_none() && !self.is_silent(node, now);
        let missing = |role: &&String| !nodes.iter().any(|node| lives(node) && node.roles.contains(role));
        let missing: Vec<String> = self.roles.iter().filter(missing).cloned().collect();
        self.absent_since.retain(|role, _| missing.contains(role));
        let mut findings = Vec::new();
        for role in missing {
            let since = *self.absent_since.entry(role.clone()).or_insert(now);
            // A restart is no absence.
            if passed_ms(since, now) >= self.config.silent_after_ms {
                let facts = [("role", role.clone())];
                findings.push(finding("role_absent", None, &role, Severity::Critical, 1, since, facts));
            }
        }
        findings
    }
}

#[async_trait]
impl Check for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let nodes = self.store.nodes().await?;
        let mut findings = self.absent(&nodes, now);
        for node in &nodes {
            findings.extend(self.silent(node, now));
            if !self.is_silent(node, now) {
                findings.extend(stored::read(&node.findings, &node.name).map_err(|error| CheckError::Unreadable {
                    what: format!("what the node {} told", node.name),
                    source: error.into(),
                })?);
            }
        }
        Ok(findings)
    }
}
