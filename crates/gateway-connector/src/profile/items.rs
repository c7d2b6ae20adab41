//! What a record states: its own fields, and the items in it (one facet, or one of a list).

use super::codes::CodeTables;
use super::reader::{Section, TextOrSection};
use gateway_model::{Dataset, Field, FieldKind, OrderState};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The fields of the record itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRule {
    /// The order's number.
    pub number: String,
    /// When the order was accepted; its day is part of the identity.
    pub created: String,
    /// The revision: a time, or a number.
    pub revision: String,
    /// Whether the revision is a time (else a whole number).
    pub revision_is_time: bool,
    /// Fields that are known and say nothing.
    pub ignored: Vec<String>,
    /// Whether a record states everything that the peer holds of its order (partial pushes never do).
    pub whole: bool,
    /// Whether what the peer says of its own work is asked of the platform whose order it is: a handling system (承办单位).
    pub handles: bool,
    /// Fields whose text is JSON, opened before anything is read; also of a partial push.
    pub embedded: Vec<String>,
    /// Objects on the way to named fields (`base` of `base.title`), opened so that their fields count as the record's own.
    pub containers: BTreeSet<String>,
}

/// Every object on the way to one of the names.
pub(super) fn containers<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names {
        for (at, _) in name.match_indices('.') {
            found.insert(name[..at].to_owned());
        }
    }
    found
}

impl RecordRule {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Kind {
            Time,
            Number,
        }
        let number = section.take("number");
        let created = section.take("created");
        let revision = section.take("revision");
        let kind = section.take_or("revision_kind", Kind::Time);
        let ignored = section.take_or("ignored", Vec::new());
        let whole = section.take_or("whole", true);
        let handles = section.take_or("handles", false);
        let embedded = section.take_or("embedded", Vec::new());
        Some(Self {
            containers: BTreeSet::new(),
            embedded: embedded?,
            number: number?,
            created: created?,
            revision: revision?,
            revision_is_time: matches!(kind?, Kind::Time),
            ignored: ignored?,
            whole: whole?,
            handles: handles?,
        })
    }
}

/// Which part an item is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartRule {
    /// Always this cycle.
    Fixed(u32),
    /// The cycle that this wire field numbers.
    Cycle(String),
    /// The event that this wire field names.
    Event(String),
}

/// Where a wire field goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRule {
    /// The canonical field; its kind says how the value is read.
    pub field: Field,
    /// The table of its codes.
    pub codes: Option<String>,
    /// Whether a time in the future is odd here.
    pub past: bool,
}

/// One kind of item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRule {
    /// Its name in the profile.
    pub name: String,
    /// The dataset.
    pub dataset: Dataset,
    /// The wire list whose elements are the items; `None` = the record itself is one.
    pub list: Option<String>,
    /// The wire field without a value of which there is no such item; `None` = it is always there.
    pub when: Option<String>,
    /// Which part.
    pub part: PartRule,
    /// The wire field of the event time.
    pub event_time: String,
    /// The compared wire fields, in the order of the digest.
    pub compared: Vec<String>,
    /// Wire field to canonical field.
    pub fields: BTreeMap<String, FieldRule>,
    /// Objects on the way to the fields of an element, see [`RecordRule::containers`].
    pub containers: BTreeSet<String>,
}

impl ItemRule {
    /// The code table of a canonical field that is a code or a flag here.
    #[must_use]
    pub fn codes_of(&self, field: Field) -> Option<&str> {
        self.fields.values().find(|rule| rule.field == field)?.codes.as_deref()
    }

    /// Every wire field that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let part = match &self.part {
            PartRule::Fixed(_) => None,
            PartRule::Cycle(field) | PartRule::Event(field) => Some(field.as_str()),
        };
        let named = part.into_iter().chain(self.when.as_deref()).chain([self.event_time.as_str()]);
        named.chain(self.fields.keys().map(String::as_str)).chain(self.compared.iter().map(String::as_str))
    }

    /// The wire field that fills a canonical field.
    #[must_use]
    pub fn wire_of(&self, field: Field) -> Option<&str> {
        self.fields.iter().find(|(_, rule)| rule.field == field).map(|(wire, _)| wire.as_str())
    }

    /// Whether a wire field means something here.
    #[must_use]
    pub fn knows(&self, wire: &str) -> bool {
        let part = match &self.part {
            PartRule::Fixed(_) => None,
            PartRule::Cycle(field) | PartRule::Event(field) => Some(field.as_str()),
        };
        part == Some(wire)
            || self.event_time == wire
            || self.when.as_deref() == Some(wire)
            || self.fields.contains_key(wire)
            || self.compared.iter().any(|compared| compared == wire)
    }
}

/// The items as far as they could be read, so that what refers to them is checked even if one of them is wrong.
pub(super) struct ItemsRead {
    pub(super) names: Vec<String>,
    pub(super) readable: Vec<ItemRule>,
}

impl ItemsRead {
    /// All items, when all could be read.
    pub(super) fn whole(self) -> Option<Vec<ItemRule>> {
        (self.names.len() == self.readable.len()).then_some(self.readable)
    }
}

pub(super) fn read_items(mut section: Section, codes: Option<&CodeTables>) -> ItemsRead {
    let names = section.keys();
    section.check(!names.is_empty(), "*", "must have at least one item");
    let mut items: Vec<_> = names
        .iter()
        .filter_map(|name| section.section(name).and_then(|section| read_item(name, section, codes)))
        .collect();
    items.sort_by(|a, b| (a.dataset, a.list.is_some(), &a.name).cmp(&(b.dataset, b.list.is_some(), &b.name)));
    for pair in items.windows(2) {
        // Two kinds of facet under one key would overwrite each other.
        let same = pair[0].dataset == pair[1].dataset && pair[0].part == pair[1].part;
        section.check(!same, &pair[1].name, format!("has the same dataset and part as `{}`", pair[0].name));
    }
    ItemsRead { names, readable: items }
}

fn read_item(name: &str, mut section: Section, codes: Option<&CodeTables>) -> Option<ItemRule> {
    let dataset = section.take::<Dataset>("dataset");
    let list = section.take_optional::<String>("list");
    let when = section.take_optional::<String>("when");
    let part = section.take::<PartRule>("part");
    let event_time = section.take::<String>("event_time");
    let compared = section.take::<Vec<String>>("compared");
    let fields = section.section("fields").and_then(|section| read_fields(section, dataset, codes));
    if let Some(compared) = &compared {
        section.check(!compared.is_empty(), "compared", "must name at least one field");
        let distinct: BTreeSet<_> = compared.iter().collect();
        section.check(distinct.len() == compared.len(), "compared", "names a field twice");
        for wire in compared {
            let person = fields.as_ref().and_then(|fields| fields.get(wire)).is_some_and(|rule| rule.field.is_person());
            section.check(!person, "compared", format!("`{wire}` is a person field; digests never cover one"));
        }
    }
    if let (Some(list), Some(when)) = (&list, &when) {
        section.check(list.is_none() || when.is_none(), "when", "elements of a list are there when they are in it");
    }
    if let (Some(list), Some(part)) = (&list, &part) {
        section.check(
            list.is_none() || !matches!(part, PartRule::Fixed(_)),
            "part",
            "elements of a list need a part each",
        );
    }
    let mut item = ItemRule {
        name: name.to_owned(),
        dataset: dataset?,
        list: list?,
        when: when?,
        part: part?,
        event_time: event_time?,
        compared: compared?,
        fields: fields?,
        containers: BTreeSet::new(),
    };
    item.containers = containers(item.names());
    Some(item)
}

fn read_fields(
    mut section: Section,
    dataset: Option<Dataset>,
    codes: Option<&CodeTables>,
) -> Option<BTreeMap<String, FieldRule>> {
    let mut fields = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let mut whole = true;
    for wire in section.keys() {
        let rule = match section.text_or_section(&wire) {
            Some(TextOrSection::Text(text)) => match text.parse() {
                Ok(field) => Some(FieldRule { field, codes: None, past: false }),
                Err(_) => {
                    section.mistake(&wire, format!("`{text}` is no canonical field"));
                    None
                }
            },
            Some(TextOrSection::Section(section)) => read_field(section),
            None => None,
        };
        let Some(rule) = rule else {
            whole = false;
            continue;
        };
        section.check(taken.insert(rule.field), &wire, format!("`{}` is filled by another field already", rule.field));
        // The round is said beside completions and visits too.
        let fits = dataset.is_none_or(|dataset| rule.field.dataset() == dataset) || rule.field == Field::Round;
        section.check(fits, &wire, format!("`{}` belongs to dataset `{}`", rule.field, rule.field.dataset()));
        check_codes(&section, &wire, &rule, codes);
        fields.insert(wire, rule);
    }
    whole.then_some(fields)
}

fn read_field(mut section: Section) -> Option<FieldRule> {
    let field = section.take::<Field>("field");
    let codes = section.take_optional("codes");
    let past = section.take_or("past", false);
    Some(FieldRule { field: field?, codes: codes?, past: past? })
}

fn check_codes(section: &Section, wire: &str, rule: &FieldRule, codes: Option<&CodeTables>) {
    let needs = matches!(rule.field.kind(), FieldKind::Code | FieldKind::Flag);
    let Some(name) = &rule.codes else {
        section.check(!needs, wire, format!("`{}` needs `codes`", rule.field));
        return;
    };
    section.check(needs, wire, format!("`{}` takes no codes", rule.field));
    let Some(codes) = codes else { return };
    let Some(canonical) = codes.canonical_codes(name) else {
        section.mistake(wire, format!("there is no code table `{name}`"));
        return;
    };
    for code in canonical {
        let fits = match rule.field {
            Field::State => code.parse::<OrderState>().is_ok(),
            field if field.kind() == FieldKind::Flag => matches!(code, "true" | "false"),
            _ => true,
        };
        section.check(fits, wire, format!("code table `{name}`: `{code}` is no value of `{}`", rule.field));
    }
}
