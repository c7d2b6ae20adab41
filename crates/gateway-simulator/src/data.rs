//! Real input: a file of orders and their replies, read by a small mapping that says which column or key is what.
//!
//! Contract: texts are handed on byte for byte; times become wire times (China time), a date alone stays one; rows come sorted by
//! creation time, then number. The platform creates the orders of the rows, the desk reads the same file for the replies. A row
//! without number or creation time is an error that names its line, never its content.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::clock;
use crate::error::SimError;

/// The mappings that ship with the simulator, in the order in which they are tried.
const SHIPPED: &[&str] = &[include_str!("../mappings/complaints.toml"), include_str!("../mappings/sf311.toml")];

/// Which column or key is what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    format: Format,
    #[serde(default)]
    file_names: Vec<String>,
    columns: BTreeMap<Field, String>,
    #[serde(default)]
    constants: BTreeMap<Field, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Jsonl,
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Field {
    Number,
    CreateTime,
    Title,
    Content,
    Category,
    Address,
    SourceType,
    OrderType,
    CallerName,
    CallerPhone,
    Unit,
    Reply,
    ReplyFallback,
    ReplyTime,
    ReplyUnit,
}

/// One row: an order as the platform creates it, and the desk's reply to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Order number.
    pub number: String,
    /// Creation, wire form.
    pub create_time: String,
    /// Title.
    pub title: String,
    /// Content.
    pub content: String,
    /// Category.
    pub category: String,
    /// Address.
    pub address: String,
    /// Intake method.
    pub source_type: String,
    /// Type code.
    pub order_type: String,
    /// Caller (person).
    pub caller_name: String,
    /// Calling number (person).
    pub caller_phone: String,
    /// Handling unit.
    pub unit: String,
    /// The reply; `None` = the order stays open.
    pub reply: Option<Reply>,
}

/// A reply of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its text.
    pub text: String,
    /// When, wire form; may be a date alone.
    pub time: String,
    /// Who.
    pub unit: String,
}

/// Reads a data file, sorted by creation.
///
/// # Errors
/// When file or mapping can't be read, no shipped mapping suits the file, or a row lacks its number or creation time.
pub fn read(path: &Path, mapping: Option<&Path>) -> Result<Vec<Row>, SimError> {
    let mapping = load_mapping(path, mapping)?;
    let text = std::fs::read_to_string(path).map_err(SimError::file(path))?;
    let wrong =
        |line: usize, reason: &str| SimError::Data { path: path.to_owned(), reason: format!("line {line}: {reason}") };
    let mut rows = Vec::new();
    match mapping.format {
        Format::Jsonl => {
            for (index, line) in text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let value: Value = serde_json::from_str(line).map_err(|_| wrong(index + 1, "not JSON"))?;
                rows.push(row(&mapping, |key| cell(&value[key])).map_err(|reason| wrong(index + 1, reason))?);
            }
        }
        Format::Csv => {
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let headers = reader.headers().map_err(|_| wrong(1, "no header"))?.clone();
            let columns: HashMap<&str, usize> =
                headers.iter().enumerate().map(|(index, name)| (name.trim_start_matches('\u{feff}'), index)).collect();
            // A mapping that names a column which is not there is a mistake, not forty thousand empty fields.
            if let Some(missing) = mapping.columns.values().find(|column| !columns.contains_key(column.as_str())) {
                return Err(wrong(1, &format!("no column {missing:?}, which the mapping names")));
            }
            for record in reader.records() {
                let record =
                    record.map_err(|error| wrong(error.position().map_or(0, |at| at.line() as usize), "not CSV"))?;
                let line = record.position().map_or(0, |at| at.line() as usize);
                let value =
                    |key: &str| columns.get(key).and_then(|&index| record.get(index)).unwrap_or_default().to_owned();
                rows.push(row(&mapping, value).map_err(|reason| wrong(line, reason))?);
            }
        }
    }
    rows.sort_by(|a, b| {
        (clock::sort_time(&a.create_time), &a.number).cmp(&(clock::sort_time(&b.create_time), &b.number))
    });
    Ok(rows)
}

/// The replies by order number, for the desk.
///
/// # Errors
/// As [`read`].
pub fn replies(path: &Path, mapping: Option<&Path>) -> Result<HashMap<String, Option<Reply>>, SimError> {
    Ok(read(path, mapping)?.into_iter().map(|row| (row.number, row.reply)).collect())
}

fn load_mapping(path: &Path, chosen: Option<&Path>) -> Result<Mapping, SimError> {
    let parse = |text: &str, path: PathBuf| {
        toml::from_str::<Mapping>(text).map_err(|error| SimError::Data { path, reason: error.message().to_owned() })
    };
    if let Some(file) = chosen {
        return parse(&std::fs::read_to_string(file).map_err(SimError::file(file))?, file.to_owned());
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    for text in SHIPPED {
        let mapping = parse(text, path.to_owned())?;
        if mapping.file_names.iter().any(|pattern| matches(pattern, name)) {
            return Ok(mapping);
        }
    }
    Err(SimError::Data {
        path: path.to_owned(),
        reason: "no shipped mapping suits this file name; give one".to_owned(),
    })
}

/// A file name against a pattern with at most one `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
        None => pattern == name,
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn row(mapping: &Mapping, value: impl Fn(&str) -> String) -> Result<Row, &'static str> {
    let get = |field: Field| {
        let found = mapping.columns.get(&field).map(|column| value(column)).unwrap_or_default();
        if found.is_empty() { mapping.constants.get(&field).cloned().unwrap_or_default() } else { found }
    };
    let number = get(Field::Number).trim().to_owned();
    if number.is_empty() {
        return Err("no number");
    }
    let create_time = clock::lenient_time(&get(Field::CreateTime)).ok_or("no usable creation time")?;
    let text = Some(get(Field::Reply)).filter(|text| !text.is_empty()).unwrap_or_else(|| get(Field::ReplyFallback));
    let reply_time = clock::lenient_time(&get(Field::ReplyTime));
    let reply = reply_time.filter(|_| !text.is_empty()).map(|time| Reply { text, time, unit: get(Field::ReplyUnit) });
    Ok(Row {
        number,
        create_time,
        title: get(Field::Title),
        content: get(Field::Content),
        category: get(Field::Category),
        address: get(Field::Address),
        source_type: get(Field::SourceType),
        order_type: get(Field::OrderType),
        caller_name: get(Field::CallerName),
        caller_phone: get(Field::CallerPhone),
        unit: get(Field::Unit),
        reply,
    })
}
