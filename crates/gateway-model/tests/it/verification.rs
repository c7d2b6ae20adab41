//! Verdicts: what is compared, and what comes of it.

use gateway_model::*;
use std::collections::BTreeSet;

fn key() -> PersonKey {
    PersonKey::of_installation(&[7; 32])
}

fn licence(text: &str) -> Option<PersonHash> {
    key().hash(Field::DriverLicence, text)
}

fn name(text: &str) -> Option<PersonHash> {
    key().hash(Field::DriverName, text)
}

fn at(text: &str) -> Timestamp {
    parse_moment(text).unwrap().start()
}

fn registry() -> RegistryExtract {
    let entry = |kind, key: &str, facts| RegistryEntry { kind, key: key.to_owned(), from_ms: 0, until_ms: 0, facts };
    let company = |name: &str| Some(name.to_owned());
    let driver = licence("0001").unwrap();
    RegistryExtract {
        seq: 4,
        kinds: BTreeSet::from(RegistryKind::ALL),
        entries: vec![
            entry(
                RegistryKind::Vehicles,
                "粤A12345",
                RegistryFacts {
                    plate_colour: Some("blue".into()),
                    company: company("甲公司（广州）"),
                    ..RegistryFacts::default()
                },
            ),
            entry(
                RegistryKind::Drivers,
                driver.as_str(),
                RegistryFacts {
                    driver_name: name("测试乙"),
                    company: company("甲公司(广州)"),
                    ..RegistryFacts::default()
                },
            ),
            entry(RegistryKind::Companies, &company_key("甲公司(广州)"), RegistryFacts::default()),
            RegistryEntry {
                kind: RegistryKind::Trips,
                key: "粤A12345".into(),
                from_ms: at("2026-11-22T20:40:00+08:00").as_millisecond(),
                until_ms: at("2026-11-22T21:08:00+08:00").as_millisecond(),
                facts: RegistryFacts { driver_licence: Some(driver), ..RegistryFacts::default() },
            },
        ],
    }
}

fn subject() -> VerificationSubject {
    VerificationSubject {
        plate: Some("粤A12345".into()),
        plate_colour: Some("blue".into()),
        company: Some("甲公司 (广州)".into()),
        driver_name: name("测试 乙"),
        driver_licence: licence("００01"),
        trip_from: Some(at("2026-11-22T20:35:00+08:00")),
        trip_to: Some(at("2026-11-22T21:00:00+08:00")),
    }
}

fn fields(result: &Verification) -> Vec<Field> {
    result.mismatches.iter().map(|mismatch| mismatch.field).collect()
}

#[test]
fn everything_that_agrees_is_a_match() {
    let result = subject().judge(&registry());
    assert_eq!((result.verdict, result.mismatches.len(), result.unregistered.len()), (Verdict::Match, 0, 0));
    let compared: BTreeSet<_> = result.compared.into_iter().collect();
    let all = [
        Field::Plate,
        Field::PlateColour,
        Field::OperatorCompany,
        Field::DriverName,
        Field::DriverLicence,
        Field::TripFrom,
    ];
    assert_eq!(compared, BTreeSet::from(all));
}

#[test]
fn what_differs_is_named_and_a_persons_value_is_not() {
    let wrong = VerificationSubject { driver_name: name("别人"), plate_colour: Some("green".into()), ..subject() };
    let result = wrong.judge(&registry());
    assert_eq!((result.verdict, fields(&result)), (Verdict::Mismatch, vec![Field::PlateColour, Field::DriverName]));
    let driver = &result.mismatches[1];
    assert_eq!((&driver.stated, &driver.registered), (&None, &None));

    // Another driver than the one who drove then, and none that is registered.
    let other = VerificationSubject { driver_licence: licence("0002"), ..subject() };
    let result = other.judge(&registry());
    assert_eq!((fields(&result), result.unregistered), (vec![Field::DriverLicence], vec![Field::DriverLicence]));
    let no_trip = VerificationSubject { trip_from: Some(at("2026-11-23T03:00:00+08:00")), trip_to: None, ..subject() };
    let result = no_trip.judge(&registry());
    assert_eq!((result.verdict, result.unregistered), (Verdict::Mismatch, vec![Field::TripFrom]));
}

#[test]
fn without_a_car_the_driver_counts_and_without_either_nothing_can_be_checked() {
    let nothing = RegistryExtract::default();
    assert_eq!(subject().judge(&nothing).verdict, Verdict::NotCheckable);
    let no_plate = VerificationSubject { plate: None, trip_from: None, trip_to: None, ..subject() };
    assert_eq!(no_plate.judge(&registry()).verdict, Verdict::Match);
    let unknown = VerificationSubject { driver_licence: licence("0002"), ..no_plate.clone() };
    assert_eq!(unknown.judge(&registry()).verdict, Verdict::NotFound);
    let company_alone = VerificationSubject { driver_licence: None, driver_name: None, ..no_plate };
    assert_eq!(company_alone.judge(&registry()).verdict, Verdict::NotCheckable);
    let no_car = VerificationSubject { plate: Some("粤A99999".into()), ..subject() };
    assert_eq!(no_car.judge(&registry()).verdict, Verdict::NotFound);
}

#[test]
fn a_masked_person_identifies_nobody() {
    for text in ["", " ", "***0001", "张×"] {
        assert_eq!(licence(text), None, "{text}");
    }
    assert_ne!(licence("0001"), name("0001"), "a hash belongs to its field");
    assert_ne!(PersonKey::of_installation(&[8; 32]).hash(Field::DriverLicence, "0001"), licence("0001"));
    assert!(!format!("{:?}", licence("0001")).contains(licence("0001").unwrap().as_str()));
}
