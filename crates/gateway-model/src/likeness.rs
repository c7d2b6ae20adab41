//! Likeness: whether two orders may be one complaint that came in over two channels.
//!
//! Orders are compared only with those of other channels that share a **match key** with them (requester, plate, or place) and lie near them in time, so a new order costs the
//! same however many there are. What is compared is small and kept ([`MatchSubject::to_bytes`]), so that nobody reads whole orders for it, and it holds no person and no text:
//! the requester is a keyed hash, and of an order that is secret (保密) or anonymous (匿名) there is none; of a text only its pairs of letters, mixed with the key.
//!
//! Refused: a key made of the text. Complaints of one kind share most of their words; texts are compared where something else is shared already.

use crate::{Field, Fields, Likeness, Moment, PersonKey, Plate};
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Complaints further apart than this are two, in ms.
pub const MATCH_WINDOW_MS: i64 = 7 * DAY_MS;

/// From this score on, of 100, two orders are shown to a person.
pub const CANDIDATE_SCORE: u32 = 50;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// Letters of a text that are compared.
const TEXT_CHARS: usize = 400;
/// The form of [`MatchSubject::to_bytes`].
const FORM: u8 = 1;
const KEY_BYTES: usize = 16;

/// What orders are found by: the first 16 bytes of a hash of its kind and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchKey(pub [u8; KEY_BYTES]);

impl MatchKey {
    fn of(kind: &str, text: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0x1f]);
        hash.update(text.as_bytes());
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(&hash.finalize()[..KEY_BYTES]);
        Self(key)
    }
}

/// What of an order is compared.
///
/// Who changes what is in it, or how it is made, clears what is kept of it by a migration, so that every order is looked at again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchSubject {
    requester: BTreeSet<MatchKey>,
    plate: Option<MatchKey>,
    place: Option<MatchKey>,
    at_ms: i64,
    /// Pairs of letters, each mixed with the key, ascending.
    text: Vec<u32>,
}

/// Bytes that are no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is kept of an order for comparing has a form that is not known")]
pub struct InvalidSubject;

impl MatchSubject {
    /// From what a channel says of the acceptance and when (`event_time`); `persons` are the person fields of it.
    #[must_use]
    pub fn of(fields: &Fields, event_time: Moment, persons: &Fields, key: &PersonKey) -> Self {
        let flag = |field| matches!(fields.get(field), Some(crate::FieldValue::Flag(true)));
        let hidden = flag(Field::IsSecret) || flag(Field::IsAnonymous);
        let phones = [Field::RequesterPhone, Field::ContactPhone].into_iter().filter_map(|field| persons.text(field));
        // One person's number, whichever of the two fields it stands in.
        let hashed = phones.filter(|_| !hidden).filter_map(|phone| key.hash(Field::RequesterPhone, phone));
        let text: String = [Field::Title, Field::Content].iter().filter_map(|field| fields.text(*field)).collect();
        let at = fields.moment(Field::TripFrom).or_else(|| fields.moment(Field::OccurredAt));
        let at = at.or_else(|| fields.moment(Field::AcceptedAt)).unwrap_or(event_time);
        let plate = fields.text(Field::Plate).and_then(Plate::read);
        let place = fields.text(Field::Pickup).or_else(|| fields.text(Field::Address)).and_then(plain);
        Self {
            requester: hashed.map(|hash| MatchKey::of("requester", hash.as_str())).collect(),
            plate: plate.map(|plate| MatchKey::of("plate", plate.as_str())),
            place: place.map(|place| MatchKey::of("place", &place)),
            at_ms: at.start().as_millisecond(),
            text: pairs_of_letters(&text, key.mixing()),
        }
    }

    /// When it happened, in ms since 1970 UTC.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// What it is found by, and how far apart (ms) two orders may lie that are found by it. A place alone is a candidate within a day only: time and the
    /// same text give the rest of the score, and beyond a day time gives nothing.
    #[must_use]
    pub fn keys(&self) -> Vec<(MatchKey, i64)> {
        let week = self.requester.iter().chain(&self.plate).map(|key| (*key, MATCH_WINDOW_MS));
        week.chain(self.place.map(|place| (place, DAY_MS))).collect()
    }

    /// How alike two are, 0 to 100.
    #[must_use]
    pub fn score(&self, other: &Self) -> u32 {
        let score: i32 = self.points(other).iter().map(|(_, points)| points).sum();
        u32::try_from(score.clamp(0, 100)).unwrap_or(0)
    }

    /// In what two are alike, and in what they differ.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> Vec<Likeness> {
        let points = self.points(other).into_iter().filter(|(_, points)| *points != 0);
        points.map(|(what, points)| Likeness { what: what.to_owned(), points }).collect()
    }

    fn points(&self, other: &Self) -> [(&'static str, i32); 5] {
        let requester = if self.requester.is_disjoint(&other.requester) { 0 } else { 35 };
        let plate = match (&self.plate, &other.plate) {
            (Some(one), Some(two)) if one == two => 35,
            (Some(_), Some(_)) => -40,
            _ => 0,
        };
        let place = if self.place.is_some() && self.place == other.place { 15 } else { 0 };
        let time = match self.at_ms.abs_diff(other.at_ms) {
            apart if apart <= 2 * HOUR_MS as u64 => 20,
            apart if apart <= DAY_MS as u64 => 10,
            apart if apart <= MATCH_WINDOW_MS as u64 => 0,
            _ => -40,
        };
        let shared = shared(&self.text, &other.text);
        let all = self.text.len() + other.text.len() - shared;
        // At most 30; texts of two letters say nothing.
        let text = i32::try_from((shared * 30).checked_div(all).unwrap_or(0)).unwrap_or(0);
        [("requester", requester), ("plate", plate), ("place", place), ("time", time), ("text", text)]
    }

    /// As it is kept: the form, the number of requesters with their keys, which of plate and place there are with theirs, and the pairs of letters, 4 bytes each. When it
    /// happened is kept beside it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let keys = self.requester.len() + 2;
        let mut bytes = Vec::with_capacity(3 + keys * KEY_BYTES + self.text.len() * 4);
        bytes.extend([FORM, u8::try_from(self.requester.len()).unwrap_or(u8::MAX)]);
        // Two fields hold a phone, so two are all there can be.
        bytes.extend(self.requester.iter().take(usize::from(u8::MAX)).flat_map(|key| key.0));
        bytes.push(u8::from(self.plate.is_some()) | (u8::from(self.place.is_some()) << 1));
        bytes.extend(self.plate.iter().chain(&self.place).flat_map(|key| key.0));
        bytes.extend(self.text.iter().flat_map(|pair| pair.to_le_bytes()));
        bytes
    }

    /// What was kept.
    ///
    /// # Errors
    /// [`InvalidSubject`] for anything else.
    pub fn from_bytes(at_ms: i64, bytes: &[u8]) -> Result<Self, InvalidSubject> {
        let (&[form, requesters], mut rest) = bytes.split_first_chunk().ok_or(InvalidSubject)?;
        let mut requester = BTreeSet::new();
        for _ in 0..requesters {
            requester.insert(take_key(&mut rest)?);
        }
        let (&known, mut rest) = rest.split_first().ok_or(InvalidSubject)?;
        let plate = (known & 1 != 0).then(|| take_key(&mut rest)).transpose()?;
        let place = (known & 2 != 0).then(|| take_key(&mut rest)).transpose()?;
        let (pairs, left) = rest.as_chunks();
        if form != FORM || known > 3 || !left.is_empty() {
            return Err(InvalidSubject);
        }
        let text: Vec<u32> = pairs.iter().map(|pair| u32::from_le_bytes(*pair)).collect();
        if !text.is_sorted_by(|one, next| one < next) {
            return Err(InvalidSubject);
        }
        Ok(Self { requester, plate, place, at_ms, text })
    }
}

fn take_key(bytes: &mut &[u8]) -> Result<MatchKey, InvalidSubject> {
    let (key, rest) = bytes.split_first_chunk().ok_or(InvalidSubject)?;
    *bytes = rest;
    Ok(MatchKey(*key))
}

/// A place as it is compared: letters and digits in half width and lower case; `None` where too little is left to be one place.
fn plain(text: &str) -> Option<String> {
    let plain: String = crate::company_key(text).chars().filter(|sign| sign.is_alphanumeric()).collect();
    (plain.chars().count() >= 4).then_some(plain)
}

fn pairs_of_letters(text: &str, mixing: u64) -> Vec<u32> {
    let letters: Vec<u16> = text.chars().filter(|sign| sign.is_alphanumeric()).take(TEXT_CHARS).map(folded).collect();
    let pairs = letters.windows(2).map(|two| mixed(u32::from(two[0]) << 16 | u32::from(two[1]), mixing));
    let mut pairs: Vec<u32> = pairs.collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// A letter in 16 bits: itself but for the rare ones beyond them, of which two may share a number with others.
fn folded(letter: char) -> u16 {
    let code = u32::from(letter);
    (code ^ (code >> 16).wrapping_mul(0x9e37)) as u16
}

/// Another number for each number, so that two different ones stay different, and who lacks `mixing` does not read letters from it. No cipher: how often
/// a pair stands in many orders still tells something.
fn mixed(pair: u32, mixing: u64) -> u32 {
    let mut mixed = (pair ^ mixing as u32).wrapping_mul((mixing >> 32) as u32 | 1);
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

/// How many are in both; both ascend.
fn shared(one: &[u32], two: &[u32]) -> usize {
    let (mut at, mut beside, mut shared) = (0, 0, 0);
    while let (Some(left), Some(right)) = (one.get(at), two.get(beside)) {
        match left.cmp(right) {
            Ordering::Less => at += 1,
            Ordering::Greater => beside += 1,
            Ordering::Equal => (at, beside, shared) = (at + 1, beside + 1, shared + 1),
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::{CANDIDATE_SCORE, DAY_MS, InvalidSubject, MatchSubject, folded, mixed, pairs_of_letters};
    use crate::{Field, FieldValue, Fields, Moment, PersonKey, Timestamp};
    use std::collections::BTreeSet;

    fn fields(pairs: &[(Field, &str)]) -> Fields {
        pairs.iter().map(|(field, text)| (*field, FieldValue::from(*text))).collect()
    }

    fn subject(at_ms: i64, said: &[(Field, &str)], phone: &str) -> MatchSubject {
        let at = Moment::At(Timestamp::from_millisecond(at_ms).unwrap());
        let persons = fields(&[(Field::RequesterPhone, phone)]);
        MatchSubject::of(&fields(said), at, &persons, &PersonKey::of_installation(&[7; 32]))
    }

    const SAID: [(Field, &str); 3] =
        [(Field::Plate, "粤AD12345"), (Field::Address, "天河区体育东路1号"), (Field::Content, "司机拒载 𠮷野家")];

    #[test]
    fn what_is_kept_is_read_back() {
        for subject in
            [subject(9, &SAID, "13800000000"), subject(-5, &SAID[1..], ""), subject(0, &[], ""), Default::default()]
        {
            let bytes = subject.to_bytes();
            assert_eq!(MatchSubject::from_bytes(subject.at_ms(), &bytes), Ok(subject));
            for cut in 0..bytes.len() {
                // What is cut between two pairs of letters is a shorter text.
                let read = MatchSubject::from_bytes(0, &bytes[..cut]);
                assert!(read.is_err() || (bytes.len() - cut).is_multiple_of(4));
            }
        }
        assert_eq!(MatchSubject::from_bytes(0, &[2, 0, 0]), Err(InvalidSubject));
        assert_eq!(MatchSubject::from_bytes(0, &[1, 0, 4]), Err(InvalidSubject));
    }

    #[test]
    fn nothing_that_is_kept_shows_what_was_said() {
        let bytes = subject(9, &SAID, "13800000000").to_bytes();
        for said in ["138", "粤AD", "12345", "天河", "拒载"] {
            assert!(!bytes.windows(said.len()).any(|window| window == said.as_bytes()));
        }
        let [one, other] = [7, 8].map(|secret| PersonKey::of_installation(&[secret; 32]).mixing());
        assert_ne!(pairs_of_letters("司机拒载", one), pairs_of_letters("司机拒载", other));
    }

    #[test]
    fn pairs_of_letters_stay_as_many_as_they_are() {
        let mixing = PersonKey::of_installation(&[7; 32]).mixing();
        let pairs: BTreeSet<u32> =
            (0..100_000_u32).map(|pair| mixed(pair.wrapping_mul(2_654_435_761), mixing)).collect();
        assert_eq!(pairs.len(), 100_000);
        assert_eq!(folded('载'), 0x8f7d);
        assert_eq!(pairs_of_letters("拒载，拒载！", mixing).len(), 2);
    }

    #[test]
    fn the_score_is_what_each_likeness_gives() {
        let one = subject(0, &SAID, "13800000000");
        let points = |other: &MatchSubject| {
            let mut found: Vec<(String, i32)> = Vec::new();
            found.extend(one.likeness(other).into_iter().map(|one| (one.what, one.points)));
            (one.score(other), found)
        };
        let all = [("requester", 35), ("plate", 35), ("place", 15), ("time", 20), ("text", 30)];
        assert_eq!(points(&one), (100, all.map(|(what, points)| (what.to_owned(), points)).into()));
        let later = subject(DAY_MS, &[(Field::Plate, "粤AD12346"), (Field::Content, "司机拒载")], "138 0000-0000");
        // Shared: 司机 机拒 拒载, of the six of the longer.
        let found = [("requester", 35), ("plate", -40), ("time", 10), ("text", 15)];
        assert_eq!(points(&later), (20, found.map(|(what, points)| (what.to_owned(), points)).into()));
        assert_eq!(one.score(&subject(8 * DAY_MS, &[], "")), 0);
    }

    #[test]
    fn a_place_alone_is_no_candidate_beyond_its_reach() {
        let said = &SAID[1..];
        let one = subject(0, said, "");
        let [(_, reach)] = one.keys()[..] else { panic!("one key") };
        assert!(one.score(&subject(reach, said, "")) >= CANDIDATE_SCORE);
        assert!(one.score(&subject(reach + 1, said, "")) < CANDIDATE_SCORE);
    }
}
