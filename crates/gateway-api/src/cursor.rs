//! The feed's cursor: a place in the feed of changed orders, as a text that callers only hand back.
//!
//! It has a version in front, so that a later form is told apart from a mistake; anything that we did not write is refused, since a cursor
//! silently read as "from the beginning" or as a place further on would hide changes.

use crate::{Code, Problem};

const VERSION: &str = "f1-";

/// Writes a place.
pub(crate) fn write(feed_seq: u64) -> String {
    format!("{VERSION}{feed_seq:016x}")
}

/// Reads a place.
pub(crate) fn read(text: &str) -> Result<u64, Problem> {
    let digits = text.strip_prefix(VERSION).filter(|digits| digits.len() == 16);
    digits
        .filter(|digits| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .filter(|seq| i64::try_from(*seq).is_ok())
        .ok_or_else(|| {
            Problem::new(Code::MalformedCursor, "pass `next` of an earlier answer as it is, or no `after` to begin")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_nothing_else_is_taken() {
        let most = u64::try_from(i64::MAX).unwrap();
        for seq in [0, 1, 255, most] {
            assert_eq!(read(&write(seq)).unwrap(), seq);
        }
        let beyond = write(most + 1);
        for text in [
            "",
            "0",
            "f1-",
            "f1-1",
            "f1-00000000000000FF",
            "f1-+00000000000000f",
            "f2-0000000000000001",
            beyond.as_str(),
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
