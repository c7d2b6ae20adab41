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

/// The service's answer about some kinds.
fn answer(kinds: &[RegistryKind], entries: Vec<RegistryEntry>) -> LookedUp {
    let kinds = kinds.iter().copied().collect();
    LookedUp { answered_at: Some(at("2026-11-23T00:00:00Z")), kinds, entries, ..LookedUp::owed(RawId(7)) }
}

#[test]
fn a_service_is_asked_for_what_no_import_says() {
    let kinds = |missing: Vec<RegistryLookup>| missing.iter().map(|one| one.kind).collect::<Vec<_>>();
    let all = BTreeSet::from(RegistryKind::ALL);
    assert!(subject().missing(&registry(), &all).is_empty());
    assert!(subject().missing(&RegistryExtract::default(), &BTreeSet::new()).is_empty(), "there is no service");
    // A company is never asked for by itself.
    let nothing = subject().missing(&RegistryExtract::default(), &all);
    assert_eq!(kinds(nothing), [RegistryKind::Vehicles, RegistryKind::Drivers, RegistryKind::Trips]);
    // Another trip of the car says nothing of this one.
    let later = VerificationSubject { trip_from: Some(at("2026-11-23T03:00:00+08:00")), trip_to: None, ..subject() };
    assert_eq!(kinds(later.missing(&registry(), &all)), [RegistryKind::Trips]);
    // What was probably meant matters only where what was said is not there.
    let misread = VerificationSubject { plate: Some("粤A1O345".into()), trip_from: None, trip_to: None, ..subject() };
    let vehicles = BTreeSet::from([RegistryKind::Vehicles]);
    let keys = |missing: Vec<RegistryLookup>| missing.into_iter().map(|one| one.key).collect::<Vec<_>>();
    assert_eq!(keys(misread.missing(&registry(), &vehicles)), ["粤A1O345", "粤A10345"]);
    let mut known = registry();
    known.entries.push(RegistryEntry { key: "粤A1O345".into(), ..known.entries[0].clone() });
    assert!(misread.missing(&known, &vehicles).is_empty());
}

#[test]
fn an_import_goes_before_an_answer_and_an_answer_before_nothing() {
    let there = |company: &str| RegistryEntry {
        kind: RegistryKind::Vehicles,
        key: "粤A12345".into(),
        from_ms: 0,
        until_ms: 0,
        facts: RegistryFacts { company: Some(company.into()), ..RegistryFacts::default() },
    };
    let car_alone = VerificationSubject {
        plate: Some("粤A12345".into()),
        company: Some("甲公司(广州)".into()),
        ..VerificationSubject::default()
    };
    let verdict = |registry: &RegistryExtract, answer: &LookedUp| car_alone.judge_with(registry, Some(answer)).verdict;
    let (nothing, vehicles) = (RegistryExtract::default(), [RegistryKind::Vehicles]);
    assert_eq!(verdict(&nothing, &answer(&vehicles, vec![there("甲公司(广州)")])), Verdict::Match);
    assert_eq!(verdict(&nothing, &answer(&vehicles, vec![there("乙公司")])), Verdict::Mismatch);
    assert_eq!(verdict(&nothing, &answer(&vehicles, Vec::new())), Verdict::NotFound);
    // Asked of nothing, it says nothing.
    assert_eq!(verdict(&nothing, &answer(&[], Vec::new())), Verdict::NotCheckable);
    assert_eq!(verdict(&registry(), &answer(&vehicles, vec![there("乙公司")])), Verdict::Match, "the file counts");
    assert_eq!(Verification::pending().verdict, Verdict::Pending);
    assert!(!LookedUp::owed(RawId(7)).answers(RawId(7)) && answer(&[], Vec::new()).answers(RawId(7)));
    assert!(!answer(&[], Vec::new()).answers(RawId(8)), "of another word it says nothing");
}
