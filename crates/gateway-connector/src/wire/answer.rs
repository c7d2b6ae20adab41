//! Opening an answer: HTTP 200 says nothing yet; the profile's code does.

use super::json;
use crate::RequestError;
use crate::profile::{AnswerClass, Profile};
use serde_json::Value;
use serde_json::value::RawValue;

/// What an answer says.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// Success, with its data; `None` where there is none.
    Data(Option<&'a RawValue>),
    /// A business error.
    Refused(Refused),
}

/// A business error.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) class: Option<AnswerClass>,
    pub(super) code: String,
    pub(super) message: String,
}

/// Reads the body of an HTTP 2xx.
pub(super) fn open<'a>(profile: &Profile, body: &'a [u8]) -> Result<Answer<'a>, RequestError> {
    let undecodable = |what: String| RequestError::Undecodable { what };
    let root = json::value(body).map_err(|error| undecodable(format!("the answer: {}", json::place(&error))))?;
    let rule = &profile.answer;
    let code = json::lookup(root, &rule.code)
        .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
        .ok_or_else(|| undecodable(format!("the answer has no `{}`", rule.code)))?;
    if rule.is_success(&code) {
        return Ok(Answer::Data(json::lookup(root, &rule.data).filter(|raw| !json::is_absent(raw))));
    }
    let message = json::scalar(json::lookup(root, &rule.message)).text;
    Ok(Answer::Refused(Refused { class: rule.class(&code), code: code_text(&code), message: cut(&message) }))
}

/// The data of a successful answer.
pub(super) fn data<'a>(profile: &Profile, body: &'a [u8]) -> Result<Option<&'a RawValue>, RequestError> {
    match open(profile, body)? {
        Answer::Data(data) => Ok(data),
        Answer::Refused(refused) => Err(match refused.class {
            Some(AnswerClass::Throttled) => RequestError::Throttled { retry_after: None },
            Some(AnswerClass::Unauthorized) => RequestError::Unauthorized { code: refused.code },
            _ => RequestError::Business { code: refused.code, message: refused.message },
        }),
    }
}

/// The data of a successful answer that must have some.
pub(super) fn some_data<'a>(profile: &Profile, body: &'a [u8]) -> Result<&'a RawValue, RequestError> {
    data(profile, body)?
        .ok_or_else(|| RequestError::Undecodable { what: format!("the answer has no `{}`", profile.answer.data) })
}

fn code_text(code: &Value) -> String {
    match code {
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

// For people, one line, bounded.
fn cut(text: &str) -> String {
    text.chars().take(200).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
