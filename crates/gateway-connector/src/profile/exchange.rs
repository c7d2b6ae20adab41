//! How bodies are written, in every direction: JSON or XML, UTF-8 or GB18030, with or without an envelope around what is meant.

use super::reader::Section;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The language of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// XML; document types, and with them entities of one's own, are refused.
    Xml,
}

/// The encoding of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB18030, which also reads GB2312 and GBK.
    #[serde(rename = "gb18030")]
    Gb18030,
}

/// What bytes are that no character is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndecodableBytes {
    /// The whole body is undecodable.
    #[default]
    Refuse,
    /// Each run of them is U+FFFD in the text; the field is counted as unreadable, the raw record keeps its bytes.
    Replace,
}

/// A text with places to fill: `{payload}`, `{payload_text}` (escaped), `{service}`, `{app_id}`. Other braces stand for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Fills the places; `escape` makes a text fit between quotes or tags.
    #[must_use]
    pub fn fill(&self, service: &str, app_id: &str, payload: &str, escape: impl Fn(&str) -> String) -> String {
        let text = self.0.replace("{service}", &escape(service)).replace("{app_id}", &escape(app_id));
        // The payload last and once: what it holds is not a template.
        if let Some((before, after)) = text.split_once("{payload}") {
            return format!("{before}{payload}{after}");
        }
        match text.split_once("{payload_text}") {
            Some((before, after)) => format!("{before}{}{after}", escape(payload)),
            None => text,
        }
    }
}

/// How bodies are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExchangeRule {
    /// Their language.
    pub format: Format,
    /// Their encoding.
    pub encoding: Encoding,
    /// What bytes are that no character is.
    pub undecodable_bytes: UndecodableBytes,
    /// Whether we write numbers as texts.
    pub numbers_as_text: bool,
    /// Headers of every request, their values templates.
    pub headers: Vec<(String, Template)>,
    /// The name of the outermost element that we write; XML only.
    pub root: String,
    /// What stands around each body that we send; `None` = nothing.
    pub envelope: Option<Template>,
    /// Paths in what we receive whose text is a document of its own, opened in place.
    pub unwrap: Vec<String>,
}

impl ExchangeRule {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Numbers {
            Number,
            Text,
        }
        let format = section.take_or("format", Format::default());
        let encoding = section.take_or("encoding", Encoding::default());
        let undecodable_bytes = section.take_or("undecodable_bytes", UndecodableBytes::default());
        let numbers = section.take_or("numbers", Numbers::Number);
        let headers = section.take_or::<BTreeMap<String, String>>("headers", BTreeMap::new());
        let root = section.take_or("root", String::new());
        let envelope = section.take_optional::<String>("envelope");
        let unwrap = section.take_or::<Vec<String>>("unwrap", Vec::new());
        for name in headers.iter().flat_map(BTreeMap::keys) {
            let fits = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            section.check(fits, "headers", format!("`{name}` is no header name"));
        }
        if let Some(Some(envelope)) = &envelope {
            let places = envelope.matches("{payload}").count() + envelope.matches("{payload_text}").count();
            section.check(places == 1, "envelope", "must hold {payload} or {payload_text} once");
        }
        if let (Some(Format::Xml), Some(root)) = (format, &root) {
            let fits = root.chars().next().is_some_and(char::is_alphabetic);
            section.check(fits, "root", "must name the outermost element, as format is xml");
        }
        Some(Self {
            format: format?,
            encoding: encoding?,
            undecodable_bytes: undecodable_bytes?,
            numbers_as_text: matches!(numbers?, Numbers::Text),
            headers: headers?.into_iter().map(|(name, text)| (name, Template(text))).collect(),
            root: root?,
            envelope: envelope?.map(Template),
            unwrap: unwrap?,
        })
    }

    /// The `Content-Type` of what we write.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match (self.format, self.encoding) {
            (Format::Json, Encoding::Utf8) => "application/json; charset=utf-8",
            (Format::Json, Encoding::Gb18030) => "application/json; charset=gb18030",
            (Format::Xml, Encoding::Utf8) => "text/xml; charset=utf-8",
            (Format::Xml, Encoding::Gb18030) => "text/xml; charset=gb18030",
        }
    }

    /// Whether the language has no lists of its own, so that one element stands for a list of one, and none for an empty one.
    #[must_use]
    pub fn lists_are_repetition(&self) -> bool {
        self.format == Format::Xml
    }
}
