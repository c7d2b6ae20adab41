//! Plates: however one is written, it reads the same, and reading it again changes nothing.

use gateway_model::Plate;
use proptest::prelude::*;

fn wide(sign: char) -> char {
    if sign.is_ascii_graphic() { char::from_u32(u32::from(sign) + 0xfee0).unwrap() } else { sign }
}

prop_compose! {
    fn a_plate()(serial in prop_oneof!["[0-9A-Z]{5}", "[A-K][0-9A-Z]{5}", "[0-9]{5}[DF]", "[0-9A-Z]{4}[港澳学]"]) -> String {
        format!("粤A{serial}")
    }
}

proptest! {
    #[test]
    fn writing_does_not_matter(
        plate in a_plate(),
        habits in proptest::collection::vec((any::<bool>(), any::<bool>(), prop_oneof![Just(""), Just(" "), Just("·"), Just("•"), Just("．"), Just("-"), Just("\u{3000}")]), 10),
    ) {
        let written: String = plate.chars().zip(habits).flat_map(|(sign, (lower, full, between))| {
            let sign = if lower { sign.to_ascii_lowercase() } else { sign };
            let sign = if full { wide(sign) } else { sign };
            std::iter::once(sign).chain(between.chars()).collect::<Vec<_>>()
        }).collect();
        prop_assert_eq!(Plate::read(&written), Plate::read(&plate));
    }

    #[test]
    fn reading_again_changes_nothing(written in any::<String>()) {
        if let Some(plate) = Plate::read(&written) {
            prop_assert!(plate.as_str().chars().count() <= 8);
            prop_assert_eq!(Plate::read(plate.as_str()), Some(plate));
        }
    }

    #[test]
    fn the_likely_reading_has_nothing_left_to_correct(plate in a_plate()) {
        if let Some(likely) = Plate::read(&plate).and_then(|plate| plate.confusable()) {
            prop_assert_eq!(likely.confusable(), None);
        }
    }
}
