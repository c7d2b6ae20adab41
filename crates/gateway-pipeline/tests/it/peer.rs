//! A channel with the simplest wire: a record names an order and says a text about some of its items.

use async_trait::async_trait;
use bytes::Bytes;
use gateway_connector::{
    AttachmentError, AttachmentSource, Connector, Descriptor, NormalizeError, Normalizer, RequestError,
};
use gateway_model::{
    BookItem, Change, Dataset, Day, Field, FieldValue, Fields, ItemKey, Moment, Oddity, Part, Revision, SourceNumber,
    Timestamp, digest_of_pairs,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    pub number: String,
    /// `None` in a partial record.
    pub day: Option<String>,
    pub revision: Option<i64>,
    pub items: Vec<WireItem>,
}

/// What it says of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WireItem {
    pub dataset: String,
    pub part: String,
    /// Minutes after [`start`].
    pub minute: i64,
    pub text: String,
    pub person: String,
    pub odd: Vec<String>,
}

/// A Monday morning in China.
pub fn start() -> Timestamp {
    "2026-11-23T09:00:00+08:00".parse().unwrap()
}

/// Milliseconds after it.
pub fn ms(after: i64) -> Timestamp {
    Timestamp::from_millisecond(start().as_millisecond() + after).unwrap()
}

pub const DAY: &str = "2026-11-23";

pub fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub fn number(text: &str) -> SourceNumber {
    SourceNumber::new(text).unwrap()
}

/// What a whole record says first of each dataset.
pub fn item(place: &str, text: &str) -> WireItem {
    let (dataset, part) = place.split_once('/').unwrap();
    WireItem {
        dataset: dataset.into(),
        part: part.into(),
        minute: 1,
        text: text.into(),
        person: String::new(),
        odd: Vec::new(),
    }
}

/// A whole record.
pub fn whole(number: &str, revision: i64, items: &[(&str, &str)]) -> Wire {
    let items = items.iter().map(|(place, text)| item(place, text)).collect();
    Wire { number: number.into(), day: Some(DAY.into()), revision: Some(revision), items }
}

/// A partial one.
pub fn partial(number: &str, place: &str, text: &str) -> Wire {
    Wire { number: number.into(), day: None, revision: None, items: vec![item(place, text)] }
}

impl Wire {
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap()
    }

    /// How many changes it states.
    pub fn changes(&self) -> u64 {
        self.items.len() as u64
    }
}

impl WireItem {
    pub fn dataset(&self) -> Dataset {
        self.dataset.parse().unwrap()
    }

    pub fn part(&self) -> Part {
        self.part.parse().unwrap()
    }

    pub fn event_time(&self) -> Moment {
        Moment::At(ms(self.minute * 60_000))
    }

    /// The item of the book for an order of a day.
    pub fn book_item(&self, number: &SourceNumber, day: Day) -> BookItem {
        BookItem {
            key: ItemKey { dataset: self.dataset(), number: number.clone(), day, part: self.part() },
            event_time: self.event_time(),
            digest: digest_of_pairs([("text", self.text.as_str())]),
        }
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        let mut set = |field, text: &str| fields.set(field, FieldValue::from(text));
        match (self.dataset(), self.part()) {
            (Dataset::Handling, Part::Event(_)) => set(Field::EventText, &self.text),
            (Dataset::Handling, Part::Cycle(_)) => {
                let (state, round) = self.text.split_once(' ').unwrap_or((&self.text, "0"));
                set(Field::State, state);
                fields.set(Field::Round, FieldValue::Number(round.parse().unwrap_or(0)));
            }
            (Dataset::Completion, _) => set(Field::ReplyText, &self.text),
            (Dataset::Evaluation, _) => set(Field::VisitOpinion, &self.text),
            (Dataset::Acceptance, _) if self.text.starts_with("车牌 ") => {
                let mut words = self.text.split(' ').skip(1);
                set(Field::Plate, words.next().unwrap_or_default());
                set(Field::OperatorCompany, words.next().unwrap_or_default());
            }
            (Dataset::Acceptance, _) if self.text.starts_with("图片 ") => {
                set(Field::Pictures, self.text.split(' ').nth(1).unwrap_or_default());
            }
            (Dataset::Acceptance, _) if self.text.starts_with("关联 ") => {
                let mut words = self.text.split(' ').skip(1);
                set(Field::RelatedNumber, words.next().unwrap_or_default());
                set(Field::Title, words.next().unwrap_or_default());
            }
            _ => set(Field::Title, &self.text),
        }
        fields
    }
}

/// What a name stands for: with `!` a value that can't be read, else a field that nobody knows.
fn oddity(name: &str) -> Oddity {
    match name.strip_prefix('!') {
        Some(name) => Oddity::UnreadableValue { wire_field: name.to_owned() },
        None => Oddity::UnknownField { wire_field: name.to_owned() },
    }
}

/// The channel's connector: it can be read, and that is all.
pub struct Peer {
    descriptor: Descriptor,
    whole: bool,
    files: bool,
}

impl Peer {
    pub fn new() -> Self {
        let descriptor = Descriptor { kind: "peer", datasets: Dataset::ALL.to_vec(), manifest_grains: Vec::new() };
        Self { descriptor, whole: true, files: true }
    }

    pub fn without_files() -> Self {
        Self { files: false, ..Self::new() }
    }
}

impl Normalizer for Peer {
    fn normalize(&self, body: &[u8], _received_at: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        let wire: Wire = serde_json::from_slice(body)
            .map_err(|error| NormalizeError::Undecodable(format!("{:?}", error.classify())))?;
        let number =
            SourceNumber::new(wire.number).map_err(|_| NormalizeError::MissingField { wire_field: "number".into() })?;
        let day = wire.day.map(|text| text.parse().unwrap());
        let change = |item: &WireItem| {
            let mut person = Fields::new();
            if !item.person.is_empty() {
                person.set(Field::RequesterName, FieldValue::from(item.person.as_str()));
            }
            Change {
                number: number.clone(),
                day,
                dataset: item.dataset(),
                part: item.part(),
                revision: wire.revision.map(Revision),
                event_time: item.event_time(),
                digest: digest_of_pairs([("text", item.text.as_str())]),
                fields: item.fields(),
                person,
                unmapped: BTreeMap::new(),
                oddities: item.odd.iter().map(|name| oddity(name)).collect(),
                operation: None,
            }
        };
        Ok(wire.items.iter().map(change).collect())
    }

    fn record_is_whole(&self) -> bool {
        self.whole
    }

    fn projection_version(&self) -> u32 {
        1
    }
}

#[async_trait]
impl Connector for Peer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn normalizer(&self) -> &dyn Normalizer {
        self
    }

    fn attachments(&self) -> Option<&dyn AttachmentSource> {
        self.files.then_some(self as &dyn AttachmentSource)
    }

    async fn check_connectivity(&self) -> Result<(), RequestError> {
        Ok(())
    }
}

#[async_trait]
impl AttachmentSource for Peer {
    async fn fetch(&self, _: &str, _: usize) -> Result<Bytes, AttachmentError> {
        Err(AttachmentError::NotThere { code: "http_404".into() })
    }
}
