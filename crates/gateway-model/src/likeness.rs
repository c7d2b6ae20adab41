//! Likeness: whether two orders may be one complaint that came in over two channels.
//!
//! Orders are compared only with those that share a **match key** with them (requester, plate, or place) and lie within a week of them, so a new order costs the same however
//! many there are. Keys and reasons hold no person: the requester is a keyed hash, and of an order that is secret (保密) or anonymous (匿名) there is none.
//!
//! Refused: a key made of the text. Complaints of one kind share most of their words; texts are compared where something else is shared already.

use crate::{Dataset, FacetRow, Field, Fields, Likeness, PersonKey, Plate};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// Complaints further apart than this are two, in ms.
pub const MATCH_WINDOW_MS: i64 = 7 * DAY_MS;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// Letters of a text that are compared.
const TEXT_CHARS: usize = 400;

/// What orders are found by: the first 16 bytes of a hash of its kind and content, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchKey(pub String);

impl MatchKey {
    fn of(kind: &str, text: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0x1f]);
        hash.update(text.as_bytes());
        Self(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What of an order is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchSubject {
    requester: BTreeSet<MatchKey>,
    plate: Option<String>,
    place: Option<String>,
    at_ms: Option<i64>,
    text: BTreeSet<(char, char)>,
}

impl MatchSubject {
    /// From what a channel says of the acceptance; `persons` are the person fields of it.
    #[must_use]
    pub fn of(facet: &FacetRow, persons: &Fields, key: &PersonKey) -> Self {
        let fields = &facet.fields;
        let flag = |field| matches!(fields.get(field), Some(crate::FieldValue::Flag(true)));
        let hidden = flag(Field::IsSecret) || flag(Field::IsAnonymous);
        let phones = [Field::RequesterPhone, Field::ContactPhone].into_iter().filter_map(|field| persons.text(field));
        // One person's number, whichever of the two fields it stands in.
        let hashed = phones.filter_map(|phone| key.hash(Field::RequesterPhone, phone)).filter(|_| !hidden);
        let text: String = [Field::Title, Field::Content].iter().filter_map(|field| fields.text(*field)).collect();
        let at = fields.moment(Field::TripFrom).or_else(|| fields.moment(Field::OccurredAt));
        let at = at.or_else(|| fields.moment(Field::AcceptedAt)).unwrap_or(facet.event_time);
        Self {
            requester: hashed.map(|hash| MatchKey::of("requester", hash.as_str())).collect(),
            plate: fields.text(Field::Plate).and_then(Plate::read).map(|plate| plate.as_str().to_owned()),
            place: fields.text(Field::Pickup).or_else(|| fields.text(Field::Address)).and_then(plain),
            at_ms: Some(at.start().as_millisecond()),
            text: pairs_of_letters(&text),
        }
    }

    /// The acceptance that tells most of an order: the first that is a channel's own word.
    #[must_use]
    pub fn facet(facets: &[FacetRow]) -> Option<&FacetRow> {
        let mut own = facets.iter().filter(|facet| facet.dataset == Dataset::Acceptance && !facet.echo);
        own.find(|facet| facet.gone_at.is_none())
    }

    /// When it happened, in ms since 1970 UTC; 0 where nothing is known.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        self.at_ms.unwrap_or(0)
    }

    /// What it is found by.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<MatchKey> {
        let mut keys = self.requester.clone();
        keys.extend(self.plate.as_deref().map(|plate| MatchKey::of("plate", plate)));
        keys.extend(self.place.as_deref().map(|place| MatchKey::of("place", place)));
        keys
    }

    /// How alike two are, 0 to 100, and in what.
    #[must_use]
    pub fn compare(&self, other: &Self) -> (u32, Vec<Likeness>) {
        let mut found = Vec::new();
        let mut add = |what: &str, points: i32| {
            if points != 0 {
                found.push(Likeness { what: what.to_owned(), points });
            }
        };
        if !self.requester.is_disjoint(&other.requester) {
            add("requester", 35);
        }
        match (&self.plate, &other.plate) {
            (Some(one), Some(two)) if one == two => add("plate", 35),
            (Some(_), Some(_)) => add("plate", -40),
            _ => {}
        }
        if self.place.is_some() && self.place == other.place {
            add("place", 15);
        }
        if let (Some(one), Some(two)) = (self.at_ms, other.at_ms) {
            add(
                "time",
                match one.abs_diff(two) {
                    apart if apart <= 2 * HOUR_MS as u64 => 20,
                    apart if apart <= DAY_MS as u64 => 10,
                    apart if apart <= MATCH_WINDOW_MS as u64 => 0,
                    _ => -40,
                },
            );
        }
        let (shared, all) = (self.text.intersection(&other.text).count(), self.text.union(&other.text).count());
        // At most 30; texts of two letters say nothing.
        let text = (shared * 30).checked_div(all).unwrap_or(0);
        add("text", i32::try_from(text).unwrap_or(0));
        let score: i32 = found.iter().map(|likeness| likeness.points).sum();
        (u32::try_from(score.clamp(0, 100)).unwrap_or(0), found)
    }
}

/// A place as it is compared: letters and digits in half width and lower case; `None` where too little is left to be one place.
fn plain(text: &str) -> Option<String> {
    let plain: String = crate::company_key(text).chars().filter(|sign| sign.is_alphanumeric()).collect();
    (plain.chars().count() >= 4).then_some(plain)
}

fn pairs_of_letters(text: &str) -> BTreeSet<(char, char)> {
    let letters: Vec<char> = text.chars().filter(|sign| sign.is_alphanumeric()).take(TEXT_CHARS).collect();
    letters.windows(2).map(|two| (two[0], two[1])).collect()
}
