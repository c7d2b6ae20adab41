//! Plates (号牌) as people write them, and the one form in which they are compared.
//!
//! A plate comes from a form, a picture or a voice: `粤a·d12345`, `粤Ａ　Ｄ１２３４５`, `粤A.D12345`. [`Plate::read`] takes away what is only
//! writing (width, case, spaces, dots, hyphens) and nothing else: what was written stays beside it in
//! [`Field::PlateWritten`](crate::Field::PlateWritten). The letters I and O are on no plate, yet they are not corrected: who wrote `粤AO1234` may have
//! misread any sign of it, and a corrected plate would accuse another driver. [`Plate::confusable`] offers the likely reading to a person.
//!
//! Forms by GA 36: a sign of the province, a letter, and five signs; new energy six, of which the first (small vehicles) or the last (large ones)
//! is a letter; police, school, trailer, Hong Kong and Macao plates end with a character of their own.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The signs of the provinces.
const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

/// What a plate of a special use ends with.
const ENDINGS: &str = "学警挂港澳领试超使";

/// Longer texts are no plates, whatever is taken away from them.
const LONGEST: usize = 64;

/// Which form a plate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlateForm {
    /// Five signs.
    Ordinary,
    /// Six signs, the first a letter: small new-energy vehicles 小型新能源.
    NewEnergySmall,
    /// Six signs, the last a letter: large new-energy vehicles 大型新能源.
    NewEnergyLarge,
    /// It ends with a character of its use, as 粤Z1234港.
    Special,
}

/// A plate in its normal form: upper case, half width, without separators.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plate {
    text: String,
    form: PlateForm,
}

impl Plate {
    /// Reads a plate as somebody wrote it; `None` where it has not the form of one.
    #[must_use]
    pub fn read(written: &str) -> Option<Self> {
        if written.chars().count() > LONGEST {
            return None;
        }
        let signs: Vec<char> = written.chars().filter_map(sign).collect();
        let (province, rest) = signs.split_first()?;
        let (office, serial) = rest.split_first()?;
        if !PROVINCES.contains(*province) || !office.is_ascii_uppercase() {
            return None;
        }
        let form = form_of(serial)?;
        Some(Self { text: signs.into_iter().collect(), form })
    }

    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which form it has.
    #[must_use]
    pub fn form(&self) -> PlateForm {
        self.form
    }

    /// What was probably meant, where the serial has a letter that is on no plate (I for 1, O for 0); never used in its stead.
    #[must_use]
    pub fn confusable(&self) -> Option<Self> {
        let text: String = self
            .text
            .chars()
            .enumerate()
            .map(|(at, sign)| match sign {
                'I' if at >= 2 => '1',
                'O' if at >= 2 => '0',
                other => other,
            })
            .collect();
        (text != self.text).then(|| Self::read(&text)).flatten()
    }
}

impl fmt::Display for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A sign in its normal form; `None` for what is only writing.
fn sign(written: char) -> Option<char> {
    let half = match written {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(written) - 0xfee0).unwrap_or(written),
        other => other,
    };
    let between = half.is_whitespace()
        || matches!(
            half,
            '.' | '-' | '_' | '*' | '·' | '•' | '・' | '･' | '‧' | '∙' | '⋅' | '●' | '。' | '—' | '–' | '−'
        )
        || matches!(half, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0e}' | '\u{fe0f}');
    (!between).then(|| half.to_ascii_uppercase())
}

fn form_of(serial: &[char]) -> Option<PlateForm> {
    let plain = |signs: &[char]| signs.iter().all(char::is_ascii_alphanumeric);
    match serial {
        [signs @ .., last] if ENDINGS.contains(*last) => {
            (signs.len() == 4 && plain(signs)).then_some(PlateForm::Special)
        }
        signs if signs.len() == 5 && plain(signs) => Some(PlateForm::Ordinary),
        [first, .., last] if serial.len() == 6 && plain(serial) => {
            if first.is_ascii_uppercase() {
                Some(PlateForm::NewEnergySmall)
            } else {
                last.is_ascii_uppercase().then_some(PlateForm::NewEnergyLarge)
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &str) -> Option<(String, PlateForm)> {
        Plate::read(written).map(|plate| (plate.text, plate.form))
    }

    #[test]
    fn one_plate_in_many_hands() {
        for written in [
            "粤A12345",
            "粤a12345",
            "粤A·12345",
            "粤A•12345",
            "粤A.12345",
            "粤A．12345",
            "粤Ａ１２３４５",
            " 粤 A 1 2345\t",
            "粤A-12345",
            "粤A\u{200b}12345",
            "粤ａ・１２３４５",
            "粤A 12345\n",
            "\u{3000}粤A—12345",
        ] {
            assert_eq!(read(written), Some(("粤A12345".to_owned(), PlateForm::Ordinary)), "{written:?}");
        }
    }

    #[test]
    fn the_forms() {
        assert_eq!(read("粤A·D12345"), Some(("粤AD12345".to_owned(), PlateForm::NewEnergySmall)));
        assert_eq!(read("粤af12345"), Some(("粤AF12345".to_owned(), PlateForm::NewEnergySmall)));
        assert_eq!(read("粤A12345d"), Some(("粤A12345D".to_owned(), PlateForm::NewEnergyLarge)));
        assert_eq!(read("粤Z·1234港"), Some(("粤Z1234港".to_owned(), PlateForm::Special)));
    }

    #[test]
    fn what_is_no_plate() {
        for written in [
            "",
            " ·",
            "不清楚",
            "12345",
            "A12345",
            "粤12345",
            "粤A1234",
            "粤A123456",
            "粤A1234567",
            "粤A12三45",
            "粤A12345港",
        ] {
            assert_eq!(read(written), None, "{written:?}");
        }
        assert_eq!(read(&format!("粤A12345{}", " ".repeat(100))), None);
    }

    #[test]
    fn letters_that_are_on_no_plate_are_not_corrected() {
        let plate = Plate::read("粤aO1I34").unwrap();
        assert_eq!(plate.as_str(), "粤AO1I34");
        assert_eq!(plate.confusable().unwrap().as_str(), "粤A01134");
        assert_eq!(Plate::read("粤O12345").unwrap().confusable(), None);
    }
}
