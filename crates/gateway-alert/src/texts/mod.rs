//! What people are told, by code, in Chinese and English: what is wrong, and what to do.
//!
//! A template names values in braces: `{channel}`, `{subject}`, `{count}`, and what the check gives as facts. Facts that no template names are
//! appended, so that nothing a check knows is lost. Never personal data.

mod flow;
mod proof;
mod running;

use crate::{Finding, Language};
use gateway_model::{IncidentId, News};
use gateway_store::NotificationItem;

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
        facts: finding.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        acknowledged_by: None,
    };
    let (what, more, todo) = (fill(words.what, &item), more_facts(words, &item, zh), fill(words.todo, &item));
    if zh { format!("{what}{more}{todo}") } else { format!("{what}{more} {todo}") }
}

/// Fills a template with what is known of an incident; a value that is not known is a dash.
#[must_use]
pub(crate) fn fill(template: &str, item: &NotificationItem) -> String {
    let mut text = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        match name {
            "count" => text.push_str(&item.count.to_string()),
            "channel" => text.push_str(item.channel.as_ref().map_or("—", |channel| channel.as_str())),
            "subject" if item.subject.is_empty() => text.push('—'),
            "subject" => text.push_str(&item.subject),
            fact => text.push_str(item.facts.get(fact).map_or("—", String::as_str)),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The names of a template's values.
#[must_use]
pub fn names(template: &str) -> Vec<&str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
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
