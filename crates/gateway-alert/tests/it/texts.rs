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

/// The checks are found by their sources: what a finding says must have words.
#[test]
fn every_code_that_a_check_may_find_has_words() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut unknown = Vec::new();
    let mut seen = 0;
    let mut folders = vec![sources];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for code in text.split("code: \"").skip(1).filter_map(|rest| rest.split('"').next()) {
                seen += 1;
                if code != "unknown" && texts::find(code).is_none() {
                    unknown.push(format!("{}: {code}", path.display()));
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} codes were found");
    assert!(unknown.is_empty(), "{unknown:#?}");
}
