//! What a person says when settling something by hand: why, and who.

use crate::auth::Caller;
use crate::{Code, Problem};
use serde::Deserialize;

/// The body of every `waive`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settling {
    reason: String,
    by: String,
}

impl Settling {
    /// The reason and the person, checked.
    pub(crate) fn parts(&self) -> Result<(&str, &str), Problem> {
        match (sentence(&self.reason), person(&self.by)) {
            (Ok(reason), Ok(by)) => Ok((reason, by)),
            _ => Err(Problem::new(
                Code::MalformedBody,
                "`reason` (up to 2000 bytes) and `by` (up to 128 bytes) are needed, without control characters",
            )),
        }
    }

    /// Both as one sentence, for rows that have one column for it.
    pub(crate) fn sentence(&self, Caller(role): Caller) -> Result<String, Problem> {
        let (reason, by) = self.parts()?;
        Ok(format!("{reason} ({by}, {})", role.as_str()))
    }
}

/// Why, as a person says it.
pub(crate) fn sentence(text: &str) -> Result<&str, Problem> {
    fitting(text, 2_000, "`reason` (up to 2000 bytes) is needed, without control characters")
}

/// Who, as a person says it.
pub(crate) fn person(text: &str) -> Result<&str, Problem> {
    fitting(text, 128, "`by` (up to 128 bytes) is needed, without control characters")
}

fn fitting<'t>(text: &'t str, most: usize, wanted: &str) -> Result<&'t str, Problem> {
    if text.trim().is_empty() || text.len() > most || text.chars().any(char::is_control) {
        return Err(Problem::new(Code::MalformedBody, wanted));
    }
    Ok(text.trim())
}
