//! Reading TOML so that every mistake is found in one go, each with its key path.
//!
//! A derived deserializer stops at the first mistake, and somebody who connects a platform would meet ten mistakes in ten runs. Here each key is
//! taken by itself; what is wrong with it is noted and reading goes on. A key that nobody took is a mistake too (a misspelt optional key
//! would otherwise silently be the default).

use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// One thing that is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where, as `items.acceptance.fields.orderType.codes`.
    pub path: String,
    /// What.
    pub what: String,
}

/// Everything that is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ProfileErrors(pub Vec<Mistake>);

impl fmt::Display for ProfileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the wire profile has {} mistake(s)", self.0.len())?;
        for mistake in &self.0 {
            write!(f, "\n  {}: {}", mistake.path, mistake.what)?;
        }
        Ok(())
    }
}

/// A table of the document with the way to it. Dropping it reports the keys that were not taken.
pub(super) struct Section {
    path: String,
    table: toml::Table,
    mistakes: Rc<RefCell<Vec<Mistake>>>,
}

impl Section {
    /// Reads a whole document; every mistake is told, by its place.
    pub(super) fn read_whole<T>(text: &str, read: impl FnOnce(Section) -> Option<T>) -> Result<T, ProfileErrors> {
        let mistakes = Rc::new(RefCell::new(Vec::new()));
        let profile = Section::document(text, &mistakes).and_then(read);
        let mut mistakes = mistakes.take();
        mistakes.sort_by(|a, b| a.path.cmp(&b.path));
        match profile {
            Some(profile) if mistakes.is_empty() => Ok(profile),
            _ => Err(ProfileErrors(mistakes)),
        }
    }

    /// The whole document; `None` when it is not TOML at all.
    fn document(text: &str, mistakes: &Rc<RefCell<Vec<Mistake>>>) -> Option<Section> {
        match text.parse::<toml::Table>() {
            Ok(table) => Some(Section { path: String::new(), table, mistakes: Rc::clone(mistakes) }),
            Err(error) => {
                let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
                let what = format!("not TOML: {}", error.message());
                mistakes.borrow_mut().push(Mistake { path: format!("line {line}"), what });
                None
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a mistake at a key.
    pub(super) fn mistake(&self, key: &str, what: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake { path: self.path_of(key), what: what.into() });
    }

    /// Notes a mistake unless the condition holds.
    pub(super) fn check(&self, holds: bool, key: &str, what: impl Into<String>) {
        if !holds {
            self.mistake(key, what);
        }
    }

    fn read<T: DeserializeOwned>(&self, key: &str, value: toml::Value) -> Option<T> {
        value.try_into().map_err(|error: toml::de::Error| self.mistake(key, error.message().trim())).ok()
    }

    /// A key that must be there.
    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        match self.table.remove(key) {
            Some(value) => self.read(key, value),
            None => {
                self.mistake(key, "is missing");
                None
            }
        }
    }

    /// A key that may be absent; the outer `None` says that it is there and wrong.
    #[allow(clippy::option_option)]
    pub(super) fn take_optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<Option<T>> {
        match self.table.remove(key) {
            Some(value) => self.read(key, value).map(Some),
            None => Some(None),
        }
    }

    /// A key with a default.
    pub(super) fn take_or<T: DeserializeOwned>(&mut self, key: &str, default: T) -> Option<T> {
        Some(self.take_optional(key)?.unwrap_or(default))
    }

    fn child(&self, key: &str, value: toml::Value) -> Option<Section> {
        match value {
            toml::Value::Table(table) => {
                Some(Section { path: self.path_of(key), table, mistakes: Rc::clone(&self.mistakes) })
            }
            _ => {
                self.mistake(key, "must be a table");
                None
            }
        }
    }

    /// A table that must be there.
    pub(super) fn section(&mut self, key: &str) -> Option<Section> {
        match self.table.remove(key) {
            Some(value) => self.child(key, value),
            None => {
                self.mistake(key, "is missing");
                None
            }
        }
    }

    /// A table that may be absent.
    #[allow(clippy::option_option)]
    pub(super) fn optional_section(&mut self, key: &str) -> Option<Option<Section>> {
        match self.table.remove(key) {
            Some(value) => self.child(key, value).map(Some),
            None => Some(None),
        }
    }

    /// The keys that are left, all taken by the caller under names of the integrator's choosing.
    pub(super) fn keys(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// A list of tables that must be there.
    pub(super) fn list(&mut self, key: &str) -> Option<Vec<Section>> {
        let Some(value) = self.table.remove(key) else {
            self.mistake(key, "is missing");
            return None;
        };
        let toml::Value::Array(array) = value else {
            self.mistake(key, "must be a list of tables");
            return None;
        };
        array.into_iter().enumerate().map(|(at, value)| self.child(&format!("{key}[{at}]"), value)).collect()
    }

    /// Either a text or a table.
    pub(super) fn text_or_section(&mut self, key: &str) -> Option<TextOrSection> {
        match self.table.remove(key) {
            Some(toml::Value::String(text)) => Some(TextOrSection::Text(text)),
            Some(value) => self.child(key, value).map(TextOrSection::Section),
            None => {
                self.mistake(key, "is missing");
                None
            }
        }
    }
}

/// What [`Section::text_or_section`] found.
pub(super) enum TextOrSection {
    Text(String),
    Section(Section),
}

impl Drop for Section {
    fn drop(&mut self) {
        for key in self.keys() {
            self.mistake(&key, "unknown key");
        }
    }
}
