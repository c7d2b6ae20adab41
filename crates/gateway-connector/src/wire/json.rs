//! Reading JSON without losing a byte of it: objects whose values stay as they came, and scalars in the normal form of the digests.
//!
//! Values are kept as raw slices, not as parsed trees: a number keeps its digits whatever its size, and a record can be stored byte for byte. A
//! peer's habit of writing `3` for `"3"` is met here; nobody above cares.

use crate::RequestError;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An object; of a key that is there twice the last counts.
pub(super) type Object<'a> = BTreeMap<String, &'a RawValue>;

/// Where JSON is broken. Without a word of its content: that may be a person's.
pub(super) fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is no JSON",
        serde_json::error::Category::Data => "it has another shape",
        serde_json::error::Category::Io => "it can't be read",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// The bytes without a byte order mark.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// An object from bytes.
pub(super) fn object(body: &[u8]) -> Result<Object<'_>, serde_json::Error> {
    serde_json::from_slice(without_mark(body))
}

/// Any value from bytes.
pub(super) fn value(body: &[u8]) -> Result<&RawValue, serde_json::Error> {
    serde_json::from_slice(without_mark(body))
}

/// An object from a raw value.
pub(super) fn as_object(raw: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// A list from a raw value; absent is empty.
pub(super) fn as_list(raw: Option<&RawValue>) -> Option<Vec<&RawValue>> {
    match raw {
        None => Some(Vec::new()),
        Some(raw) if is_absent(raw) => Some(Vec::new()),
        Some(raw) => serde_json::from_str(raw.get()).ok(),
    }
}

/// Whether a value says nothing: `null` and `""` mean the same as a missing key.
pub(super) fn is_absent(raw: &RawValue) -> bool {
    matches!(raw.get(), "null" | "\"\"")
}

/// A value that should be one text, number or flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    /// The wire value in the digest's normal form; empty when absent.
    pub(super) text: String,
    /// Whether it is a text, a number, a flag or absent, as it should be.
    pub(super) simple: bool,
}

/// Reads a scalar. Never fails: a value of another kind is its JSON text, not simple.
pub(super) fn scalar(raw: Option<&RawValue>) -> Scalar {
    let simple = |text: &str| Scalar { text: text.to_owned(), simple: true };
    let Some(raw) = raw else { return simple("") };
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(text) => Scalar { text, simple: true },
            Err(_) => Scalar { text: text.to_owned(), simple: false },
        },
        Some(b'n') => simple(""),
        Some(b'{' | b'[') | None => Scalar { text: text.to_owned(), simple: false },
        Some(_) => simple(text),
    }
}

/// The scalar of a field.
pub(super) fn field(object: &Object<'_>, name: &str) -> Scalar {
    scalar(object.get(name).copied())
}

/// The value at a path with dots between levels; `None` when a level is missing.
pub(super) fn lookup<'a>(raw: &'a RawValue, path: &str) -> Option<&'a RawValue> {
    path.split('.').try_fold(raw, |raw, key| as_object(raw)?.get(key).copied())
}

/// The list at a path inside an answer's data.
pub(super) fn list_at<'a>(data: &'a RawValue, path: &str) -> Result<Vec<&'a RawValue>, RequestError> {
    let undecodable = || RequestError::Undecodable { what: format!("there is no list `{path}` in the answer's data") };
    serde_json::from_str(lookup(data, path).ok_or_else(undecodable)?.get()).map_err(|_| undecodable())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Scalar {
        scalar(Some(value(text.as_bytes()).unwrap()))
    }

    #[test]
    fn scalars_in_normal_form() {
        for (json, text) in
            [("\"03\"", "03"), ("3", "3"), ("null", ""), ("true", "true"), ("\"a\\tb\"", "a\tb"), ("\"\"", "")]
        {
            assert_eq!(read(json), Scalar { text: text.to_owned(), simple: true });
        }
        assert_eq!(read("20261123000000000000000001").text, "20261123000000000000000001");
    }

    #[test]
    fn other_kinds_stay_as_they_came() {
        for json in ["{\"a\": 1}", "[1, 2]", "\"\\ud800\""] {
            assert_eq!(read(json), Scalar { text: json.to_owned(), simple: false });
        }
    }

    #[test]
    fn paths_go_into_objects() {
        let raw = value(br#"{"head": {"code": "000"}}"#).unwrap();
        assert_eq!(lookup(raw, "head.code").map(RawValue::get), Some("\"000\""));
        assert!(lookup(raw, "head.code.deeper").is_none() && lookup(raw, "tail").is_none());
    }
}
