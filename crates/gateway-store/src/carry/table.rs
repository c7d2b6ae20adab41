//! Which tables are carried, by which key and in which order; and which are not, and why.
//!
//! Columns are not listed: both engines are asked for theirs, and a column that only one has stops the move before it begins. So a migration needs no
//! line here, and a new table needs one: a test fails while it has none.

use super::cell::{Cell, Kind, Row};
use crate::StoreError;

/// A table that is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The embedded engine's primary key: rows go by it, page by page.
    pub(crate) key: &'static [&'static str],
}

const fn table(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key }
}

const ID: &[&str] = &["id"];
const OF_ORDER: &[&str] = &["order_id", "channel", "dataset", "part"];

/// What is referred to before what refers to it.
pub(crate) const TABLES: &[Table] = &[
    table("raw_record", ID),
    table("flow_position", &["topic", "partition"]),
    table("flow_tally", &["channel", "dataset", "outcome"]),
    table("work_order", ID),
    table("order_number", &["channel", "number", "day"]),
    table("facet", OF_ORDER),
    table("order_event", OF_ORDER),
    table("work_order_person", OF_ORDER),
    table("order_change", &["order_id", "seq"]),
    table("registry_entry", &["kind", "key", "from_at"]),
    table("registry_import", &["kind"]),
    table("verification", &["order_id", "channel"]),
    table("attachment", ID),
    table("order_reference", &["order_id", "channel"]),
    table("order_alias", &["order_id"]),
    table("order_pair", ID),
    table("order_pair_step", &["pair_id", "at", "state"]),
    table("match_key", &["key", "channel", "at", "order_id"]),
    table("match_subject", &["order_id"]),
    table("match_channel", &["channel"]),
    table("match_position", ID),
    table("parked_record", &["raw_id"]),
    table("dead_letter", ID),
    table("anomaly_tally", &["channel", "kind", "subject"]),
    table("anomaly", &["channel", "kind", "subject", "slot"]),
    table("command", ID),
    table("delivery", ID),
    table("delivery_tally", &["destination", "dataset", "state"]),
    table("delivery_attempt", &["delivery_id", "generation", "attempt"]),
    table("book_item", &["channel", "dataset", "number", "day", "part"]),
    table("book_bucket", &["channel", "dataset", "projection_version", "grain", "start_at", "side"]),
    table("gap_group", ID),
    table("gap", ID),
    table("gap_step", ID),
    table("comparison", ID),
    table("comparison_total", &["channel"]),
    table("repair_stop", &["channel", "dataset"]),
    table("job", ID),
    table("checkpoint", &["channel", "name"]),
    table("incident", ID),
    table("incident_life", &["incident_id"]),
    table("notification", ID),
    table("notification_incident", &["incident_id", "notification_id"]),
    table("silence", ID),
    table("notifier", ID),
    table("book_day", &["channel", "dataset", "day", "side", "projection_version", "as_of_day"]),
    table("account_day", &["channel", "dataset", "day", "as_of_day"]),
    table("account_span", &["channel", "dataset", "from_day", "to_day", "as_of_day"]),
    table("flow_day", &["channel", "dataset", "day", "outcome"]),
    table("delivery_day", &["destination", "dataset", "day", "state", "as_of_day"]),
    table("latency_day", &["channel", "leg", "day", "bucket"]),
    table("arrival_hour", &["channel", "hour_at"]),
    table("watched_hour", &["hour_at"]),
];

/// What stays behind, and why.
pub(crate) const STAY: &[(&str, &str)] = &[
    ("lease", "held by processes of the embedded engine, which end with it"),
    ("node", "what those processes last told of themselves"),
    ("archived_month", "the embedded engine takes no month out"),
    ("archived_offset", "the embedded engine takes no month out"),
    ("month_left", "what a job of the old processes last found"),
    ("schema_migration", "each engine has migrations of its own"),
];

/// A column as both engines have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// A table with its columns, the same on both engines.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) table: Table,
    pub(crate) columns: Vec<Column>,
    /// Where the key's columns are among them.
    key: Vec<usize>,
}

impl Shape {
    /// From what each engine says of its columns, with the types in its own words.
    pub(crate) fn of(
        table: Table,
        source: Vec<(String, String)>,
        mut target: Vec<(String, String)>,
    ) -> Result<Self, StoreError> {
        let schema = |what: String| StoreError::Schema { what: format!("table {}: {what}", table.name) };
        let mut columns = Vec::with_capacity(source.len());
        for (name, kind) in source {
            let Some(at) = target.iter().position(|(other, _)| *other == name) else {
                return Err(schema(format!("only the embedded engine has column {name}")));
            };
            let (_, theirs) = target.swap_remove(at);
            let kind = Kind::of(&kind, &theirs)
                .ok_or_else(|| schema(format!("column {name} is {kind} on one engine and {theirs} on the other")))?;
            columns.push(Column { name, kind });
        }
        if let Some((name, _)) = target.first() {
            return Err(schema(format!("only PostgreSQL has column {name}")));
        }
        let place = |name: &&str| columns.iter().position(|column| column.name == **name);
        let key: Option<Vec<usize>> = table.key.iter().map(place).collect();
        let key = key.filter(|key| !key.is_empty()).ok_or_else(|| schema("has not the key it is carried by".into()))?;
        Ok(Self { table, columns, key })
    }

    /// The column's place.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The key of a row.
    pub(crate) fn key<'r>(&self, row: &'r Row) -> Vec<&'r Cell> {
        self.key.iter().filter_map(|at| row.get(*at)).collect()
    }

    /// Its columns, quoted: some are words of SQL.
    pub(crate) fn list(&self) -> String {
        quoted(self.columns.iter().map(|column| column.name.as_str()))
    }

    /// Every row in the order of the key, after a key where one is given, by the engine's n-th placeholder.
    pub(crate) fn select(&self, after: bool, placeholder: impl Fn(usize) -> String) -> String {
        let (list, name, key) = (self.list(), self.table.name, quoted(self.table.key.iter().copied()));
        let filter = if after {
            let places: Vec<String> = (1..=self.table.key.len()).map(placeholder).collect();
            format!(" WHERE ({key}) > ({})", places.join(", "))
        } else {
            String::new()
        };
        format!("SELECT {list} FROM {name}{filter} ORDER BY {key}")
    }
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
    }

    #[test]
    fn columns_must_be_the_same_on_both_engines() {
        let one = table("t", &["a"]);
        let source = columns(&[("a", "BLOB"), ("key", "TEXT")]);
        let shape = Shape::of(one, source.clone(), columns(&[("key", "text"), ("a", "uuid")])).unwrap();
        assert_eq!(shape.list(), "\"a\", \"key\"");
        let text = shape.select(true, |at| format!("${at}"));
        assert_eq!(text, "SELECT \"a\", \"key\" FROM t WHERE (\"a\") > ($1) ORDER BY \"a\"");
        for other in [
            columns(&[("a", "uuid")]),
            columns(&[("a", "uuid"), ("key", "bigint")]),
            columns(&[("a", "uuid"), ("key", "text"), ("new", "text")]),
        ] {
            assert!(matches!(Shape::of(one, source.clone(), other), Err(StoreError::Schema { .. })));
        }
    }
}
