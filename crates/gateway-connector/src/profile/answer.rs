//! How an answer tells success, and what its business codes mean.

use super::reader::Section;
use serde_json::Value;

/// What a business code means for what we do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerClass {
    /// The peer has it already, perhaps by another key.
    AlreadySubmitted,
    /// There is no such order.
    UnknownOrder,
    /// The order's state does not allow it.
    StateRefused,
    /// Too fast; nothing was done.
    Throttled,
    /// The request is wrong.
    Invalid,
    /// Our credentials are refused.
    Unauthorized,
}

impl AnswerClass {
    const ALL: [(AnswerClass, &'static str); 6] = [
        (AnswerClass::AlreadySubmitted, "already_submitted"),
        (AnswerClass::UnknownOrder, "unknown_order"),
        (AnswerClass::StateRefused, "state_refused"),
        (AnswerClass::Throttled, "throttled"),
        (AnswerClass::Invalid, "invalid"),
        (AnswerClass::Unauthorized, "unauthorized"),
    ];

    /// The key in profiles, and the code of a [`crate::Reason`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(class, _)| *class == self).map_or("", |(_, name)| name)
    }
}

/// How an answer tells success. Peers use 0, 1, 200, 10000, `"000"`, true…; all inside HTTP 200.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerRule {
    /// Path of the code that tells success, dots between levels.
    pub code: String,
    /// Path of the code that tells the reason of a refusal; where it is absent, `code` does.
    pub reason: String,
    /// Path of the message.
    pub message: String,
    /// Path of what was asked for.
    pub data: String,
    /// The codes that mean success, each of any JSON kind: `0` and `"0"` differ.
    pub success: Vec<Value>,
    classes: Vec<(AnswerClass, Vec<Value>)>,
}

impl AnswerRule {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let code = section.take::<String>("code");
        let reason = section.take_optional::<String>("reason");
        let message = section.take("message");
        let data = section.take("data");
        let success = section.take::<Vec<Value>>("success");
        section.check(
            success.as_ref().is_none_or(|values| !values.is_empty()),
            "success",
            "must name at least one value",
        );
        let mut classes = Vec::new();
        if let Some(Some(mut listed)) = section.optional_section("classes") {
            for (class, key) in AnswerClass::ALL {
                let values = listed.take_or::<Vec<Value>>(key, Vec::new()).unwrap_or_default();
                for value in &values {
                    let twice = classes.iter().any(|(_, others): &(AnswerClass, Vec<Value>)| others.contains(value));
                    let same_path = reason == Some(None);
                    let success = same_path && success.as_ref().is_some_and(|success| success.contains(value));
                    listed.check(!twice && !success, key, format!("{value} has another meaning already"));
                }
                classes.push((class, values));
            }
        }
        let code = code?;
        let reason = reason?.unwrap_or_else(|| code.clone());
        Some(Self { code, reason, message: message?, data: data?, success: success?, classes })
    }

    /// Whether a code means success.
    #[must_use]
    pub fn is_success(&self, code: &Value) -> bool {
        self.success.contains(code)
    }

    /// What another code means; `None` = not said.
    #[must_use]
    pub fn class(&self, code: &Value) -> Option<AnswerClass> {
        self.classes.iter().find(|(_, values)| values.contains(code)).map(|(class, _)| *class)
    }
}
