//! Findings in a node's row.

use crate::{Finding, texts};
use gateway_model::{ChannelId, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
struct Stored {
    code: String,
    channel: Option<ChannelId>,
    subject: String,
    severity: Severity,
    count: u64,
    since: Timestamp,
    facts: BTreeMap<String, String>,
}

pub(super) fn write(findings: &[Finding]) -> Result<String, serde_json::Error> {
    let stored = findings.iter().map(|finding| Stored {
        code: finding.code.to_owned(),
        channel: finding.channel.clone(),
        subject: finding.subject.clone(),
        severity: finding.severity,
        count: finding.count,
        since: finding.since,
        facts: finding.facts.iter().map(|(name, value)| (name.clone().into_owned(), value.clone())).collect(),
    });
    serde_json::to_string(&stored.collect::<Vec<_>>())
}

/// What `node` found. A code that this program does not know is left to those of its version.
pub(super) fn read(text: &str, node: &str) -> Result<Vec<Finding>, serde_json::Error> {
    let stored: Vec<Stored> = serde_json::from_str(text)?;
    let known = stored.into_iter().filter_map(|stored| {
        let code = texts::all().map(|text| text.code).find(|code| *code == stored.code)?;
        let subject = if stored.subject.is_empty() { node.to_owned() } else { format!("{} @ {node}", stored.subject) };
        let facts = stored.facts.into_iter().map(|(name, value)| (Cow::Owned(name), value));
        Some(Finding {
            code,
            channel: stored.channel,
            subject,
            severity: stored.severity,
            count: stored.count,
            since: stored.since,
            facts: facts.chain([(Cow::Borrowed("node"), node.to_owned())]).collect(),
        })
    });
    Ok(known.collect())
}
