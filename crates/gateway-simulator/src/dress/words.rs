//! What dresses share: tables of names and codes, and the way of a record through them.

use serde_json::{Map, Value};

use super::{Dress, Parameters};

/// Whose field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// The record itself.
    Order,
    /// An event.
    Event,
    /// A completion.
    Completion,
    /// A visit.
    Visit,
}

impl Of {
    /// The lists of a record, by their own names.
    pub(super) const LISTS: [(&'static str, Of); 3] =
        [("events", Of::Event), ("completions", Of::Completion), ("visits", Of::Visit)];
}

/// Own name and name on the wire.
pub(super) type Names = &'static [(Of, &'static [(&'static str, &'static str)])];
/// Own code and code on the wire.
pub(super) type Codes = &'static [(&'static str, &'static str)];

/// The name of a field on the wire; one that the table does not have keeps its own.
pub(super) fn name(names: Names, of: Of, own: &str) -> &str {
    let table = names.iter().find(|(whose, _)| *whose == of).map(|(_, table)| *table).unwrap_or_default();
    table.iter().find(|(word, _)| *word == own).map_or(own, |(_, wire)| wire)
}

/// A code on the wire; one that the table does not have goes as it is.
pub(super) fn code(codes: Codes, own: &str) -> String {
    codes.iter().find(|(word, _)| *word == own).map_or(own, |(_, wire)| wire).to_owned()
}

/// The own code of one on the wire.
pub(super) fn own_code(codes: Codes, wire: &str) -> Option<&'static str> {
    codes.iter().find(|(_, word)| *word == wire).map(|(own, _)| *own)
}

/// Which fields are times.
pub(super) fn is_time(own: &str) -> bool {
    matches!(own, "createTime" | "updateTime" | "occurTime" | "deadline" | "time" | "until" | "replyTime" | "visitTime")
}

/// Which fields are flags.
pub(super) fn is_flag(own: &str) -> bool {
    matches!(own, "isSecret" | "isAnonymous" | "connected" | "isSolved")
}

/// An object of the platform on the wire: names nested by their dots, values translated, lists one by one. `list` makes what stands for a list.
pub(super) fn object(dress: Dress, of: Of, own: &Value, list: &dyn Fn(Of, Vec<Value>) -> Value) -> Value {
    let mut wire = Value::Object(Map::new());
    for (name, value) in own.as_object().into_iter().flatten() {
        let lists = Of::LISTS.iter().find(|(known, _)| of == Of::Order && known == name);
        let value = match (lists, value) {
            (Some((_, of)), Value::Array(elements)) => {
                list(*of, elements.iter().map(|element| object(dress, *of, element, list)).collect())
            }
            (_, Value::String(text)) => Value::String(dress.value(of, name, text)),
            (_, Value::Number(number)) => Value::String(dress.value(of, name, &number.to_string())),
            (_, other) => other.clone(),
        };
        put(&mut wire, dress.name(of, name), value);
    }
    wire
}

fn put(root: &mut Value, path: &str, value: Value) {
    let mut at = root;
    for step in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(step.to_owned()).or_insert(Value::Null);
    }
    *at = value;
}

/// An object of own fields from named values.
pub(super) fn own_object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<u8> {
    let map: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    serde_json::to_vec(&map).unwrap_or_default()
}

/// Own parameters from named values.
pub(super) fn parameters(fields: impl IntoIterator<Item = (&'static str, String)>) -> Parameters {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
