//! XML as far as it carries records: elements, attributes, text, CDATA. A reader into a small tree that knows where each element stood, a writer,
//! and the way from the tree to JSON, in which everything above this file thinks.
//!
//! A document type is refused before anything in it is read, so there are neither external entities nor bombs of them; of entities only the five
//! of XML itself and characters by number are known. Prefixes of namespaces are left out of names: peers change them between versions.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// Deeper than this nobody's records go.
const DEEPEST: usize = 32;

/// An element.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    text: String,
    pub(super) children: Vec<Node>,
    /// Where it stands in the text, from `<` to `>`.
    pub(super) span: Range<usize>,
    /// The text in which it stands, where that is no part of the larger one.
    pub(super) within: Option<Arc<str>>,
    /// Where its text stands, when that is one CDATA section.
    verbatim: Option<usize>,
}

/// Reads a document; `base` is where it begins in a larger text.
///
/// # Errors
/// What is wrong with it, without a word of its content.
pub(super) fn parse(text: &str, base: usize) -> Result<Node, String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Node> = Vec::new();
    let mut root: Option<Node> = None;
    loop {
        let before = position(&reader);
        let broken = |what: &str| format!("it is no XML: {what} (at {before})");
        let event = reader.read_event().map_err(|_| broken("tags do not fit"))?;
        let after = position(&reader);
        let said = match event {
            Event::Start(start) | Event::Empty(start) if root.is_some() => {
                drop(start);
                return Err(broken("more than one outermost element"));
            }
            Event::Start(start) => {
                if open.len() >= DEEPEST {
                    return Err(broken("too deep"));
                }
                open.push(element(&start, base + before).ok_or_else(|| broken("an attribute"))?);
                continue;
            }
            Event::Empty(start) => {
                let mut node = element(&start, base + before).ok_or_else(|| broken("an attribute"))?;
                node.span.end = base + after;
                close(node, &mut open, &mut root);
                continue;
            }
            Event::End(_) => {
                let mut node = open.pop().ok_or_else(|| broken("tags do not fit"))?;
                node.span.end = base + after;
                if !node.children.is_empty() && node.text.trim().is_empty() {
                    node.text.clear();
                }
                close(node, &mut open, &mut root);
                continue;
            }
            Event::Text(text) => text.xml10_content().into_owned(),
            Event::CData(text) => {
                let content = text.xml10_content().into_owned();
                let raw = text.into_inner();
                if let Some(node) = open.last_mut() {
                    let first = node.text.trim().is_empty() && node.children.is_empty();
                    if first {
                        node.text.clear();
                    }
                    // `<![CDATA[` is nine letters; line ends that were changed break the way back.
                    node.verbatim = (first && raw == content).then_some(base + before + 9);
                }
                content
            }
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(letter)) => letter.to_string(),
                Ok(None) => quick_xml::escape::resolve_predefined_entity(&reference.into_inner())
                    .ok_or_else(|| broken("an unknown entity"))?
                    .to_owned(),
                Err(_) => return Err(broken("a character number")),
            },
            Event::DocType(_) => return Err("a document type is refused".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            Event::Eof if open.is_empty() => return root.ok_or_else(|| broken("no element")),
            Event::Eof => return Err(broken("it ends too early")),
        };
        match open.last_mut() {
            Some(node) => {
                // Only blanks may follow a CDATA section that is opened as a document.
                if node.verbatim.is_some_and(|at| at != base + before + 9) && !said.trim().is_empty() {
                    node.verbatim = None;
                }
                if node.verbatim.is_none() || !said.trim().is_empty() {
                    node.text.push_str(&said);
                }
            }
            None if said.trim().is_empty() => {}
            None => return Err(broken("text outside of the outermost element")),
        }
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn element(start: &BytesStart<'_>, at: usize) -> Option<Node> {
    let mut node = Node { name: start.local_name().into_inner().to_owned(), span: at..at, ..Node::default() };
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0).ok()?.into_owned();
        node.attributes.push((attribute.key.local_name().into_inner().to_owned(), value));
    }
    Some(node)
}

fn close(node: Node, open: &mut [Node], root: &mut Option<Node>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
        None => *root = Some(node),
    }
}

impl Node {
    /// The only element at a path below a document's outermost one, whose name is the first step.
    fn at<'a>(&'a self, path: &str) -> Option<&'a Node> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        if self.name != first {
            return None;
        }
        match rest {
            None => Some(self),
            Some(rest) => {
                let step = rest.split('.').next().unwrap_or(rest);
                let mut found = self.children.iter().filter(|child| child.name == step);
                let child = found.next()?;
                if found.next().is_some() { None } else { child.at(rest) }
            }
        }
    }

    fn at_mut(&mut self, path: &str) -> Option<&mut Node> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        if self.name != first {
            return None;
        }
        match rest {
            None => Some(self),
            Some(rest) => {
                let step = rest.split('.').next().unwrap_or(rest).to_owned();
                self.children.iter_mut().find(|child| child.name == step)?.at_mut(rest)
            }
        }
    }

    /// Opens the document that stands as text at a path. A path that is not there, and an element without text, stay as they are.
    ///
    /// # Errors
    /// What is wrong with that document.
    pub(super) fn unwrap(&mut self, path: &str) -> Result<(), String> {
        let Some(node) = self.at_mut(path) else { return Ok(()) };
        if node.text.trim().is_empty() {
            return Ok(());
        }
        let mut inner = parse(&node.text, node.verbatim.unwrap_or(0))?;
        let text = std::mem::take(&mut node.text);
        if node.verbatim.is_none() {
            inner.stand_in(&Arc::from(text));
        }
        node.children.push(inner);
        Ok(())
    }

    // Escaped text has no place of its own in the larger one.
    fn stand_in(&mut self, text: &Arc<str>) {
        self.within = Some(Arc::clone(text));
        self.children.iter_mut().for_each(|child| child.stand_in(text));
    }

    /// The elements of a list: all of the path's last name, in order.
    pub(super) fn list(&self, path: &str) -> Vec<&Node> {
        let Some((parent, name)) = path.rsplit_once('.') else { return Vec::new() };
        let Some(parent) = self.at(parent) else { return Vec::new() };
        parent.children.iter().filter(|child| child.name == name).collect()
    }

    /// The document as a JSON object with one key.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        out.push('{');
        push_text(&mut out, &self.name);
        out.push(':');
        self.push_json(&mut out);
        out.push('}');
        out
    }

    // Attributes are `@name`, text beside elements or attributes is `$text`, elements of one name are a list.
    fn push_json(&self, out: &mut String) {
        if self.attributes.is_empty() && self.children.is_empty() {
            push_text(out, &self.text);
            return;
        }
        out.push('{');
        let mut first = true;
        let mut key = |out: &mut String, name: &str| {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            push_text(out, name);
            out.push(':');
        };
        for (name, value) in &self.attributes {
            key(out, &format!("@{name}"));
            push_text(out, value);
        }
        for (at, child) in self.children.iter().enumerate() {
            let earlier = self.children[..at].iter().any(|other| other.name == child.name);
            if earlier {
                continue;
            }
            key(out, &child.name);
            let same: Vec<&Node> = self.children[at..].iter().filter(|other| other.name == child.name).collect();
            if let [only] = same[..] {
                only.push_json(out);
                continue;
            }
            for (at, node) in same.into_iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                node.push_json(out);
            }
            out.push(']');
        }
        if !self.text.is_empty() {
            key(out, "$text");
            push_text(out, &self.text);
        }
        out.push('}');
    }
}

fn push_text(out: &mut String, text: &str) {
    // A text is always JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned()));
}

/// Whether XML 1.0 has every letter of a value.
pub(super) fn can_hold(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.chars().any(|letter| {
            (letter < ' ' && !matches!(letter, '\t' | '\n' | '\r')) || matches!(letter, '\u{fffe}' | '\u{ffff}')
        }),
        Value::Array(list) => list.iter().all(can_hold),
        Value::Object(map) => map.values().all(can_hold),
        _ => true,
    }
}

/// Writes an element.
pub(super) fn write(name: &str, value: &Value) -> String {
    let mut out = String::with_capacity(256);
    push_element(&mut out, name, value);
    out
}

fn push_element(out: &mut String, name: &str, value: &Value) {
    if let Value::Array(list) = value {
        for value in list {
            push_element(out, name, value);
        }
        return;
    }
    // Writing to a text can't fail.
    let _ = write!(out, "<{name}>");
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| push_element(out, name, value)),
        Value::String(text) => out.push_str(&escape(text)),
        Value::Null => {}
        other => out.push_str(&other.to_string()),
    }
    let _ = write!(out, "</{name}>");
}

/// A text between tags, of which a reader gives the same back, line ends too.
pub(super) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).replace('\r', "&#13;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn json_of(text: &str) -> Value {
        serde_json::from_str(&parse(text, 0).unwrap().to_json()).unwrap()
    }

    #[test]
    fn elements_attributes_and_repetition() {
        let text = "<?xml version=\"1.0\"?><s:E xmlns:s=\"urn:x\"><H ok=\"1\"/><L><O>a</O><O>b &amp; &#x5357;</O></L><N/>\n</s:E>";
        assert_eq!(
            json_of(text),
            json!({"E": {"@s": "urn:x", "H": {"@ok": "1"}, "L": {"O": ["a", "b & 南"]}, "N": ""}})
        );
    }

    #[test]
    fn a_document_in_cdata_keeps_its_places() {
        let text = "<E><B>\n<![CDATA[<R><O>1</O><O>二</O></R>]]> </B></E>";
        let mut node = parse(text, 0).unwrap();
        node.unwrap("E.B").unwrap();
        let spans: Vec<&str> = node.list("E.B.R.O").iter().map(|node| &text[node.span.clone()]).collect();
        assert_eq!(spans, ["<O>1</O>", "<O>二</O>"]);
        let escaped = text.replace("<![CDATA[<R>", "&lt;R&gt;").replace("]]>", "");
        assert!(parse(&escaped, 0).is_err(), "half escaped");
    }

    #[test]
    fn what_may_do_harm_is_refused() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
        let outside = "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><x/>";
        let deep = "<a>".repeat(10_000);
        for text in
            [bomb, outside, "<x>&other;</x>", "<x>&#0;</x>", &deep, "<x><y></x>", "<x/><x/>", "<x/>y", "", "<x", "<x>"]
        {
            assert!(parse(text, 0).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn what_is_written_is_read_the_same() {
        let value = json!({"a": " <&>\"' ]]> \r\n\t", "b": {"c": "南"}, "d": ["1", "2"], "e": ""});
        assert!(can_hold(&value) && !can_hold(&json!("\u{1}")));
        assert_eq!(json_of(&write("R", &value)), json!({"R": value}));
    }
}
