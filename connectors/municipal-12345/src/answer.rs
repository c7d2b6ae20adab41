//! Opening an answer: HTTP 200 says nothing yet; the profile's code does.

use crate::wire;
use gateway_connector::RequestError;
use gateway_connector::profile::{AnswerClass, Profile};
use serde_json::Value;
use serde_json::value::RawValue;

/// What an answer says.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// Success, with its data; `None` where there is none.
    Data(Option<&'a RawValue>),
    /// A business error.
    Refused(Refused),
}

/// A business error.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) class: Option<AnswerClass>,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Reads the body of an HTTP 2xx.
pub(crate) fn open<'a>(profile: &Profile, body: &'a [u8]) -> Result<Answer<'a>, RequestError> {
    let undecodable = |what: String| RequestError::Undecodable { what };
    let root = wire::value(body).map_err(|error| undecodable(format!("the answer: {}", wire::place(&error))))?;
    let rule = &profile.answer;
    let code = wire::lookup(root, &rule.code)
        .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
        .ok_or_else(|| undecodable(format!("the answer has no `{}`", rule.code)))?;
    if rule.is_success(&code) {
        return Ok(Answer::Data(wire::lookup(root, &rule.data).filter(|raw| !wire::is_absent(raw))));
    }
    let message = wire::scalar(wire::lookup(root, &rule.message)).text;
    Ok(Answer::Refused(Refused { class: rule.class(&code), code: code_text(&code), message: cut(&message) }))
}

/// The data of a successful answer.
pub(crate) fn data<'a>(profile: &Profile, body: &'a [u8]) -> Result<Option<&'a RawValue>, RequestError> {
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
pub(crate) fn some_data<'a>(profile: &Profile, body: &'a [u8]) -> Result<&'a RawValue, RequestError> {
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
