//! What a channel's own front end may ask us of an order's progress, and what it is told.

use super::items::ItemsRead;
use super::push::{PushAnswer, read_answer};
use super::reader::Section;
use super::writing::{ValueRule, ValueSource, read_source};
use gateway_model::Field;

/// How a question after an order's progress is answered; it is signed as a push is.
#[derive(Debug, Clone, PartialEq)]
pub struct InquiryRule {
    /// What is told, inside the answer's data.
    pub body: Vec<ValueRule>,
    /// The answer that carries it.
    pub found: PushAnswer,
    /// The answer where the channel has no order of this number.
    pub unknown: PushAnswer,
    /// The answer when signature or time is refused.
    pub refused: PushAnswer,
    /// The answer when it can't be looked up now.
    pub unavailable: PushAnswer,
}

impl InquiryRule {
    pub(super) fn read(mut section: Section, items: Option<&ItemsRead>) -> Option<Self> {
        let body = section.section("body").and_then(|section| read_body(section, items));
        let answers = section.section("answers").map(|mut answers| {
            let mut take = |key: &str| answers.section(key).and_then(|answer| read_answer(answer, false));
            (take("found"), take("unknown"), take("refused"), take("unavailable"))
        });
        let (found, unknown, refused, unavailable) = answers?;
        Some(Self { body: body?, found: found?, unknown: unknown?, refused: refused?, unavailable: unavailable? })
    }
}

fn read_body(mut section: Section, items: Option<&ItemsRead>) -> Option<Vec<ValueRule>> {
    let mut rules = Vec::new();
    for wire in section.keys() {
        let text = section.take::<String>(&wire);
        rules.push(text.and_then(|text| read_value(&section, wire, text.trim(), items)));
    }
    rules.into_iter().collect()
}

fn read_value(section: &Section, wire: String, text: &str, items: Option<&ItemsRead>) -> Option<ValueRule> {
    let field = text.parse::<Field>().ok();
    if field.is_some_and(Field::is_person) {
        section.mistake(&wire, format!("`{text}` is a person's field, and never told"));
        return None;
    }
    let coded =
        |field: Field| items.and_then(|items| items.readable.iter().find(|item| item.codes_of(field).is_some()));
    let source = read_source(section, &wire, text, field.and_then(coded).or_else(|| items?.readable.first()))?;
    let told =
        matches!(source, ValueSource::Number | ValueSource::Round | ValueSource::Field(_) | ValueSource::Code(..));
    section.check(told, &wire, "must be $number, $round or a canonical field");
    Some(ValueRule { wire, sources: vec![source] })
}
