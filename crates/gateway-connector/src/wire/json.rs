//! Reading JSON without losing a byte of it: objects whose values stay as they came, and scalars in the normal form of the digests.
//!
//! Values are kept as raw slices, not as parsed trees: a number keeps its digits whatever its size, and a record can be stored byte for byte. A
//! peer's habit of writing `3` for `"3"` is met here; nobody above cares.

use crate::RequestError;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

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

/// An object from a text.
pub(super) fn object(text: &str) -> Result<Object<'_>, serde_json::Error> {
    serde_json::from_str(text)
}

/// An object from a raw value.
pub(super) fn as_object(raw: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// A list from a raw value; absent is empty. `repeated`: one that is no list is a list of one.
pub(super) fn as_list(raw: Option<&RawValue>, repeated: bool) -> Option<Vec<&RawValue>> {
    match raw {
        None => Some(Vec::new()),
        Some(raw) if is_absent(raw) => Some(Vec::new()),
        Some(raw) if repeated && !raw.get().starts_with('[') => Some(vec![raw]),
        Some(raw) => serde_json::from_str(raw.get()).ok(),
    }
}

/// The object with those in it opened that are only on the way to others: `base: {title: …}` becomes `base.title: …`.
pub(super) fn opened<'a>(object: Object<'a>, containers: &BTreeSet<String>) -> Object<'a> {
    if containers.is_empty() {
        return object;
    }
    let mut flat = Object::new();
    for (name, raw) in object {
        open_into(&mut flat, name, raw, containers);
    }
    flat
}

fn open_into<'a>(flat: &mut Object<'a>, name: String, raw: &'a RawValue, containers: &BTreeSet<String>) {
    match as_object(raw).filter(|_| containers.contains(&name)) {
        Some(inner) => {
            for (key, raw) in inner {
                open_into(flat, format!("{name}.{key}"), raw, containers);
            }
        }
        None => {
            flat.insert(name, raw);
        }
    }
}

/// The value with the documents opened that stand as text at these paths; `None` = there is none. What is no JSON stays the text that it is.
pub(super) fn embed(raw: &RawValue, paths: &[String]) -> Option<String> {
    let mut text: Option<String> = None;
    for path in paths {
        let changed = {
            let raw: &RawValue = match &text {
                Some(text) => serde_json::from_str(text).ok()?,
                None => raw,
            };
            embed_at(raw, path)
        };
        text = changed.or(text);
    }
    text
}

fn embed_at(raw: &RawValue, path: &str) -> Option<String> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let object = as_object(raw)?;
    let inner = object.get(first).copied()?;
    let changed = match rest {
        Some(rest) => embed_at(inner, rest)?,
        None => {
            let document: String = serde_json::from_str(inner.get()).ok()?;
            let document = document.trim();
            serde_json::from_str::<&RawValue>(document).ok()?;
            document.to_owned()
        }
    };
    let mut out = String::with_capacity(raw.get().len());
    for (name, value) in &object {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&serde_json::to_string(name).ok()?);
        out.push(':');
        out.push_str(if name == first { &changed } else { value.get() });
    }
    out.push('}');
    Some(out)
}

/// Sets the value at a path with dots between levels.
pub(super) fn put(root: &mut Value, path: &str, value: Value) {
    let mut at = root;
    for key in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(key.to_owned()).or_insert(Value::Null);
    }
    *at = value;
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

/// The value at a path with dots between levels; `None` when a level is missing. The empty path is the value itself.
pub(super) fn lookup<'a>(raw: &'a RawValue, path: &str) -> Option<&'a RawValue> {
    if path.is_empty() {
        return Some(raw);
    }
    path.split('.').try_fold(raw, |raw, key| as_object(raw)?.get(key).copied())
}

/// The list at a path; `None` where there is none. `repeated`: the language has no lists, so that what holds them must be there, and they need not.
pub(super) fn list<'a>(raw: &'a RawValue, path: &str, repeated: bool) -> Option<Vec<&'a RawValue>> {
    if !repeated {
        return serde_json::from_str(lookup(raw, path)?.get()).ok();
    }
    let holder = path.rsplit_once('.').map_or("", |(holder, _)| holder);
    lookup(raw, holder)?;
    as_list(lookup(raw, path), true)
}

/// The list at a path inside an answer's data.
pub(super) fn list_at<'a>(data: &'a RawValue, path: &str, repeated: bool) -> Result<Vec<&'a RawValue>, RequestError> {
    let undecodable = || RequestError::Undecodable { what: format!("there is no list `{path}` in the answer's data") };
    list(data, path, repeated).ok_or_else(undecodable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Scalar {
        scalar(Some(serde_json::from_str(text).unwrap()))
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
        let raw: &RawValue = serde_json::from_str(r#"{"head": {"code": "000"}}"#).unwrap();
        assert_eq!(lookup(raw, "head.code").map(RawValue::get), Some("\"000\""));
        assert!(lookup(raw, "head.code.deeper").is_none() && lookup(raw, "tail").is_none());
    }

    #[test]
    fn documents_in_texts_are_opened() {
        let raw: &RawValue = serde_json::from_str(r#"{"a": {"b": "[{\"c\": 1}]", "d": 7}, "e": "{bad"}"#).unwrap();
        let paths = ["a.b".to_owned(), "e".to_owned(), "x.y".to_owned()];
        let opened = embed(raw, &paths).unwrap();
        let expected: Value = serde_json::json!({"a": {"b": [{"c": 1}], "d": 7}, "e": "{bad"});
        assert_eq!(serde_json::from_str::<Value>(&opened).unwrap(), expected);
        assert_eq!(embed(raw, &paths[1..]), None);
    }

    #[test]
    fn objects_on_the_way_are_opened_and_no_others() {
        let object = object(r#"{"a": {"b": {"c": 1}, "d": {}}, "e": {"f": 1}, "g": 1}"#).unwrap();
        let containers = ["a", "a.b", "g"].map(str::to_owned).into();
        let names: Vec<String> = opened(object, &containers).into_keys().collect();
        assert_eq!(names, ["a.b.c", "a.d", "e", "g"]);
    }
}
