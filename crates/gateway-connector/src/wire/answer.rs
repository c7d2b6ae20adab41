//! Opening an answer: HTTP 200 says nothing yet; the profile's code does.

use super::json;
use super::open::Opened;
use crate::RequestError;
use crate::profile::{AnswerClass, AnswerRule, ExchangeRule, Profile};
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
pub(super) fn body<'a>(profile: &Profile, body: &'a [u8]) -> Result<Opened<'a>, RequestError> {
    body_in(&profile.exchange, body)
}

/// Reads the body of an HTTP 2xx, written as an exchange is.
pub(super) fn body_in<'a>(exchange: &ExchangeRule, body: &'a [u8]) -> Result<Opened<'a>, RequestError> {
    Opened::new(exchange, body).map_err(unreadable)
}

fn unreadable(what: String) -> RequestError {
    RequestError::Undecodable { what: format!("the answer: {what}") }
}

/// Reads what it says.
pub(super) fn open<'a>(profile: &Profile, body: &'a Opened<'_>) -> Result<Answer<'a>, RequestError> {
    open_by(&profile.answer, body)
}

/// Whether it tells success or failure at all.
pub(super) fn has_code(rule: &AnswerRule, body: &Opened<'_>) -> bool {
    body.root().is_ok_and(|root| json::lookup(root, &rule.code).is_some())
}

/// Reads what it says, by a rule.
pub(super) fn open_by<'a>(rule: &AnswerRule, body: &'a Opened<'_>) -> Result<Answer<'a>, RequestError> {
    let undecodable = |what: String| RequestError::Undecodable { what };
    let root = body.root().map_err(unreadable)?;
    let value = |path: &str| json::lookup(root, path).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let code = value(&rule.code).ok_or_else(|| undecodable(format!("the answer has no `{}`", rule.code)))?;
    if rule.is_success(&code) {
        return Ok(Answer::Data(json::lookup(root, &rule.data).filter(|raw| !json::is_absent(raw))));
    }
    let message = json::scalar(json::lookup(root, &rule.message)).text;
    let code = value(&rule.reason).unwrap_or(code);
    Ok(Answer::Refused(Refused { class: rule.class(&code), code: code_text(&code), message: cut(&message) }))
}

/// The data of a successful answer.
pub(super) fn data<'a>(profile: &Profile, body: &'a Opened<'_>) -> Result<Option<&'a RawValue>, RequestError> {
    match open(profile, body)? {
        Answer::Data(data) => Ok(data),
        Answer::Refused(refused) => Err(refused.into()),
    }
}

impl From<Refused> for RequestError {
    fn from(refused: Refused) -> Self {
        match refused.class {
            Some(AnswerClass::Throttled) => RequestError::Throttled { retry_after: None },
            Some(AnswerClass::Unauthorized) => RequestError::Unauthorized { code: refused.code },
            _ => RequestError::Business { code: refused.code, message: refused.message },
        }
    }
}

/// The data of a successful answer that must have some.
pub(super) fn some_data<'a>(profile: &Profile, body: &'a Opened<'_>) -> Result<&'a RawValue, RequestError> {
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
