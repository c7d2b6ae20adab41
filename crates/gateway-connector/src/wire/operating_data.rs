//! Asking an operating-data service of a car, a driver and trips, as its profile says.
//!
//! What comes back are entries as an import has them: a driver only as a keyed hash, made here, so that nothing of a person goes further. An answer about
//! another car or driver than was asked for is none: a service that mixes its answers up must not accuse anybody.
//!
//! Each question only reads, so it may be asked again as often as is wanted. Waiting and repeating is the asker's.

use super::answer::{self, Answer};
use super::json;
use super::request::{self, Parameter};
use crate::http::{HttpAnswer, Leaving, Transport};
use crate::profile::{Endpoint, Mistake, OperatingDataProfile};
use crate::{Credentials, ProfileErrors, RequestError};
use gateway_model::{
    Clock, Field, PersonHash, PersonKey, Plate, RegistryEntry, RegistryFacts, RegistryKind, RegistryLookup, Timestamp,
};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The longest value that is taken from an answer, in bytes.
const LONGEST: usize = 512;

/// Trips that are taken from one answer.
const MOST_TRIPS: usize = 500;

/// A plate that no car has, to see whether anybody answers.
const NOBODYS: &str = "粤A00000";

/// An operating-data service.
#[derive(Debug)]
pub struct OperatingData {
    transport: Transport,
    profile: OperatingDataProfile,
    credentials: Credentials,
}

/// A driver who is asked for; the number goes into the question, the hash says whom the answer must be about.
#[derive(Clone)]
pub struct DriverAsked {
    /// The permit number, as the order says.
    pub licence: String,
    /// Its hash.
    pub hash: PersonHash,
}

impl std::fmt::Debug for DriverAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DriverAsked").field(&self.hash).finish()
    }
}

impl OperatingData {
    /// A service at `base_url`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// Every mistake in the profile's text; else in `base_url` and `credentials`, of which the pushes' secrets are not needed.
    pub fn new(
        text: &str,
        base_url: &str,
        credentials: Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProfileErrors> {
        let profile = OperatingDataProfile::parse(text)?;
        let mut mistakes = Vec::new();
        let mut mistake =
            |path: &str, what: &str| mistakes.push(Mistake { path: path.to_owned(), what: what.to_owned() });
        let app_id = &credentials.app_id;
        if app_id.is_empty() || !app_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            mistake("credentials.app_id", "must be printable ASCII, and not empty");
        }
        if credentials.request_secret.is_empty() {
            mistake("credentials.request_secret", "is empty");
        }
        let transport = Transport::new(base_url, profile.limits, clock)
            .map_err(|error| mistake("base_url", &error.to_string()))
            .ok();
        match transport {
            Some(transport) if mistakes.is_empty() => Ok(Self { transport, profile, credentials }),
            _ => Err(ProfileErrors(mistakes)),
        }
    }

    /// The kinds that it answers.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<RegistryKind> {
        self.profile.kinds()
    }

    /// How many may be asked for at once.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.profile.limits.concurrency
    }

    /// How long one question may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.profile.limits.request_timeout.max(self.profile.limits.connect_timeout)
    }

    /// Asks for a car that there is not, which it must answer.
    ///
    /// # Errors
    /// As [`Self::vehicle`].
    pub async fn check(&self) -> Result<(), RequestError> {
        self.vehicle(NOBODYS).await.map(drop)
    }

    /// Asks what is looked for; a driver only where one is given, else nothing comes back for it.
    ///
    /// # Errors
    /// [`RequestError`]; [`RequestError::Undecodable`] also where the answer is about something else.
    pub async fn look_up(
        &self,
        lookup: &RegistryLookup,
        driver: Option<&DriverAsked>,
        key: &PersonKey,
    ) -> Result<Vec<RegistryEntry>, RequestError> {
        match lookup.kind {
            RegistryKind::Vehicles => Ok(self.vehicle(&lookup.key).await?.into_iter().collect()),
            RegistryKind::Drivers => match driver {
                Some(driver) => Ok(self.driver(driver, key).await?.into_iter().collect()),
                None => Ok(Vec::new()),
            },
            RegistryKind::Trips => self.trips(lookup, key).await,
            RegistryKind::Companies => Ok(Vec::new()),
        }
    }

    /// The car of a plate in its normal form; `None` = there is none.
    ///
    /// # Errors
    /// As [`Self::look_up`].
    pub async fn vehicle(&self, plate: &str) -> Result<Option<RegistryEntry>, RequestError> {
        let rule = &self.profile.vehicle;
        let answer = self.ask(&rule.endpoint, vec![request::text(&rule.plate, plate)]).await?;
        let Some(data) = answer else { return Ok(None) };
        let Some(car) = one(&data)? else { return Ok(None) };
        let told = text(car, &rule.told_plate)?.unwrap_or_default();
        if Plate::read(&told).is_none_or(|told| told.as_str() != plate) {
            return Err(another("car"));
        }
        let colour = text(car, &rule.plate_colour)?.and_then(|code| self.profile.colours.get(&code).cloned());
        let facts =
            RegistryFacts { plate_colour: colour, company: text(car, &rule.company)?, ..RegistryFacts::default() };
        Ok(Some(entry(RegistryKind::Vehicles, plate.to_owned(), facts)))
    }

    async fn driver(&self, asked: &DriverAsked, key: &PersonKey) -> Result<Option<RegistryEntry>, RequestError> {
        let Some(rule) = &self.profile.driver else { return Ok(None) };
        let answer = self.ask(&rule.endpoint, vec![request::text(&rule.licence, asked.licence.clone())]).await?;
        let Some(data) = answer else { return Ok(None) };
        let Some(driver) = one(&data)? else { return Ok(None) };
        let hash = |field, text: Option<String>| text.and_then(|text| key.hash(field, &text));
        if hash(Field::DriverLicence, text(driver, &rule.told_licence)?).as_ref() != Some(&asked.hash) {
            return Err(another("driver"));
        }
        let facts = RegistryFacts {
            driver_name: hash(Field::DriverName, text(driver, &rule.name)?),
            company: text(driver, &rule.company)?,
            ..RegistryFacts::default()
        };
        Ok(Some(entry(RegistryKind::Drivers, asked.hash.as_str().to_owned(), facts)))
    }

    async fn trips(&self, lookup: &RegistryLookup, key: &PersonKey) -> Result<Vec<RegistryEntry>, RequestError> {
        let Some(rule) = &self.profile.trips else { return Ok(Vec::new()) };
        let times = &self.profile.times;
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let parameters = vec![
            request::text(&rule.plate, lookup.key.clone()),
            request::text(&rule.from, times.write_instant(times.floor(at(lookup.from_ms)))),
            request::text(&rule.to, times.write_instant(times.ceil(at(lookup.until_ms)))),
        ];
        let answer = self.ask(&rule.endpoint, parameters).await?;
        let Some(data) = answer else { return Ok(Vec::new()) };
        let repeated = self.profile.exchange.lists_are_repetition();
        let listed = json::list_at(&data, &rule.records, repeated)?;
        if listed.len() > MOST_TRIPS {
            return Err(undecodable(format!("more than {MOST_TRIPS} trips")));
        }
        let mut trips = Vec::new();
        for trip in listed {
            let told = text(trip, &rule.told_plate)?.unwrap_or_default();
            if Plate::read(&told).is_none_or(|told| told.as_str() != lookup.key) {
                return Err(another("car"));
            }
            let moment = |path: &str| {
                let read = text(trip, path)?.and_then(|text| times.read(&text)).filter(|at| !at.is_date_only());
                let at = read.ok_or_else(|| undecodable(format!("`{path}` of a trip is no time")))?;
                Ok::<_, RequestError>(at.start().as_millisecond())
            };
            let (from_ms, until_ms) = (moment(&rule.trip_from)?, moment(&rule.trip_to)?);
            if until_ms < from_ms {
                return Err(undecodable("a trip ends before it begins".to_owned()));
            }
            let licence = text(trip, &rule.licence)?.and_then(|text| key.hash(Field::DriverLicence, &text));
            let facts = RegistryFacts { driver_licence: licence, ..RegistryFacts::default() };
            trips.push(RegistryEntry { from_ms, until_ms, ..entry(RegistryKind::Trips, lookup.key.clone(), facts) });
        }
        Ok(trips)
    }

    /// The data of the answer; `None` where it says that there is none.
    async fn ask(
        &self,
        endpoint: &Endpoint,
        parameters: Vec<Parameter>,
    ) -> Result<Option<Box<RawValue>>, RequestError> {
        let profile = &self.profile;
        let request = request::question_in(&profile.exchange, &self.credentials.app_id, endpoint, parameters);
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let sign = |leaving: &Leaving<'_>| {
            let Leaving { method, target, body, at } = *leaving;
            profile.signature.signed(&self.credentials, at, &nonce, method, target, body)
        };
        let answer = self.transport.send(request, profile.exchange.content_type(), sign).await?;
        match answer.ok() {
            Err(RequestError::Business { code, .. }) if self.is_absent(&code) => Ok(None),
            answer => self.data(&answer?),
        }
    }

    fn is_absent(&self, code: &str) -> bool {
        self.profile.absent.iter().any(|absent| absent == code)
    }

    /// What was asked for; `None` where there is none.
    fn data(&self, answer: &HttpAnswer) -> Result<Option<Box<RawValue>>, RequestError> {
        let body = answer::body_in(&self.profile.exchange, &answer.body)?;
        match answer::open_by(&self.profile.answer, &body)? {
            Answer::Data(data) => Ok(data.map(ToOwned::to_owned)),
            Answer::Refused(refused) if self.is_absent(&refused.code) => Ok(None),
            Answer::Refused(refused) => Err(refused.into()),
        }
    }
}

/// The one thing that an answer's data is about: an object, or a list of one; `None` for an empty list.
fn one(data: &RawValue) -> Result<Option<&RawValue>, RequestError> {
    if !data.get().starts_with('[') {
        return Ok(Some(data));
    }
    let listed = json::as_list(Some(data), false).unwrap_or_default();
    match listed.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(undecodable("the answer's data is about several".to_owned())),
    }
}

/// The text at a path; `None` where the path is empty or nothing stands there.
fn text(raw: &RawValue, path: &str) -> Result<Option<String>, RequestError> {
    if path.is_empty() {
        return Ok(None);
    }
    let scalar = json::scalar(json::lookup(raw, path));
    if !scalar.simple || scalar.text.len() > LONGEST {
        return Err(undecodable(format!("`{path}` is no text of at most {LONGEST} bytes")));
    }
    let text = scalar.text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn entry(kind: RegistryKind, key: String, facts: RegistryFacts) -> RegistryEntry {
    RegistryEntry { kind, key, from_ms: 0, until_ms: 0, facts }
}

fn undecodable(what: String) -> RequestError {
    RequestError::Undecodable { what }
}

fn another(what: &str) -> RequestError {
    undecodable(format!("the answer is about another {what} than was asked for"))
}
