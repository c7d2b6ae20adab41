//! The profile of an operating-data service (运营数据服务): where it is asked of a car, a driver and trips, and what its answers are called.
//!
//! It is a document of its own, `identity.kind = "operating-data"`: such a service has no orders, so it shares with a channel's profile only how one speaks
//! — exchange, times, answer, signature, limits — and those keys are the same. A driver's permit number is a person's: it is never put into an address.

use super::answer::AnswerRule;
use super::endpoint::{Endpoint, ParameterPlace};
use super::exchange::ExchangeRule;
use super::identity::{Limits, read_times};
use super::reader::{ProfileErrors, Section};
use super::signature::SignatureRule;
use crate::codec::TimeCodec;
use gateway_model::RegistryKind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The canonical colours of a plate.
const COLOURS: [&str; 8] = ["blue", "yellow", "black", "white", "green", "yellow_green", "gradient_green", "other"];

/// How an operating-data service is spoken to.
#[derive(Debug, Clone)]
pub struct OperatingDataProfile {
    /// Its own name, as `default`.
    pub name: String,
    /// Raised with each edit, for people.
    pub version: u32,
    /// How bodies are written.
    pub exchange: ExchangeRule,
    /// How it writes times.
    pub times: TimeCodec,
    /// How an answer tells success.
    pub answer: AnswerRule,
    /// Codes that mean: there is none. Business codes, or `http_404` for a status.
    pub absent: Vec<String>,
    /// How we sign.
    pub signature: SignatureRule,
    /// What we allow ourselves and the service.
    pub limits: Limits,
    /// Its colours of plates; what is not listed is not compared.
    pub colours: BTreeMap<String, String>,
    /// What it is asked of a car.
    pub vehicle: VehicleQuestion,
    /// What it is asked of a driver; `None` = nothing.
    pub driver: Option<DriverQuestion>,
    /// What it is asked of trips; `None` = nothing.
    pub trips: Option<TripsQuestion>,
}

/// A question after a car, by its plate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VehicleQuestion {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// The parameter of the plate.
    pub plate: String,
    /// Path of the car's plate in the answer's data; another than was asked for makes the answer unusable.
    pub told_plate: String,
    /// Path of its colour; empty = not told.
    pub plate_colour: String,
    /// Path of its company; empty = not told.
    pub company: String,
}

/// A question after a driver, by the permit number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverQuestion {
    /// Where it goes; always in the body.
    pub endpoint: Endpoint,
    /// The parameter of the permit number.
    pub licence: String,
    /// Path of the permit number in the answer's data; another than was asked for makes the answer unusable.
    pub told_licence: String,
    /// Path of the name; empty = not told.
    pub name: String,
    /// Path of the company; empty = not told.
    pub company: String,
}

/// A question after the trips of a car in a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TripsQuestion {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// The parameter of the plate.
    pub plate: String,
    /// The parameter of the time's beginning, inclusive.
    pub from: String,
    /// The parameter of its end, inclusive.
    pub to: String,
    /// Path of the list in the answer's data.
    pub records: String,
    /// Path of a trip's plate in one of the list.
    pub told_plate: String,
    /// Path of its beginning.
    pub trip_from: String,
    /// Path of its end.
    pub trip_to: String,
    /// Path of the driver's permit number; empty = not told.
    pub licence: String,
}

impl OperatingDataProfile {
    /// The text of the profile that is shipped: that of `docs/operating-data.md`.
    pub const DEFAULT: &str = include_str!("../../profiles/operating-data.toml");

    /// What `identity.kind` says in such a profile.
    pub const KIND: &'static str = "operating-data";

    /// Whether a document says that it is such a profile; nothing else in it is looked at.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        let kind = |table: toml::Table| Some(table.get("identity")?.get("kind")?.as_str()? == Self::KIND);
        text.parse::<toml::Table>().ok().and_then(kind).unwrap_or(false)
    }

    /// Reads and checks a profile.
    ///
    /// # Errors
    /// [`ProfileErrors`] with every mistake.
    pub fn parse(text: &str) -> Result<Self, ProfileErrors> {
        Section::read_whole(text, Self::read)
    }

    fn read(mut root: Section) -> Option<Self> {
        // Every part is read before any is missed, so that all mistakes are found.
        let identity = root.section("identity").map(|mut identity| {
            let kind = identity.take::<String>("kind");
            let fits = kind.as_deref().is_none_or(|kind| kind == Self::KIND);
            identity.check(fits, "kind", format!("must be `{}`", Self::KIND));
            (identity.take::<String>("name"), identity.take::<u32>("version"))
        });
        let exchange = match root.optional_section("exchange") {
            None => None,
            Some(None) => Some(ExchangeRule::default()),
            Some(Some(section)) => ExchangeRule::read(section),
        };
        let times = root.section("times").and_then(read_times);
        let answer = root.section("answer").and_then(AnswerRule::read);
        let absent = root.take_or::<Vec<Value>>("absent", Vec::new());
        let absent = absent.map(|codes| {
            let text = |code: Value| code.as_str().map_or_else(|| code.to_string(), ToOwned::to_owned);
            codes.into_iter().map(text).collect()
        });
        let signature = root.section("signature").and_then(SignatureRule::read);
        let limits = root.section("limits").and_then(Limits::read);
        let colours = root.take_or::<BTreeMap<String, String>>("colours", BTreeMap::new());
        for (wire, colour) in colours.iter().flatten() {
            let fits = COLOURS.contains(&colour.as_str());
            root.check(fits, &format!("colours.{wire}"), format!("`{colour}` is none of {}", COLOURS.join(", ")));
        }
        let vehicle = root.section("vehicle").and_then(VehicleQuestion::read);
        let driver = root.optional_section("driver").map(|section| section.map(DriverQuestion::read));
        let trips = root.optional_section("trips").map(|section| section.map(TripsQuestion::read));
        let (name, version) = identity?;
        Some(Self {
            name: name?,
            version: version?,
            exchange: exchange?,
            times: times?.0,
            answer: answer?,
            absent: absent?,
            signature: signature?,
            limits: limits?,
            colours: colours?,
            vehicle: vehicle?,
            driver: super::flatten(driver?)?,
            trips: super::flatten(trips?)?,
        })
    }

    /// The kinds that it answers.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<RegistryKind> {
        let driver = self.driver.is_some().then_some(RegistryKind::Drivers);
        let trips = self.trips.is_some().then_some(RegistryKind::Trips);
        [RegistryKind::Vehicles].into_iter().chain(driver).chain(trips).collect()
    }
}

fn name(section: &mut Section, key: &str) -> Option<String> {
    let name = section.take::<String>(key)?;
    section.check(!name.is_empty(), key, "must not be empty");
    Some(name)
}

impl VehicleQuestion {
    fn read(mut section: Section) -> Option<Self> {
        let endpoint = Endpoint::read(&mut section, "GET");
        let plate = name(&mut section, "plate");
        let told = section.section("fields").map(|mut fields| {
            let plate = name(&mut fields, "plate");
            (plate, fields.take_or("plate_colour", String::new()), fields.take_or("company", String::new()))
        });
        let (told_plate, plate_colour, company) = told?;
        Some(Self {
            endpoint: endpoint?,
            plate: plate?,
            told_plate: told_plate?,
            plate_colour: plate_colour?,
            company: company?,
        })
    }
}

impl DriverQuestion {
    fn read(mut section: Section) -> Option<Self> {
        let endpoint = Endpoint::read(&mut section, "POST");
        let open = endpoint.as_ref().is_some_and(|endpoint| endpoint.place == ParameterPlace::Query);
        section.check(!open, "parameters", "must be `body`: a permit number is a person's, and never in an address");
        let licence = name(&mut section, "driver_licence");
        let told = section.section("fields").map(|mut fields| {
            let licence = name(&mut fields, "driver_licence");
            (licence, fields.take_or("driver_name", String::new()), fields.take_or("company", String::new()))
        });
        let (told_licence, name, company) = told?;
        Some(Self {
            endpoint: endpoint?,
            licence: licence?,
            told_licence: told_licence?,
            name: name?,
            company: company?,
        })
    }
}

impl TripsQuestion {
    fn read(mut section: Section) -> Option<Self> {
        let endpoint = Endpoint::read(&mut section, "GET");
        let (plate, from, to) = (name(&mut section, "plate"), name(&mut section, "from"), name(&mut section, "to"));
        let records = section.take_or("records", String::new());
        let told = section.section("fields").map(|mut fields| {
            let plate = name(&mut fields, "plate");
            let (from, to) = (name(&mut fields, "trip_from"), name(&mut fields, "trip_to"));
            (plate, from, to, fields.take_or("driver_licence", String::new()))
        });
        let (told_plate, trip_from, trip_to, licence) = told?;
        Some(Self {
            endpoint: endpoint?,
            plate: plate?,
            from: from?,
            to: to?,
            records: records?,
            told_plate: told_plate?,
            trip_from: trip_from?,
            trip_to: trip_to?,
            licence: licence?,
        })
    }
}
