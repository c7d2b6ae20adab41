//! From the wire record to what the gateway must hold, by the table of `docs/api.md` and nothing else.

use serde_json::{Value, json};

use crate::clock;
use crate::digest::{self, Dataset, Digest};
use crate::dress::Dress;
use crate::record::{Completion, Event, Order, Unit, Upstream, Visit};

/// One item that the gateway must hold.
pub(super) struct Expected {
    pub(super) dataset: Dataset,
    pub(super) part: String,
    pub(super) day: String,
    pub(super) event_time: String,
    pub(super) digest: Digest,
    pub(super) fields: Vec<(&'static str, Value)>,
}

/// Fields that an item may hold or not: `docs/api.md` does not list the round among the fields of completion and visit, whose part
/// and place in the order say it already. Held, it must be right.
pub(super) fn is_optional(dataset: Dataset, field: &str) -> bool {
    field == "round" && matches!(dataset, Dataset::Completion | Dataset::Evaluation)
}

/// Whose codes a record has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeTable {
    /// `docs/channels/municipal-12345.md`, `docs/channels/taxi-qr.md`, `docs/channels/web-12328.md`
    Municipal,
    /// `docs/channels/provincial-12328.md`
    Provincial,
    /// `docs/channels/bureau.md`
    Bureau,
}

/// Every item of an order.
pub(super) fn expected(dress: Dress, codes: CodeTable, order: &Order) -> Vec<Expected> {
    let items = digest::items_in(dress, order);
    let mut fields = vec![acceptance(order, codes)];
    // Without a state there is no item of it.
    fields.extend((!order.state.is_empty()).then(|| handling(order)));
    fields.extend(order.events.iter().map(event));
    fields.extend(order.completions.iter().map(completion));
    fields.extend(order.visits.iter().map(visit));
    fields.extend(order.units.iter().map(unit));
    fields.extend(order.upstream.iter().map(upstream));
    let together = items.into_iter().zip(fields);
    together
        .map(|(item, fields)| Expected {
            dataset: item.key.dataset,
            part: item.key.part,
            day: item.key.day,
            event_time: clock::api_time(&item.event_time),
            digest: item.digest,
            fields,
        })
        .collect()
}

/// The person fields of an order.
pub(super) fn person(order: &Order) -> Vec<(&'static str, Value)> {
    let mut fields = Fields::default();
    fields.text("requester_name", &order.caller_name);
    fields.text("requester_phone", &order.caller_phone);
    fields.text("contact_phone", &order.contact_phone);
    fields.0
}

#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn text(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.0.push((name, json!(value)));
        }
    }

    fn time(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.0.push((name, json!(clock::api_time(value))));
        }
    }

    fn flag(&mut self, name: &'static str, value: &str) {
        match value {
            "" => {}
            "0" => self.0.push((name, json!(false))),
            "1" => self.0.push((name, json!(true))),
            other => self.0.push((name, json!(format!("raw:{other}")))),
        }
    }

    fn code(&mut self, name: &'static str, value: &str, table: &[(&str, &str)]) {
        if !value.is_empty() {
            let word = table.iter().find(|(code, _)| *code == value).map(|(_, word)| (*word).to_owned());
            self.0.push((name, json!(word.unwrap_or_else(|| format!("raw:{value}")))));
        }
    }

    fn number(&mut self, name: &'static str, value: u32) {
        self.0.push((name, json!(value)));
    }
}

fn acceptance(order: &Order, codes: CodeTable) -> Vec<(&'static str, Value)> {
    const PROVINCIAL: &[(&str, &str)] =
        &[("1", "consultation"), ("2", "complaint"), ("3", "suggestion"), ("9", "other")];
    const MUNICIPAL: &[(&str, &str)] = &[
        ("01", "consultation"),
        ("02", "help"),
        ("03", "complaint"),
        ("04", "report"),
        ("05", "suggestion"),
        ("06", "praise"),
    ];
    const BUREAU: &[(&str, &str)] = &[
        ("01", "consultation"),
        ("02", "help"),
        ("03", "complaint"),
        ("04", "report"),
        ("05", "suggestion"),
        ("06", "praise"),
        ("09", "other"),
    ];
    const URGENCY: &[(&str, &str)] = &[("1", "ordinary"), ("2", "urgent"), ("3", "extra_urgent")];
    let mut fields = Fields::default();
    let types = match codes {
        CodeTable::Municipal => MUNICIPAL,
        CodeTable::Provincial => PROVINCIAL,
        CodeTable::Bureau => BUREAU,
    };
    fields.code("order_type", &order.order_type, types);
    fields.text("matter_category", &order.category);
    fields.text("title", &order.title);
    fields.text("content", &order.content);
    fields.text("intake_method", &order.source_type);
    fields.text("address", &order.address);
    fields.time("occurred_at", &order.occur_time);
    fields.code("urgency", &order.urgency, URGENCY);
    fields.flag("is_secret", &order.is_secret);
    fields.flag("is_anonymous", &order.is_anonymous);
    fields.time("accepted_at", &order.create_time);
    fields.text("qr_code", &order.qr_code_id);
    fields.text("plate_written", &order.plate_no);
    fields.text("plate", &plate(&order.plate_no));
    fields.text("operator_company", &order.company_name);
    fields.text("pictures", &order.pictures);
    fields.0
}

/// The normal form of a plate, by section 3 of `docs/channels/taxi-qr.md`; the cars here have no other signs to take away than these.
fn plate(written: &str) -> String {
    written.chars().filter(|sign| !matches!(sign, '·' | ' ')).collect()
}

const STATES: &[(&str, &str)] = &[
    ("10", "accepted"),
    ("20", "dispatched"),
    ("30", "signed"),
    ("35", "return_requested"),
    ("40", "replied"),
    ("50", "completed"),
    ("60", "visited"),
    ("70", "archived"),
    ("80", "returned"),
    ("90", "withdrawn"),
];

fn unit(unit: &Unit) -> Vec<(&'static str, Value)> {
    let mut fields = Fields::default();
    fields.0.push((KIND, Value::Null));
    fields.text("handling_unit", &unit.unit);
    fields.code("unit_role", &unit.role, &[("1", "main"), ("2", "assisting")]);
    fields.code("state", &unit.state, STATES);
    fields.number("round", unit.round);
    fields.0
}

fn upstream(upstream: &Upstream) -> Vec<(&'static str, Value)> {
    let mut fields = Fields::default();
    fields.0.push((KIND, Value::Null));
    fields.code("state", &upstream.state, STATES);
    fields.text("handling_unit", &upstream.unit);
    fields.time("deadline_at", &upstream.deadline);
    fields.number("round", upstream.round);
    fields.0
}

fn handling(order: &Order) -> Vec<(&'static str, Value)> {
    let mut fields = Fields::default();
    fields.code("state", &order.state, STATES);
    fields.text("handling_unit", &order.unit);
    fields.time("deadline_at", &order.deadline);
    fields.number("round", order.round);
    fields.0
}

fn event(event: &Event) -> Vec<(&'static str, Value)> {
    let mut fields = Fields::default();
    fields.text(KIND, &event.kind);
    fields.text("event_text", &event.text);
    if let Some(days) = event.days {
        fields.number("extension_days", days);
    }
    fields.time("extended_to", &event.until);
    fields.code("appeal_ground", &event.ground, &[("1", "bad_rating"), ("2", "overdue")]);
    if let Some(round) = event.round {
        fields.number("round", round);
    }
    fields.0
}

/// Under this name the kind of an event is compared like a field.
pub(super) const KIND: &str = "kind";

fn completion(completion: &Completion) -> Vec<(&'static str, Value)> {
    let mut fields = Fields::default();
    fields.number("round", completion.round);
    fields.text("reply_text", &completion.reply_content);
    fields.time("replied_at", &completion.reply_time);
    fields.text("reply_unit", &completion.reply_unit);
    fields.0
}

fn visit(visit: &Visit) -> Vec<(&'static str, Value)> {
    const SATISFACTION: &[(&str, &str)] = &[
        ("1", "very_satisfied"),
        ("2", "satisfied"),
        ("3", "fairly_satisfied"),
        ("4", "dissatisfied"),
        ("5", "very_dissatisfied"),
        ("9", "not_rated"),
    ];
    let mut fields = Fields::default();
    fields.number("visit_number", visit.visit_no);
    fields.number("round", visit.round);
    fields.time("visited_at", &visit.visit_time);
    fields.flag("visit_connected", &visit.connected);
    fields.code("satisfaction", &visit.satisfaction, SATISFACTION);
    fields.flag("is_solved", &visit.is_solved);
    fields.text("visit_opinion", &visit.opinion);
    fields.0
}
