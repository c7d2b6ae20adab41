//! Verification (核查): what an order says of a car, its driver, its company and the trip, compared with the operating data (运营数据).
//!
//! The registry holds no person: a driver is there by the keyed hash of the permit number and of the name ([`PersonKey`]), and so is what an order says of
//! one, so that it can be compared again when the registry changes without opening the person home. A verdict says which fields were compared and which
//! differ; of a person only that it differs.
//!
//! Refused: to correct an order from the registry (a wrong plate then accuses another driver), and to refuse an order whose car is unknown (the
//! complaint stands all the same).

use crate::{Change, Field, FieldValue, Plate, RawId, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A trip and what is said of it may differ by so much.
const TRIP_TOLERANCE_MS: i64 = 10 * 60_000;

/// No trip is longer.
const LONGEST_TRIP_MS: i64 = 24 * 3_600_000;

/// What a registry file lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryKind {
    /// Cars, by plate.
    Vehicles,
    /// Drivers, by permit number.
    Drivers,
    /// Companies, by name.
    Companies,
    /// Trips, by plate and start.
    Trips,
}

impl RegistryKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Vehicles, Self::Drivers, Self::Companies, Self::Trips];

    /// The name in commands, SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vehicles => "vehicles",
            Self::Drivers => "drivers",
            Self::Companies => "companies",
            Self::Trips => "trips",
        }
    }

    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Self::Vehicles => "车辆",
            Self::Drivers => "驾驶员",
            Self::Companies => "企业",
            Self::Trips => "行程",
        }
    }
}

impl fmt::Display for RegistryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RegistryKind {
    type Err = crate::dataset::UnknownWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(crate::dataset::UnknownWord("registry kind"))
    }
}

/// The keyed hash of what identifies a person, 64 lower-case hex digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonHash(String);

impl PersonHash {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PersonHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonHash(…)")
    }
}

/// The key for one purpose that belongs to an installation's secret; of another purpose it is another.
pub(crate) fn key_for(secret: &[u8; 32], purpose: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the fallback is the same construction for the type system's sake.
    let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    let mut mac = keyed(secret);
    mac.update(purpose);
    keyed(&mac.finalize().into_bytes())
}

/// Matches persons without holding them: HMAC-SHA256 with a secret of the installation.
#[derive(Clone)]
pub struct PersonKey(Hmac<Sha256>);

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonKey(…)")
    }
}

impl PersonKey {
    /// The key that belongs to an installation's secret; nothing else that is made from the secret equals it.
    #[must_use]
    pub fn of_installation(secret: &[u8; 32]) -> Self {
        Self(key_for(secret, b"matching of persons"))
    }

    /// What pairs of letters are mixed with before they are kept.
    pub(crate) fn mixing(&self) -> u64 {
        let mut mac = self.0.clone();
        mac.update(b"likeness of texts");
        mac.finalize().into_bytes().iter().take(8).fold(0, |mixing, byte| mixing << 8 | u64::from(*byte))
    }

    /// The hash of a person field; `None` where the text identifies nobody: nothing is left of it, or it is masked (`*`).
    #[must_use]
    pub fn hash(&self, field: Field, text: &str) -> Option<PersonHash> {
        let text: String =
            half_width(text).filter(|sign| !is_blank(*sign) && !matches!(sign, '-' | '·' | '•')).collect();
        if text.is_empty() || text.contains(['*', '×']) {
            return None;
        }
        let mut mac = self.0.clone();
        mac.update(field.as_str().as_bytes());
        mac.update(&[0x1f]);
        mac.update(text.to_uppercase().as_bytes());
        let digits = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(PersonHash(digits))
    }
}

fn half_width(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|sign| match sign {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(sign) - 0xfee0).unwrap_or(sign),
        other => other,
    })
}

fn is_blank(sign: char) -> bool {
    sign.is_whitespace() || matches!(sign, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// A company's name as it is compared: half width, upper case, without blanks.
#[must_use]
pub fn company_key(name: &str) -> String {
    half_width(name).filter(|sign| !is_blank(*sign)).flat_map(char::to_uppercase).collect()
}

/// What a registry says of one of its entries. Which of them an entry has follows from its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryFacts {
    /// Canonical colour of the plate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_colour: Option<String>,
    /// The company, as the registry writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// The driver's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_name: Option<PersonHash>,
    /// Who drove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_licence: Option<PersonHash>,
}

/// One entry of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryEntry {
    /// Its kind.
    pub kind: RegistryKind,
    /// Of a car or trip the plate in its normal form, of a driver the hash of the permit number, of a company [`company_key`].
    pub key: String,
    /// Of a trip when it began, in ms since 1970 UTC; else 0.
    pub from_ms: i64,
    /// Of a trip when it ended; else 0.
    pub until_ms: i64,
    /// What is said of it.
    pub facts: RegistryFacts,
}

/// Which entries are looked at: those of the key that begin in `from_ms..=until_ms`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryLookup {
    /// Of which kind.
    pub kind: RegistryKind,
    /// By which key.
    pub key: String,
    /// From when on.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

/// What of the registry a verdict is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryExtract {
    /// The number of the import after which it was read; 0 = nothing was ever imported.
    pub seq: u64,
    /// The kinds of which there are entries.
    pub kinds: BTreeSet<RegistryKind>,
    /// The entries that were looked for.
    pub entries: Vec<RegistryEntry>,
}

/// What an order says that can be compared; a person only as a hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationSubject {
    /// The plate in its normal form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate: Option<String>,
    /// Its colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_colour: Option<String>,
    /// The company, as stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// The driver's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_name: Option<PersonHash>,
    /// The driver's permit number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_licence: Option<PersonHash>,
    /// When the trip began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trip_from: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trip_to: Option<Timestamp>,
}

impl VerificationSubject {
    /// What an acceptance says.
    #[must_use]
    pub fn of(change: &Change, key: &PersonKey) -> Self {
        let text = |field| change.fields.text(field).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        let person = |field| change.person.text(field).and_then(|text| key.hash(field, text));
        // A day is no time of a trip.
        let instant = |field| match change.fields.get(field) {
            Some(FieldValue::Time(moment)) if !moment.is_date_only() => Some(moment.start()),
            _ => None,
        };
        Self {
            plate: text(Field::Plate),
            plate_colour: text(Field::PlateColour).filter(|code| !code.starts_with("raw:")),
            company: text(Field::OperatorCompany),
            driver_name: person(Field::DriverName),
            driver_licence: person(Field::DriverLicence),
            trip_from: instant(Field::TripFrom),
            trip_to: instant(Field::TripTo),
        }
    }

    /// The plate that was probably meant, where one of its signs is on no plate.
    fn likely_plate(&self) -> Option<String> {
        Some(Plate::read(self.plate.as_deref()?)?.confusable()?.to_string())
    }

    fn trip_ms(&self) -> Option<(i64, i64)> {
        let from = self.trip_from.or(self.trip_to)?.as_millisecond();
        let until = self.trip_to.map_or(from, Timestamp::as_millisecond).max(from);
        Some((from.saturating_sub(TRIP_TOLERANCE_MS), until.saturating_add(TRIP_TOLERANCE_MS)))
    }

    /// What has to be looked up for it.
    #[must_use]
    pub fn lookups(&self) -> Vec<RegistryLookup> {
        let one = |kind, key: String| RegistryLookup { kind, key, from_ms: 0, until_ms: 0 };
        let mut lookups = Vec::new();
        lookups.extend(self.plate.clone().map(|plate| one(RegistryKind::Vehicles, plate)));
        lookups.extend(self.likely_plate().map(|plate| one(RegistryKind::Vehicles, plate)));
        lookups.extend(self.driver_licence.clone().map(|hash| one(RegistryKind::Drivers, hash.0)));
        lookups.extend(self.company.as_deref().map(|name| one(RegistryKind::Companies, company_key(name))));
        if let (Some(plate), Some((from, until_ms))) = (&self.plate, self.trip_ms()) {
            let from_ms = from.saturating_sub(LONGEST_TRIP_MS);
            lookups.push(RegistryLookup { kind: RegistryKind::Trips, key: plate.clone(), from_ms, until_ms });
        }
        lookups
    }

    /// What of it the registry does not say, and an operating-data service that answers these kinds has to be asked. A company is never asked for by itself:
    /// a car's answer names its own.
    #[must_use]
    pub fn missing(&self, registry: &RegistryExtract, answered: &BTreeSet<RegistryKind>) -> Vec<RegistryLookup> {
        let imported = |lookup: &RegistryLookup| {
            let mut entries =
                registry.entries.iter().filter(|entry| entry.kind == lookup.kind && entry.key == lookup.key);
            match (lookup.kind, self.trip_ms()) {
                (RegistryKind::Trips, Some(trip)) => entries.any(|entry| overlaps(entry, trip)),
                _ => entries.next().is_some(),
            }
        };
        let plate = self.plate.as_deref().unwrap_or_default();
        let mut missing = self.lookups();
        missing.retain(|lookup| match lookup.kind {
            RegistryKind::Companies => false,
            kind => answered.contains(&kind) && !imported(lookup),
        });
        // What was probably meant matters only where what was said is not there.
        let of_plate = |lookup: &RegistryLookup| lookup.kind == RegistryKind::Vehicles && lookup.key == plate;
        if !missing.iter().any(of_plate) {
            missing.retain(|lookup| lookup.kind != RegistryKind::Vehicles);
        }
        missing
    }

    /// Judges it by what the registry says.
    #[must_use]
    pub fn judge(&self, registry: &RegistryExtract) -> Verification {
        self.judge_with(registry, None)
    }

    /// Judges it by what the registry says and, where that says nothing, by what an operating-data service answered.
    #[must_use]
    pub fn judge_with(&self, registry: &RegistryExtract, looked_up: Option<&LookedUp>) -> Verification {
        let mut verdict = Judging { registry, looked_up, result: Verification::default() };
        verdict.of(self)
    }
}

fn overlaps(trip: &RegistryEntry, (from, until): (i64, i64)) -> bool {
    trip.from_ms <= until && trip.until_ms >= from
}

/// Where the question of one order stands at the operating-data service, and what it answered. Holds no person, as the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedUp {
    /// The record about which was asked; of another word of the order it says nothing.
    pub raw_id: RawId,
    /// Attempts that failed since it is owed.
    pub attempts: u32,
    /// Why the last one failed: the code of the SDK's request error; `None` once it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was answered; `None` while it is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// The kinds that were asked for.
    #[serde(default)]
    pub kinds: BTreeSet<RegistryKind>,
    /// What was found.
    #[serde(default)]
    pub entries: Vec<RegistryEntry>,
}

impl LookedUp {
    /// A question about a record that nobody answered yet.
    #[must_use]
    pub fn owed(raw_id: RawId) -> Self {
        Self { raw_id, attempts: 0, error: None, answered_at: None, kinds: BTreeSet::new(), entries: Vec::new() }
    }

    /// Whether it is the answer about this record.
    #[must_use]
    pub fn answers(&self, raw_id: RawId) -> bool {
        self.raw_id == raw_id && self.answered_at.is_some()
    }
}

/// How an order stands to the operating data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that could be compared agrees.
    Match,
    /// Something differs, or what is said beside the car is not registered.
    Mismatch,
    /// There is no such car (without a plate: no such driver).
    NotFound,
    /// Not verified yet: the operating-data service has not answered, and is asked again until it does.
    Pending,
    /// The order says too little, or the registry has nothing to compare with.
    #[default]
    NotCheckable,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Match, Self::Mismatch, Self::NotFound, Self::Pending, Self::NotCheckable];

    /// The name in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::NotFound => "not_found",
            Self::Pending => "pending",
            Self::NotCheckable => "not_checkable",
        }
    }

    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Self::Match => "一致",
            Self::Mismatch => "不一致",
            Self::NotFound => "查无此车（人）",
            Self::Pending => "尚未核查",
            Self::NotCheckable => "无法核查",
        }
    }
}

impl FromStr for Verdict {
    type Err = crate::dataset::UnknownWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text).ok_or(crate::dataset::UnknownWord("verdict"))
    }
}

/// A field that differs. Of a person's field no value is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Which.
    pub field: Field,
    /// What the order says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<String>,
    /// What the registry says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<String>,
}

/// What came of comparing an order with the operating data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// In one word.
    pub verdict: Verdict,
    /// What was compared.
    pub compared: Vec<Field>,
    /// What differs.
    pub mismatches: Vec<Mismatch>,
    /// What is not registered.
    pub unregistered: Vec<Field>,
    /// A registered plate that was probably meant; for a person to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likely_plate: Option<String>,
}

impl Verification {
    /// That of what an operating-data service was not yet asked for: nothing is said before it answered, lest a car be called unknown that it knows.
    #[must_use]
    pub fn pending() -> Self {
        Self { verdict: Verdict::Pending, ..Self::default() }
    }
}

struct Judging<'a> {
    registry: &'a RegistryExtract,
    looked_up: Option<&'a LookedUp>,
    result: Verification,
}

impl Judging<'_> {
    fn known(&self, kind: RegistryKind) -> bool {
        self.registry.kinds.contains(&kind) || self.looked_up.is_some_and(|answer| answer.kinds.contains(&kind))
    }

    /// What was imported, then what the service answered: a person's file goes before a machine's word.
    fn entries(&self) -> impl Iterator<Item = &RegistryEntry> {
        self.registry.entries.iter().chain(self.looked_up.iter().flat_map(|answer| &answer.entries))
    }

    fn find(&self, kind: RegistryKind, key: &str) -> Option<&RegistryEntry> {
        self.entries().find(|entry| entry.kind == kind && entry.key == key)
    }

    fn compared(&mut self, field: Field) {
        if !self.result.compared.contains(&field) {
            self.result.compared.push(field);
        }
    }

    fn compare_texts(&mut self, field: Field, stated: Option<&str>, registered: Option<&str>, key: fn(&str) -> String) {
        let (Some(stated), Some(registered)) = (stated, registered) else { return };
        self.compared(field);
        if key(stated) != key(registered) {
            let (stated, registered) = (Some(stated.to_owned()), Some(registered.to_owned()));
            self.result.mismatches.push(Mismatch { field, stated, registered });
        }
    }

    fn compare_persons(&mut self, field: Field, stated: Option<&PersonHash>, registered: Option<&PersonHash>) {
        let (Some(stated), Some(registered)) = (stated, registered) else { return };
        self.compared(field);
        let differs = self.result.mismatches.iter().any(|mismatch| mismatch.field == field);
        if stated != registered && !differs {
            self.result.mismatches.push(Mismatch { field, stated: None, registered: None });
        }
    }

    fn of(&mut self, subject: &VerificationSubject) -> Verification {
        let vehicle = self.vehicle(subject);
        let driver = self.driver(subject, vehicle.as_ref());
        if self.known(RegistryKind::Companies)
            && let Some(name) = &subject.company
        {
            self.compared(Field::OperatorCompany);
            if self.find(RegistryKind::Companies, &company_key(name)).is_none() {
                self.result.unregistered.push(Field::OperatorCompany);
            }
        }
        self.trip(subject);
        let looked_for = if subject.plate.is_some() && self.known(RegistryKind::Vehicles) {
            Some(vehicle.is_some())
        } else if subject.plate.is_none() && subject.driver_licence.is_some() && self.known(RegistryKind::Drivers) {
            Some(driver)
        } else {
            None
        };
        self.result.verdict = match looked_for {
            None => Verdict::NotCheckable,
            Some(false) => Verdict::NotFound,
            Some(true) if self.result.mismatches.is_empty() && self.result.unregistered.is_empty() => Verdict::Match,
            Some(true) => Verdict::Mismatch,
        };
        std::mem::take(&mut self.result)
    }

    fn vehicle(&mut self, subject: &VerificationSubject) -> Option<RegistryFacts> {
        let plate = subject.plate.as_deref().filter(|_| self.known(RegistryKind::Vehicles))?;
        self.compared(Field::Plate);
        let Some(facts) = self.find(RegistryKind::Vehicles, plate).map(|entry| entry.facts.clone()) else {
            self.result.unregistered.push(Field::Plate);
            let likely = subject.likely_plate();
            self.result.likely_plate = likely.filter(|likely| self.find(RegistryKind::Vehicles, likely).is_some());
            return None;
        };
        self.compare_texts(
            Field::PlateColour,
            subject.plate_colour.as_deref(),
            facts.plate_colour.as_deref(),
            ToOwned::to_owned,
        );
        self.compare_texts(Field::OperatorCompany, subject.company.as_deref(), facts.company.as_deref(), company_key);
        Some(facts)
    }

    /// Whether the driver is registered.
    fn driver(&mut self, subject: &VerificationSubject, vehicle: Option<&RegistryFacts>) -> bool {
        let licence = subject.driver_licence.as_ref().filter(|_| self.known(RegistryKind::Drivers));
        let Some(licence) = licence else { return false };
        self.compared(Field::DriverLicence);
        let Some(facts) = self.find(RegistryKind::Drivers, licence.as_str()).map(|entry| entry.facts.clone()) else {
            self.result.unregistered.push(Field::DriverLicence);
            return false;
        };
        self.compare_persons(Field::DriverName, subject.driver_name.as_ref(), facts.driver_name.as_ref());
        // Registered with another company than the car: that of the driver is told by the field alone.
        let company = vehicle.and_then(|vehicle| vehicle.company.as_deref()).or(subject.company.as_deref());
        if let (Some(theirs), Some(company)) = (&facts.company, company)
            && company_key(theirs) != company_key(company)
        {
            let field = Field::DriverLicence;
            self.result.mismatches.push(Mismatch { field, stated: None, registered: None });
        }
        true
    }

    fn trip(&mut self, subject: &VerificationSubject) {
        let (Some(plate), Some(trip)) = (&subject.plate, subject.trip_ms()) else { return };
        if !self.known(RegistryKind::Trips) {
            return;
        }
        self.compared(Field::TripFrom);
        let trips: Vec<RegistryFacts> = (self.entries())
            .filter(|entry| entry.kind == RegistryKind::Trips && entry.key == *plate && overlaps(entry, trip))
            .map(|entry| entry.facts.clone())
            .collect();
        if trips.is_empty() {
            self.result.unregistered.push(Field::TripFrom);
            return;
        }
        let drove: Vec<&PersonHash> = trips.iter().filter_map(|trip| trip.driver_licence.as_ref()).collect();
        if let (Some(stated), Some(other)) = (&subject.driver_licence, drove.first()) {
            let registered = if drove.contains(&stated) { stated } else { *other };
            self.compare_persons(Field::DriverLicence, Some(stated), Some(registered));
        }
    }
}
