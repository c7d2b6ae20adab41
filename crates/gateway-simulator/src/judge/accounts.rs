//! The gateway's own accounts: flow, gaps, dead letters, faults. Do they add up, and is what they say true?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::verdict::Verdict;
use super::{ControlPoint, Reader};
use crate::clock;
use crate::digest::Dataset;
use crate::error::SimError;
use crate::http;

/// The kind of gap that says that a file which a record refers to is not here; its detail begins `attachment <id>`.
const ATTACHMENT_MISSING: &str = "attachment_missing";
const INBOUND: &[&str] = &["duplicate", "applied", "dead_lettered", "in_flight"];
const OUTBOUND: &[&str] = &["acknowledged", "superseded", "rejected", "dead_lettered", "waived", "in_flight"];

/// The flow book, with what the source has.
pub(super) async fn flow(
    reader: &Reader<'_>,
    at_source: &[(&str, [usize; 4])],
    commands: usize,
    verdict: &mut Verdict,
) -> Result<(), SimError> {
    let flow = reader.gateway("/api/v1/flow").await?;
    let count_at = |channel: &str, dataset: Dataset| {
        at_source.iter().find(|(source, _)| *source == channel).map(|(_, counts)| counts[dataset as usize])
    };
    let mut seen = Vec::new();
    for row in flow["inbound"].as_array().into_iter().flatten() {
        let mut row = row.clone();
        adds_up(&row, "captured", INBOUND, verdict);
        let dataset = row["dataset"].as_str().and_then(Dataset::parse);
        let channel = word(&row, "channel").to_owned();
        row["at_source"] = match dataset.and_then(|dataset| count_at(&channel, dataset)) {
            Some(count) => json!(count),
            // What the desk's book holds is commands, of whatever dataset.
            _ => {
                if row["channel"] == "desk" {
                    json!(commands)
                } else {
                    Value::Null
                }
            }
        };
        seen.extend(dataset.map(|dataset| (channel, dataset)));
        verdict.inbound.push(row);
    }
    for (channel, counts) in at_source {
        for dataset in Dataset::ALL.into_iter().filter(|dataset| counts[*dataset as usize] > 0) {
            if !seen.contains(&((*channel).to_owned(), dataset)) {
                verdict.mismatch(channel, dataset.as_str(), "", "flow_missing");
            }
        }
    }
    for row in flow["outbound"].as_array().into_iter().flatten() {
        adds_up(row, "owed", OUTBOUND, verdict);
        if count(row, "dead_lettered") > 0 {
            verdict.mismatch(word(row, "channel"), word(row, "dataset"), "", "delivery_dead_lettered");
        }
        verdict.outbound.push(row.clone());
    }
    Ok(())
}

fn adds_up(row: &Value, whole: &str, parts: &[&str], verdict: &mut Verdict) {
    let (channel, dataset) = (word(row, "channel"), word(row, "dataset"));
    if count(row, whole) != parts.iter().map(|part| count(row, part)).sum::<i64>() {
        verdict.mismatch(channel, dataset, "", format!("{whole}_does_not_add_up"));
    }
    if count(row, "in_flight") != 0 {
        verdict.mismatch(channel, dataset, "", "in_flight");
    }
}

/// Every gap: its end, and whether there was a difference at all. Returned are the attachments that are said to be missing, by channel and id: whether that is
/// so the platform's book of files tells.
pub(super) async fn gaps(reader: &Reader<'_>, verdict: &mut Verdict) -> Result<BTreeSet<(String, String)>, SimError> {
    let mut after = Value::Null;
    let mut unfinished = BTreeSet::new();
    loop {
        let page = reader.gateway(&format!("/api/v1/gaps?limit=500{}", from(&after))).await?;
        for gap in page["gaps"].as_array().into_iter().flatten() {
            after = gap["id"].clone();
            if gap["opened_at"].is_null() {
                continue;
            }
            verdict.gaps.opened += 1;
            *verdict.gaps.by_kind.entry(word(gap, "kind").to_owned()).or_default() += 1;
            let of_files = reader.options.attachments.is_some() && gap["kind"] == ATTACHMENT_MISSING;
            match word(gap, "state") {
                "closed" => verdict.gaps.repaired += 1,
                "waived" => verdict.gaps.waived += 1,
                _ if of_files => {
                    verdict.gaps.open += 1;
                    let id = word(gap, "detail").split(' ').nth(1).unwrap_or_default();
                    unfinished.insert((word(gap, "channel").to_owned(), id.to_owned()));
                }
                _ => {
                    verdict.gaps.open += 1;
                    verdict.mismatch(word(gap, "channel"), word(gap, "dataset"), word(gap, "number"), "gap_open");
                }
            }
            let source = reader.options.sources().find(|source| gap["channel"] == source.channel);
            if let Some(source) = source
                && !of_files
                && is_false(reader, source.platform, gap).await?
            {
                verdict.gaps.false_gaps += 1;
                verdict.mismatch(word(gap, "channel"), word(gap, "dataset"), word(gap, "number"), "gap_false");
            }
        }
        if page["more"] != true || after.is_null() {
            return Ok(unfinished);
        }
    }
}

/// By the platform's own history the item was at the second look what the gateway says that it held.
async fn is_false(reader: &Reader<'_>, platform: &ControlPoint, gap: &Value) -> Result<bool, SimError> {
    let (Some(number), Some(part)) = (gap["number"].as_str(), gap["part"].as_str()) else { return Ok(false) };
    let evidence = &gap["evidence"];
    let Some((at, exact)) = evidence["compared_at"].as_str().and_then(clock::api_ms) else { return Ok(false) };
    let ours = evidence["ours"].as_str();
    let path = format!(
        "/sim/history?dataset={}&number={}&part={}",
        word(gap, "dataset"),
        http::escape(number),
        http::escape(part)
    );
    let answer = http::get(&reader.client, &platform.url, &path, &platform.token).await?;
    let versions: Vec<(i64, Option<&str>)> = answer["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|version| Some((version[0].as_i64()?, version[1].as_str())))
        .collect();
    let theirs =
        |moment: i64| versions.iter().rev().find(|(since, _)| *since <= moment).and_then(|(_, digest)| *digest);
    // A time given to the second leaves the moment open within it: only what holds for the whole of it is held against the gap.
    let until = if exact { at } else { at + 999 };
    let moments = [at, until]
        .into_iter()
        .chain(versions.iter().map(|(since, _)| *since).filter(|since| (at..=until).contains(since)));
    Ok(moments.into_iter().all(|moment| theirs(moment) == ours))
}

/// Dead letters that nobody settled.
pub(super) async fn dead_letters(reader: &Reader<'_>, verdict: &mut Verdict) -> Result<(), SimError> {
    let mut after = Value::Null;
    loop {
        let page = reader.gateway(&format!("/api/v1/dead-letters?state=open{}", from(&after))).await?;
        for letter in page["dead_letters"].as_array().into_iter().flatten() {
            after = letter["id"].clone();
            verdict.mismatch(
                word(letter, "channel"),
                word(letter, "dataset"),
                word(letter, "number"),
                "dead_letter_open",
            );
        }
        if page["more"] != true || after.is_null() {
            return Ok(());
        }
    }
}

/// What was injected at a counterparty, by kind; a heavy plan must have injected everything.
pub(super) async fn faults(
    reader: &Reader<'_>,
    channel: &str,
    platform: &ControlPoint,
    verdict: &mut Verdict,
) -> Result<BTreeMap<String, u64>, SimError> {
    let (by_kind, heavy) = injected(reader, platform).await?;
    for (kind, _) in by_kind.iter().filter(|(_, count)| heavy && **count == 0) {
        verdict.mismatch(channel, "", "", format!("fault_not_injected:{kind}"));
    }
    Ok(by_kind)
}

/// What was injected where citizens write, by channel and kind. Each of them is too small to see every kind; a heavy plan must have injected something.
pub(super) async fn front_faults(
    reader: &Reader<'_>,
    verdict: &mut Verdict,
) -> Result<BTreeMap<String, BTreeMap<String, u64>>, SimError> {
    let mut fronts = BTreeMap::new();
    for front in &reader.options.fronts {
        let (by_kind, heavy) = injected(reader, &front.platform).await?;
        if heavy && by_kind.values().all(|count| *count == 0) {
            verdict.mismatch(&front.channel, "", "", "no_fault_injected");
        }
        fronts.insert(front.channel.clone(), by_kind);
    }
    Ok(fronts)
}

/// How often each kind of a counterparty's plan was injected, and whether the plan is the heavy one.
async fn injected(reader: &Reader<'_>, platform: &ControlPoint) -> Result<(BTreeMap<String, u64>, bool), SimError> {
    let faults = http::get(&reader.client, &platform.url, "/sim/faults", &platform.token).await?;
    let enabled = faults["enabled"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let by_kind =
        enabled.map(|kind| (kind.to_owned(), faults["injected"][kind].as_u64().unwrap_or_default())).collect();
    Ok((by_kind, faults["plan"] == "heavy"))
}

fn from(after: &Value) -> String {
    match after {
        Value::String(id) => format!("&after={}", http::escape(id)),
        Value::Number(id) => format!("&after={id}"),
        _ => String::new(),
    }
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

fn count(row: &Value, name: &str) -> i64 {
    row[name].as_i64().unwrap_or_default()
}
