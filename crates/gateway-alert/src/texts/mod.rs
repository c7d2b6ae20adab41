//! What people are told, by code, in Chinese and English: what is wrong, and what to do.
//!
//! A template names values in braces: `{channel}`, `{subject}`, `{count}`, and what the check gives as facts; `{count|one|many}` is the first word
//! where the value is 1, else the second. What stands in square brackets is left out where one of its values is not known, or is 0. Facts that no
//! template names are appended, so that nothing a check knows is lost. Never personal data.

mod flow;
mod proof;
mod running;

use crate::{Finding, Language};
use gateway_model::{IncidentId, News};
use gateway_store::NotificationItem;
use std::collections::BTreeSet;

/// The words for one code.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// The code.
    pub code: &'static str,
    /// 中文.
    pub zh: Words,
    /// English.
    pub en: Words,
}

/// The words in one language.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// What it is called.
    pub name: &'static str,
    /// What is wrong; a template.
    pub what: &'static str,
    /// What to do; a template.
    pub todo: &'static str,
}

/// The code of a test notice.
pub const TEST: &str = "test_notice";

/// Of a code that nobody wrote words for.
pub(crate) const UNKNOWN: Text = Text {
    code: "unknown",
    zh: Words {
        name: "未归类异常", what: "数量 {count}。", todo: "查看 hotline-gateway alert show 与运行日志。"
    },
    en: Words {
        name: "unclassed trouble",
        what: "{count} of it.",
        todo: "see hotline-gateway alert show and the log.",
    },
};

/// Every text.
pub fn all() -> impl Iterator<Item = &'static Text> {
    flow::TEXTS.iter().chain(proof::TEXTS).chain(running::TEXTS)
}

/// The text of a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Text> {
    all().find(|text| text.code == code)
}

/// A finding in one line: what is wrong, what else is known, what to do.
#[must_use]
pub fn sentence(finding: &Finding, language: Language) -> String {
    let text = find(finding.code).unwrap_or(&UNKNOWN);
    let zh = language == Language::Zh;
    let words = if zh { &text.zh } else { &text.en };
    let item = NotificationItem {
        incident_id: IncidentId(0),
        news: News::Opened,
        code: finding.code.to_owned(),
        channel: finding.channel.clone(),
        subject: finding.subject.clone(),
        severity: finding.severity,
        count: finding.count,
        since: finding.since,
        opened_at: finding.since,
        resolved_at: None,
        facts: finding.facts.iter().map(|(name, value)| (name.clone().into_owned(), value.clone())).collect(),
        acknowledged_by: None,
    };
    let (what, more, todo) = (fill(words.what, &item), more_facts(words, &item, zh), fill(words.todo, &item));
    if zh { format!("{what}{more}{todo}") } else { format!("{what}{more} {todo}") }
}

/// Fills a template with what is known of an incident; a value that is not known, outside of brackets, is a dash.
#[must_use]
pub(crate) fn fill(template: &str, item: &NotificationItem) -> String {
    let mut text = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some(at) = rest.find(['{', '[']) {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let (opening, close) = if after.starts_with('[') { (true, ']') } else { (false, '}') };
        let Some((inner, after)) = after[1..].split_once(close) else {
            // A slip in a template: shown as it stands.
            rest = after;
            break;
        };
        if !opening {
            let (name, forms) = inner.split_once('|').map_or((inner, None), |(name, forms)| (name, Some(forms)));
            let value = value(name, item).unwrap_or_else(|| "—".to_owned());
            match forms.and_then(|forms| forms.split_once('|')) {
                Some((one, many)) => text.push_str(if value == "1" { one } else { many }),
                None => text.push_str(&value),
            }
        } else if names(inner).iter().all(|name| value(name, item).is_some_and(|value| value != "0")) {
            text.push_str(&fill(inner, item));
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// A value by its name; `None` where it is not known, which checks write as a dash.
fn value(name: &str, item: &NotificationItem) -> Option<String> {
    let value = match name {
        "count" => item.count.to_string(),
        "channel" => item.channel.as_ref()?.to_string(),
        "subject" => item.subject.clone(),
        fact => item.facts.get(fact)?.clone(),
    };
    (!matches!(value.as_str(), "" | "-")).then_some(value)
}

/// The names of a template's values, each once.
#[must_use]
pub fn names(template: &str) -> Vec<&str> {
    let named = template.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let names: BTreeSet<&str> = named.map(|(inside, _)| inside.split('|').next().unwrap_or(inside)).collect();
    names.into_iter().collect()
}

/// The names of those values that may be missing.
#[must_use]
pub fn optional_names(template: &str) -> Vec<&str> {
    let parts = template.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    parts.flat_map(|(inside, _)| names(inside)).collect()
}

/// What is known besides what the template names: facts as `name: value`, bounded in number by the checks.
pub(crate) fn more_facts(words: &Words, item: &NotificationItem, zh: bool) -> String {
    let told: Vec<&str> = names(words.what).into_iter().chain(names(words.todo)).collect();
    let facts = item.facts.iter().filter(|(name, value)| {
        // A dash is how a check says that it does not know.
        !told.contains(&name.as_str()) && !matches!(value.as_str(), "" | "-")
    });
    let facts = facts.map(|(name, value)| {
        let label = if zh { label(name) } else { name };
        format!("{label}{}{value}", if zh { "：" } else { ": " })
    });
    let facts: Vec<String> = facts.collect();
    match (facts.is_empty(), zh) {
        (true, _) => String::new(),
        (false, true) => format!("{}。", facts.join("，")),
        (false, false) => format!(" {}.", facts.join(", ")),
    }
}

/// What a fact is called in Chinese; its own name where nobody said.
fn label(name: &str) -> &str {
    match name {
        "error" => "原因",
        "expires_on" => "到期日",
        "days_left" => "剩余天数",
        "age_days" => "密钥已使用天数",
        "last_hour" => "最近一小时",
        "offset_ms" => "偏差毫秒",
        "clock_offset_ms" => "时钟偏差毫秒",
        "backfill_records" => "补采记录",
        other => other,
    }
}
