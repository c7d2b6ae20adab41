//! What a notifier is given: the notification, put into words.

use crate::config::Language;
use crate::texts;
use gateway_model::{CHINA, News, Severity, Timestamp};
use gateway_store::{NotificationItem, NotificationRow};

/// Puts notifications into words.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The language.
    pub language: Language,
    /// What this installation is called; empty for nothing.
    pub installation: String,
    /// Where people look further; empty for nowhere.
    pub link: String,
}

/// A notification in words. Nothing in it is personal data.
#[derive(Debug, Clone)]
pub struct Notice {
    /// By which a receiver recognizes a repeat.
    pub key: String,
    /// When it was written.
    pub at: Timestamp,
    /// The language that it is written in.
    pub language: Language,
    /// One line: how bad, where, what, how many.
    pub title: String,
    /// What it tells, the worst first.
    pub entries: Vec<Entry>,
    /// What comes after the entries; one line.
    pub footer: String,
    /// What the installation is called.
    pub installation: String,
    /// Where people look further.
    pub link: String,
}

/// One incident in words.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The incident.
    pub item: NotificationItem,
    /// What is new, in a word.
    pub news: &'static str,
    /// The severity, in a word.
    pub severity: &'static str,
    /// What it is called.
    pub name: String,
    /// What is wrong, how many, since when.
    pub what: String,
    /// What to do.
    pub todo: String,
}

impl Notice {
    /// As plain text, with at most so many entries.
    #[must_use]
    pub fn plain(&self, most: usize) -> String {
        let mut text = String::new();
        for entry in self.entries.iter().take(most) {
            text.push_str(&format!("[{}] [{}] {}\n  {}\n", entry.news, entry.severity, entry.name, entry.what));
            if !entry.todo.is_empty() {
                text.push_str(&format!("  {}\n", entry.todo));
            }
            text.push('\n');
        }
        if let Some(more) = self.more(most) {
            text.push_str(&more);
            text.push_str("\n\n");
        }
        text.push_str(&self.footer);
        text
    }

    /// As Markdown of at most so many bytes, as robots take it.
    #[must_use]
    pub fn markdown(&self, most_bytes: usize) -> String {
        // Entries are left out from the end until it fits; what is left out is said.
        for most in (0..=self.entries.len()).rev() {
            let mut text = format!("### {}\n", self.title);
            for entry in self.entries.iter().take(most) {
                text.push_str(&format!(
                    "\n**[{}] [{}] {}**\n> {}\n",
                    entry.news, entry.severity, entry.name, entry.what
                ));
                if !entry.todo.is_empty() {
                    text.push_str(&format!("> {}\n", entry.todo));
                }
            }
            if let Some(more) = self.more(most) {
                text.push_str(&format!("\n{more}\n"));
            }
            text.push_str(&format!("\n{}", self.footer));
            if text.len() <= most_bytes {
                return text;
            }
        }
        let mut text = self.title.clone();
        while text.len() > most_bytes {
            text.pop();
        }
        text
    }

    fn more(&self, most: usize) -> Option<String> {
        let more = self.entries.len().checked_sub(most).filter(|more| *more > 0)?;
        Some(match self.language {
            Language::Zh => format!("另有 {more} 项，请用 hotline-gateway alert list 查看。"),
            Language::En => format!("{more} more: see hotline-gateway alert list."),
        })
    }
}

impl Writer {
    /// A notification in words.
    #[must_use]
    pub fn write(&self, row: &NotificationRow, now: Timestamp) -> Notice {
        let entries: Vec<Entry> = row.items.iter().map(|item| self.entry(item, now)).collect();
        let title = self.title(&entries, row.summary);
        Notice {
            key: row.key.clone(),
            at: row.created_at,
            language: self.language,
            title,
            entries,
            footer: self.footer(),
            installation: self.installation.clone(),
            link: self.link.clone(),
        }
    }

    fn title(&self, entries: &[Entry], summary: bool) -> String {
        let zh = self.language == Language::Zh;
        let mut title = String::new();
        if !self.installation.is_empty() {
            title.push_str(&format!("[{}] ", self.installation));
        }
        if summary {
            title.push_str(if zh { "免打扰时段汇总：" } else { "Held back in quiet hours: " });
        }
        if let Some(first) = entries.first() {
            title.push_str(&format!("[{}][{}] {}", first.news, first.severity, first.name));
            let more = entries.len() - 1;
            if more > 0 {
                title.push_str(&if zh { format!(" 等 {} 项", more + 1) } else { format!(" and {more} more") });
            }
        }
        title
    }

    fn footer(&self) -> String {
        let link = if self.link.is_empty() { String::new() } else { format!(" {}", self.link) };
        match self.language {
            Language::Zh => {
                format!("查看：hotline-gateway alert list；确认：hotline-gateway alert acknowledge 编号。{link}")
            }
            Language::En => {
                format!("See: hotline-gateway alert list; acknowledge: hotline-gateway alert acknowledge ID.{link}")
            }
        }
    }

    /// One incident in words.
    #[must_use]
    pub fn entry(&self, item: &NotificationItem, now: Timestamp) -> Entry {
        let text = texts::find(&item.code).unwrap_or(&texts::UNKNOWN);
        let words = match self.language {
            Language::Zh => &text.zh,
            Language::En => &text.en,
        };
        let channel = item.channel.as_ref().map_or(String::new(), |channel| format!("{channel} "));
        let subject =
            if item.subject.is_empty() || Some(item.subject.as_str()) == item.channel.as_ref().map(|c| c.as_str()) {
                String::new()
            } else if self.language == Language::Zh {
                format!("（{}）", item.subject)
            } else {
                format!(" ({})", item.subject)
            };
        // A test notice is about no incident.
        let number = if item.news == News::Test { String::new() } else { format!("#{} ", item.incident_id) };
        let ended = matches!(item.news, News::Resolved | News::Passed);
        Entry {
            news: self.news(item.news),
            severity: self.severity(item.severity),
            name: format!("{number}{channel}{}{subject}", words.name),
            what: format!(
                "{}{}{}",
                texts::fill(words.what, item),
                texts::more_facts(words, item, self.language == Language::Zh),
                self.times(item, now)
            ),
            todo: match (ended, self.language) {
                (true, _) => String::new(),
                (false, Language::Zh) => format!("处理：{}", texts::fill(words.todo, item)),
                (false, Language::En) => format!("What to do: {}", texts::fill(words.todo, item)),
            },
            item: item.clone(),
        }
    }

    fn times(&self, item: &NotificationItem, now: Timestamp) -> String {
        let zh = self.language == Language::Zh;
        let lasted = lasted(item.since, item.resolved_at.unwrap_or(now), zh);
        let since = minute(item.since);
        let mut text = match (item.resolved_at, zh) {
            (None, true) => format!("自 {since} 起（已 {lasted}）。"),
            (None, false) => format!(" Since {since} ({lasted})."),
            (Some(end), true) => format!("{since} 至 {}（历时 {lasted}）。", minute(end)),
            (Some(end), false) => format!(" From {since} to {} ({lasted}).", minute(end)),
        };
        if item.news == News::Escalated {
            text.push_str(if zh { "无人确认，已升级。" } else { " Nobody acknowledged it: escalated." });
        }
        if let Some(by) = &item.acknowledged_by {
            text.push_str(&if zh { format!("已由 {by} 确认。") } else { format!(" Acknowledged by {by}.") });
        }
        text
    }

    fn news(&self, news: News) -> &'static str {
        let (zh, en) = match news {
            News::Opened => ("新告警", "new"),
            News::Worsened => ("加重", "worse"),
            News::Escalated => ("升级", "escalated"),
            News::Repeated | News::Lasting => ("仍在持续", "still there"),
            News::Resolved => ("已恢复", "resolved"),
            News::Passed => ("已发生并恢复", "came and went"),
            News::Test => ("测试", "test"),
        };
        if self.language == Language::Zh { zh } else { en }
    }

    fn severity(&self, severity: Severity) -> &'static str {
        let (zh, en) = match severity {
            Severity::Info => ("提示", "info"),
            Severity::Warning => ("警告", "warning"),
            Severity::Critical => ("严重", "critical"),
        };
        if self.language == Language::Zh { zh } else { en }
    }
}

/// The minute in China time.
fn minute(at: Timestamp) -> String {
    CHINA.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}

fn lasted(from: Timestamp, until: Timestamp, zh: bool) -> String {
    let minutes = (until.as_second() - from.as_second()).max(0) / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours, zh) {
        (0, 0, true) => format!("{minutes} 分钟"),
        (0, 0, false) => format!("{minutes} min"),
        (0, _, true) => format!("{hours} 小时 {minutes} 分"),
        (0, _, false) => format!("{hours} h {minutes} min"),
        (_, _, true) => format!("{days} 天 {hours} 小时"),
        (_, _, false) => format!("{days} d {hours} h"),
    }
}
