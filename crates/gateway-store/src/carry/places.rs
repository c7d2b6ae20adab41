//! Places on a bus that is left behind.
//!
//! The store tells records by (topic, partition, offset). The bus that is moved to begins every partition at 0 again, under the same names: without
//! more, its first records would be taken for ones that were accounted for long ago, and be lost without a word. So every place on the old bus gets
//! a name that no topic can have, for ever: old offsets stay accounted, audited and reported, and new ones begin a book of their own.

use super::cell::{Cell, Row};
use super::table::Shape;
use crate::left_topic;

/// Names the places of a row anew.
pub(crate) fn leave(shape: &Shape, row: &mut Row) {
    match shape.table.name {
        "raw_record" | "flow_position" => change(shape, row, "topic", |topic| Some(left_topic(topic))),
        "gap" => change(shape, row, "detail", of_detail),
        "checkpoint" if shape.place("name").and_then(|at| row.get(at)) == Some(&Cell::Text("audit".into())) => {
            change(shape, row, "value", of_audit);
        }
        _ => {}
    }
}

fn change(shape: &Shape, row: &mut Row, column: &str, to: impl Fn(&str) -> Option<String>) {
    if let Some(Cell::Text(text)) = shape.place(column).and_then(|at| row.get_mut(at))
        && let Some(new) = to(text)
    {
        *text = new;
    }
}

/// `offsets <topic> <partition> <from> <to>`, as the pipeline and the audit write it.
fn of_detail(detail: &str) -> Option<String> {
    let (topic, rest) = detail.strip_prefix("offsets ")?.split_once(' ')?;
    Some(format!("offsets {} {rest}", left_topic(topic)))
}

/// How far the audit has come in each `<topic> <partition>`.
fn of_audit(value: &str) -> Option<String> {
    let mut progress: serde_json::Value = serde_json::from_str(value).ok()?;
    let offsets = progress.get_mut("offsets")?.as_object_mut()?;
    *offsets = std::mem::take(offsets)
        .into_iter()
        .map(|(place, next)| match place.rsplit_once(' ') {
            Some((topic, partition)) => (format!("{} {partition}", left_topic(topic)), next),
            None => (place, next),
        })
        .collect();
    serde_json::to_string(&progress).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_anew_and_nothing_else_is() {
        let detail = "offsets gateway.c.raw.v1 3 10 12";
        assert_eq!(of_detail(detail).as_deref(), Some("offsets gateway.c.raw.v1@embedded 3 10 12"));
        assert_eq!(of_detail("day 2026-11-24 source version 1; kept 1, added up 2"), None);
        let audit = r#"{"days":{"acceptance":"2026-11-24T16:00:00Z"},"offsets":{"gateway.c.raw.v1 3":10},"turns":2}"#;
        let left =
            r#"{"days":{"acceptance":"2026-11-24T16:00:00Z"},"offsets":{"gateway.c.raw.v1@embedded 3":10},"turns":2}"#;
        assert_eq!(of_audit(audit).as_deref(), Some(left));
        assert_eq!(of_audit("no JSON"), None);
    }
}
