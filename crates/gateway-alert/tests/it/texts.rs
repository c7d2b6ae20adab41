//! Every code has its words in both languages, and its line in the pages.

use gateway_alert::texts;

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
