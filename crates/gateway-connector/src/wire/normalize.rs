//! From a record to changes, by the profile; pure.
//!
//! A wide record states one change for each facet and event in it; a partial push states one. What can't be read is kept and counted, never
//! dropped: an unknown code as `raw:<code>`, an unknown field under `unmapped`, a value of another kind as text, an element of a list that names no
//! part (so that it can't be a change) under `unmapped` of the record's first change. Only without a number or an acceptance time can nothing be said.

use super::json::{self, Object, Scalar};
use super::open::{Opened, embedded};
use crate::profile::{FieldRule, ItemRule, PartRule, PartialPush, Profile, UndecodableBytes};
use crate::{NormalizeError, Normalizer};
use gateway_model::{
    Change, Dataset, Day, EventId, Field, FieldKind, FieldValue, Fields, Moment, Oddity, Part, Plate, Revision,
    SourceNumber, Timestamp, digest_of_pairs,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads the records of a profile.
#[derive(Debug)]
pub(super) struct RecordNormalizer {
    profile: Arc<Profile>,
}

/// What all changes of a record share.
pub(super) struct Context {
    pub(super) number: SourceNumber,
    pub(super) day: Option<Day>,
    pub(super) created: Option<Moment>,
    pub(super) revision: Option<Revision>,
    /// After this instant a time is in the future.
    pub(super) latest: Timestamp,
}

impl Normalizer for RecordNormalizer {
    fn normalize(&self, body: &[u8], received_at: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        let opened = Opened::new(&self.profile.exchange, body).map_err(NormalizeError::Undecodable)?;
        let latest = received_at.checked_add(self.profile.future_tolerance).unwrap_or(Timestamp::MAX);
        let root = opened.root().map_err(NormalizeError::Undecodable)?;
        if let Some(push) = &self.profile.push
            && let Some(raw) = json::lookup(root, &push.root)
        {
            let embedded = embedded(&self.profile, raw);
            let object = json::object(embedded.as_deref().unwrap_or_else(|| raw.get()));
            let object = json::opened(object.unwrap_or_default(), &push.containers);
            if let Some(partial) = partial_of(&self.profile, &object) {
                return self.partial(partial, &object, latest);
            }
        }
        let raw = opened.record().map_err(NormalizeError::Undecodable)?;
        let embedded = embedded(&self.profile, raw);
        let object = json::object(embedded.as_deref().unwrap_or_else(|| raw.get()))
            .map_err(|error| NormalizeError::Undecodable(json::place(&error)))?;
        self.wide(&json::opened(object, &self.profile.record.containers), latest)
    }

    fn record_is_whole(&self) -> bool {
        self.profile.record.whole
    }

    fn handles_orders(&self) -> bool {
        self.profile.record.handles
    }

    fn projection_version(&self) -> u32 {
        self.profile.identity.projection_version
    }
}

/// The rule of a partial push, when the object is one.
pub(super) fn partial_of<'a>(profile: &'a Profile, object: &Object<'_>) -> Option<&'a PartialPush> {
    let push = profile.push.as_ref()?;
    let kind = json::field(object, &push.kind);
    push.partial.iter().find(|partial| partial.kind == kind.text && object.contains_key(&partial.element))
}

fn missing(wire_field: &str) -> NormalizeError {
    NormalizeError::MissingField { wire_field: wire_field.to_owned() }
}

fn number_in(object: &Object<'_>, wire_field: &str) -> Result<SourceNumber, NormalizeError> {
    let scalar = json::field(object, wire_field);
    if !scalar.simple {
        return Err(missing(wire_field));
    }
    SourceNumber::new(scalar.text).map_err(|_| missing(wire_field))
}

impl RecordNormalizer {
    pub(super) fn new(profile: Arc<Profile>) -> Self {
        Self { profile }
    }

    fn partial(
        &self,
        partial: &PartialPush,
        object: &Object<'_>,
        latest: Timestamp,
    ) -> Result<Vec<Change>, NormalizeError> {
        let number = number_in(object, &partial.number)?;
        let item = self.profile.item(&partial.item).ok_or_else(|| missing(&partial.element))?;
        let element = object
            .get(&partial.element)
            .and_then(|raw| json::as_object(raw))
            .ok_or_else(|| missing(&partial.element))?;
        let element = json::opened(element, &item.containers);
        let context = Context { number, day: None, created: None, revision: None, latest };
        let change =
            self.change(&context, item, &element).map_err(|field| missing(&format!("{}.{field}", partial.element)))?;
        Ok(vec![change])
    }

    fn wide(&self, object: &Object<'_>, latest: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        let record = &self.profile.record;
        let number = number_in(object, &record.number)?;
        let created = json::field(object, &record.created);
        let created = self.profile.times.read(&created.text).ok_or_else(|| missing(&record.created))?;
        let mut oddities = Vec::new();
        let mut unmapped = BTreeMap::new();
        let revision = self.revision(object, latest, &mut oddities);
        let context = Context { number, day: Some(created.day()), created: Some(created), revision, latest };

        let mut changes: Vec<Change> = Vec::new();
        for item in &self.profile.items {
            let Some(list) = &item.list else {
                if item.when.as_ref().is_some_and(|wire_field| json::field(object, wire_field).text.is_empty()) {
                    continue;
                }
                match self.change(&context, item, object) {
                    Ok(change) => changes.push(change),
                    Err(field) => oddities.push(Oddity::UnreadableValue { wire_field: field.to_owned() }),
                }
                continue;
            };
            let raw = object.get(list).copied();
            let Some(elements) = json::as_list(raw, self.profile.exchange.lists_are_repetition()) else {
                keep(&mut unmapped, list, raw);
                oddities.push(Oddity::UnreadableValue { wire_field: list.clone() });
                continue;
            };
            for (at, raw) in elements.into_iter().enumerate() {
                let change = match json::as_object(raw) {
                    Some(element) => self
                        .change(&context, item, &json::opened(element, &item.containers))
                        .map_err(|field| format!("{list}.{field}")),
                    None => Err(list.clone()),
                };
                match change {
                    Ok(change) => push_distinct(&mut changes, change, item),
                    Err(wire_field) => {
                        keep(&mut unmapped, &format!("{list}[{at}]"), Some(raw));
                        oddities.push(Oddity::UnreadableValue { wire_field });
                    }
                }
            }
        }
        for (name, raw) in object {
            if !self.knows(name) && !json::is_absent(raw) {
                keep(&mut unmapped, name, Some(raw));
                oddities.push(Oddity::UnknownField { wire_field: name.clone() });
            }
        }
        match changes.first_mut() {
            Some(first) => {
                first.unmapped.append(&mut unmapped);
                oddities.append(&mut first.oddities);
                first.oddities = oddities;
                first.oddities = distinct(std::mem::take(&mut first.oddities));
            }
            None => return Err(missing(&record.number)),
        }
        Ok(changes)
    }

    fn revision(&self, object: &Object<'_>, latest: Timestamp, oddities: &mut Vec<Oddity>) -> Option<Revision> {
        let wire_field = &self.profile.record.revision;
        let scalar = json::field(object, wire_field);
        if scalar.text.is_empty() {
            return None;
        }
        let number = if self.profile.record.revision_is_time {
            self.profile.times.read(&scalar.text).map(|moment| {
                if moment.start() > latest {
                    oddities.push(Oddity::FutureTime { wire_field: wire_field.clone() });
                }
                moment.start().as_millisecond()
            })
        } else {
            scalar.text.trim().parse().ok()
        };
        if number.is_none() {
            oddities.push(Oddity::UnreadableValue { wire_field: wire_field.clone() });
        }
        number.map(Revision)
    }

    fn knows(&self, name: &str) -> bool {
        let record = &self.profile.record;
        [&record.number, &record.created, &record.revision].iter().any(|known| *known == name)
            || record.ignored.iter().any(|known| known == name)
            || self.profile.items.iter().any(|item| match &item.list {
                Some(list) => list == name,
                None => item.knows(name),
            })
    }

    /// The change that one item states.
    ///
    /// # Errors
    /// The wire field without which it can't be one: of its part, or of its time where the record gives none.
    pub(super) fn change<'p>(
        &self,
        context: &Context,
        item: &'p ItemRule,
        object: &Object<'_>,
    ) -> Result<Change, &'p str> {
        let part = read_part(&item.part, object)?;
        let prefix = item.list.as_deref();
        let named = |wire: &str| prefix.map_or_else(|| wire.to_owned(), |prefix| format!("{prefix}.{wire}"));
        let mut oddities = Vec::new();

        let event_time = match self.profile.times.read(&json::field(object, &item.event_time).text) {
            Some(moment) => moment,
            None => {
                // What has no time of its own counts with the order's acceptance, visibly.
                let created = context.created.ok_or(item.event_time.as_str())?;
                oddities.push(Oddity::UnreadableValue { wire_field: named(&item.event_time) });
                created
            }
        };
        if event_time.start() > context.latest {
            oddities.push(Oddity::FutureTime { wire_field: named(&item.event_time) });
        }
        if item.dataset == Dataset::Completion && context.created.is_some_and(|created| is_before(event_time, created))
        {
            oddities.push(Oddity::CompletedBeforeAccepted);
        }

        let compared: Vec<_> =
            item.compared.iter().map(|name| (name.as_str(), json::field(object, name).text)).collect();
        let digest = digest_of_pairs(compared.iter().map(|(name, text)| (*name, text.as_str())));

        let replaces = self.profile.exchange.undecodable_bytes == UndecodableBytes::Replace;
        let (mut fields, mut person) = (Fields::new(), Fields::new());
        for (name, rule) in &item.fields {
            let scalar = json::field(object, name);
            if scalar.text.is_empty() {
                continue;
            }
            if replaces && scalar.text.contains(char::REPLACEMENT_CHARACTER) {
                oddities.push(Oddity::UnreadableValue { wire_field: named(name) });
            }
            let value = self.value(context, rule, &scalar, &named(name), &mut oddities);
            let home = if rule.field.is_person() { &mut person } else { &mut fields };
            home.set(rule.field, value);
        }
        // The plate in its normal form is worked out here, so that every channel that states one is compared alike.
        if let Some(written) = fields.text(Field::PlateWritten) {
            match Plate::read(written) {
                Some(plate) => fields.set(Field::Plate, FieldValue::Text(plate.to_string())),
                None => oddities.extend(
                    item.wire_of(Field::PlateWritten).map(|wire| Oddity::UnreadableValue { wire_field: named(wire) }),
                ),
            }
        }
        let mut unmapped = BTreeMap::new();
        if prefix.is_some() {
            for (name, raw) in object {
                if !item.knows(name) && !json::is_absent(raw) {
                    keep(&mut unmapped, name, Some(raw));
                    oddities.push(Oddity::UnknownField { wire_field: named(name) });
                }
            }
        }
        Ok(Change {
            number: context.number.clone(),
            day: context.day,
            dataset: item.dataset,
            part,
            revision: context.revision,
            event_time,
            digest,
            fields,
            person,
            unmapped,
            oddities: distinct(oddities),
            operation: None,
        })
    }

    fn value(
        &self,
        context: &Context,
        rule: &FieldRule,
        scalar: &Scalar,
        named: &str,
        oddities: &mut Vec<Oddity>,
    ) -> FieldValue {
        let text = scalar.text.as_str();
        let unreadable = |oddities: &mut Vec<Oddity>| {
            oddities.push(Oddity::UnreadableValue { wire_field: named.to_owned() });
            FieldValue::Text(text.to_owned())
        };
        if !scalar.simple {
            return unreadable(oddities);
        }
        match rule.field.kind() {
            FieldKind::Text => FieldValue::Text(text.to_owned()),
            FieldKind::Number => match text.trim().parse() {
                Ok(number) => FieldValue::Number(number),
                Err(_) => unreadable(oddities),
            },
            FieldKind::Time => match self.profile.times.read(text) {
                Some(moment) => {
                    if rule.past && moment.start() > context.latest {
                        oddities.push(Oddity::FutureTime { wire_field: named.to_owned() });
                    }
                    FieldValue::Time(moment)
                }
                None => unreadable(oddities),
            },
            kind @ (FieldKind::Code | FieldKind::Flag) => {
                let table = rule.codes.as_deref().unwrap_or_default();
                match self.profile.codes.canonical(table, text, context.day) {
                    Some(canonical) if kind == FieldKind::Flag => FieldValue::Flag(canonical == "true"),
                    Some(canonical) => FieldValue::Text(canonical.to_owned()),
                    None => {
                        oddities.push(Oddity::UnknownCode { wire_field: named.to_owned() });
                        FieldValue::Text(format!("raw:{text}"))
                    }
                }
            }
        }
    }
}

fn read_part<'p>(rule: &'p PartRule, object: &Object<'_>) -> Result<Part, &'p str> {
    match rule {
        PartRule::Fixed(cycle) => Ok(Part::Cycle(*cycle)),
        PartRule::Cycle(field) => {
            let scalar = json::field(object, field);
            scalar.text.trim().parse().map(Part::Cycle).map_err(|_| field.as_str())
        }
        PartRule::Event(field) => {
            let scalar = json::field(object, field);
            if !scalar.simple {
                return Err(field);
            }
            EventId::new(scalar.text).map(Part::Event).map_err(|_| field.as_str())
        }
    }
}

// A day against a time can only be compared by the day.
fn is_before(one: Moment, other: Moment) -> bool {
    if one.is_date_only() || other.is_date_only() { one.day() < other.day() } else { one.start() < other.start() }
}

fn keep(unmapped: &mut BTreeMap<String, serde_json::Value>, name: &str, raw: Option<&RawValue>) {
    let Some(raw) = raw else { return };
    // A value that only a raw slice can hold (a lone surrogate, too deep) is kept as its text.
    let value = serde_json::from_str(raw.get()).unwrap_or_else(|_| serde_json::Value::String(raw.get().to_owned()));
    unmapped.insert(name.to_owned(), value);
}

// Of two elements with one part the later stands; they would be two contents of one version, which nothing could settle.
fn push_distinct(changes: &mut Vec<Change>, mut change: Change, item: &ItemRule) {
    let twin = changes.iter().position(|other| other.dataset == change.dataset && other.part == change.part);
    if let Some(at) = twin {
        let earlier = changes.remove(at);
        if earlier.digest != change.digest {
            let wire_field = item.list.clone().unwrap_or_default();
            change.oddities.push(Oddity::UnreadableValue { wire_field });
            change.oddities = distinct(change.oddities);
        }
    }
    changes.push(change);
}

fn distinct(oddities: Vec<Oddity>) -> Vec<Oddity> {
    let mut kept: Vec<Oddity> = Vec::with_capacity(oddities.len());
    for oddity in oddities {
        if !kept.contains(&oddity) {
            kept.push(oddity);
        }
    }
    kept
}
