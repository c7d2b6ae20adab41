//! Texts that are stored, compared and digested by others: they come back as they were.

use gateway_model::{
    BookItem, ChannelId, Dataset, Digest, EventId, Field, FieldKind, FieldValue, Fields, ItemKey, Moment, Part,
    SourceNumber, digest_of_pairs, parse_moment,
};
use proptest::prelude::*;

fn value(kind: FieldKind) -> BoxedStrategy<FieldValue> {
    // What does not fit the kind stays text; in a field of times only a text that is no time.
    let text = "[^0-9]{0,12}".prop_map(FieldValue::Text);
    match kind {
        FieldKind::Text | FieldKind::Code => any::<String>().prop_map(FieldValue::Text).boxed(),
        FieldKind::Number => prop_oneof![any::<i64>().prop_map(FieldValue::Number), text].boxed(),
        FieldKind::Flag => prop_oneof![any::<bool>().prop_map(FieldValue::Flag), text].boxed(),
        FieldKind::Time => {
            let at = (-2_000_000_000_000i64..5_000_000_000_000)
                .prop_map(|ms| FieldValue::Time(Moment::At(gateway_model::Timestamp::from_millisecond(ms).unwrap())));
            let on = (1i16..9_999, 1i8..13, 1i8..29).prop_map(|(year, month, day)| {
                FieldValue::Time(Moment::On(gateway_model::Day::new(year, month, day).unwrap()))
            });
            prop_oneof![at, on, text].boxed()
        }
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    prop::collection::vec(prop::sample::select(Field::ALL), 0..8).prop_flat_map(|chosen| {
        chosen
            .into_iter()
            .map(|field| value(field.kind()).prop_map(move |value| (field, value)))
            .collect::<Vec<_>>()
            .prop_map(|pairs| pairs.into_iter().collect::<Fields>())
    })
}

proptest! {
    #[test]
    fn fields_come_back_byte_for_byte(fields in fields()) {
        let text = serde_json::to_string(&fields).unwrap();
        prop_assert_eq!(serde_json::from_str::<Fields>(&text).unwrap(), fields);
    }

    #[test]
    fn parts_come_back(cycle: u32, id in "[^\\p{Cc}]{1,40}") {
        for part in [Part::Cycle(cycle), Part::Event(EventId::new(id).unwrap())] {
            prop_assert_eq!(part.to_string().parse::<Part>().unwrap(), part.clone());
            let json = serde_json::to_string(&part).unwrap();
            prop_assert_eq!(serde_json::from_str::<Part>(&json).unwrap(), part);
        }
    }

    /// Two different lists of pairs never digest alike for want of a border.
    #[test]
    fn a_digest_knows_where_a_value_ends(a in "[a-z]{0,4}", b in "[a-z]{0,4}", c in "[a-z]{0,4}") {
        let split = digest_of_pairs([("x", a.as_str()), ("y", b.as_str())]);
        let joined = digest_of_pairs([("x", format!("{a}{b}").as_str()), ("y", c.as_str())]);
        prop_assert_eq!(split == joined, b.is_empty() && c.is_empty());
    }
}

#[test]
fn what_is_no_part_is_refused() {
    for text in ["", "c", "c-1", "c1x", "e:", "E:1", "1", "c4294967296", "e:a\u{7}"] {
        assert!(text.parse::<Part>().is_err(), "{text:?}");
    }
}

#[test]
fn a_value_of_another_kind_is_refused() {
    for text in
        [r#"{"round":1.5}"#, r#"{"round":true}"#, r#"{"title":1}"#, r#"{"is_secret":null}"#, r#"{"title":["a"]}"#]
    {
        assert!(serde_json::from_str::<Fields>(text).is_err(), "{text}");
    }
    // But a value that the source wrote another way stays, as text.
    let odd: Fields = serde_json::from_str(r#"{"round":"zwei","occurred_at":"昨天","is_secret":"raw:9"}"#).unwrap();
    assert_eq!(odd.text(Field::OccurredAt), Some("昨天"));
}

#[test]
fn every_field_has_its_name_and_home() {
    for field in Field::ALL {
        assert_eq!(field.as_str().parse(), Ok(*field));
        assert!(!field.chinese().is_empty());
    }
    let persons: Vec<_> = Field::ALL.iter().filter(|field| field.is_person()).map(|field| field.as_str()).collect();
    assert_eq!(persons, ["requester_name", "requester_phone", "contact_phone", "driver_name", "driver_licence"]);
}

/// The bytes of `docs/channels/`: a peer computes the same without our code.
#[test]
fn the_key_and_the_digest_are_the_documented_bytes() {
    let key = ItemKey {
        dataset: Dataset::Handling,
        number: SourceNumber::new("GZ1").unwrap(),
        day: parse_moment("2026-11-23").unwrap().day(),
        part: "e:E17".parse().unwrap(),
    };
    assert_eq!(key.bytes(), b"handling\x1fGZ1\x1f2026-11-23\x1fe:E17");
    let digest = digest_of_pairs([("kind", "urge"), ("text", "")]);
    // printf 'kind\037urge\036text\037\036' | sha256sum
    assert_eq!(digest.to_string(), "0143e3943e1875dfbef27371934912df6584a5525c052de47f8b138df70b2ad1");
    assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    let item = BookItem { key, event_time: parse_moment("2026-11-23T09:10:00+08:00").unwrap(), digest };
    let json = serde_json::to_string(&item).unwrap();
    assert_eq!(serde_json::from_str::<BookItem>(&json).unwrap(), item);
}

#[test]
fn identifiers_from_outside_are_bounded() {
    assert!(ChannelId::new("").is_err() && ChannelId::new("a\nb").is_err() && ChannelId::new("x".repeat(65)).is_err());
    assert!(SourceNumber::new("穗".repeat(43)).is_err(), "bytes count, not letters");
    assert!(serde_json::from_str::<SourceNumber>("\"\"").is_err());
}
