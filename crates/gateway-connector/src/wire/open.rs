//! Opening a body: decoded, read, its inner documents opened, and shown as JSON, in which everything above thinks.
//!
//! JSON in UTF-8 is shown as it came, without a copy; from anything else a JSON text is made. Either way each record leads back to the bytes that it
//! came as.

use super::charset::{self, Decoded};
use super::json;
use super::xml::{self, Node};
use crate::profile::{ExchangeRule, Format, Profile};
use bytes::Bytes;
use serde_json::value::RawValue;

/// An opened body.
pub(super) struct Opened<'a> {
    decoded: Decoded<'a>,
    made: Option<String>,
    tree: Option<Node>,
}

impl<'a> Opened<'a> {
    /// Opens a body.
    ///
    /// # Errors
    /// What is wrong with it, without a word of its content.
    pub(super) fn new(exchange: &ExchangeRule, body: &'a [u8]) -> Result<Self, String> {
        let decoded = charset::decode(exchange, body)?;
        let (made, tree) = match exchange.format {
            Format::Json if exchange.unwrap.is_empty() => (None, None),
            Format::Json => {
                let raw: &RawValue = serde_json::from_str(decoded.text()).map_err(|error| json::place(&error))?;
                (json::embed(raw, &exchange.unwrap), None)
            }
            Format::Xml => {
                let mut tree = xml::parse(decoded.text(), 0)?;
                for path in &exchange.unwrap {
                    tree.unwrap(path)?;
                }
                (Some(tree.to_json()), Some(tree))
            }
        };
        Ok(Self { decoded, made, tree })
    }

    /// The whole of it.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub(super) fn root(&self) -> Result<&RawValue, String> {
        let text = self.made.as_deref().unwrap_or_else(|| self.decoded.text());
        serde_json::from_str(text).map_err(|error| json::place(&error))
    }

    /// The record in it: of XML what stands in the outermost element, whatever its name.
    pub(super) fn record(&self) -> Result<&RawValue, String> {
        let root = self.root()?;
        if self.tree.is_none() {
            return Ok(root);
        }
        let object = json::as_object(root).unwrap_or_default();
        Ok(object.into_values().next().unwrap_or(root))
    }

    /// The list at a path from the root, each element with the bytes that it came as.
    pub(super) fn list(&self, path: &str) -> Option<Vec<(&RawValue, Bytes)>> {
        let root = self.root().ok()?;
        let listed = json::list(root, path, self.tree.is_some())?;
        let Some(tree) = &self.tree else {
            return Some(listed.into_iter().map(|raw| (raw, self.decoded.source_of(raw.get()))).collect());
        };
        let nodes = tree.list(path);
        if nodes.len() != listed.len() {
            return None;
        }
        let bytes = |node: &Node| match &node.within {
            Some(text) => self.decoded.source_of(text.get(node.span.clone()).unwrap_or_default()),
            None => self.decoded.source(node.span.clone()),
        };
        Some(listed.into_iter().zip(nodes).map(|(raw, node)| (raw, bytes(node))).collect())
    }
}

/// A path below another; either may be empty.
pub(super) fn below(path: &str, more: &str) -> String {
    match (path, more) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{path}.{more}"),
    }
}

/// A record's own object, its embedded documents opened.
pub(super) fn embedded(profile: &Profile, raw: &RawValue) -> Option<String> {
    if profile.record.embedded.is_empty() { None } else { json::embed(raw, &profile.record.embedded) }
}
