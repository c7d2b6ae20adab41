//! Every code has its words in both languages, and its line in the pages.

use gateway_alert::{Finding, Language, texts};
use gateway_model::Severity;
use std::collections::BTreeSet;

const ERRORS: &str = include_str!("../../../../docs/errors.md");
const ALERTS: &str = include_str!("../../../../docs/alerts.md");

#[test]
fn every_code_has_words_in_both_languages_and_a_line_in_the_pages() {
    let mut mistakes = Vec::new();
    for text in texts::all() {
        for (language, words) in [("zh", text.zh), ("en", text.en)] {
            for (name, template) in [("name", words.name), ("what", words.what), ("todo", words.todo)] {
                if template.trim().is_empty() {
                    mistakes.push(format!("{} has no {name} in {language}", text.code));
                }
                let han = template.chars().any(|character| ('\u{4e00}'..='\u{9fff}').contains(&character));
                if han != (language == "zh") {
                    mistakes.push(format!("{}: {name} is not written in {language}", text.code));
                }
            }
        }
        let (mut zh, mut en) = (texts::names(text.zh.what), texts::names(text.en.what));
        zh.sort_unstable();
        en.sort_unstable();
        if zh != en {
            mistakes.push(format!("{}: the languages name different values: {zh:?}, {en:?}", text.code));
        }
        for (page, content) in [("errors.md", ERRORS), ("alerts.md", ALERTS)] {
            if text.code != texts::TEST && !content.contains(&format!("`{}`", text.code)) {
                mistakes.push(format!("docs/{page} has no line for {}", text.code));
            }
        }
    }
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
}

/// The checks are read as sources: what they find must have words, and the words must name only values that they give.
#[test]
fn every_code_that_a_check_may_find_has_words_and_gives_the_values_in_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks");
    let mut mistakes = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        // As `finding("code", …)`, and as `) => "code"` where one check finds several.
        let codes = ["finding(\"", ") => \""].into_iter().flat_map(|mark| source.split(mark).skip(1));
        for code in codes.filter_map(|rest| rest.split('"').next()) {
            let Some(text) = texts::find(code) else {
                mistakes.push(format!("{}: {code} has no words", path.display()));
                continue;
            };
            seen.insert(code.to_owned());
            for template in [text.zh.what, text.zh.todo, text.en.what, text.en.todo] {
                for name in texts::names(template) {
                    if !["channel", "subject", "count"].contains(&name) && !source.contains(&format!("(\"{name}\",")) {
                        mistakes.push(format!("{code}: no check gives {{{name}}}"));
                    }
                }
            }
        }
    }
    assert!(seen.len() > 15, "only {seen:?} were found");
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
}

/// What is wrong with a text that people read: leftovers of values that are not there, and numbers that don't fit their words.
fn artefacts(text: &str) -> Vec<&'static str> {
    const LEFTOVERS: [&str; 31] = [
        "{", "}", "[", "]", "|", "—", "- ", " -,", "：，", "：。", "，。", "。。", "，，", "（）", "（，", "，）",
        "()", "( ", " )", "  ", " .", " ,", " ;", " :", ": .", ": ,", ", .", "0 种", "0 段", "0 条", "0 more",
    ];
    const SINGLE: [&str; 14] = [
        "1 records",
        "1 hours",
        "1 deliveries",
        "1 receipts",
        "1 files",
        "1 letters",
        "1 updates",
        "1 items",
        "1 gaps",
        "1 codes",
        "1 numbers",
        "1 ranges",
        "1 days",
        "1 times",
    ];
    LEFTOVERS.iter().chain(&SINGLE).filter(|wrong| text.contains(**wrong)).copied().collect()
}

/// Whatever is missing that may be missing, and whether one or several: a person reads whole sentences.
#[test]
fn every_text_reads_well_whatever_is_not_known() {
    let mut mistakes = Vec::new();
    let mut rendered = 0;
    for text in texts::all() {
        for (language, words) in [(Language::Zh, text.zh), (Language::En, text.en)] {
            let templates = [words.what, words.todo];
            let of = |read: fn(&'static str) -> Vec<&'static str>| templates.iter().flat_map(move |one| read(one));
            let optional: BTreeSet<&str> = of(texts::optional_names).collect();
            let named: BTreeSet<&str> = of(texts::names).collect();
            // Each part is there, unknown, said to be unknown, empty, or zero; and all that is counted is one or several.
            for missing in [None, Some("-"), Some(""), Some("0"), Some("7")] {
                for number in ["1", "7"] {
                    let value = |name: &str| if optional.contains(name) { missing } else { Some(number) };
                    let facts =
                        named.iter().filter_map(|name| Some(((*name).into(), value(name)?.to_owned()))).collect();
                    let channel = (number == "1").then(|| gateway_model::ChannelId::new("municipal-12345").unwrap());
                    let subject =
                        if named.contains("subject") || number == "7" { "mail".to_owned() } else { String::new() };
                    let at = "2026-11-23T01:00:00Z".parse().unwrap();
                    let (severity, count) = (Severity::Warning, number.parse().unwrap());
                    let found = Finding { code: text.code, channel, subject, severity, count, since: at, facts };
                    let line = texts::sentence(&found, language);
                    let wrong = artefacts(&line);
                    rendered += 1;
                    if !wrong.is_empty() {
                        mistakes.push(format!("{}, {missing:?}, {number}: {wrong:?} in: {line}", text.code));
                    }
                }
            }
        }
    }
    assert!(rendered > 400, "{rendered}");
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
}
