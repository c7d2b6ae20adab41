//! What the bureau's record states: its own state, its events with their round, each unit with its own state, and the origin's state beside it.

use crate::fixture;
use connector_bureau::KIND;
use gateway_connector::Normalizer;
use gateway_connector::wire::{ProfileSource, normalizer};
use gateway_model::{Change, Dataset, Field, Oddity, Operation, asked_by, digest_of_pairs, parse_moment};

fn changes(name: &str) -> Vec<Change> {
    let normalizer = normalizer(KIND.load(&ProfileSource::Default).unwrap());
    assert!(normalizer.handles_orders());
    let now = parse_moment("2026-11-25T10:00:00+08:00").unwrap().start();
    normalizer.normalize(fixture(name).as_bytes(), now).unwrap()
}

fn of<'a>(changes: &'a [Change], dataset: Dataset, part: &str) -> &'a Change {
    changes.iter().find(|change| change.dataset == dataset && change.part.to_string() == part).unwrap()
}

#[test]
fn units_stand_each_for_itself_and_the_origins_state_beside_the_bureaus() {
    let changes = changes("handled");
    let unit = |part: &str| {
        let fields = &of(&changes, Dataset::Handling, part).fields;
        [Field::HandlingUnit, Field::UnitRole, Field::State]
            .map(|field| fields.text(field).unwrap_or_default().to_owned())
    };
    assert_eq!(unit("e:B1-u1"), ["客运管理处", "main", "replied"]);
    assert_eq!(unit("e:B1-u2"), ["执法支队", "assisting", "signed"]);
    assert_eq!(of(&changes, Dataset::Handling, "e:upstream").fields.text(Field::State), Some("signed"));
    assert_eq!(of(&changes, Dataset::Handling, "c0").fields.text(Field::State), Some("replied"));
    // The digest by the page, computed here from its words.
    let digest = digest_of_pairs([
        ("unit", "执法支队"),
        ("role", "2"),
        ("state", "30"),
        ("dispatchTime", "2026-11-23 09:10:00"),
    ]);
    assert_eq!(of(&changes, Dataset::Handling, "e:B1-u2").digest, digest);
}

#[test]
fn the_addresses_that_we_told_the_bureau_are_no_word_of_its_own() {
    let plain = changes("handled");
    let shown = fixture("handled").replacen('{', r#"{"pictures": "/attachments/1?to=bureau","#, 1);
    let normalizer = normalizer(KIND.load(&ProfileSource::Default).unwrap());
    let now = parse_moment("2026-11-25T10:00:00+08:00").unwrap().start();
    assert_eq!(normalizer.normalize(shown.as_bytes(), now).unwrap(), plain);
    assert!(of(&plain, Dataset::Acceptance, "c0").unmapped.is_empty());
}

#[test]
fn what_the_bureau_did_or_wishes_asks_and_what_it_repeats_does_not() {
    let changes = changes("handled");
    let asks: Vec<_> = changes
        .iter()
        .filter_map(|change| Some((change.part.to_string(), asked_by(change.dataset, &change.part, &change.fields)?)))
        .collect();
    let asked = |part: &str, operation| (part.to_owned(), operation);
    let expected = [
        asked("e:B1", Operation::Sign),
        asked("e:B2", Operation::Extend),
        asked("e:B3", Operation::Appeal),
        asked("c1", Operation::Reply),
    ];
    assert_eq!(asks, expected);
    assert_eq!(of(&changes, Dataset::Handling, "e:B1").fields.number(Field::Round), Some(1));
    let extension = &of(&changes, Dataset::Handling, "e:B2").fields;
    assert_eq!(
        (extension.text(Field::EventKind), extension.number(Field::ExtensionDays)),
        (Some("extension"), Some(5))
    );
    let appeal = &of(&changes, Dataset::Handling, "e:B3").fields;
    assert_eq!(appeal.text(Field::AppealGround), Some("overdue"));
}

#[test]
fn unknown_codes_and_fields_are_kept_and_counted() {
    let changes = changes("odd_codes");
    let unit = of(&changes, Dataset::Handling, "e:B9-u1");
    assert_eq!((unit.fields.text(Field::UnitRole), unit.fields.text(Field::State)), (Some("raw:3"), Some("raw:99")));
    assert_eq!(of(&changes, Dataset::Handling, "e:B9").fields.text(Field::EventKind), Some("raw:dance"));
    assert!(changes[0].unmapped.contains_key("task"));
    assert!(changes[0].oddities.contains(&Oddity::UnknownField { wire_field: "task".into() }));
}
