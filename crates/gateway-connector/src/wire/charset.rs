//! From bytes to text and back, so that a slice of the text still leads to the bytes that it came from.
//!
//! A record is kept as it came, and what came may be GB18030 with bytes in it that no character is. So the whole body is decoded, cut up as text,
//! and each piece is traced back; re-encoding the piece would hide what was damaged.

use crate::profile::{Encoding, ExchangeRule, UndecodableBytes};
use bytes::Bytes;
use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

/// A decoded body.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    text: Cow<'a, str>,
    bytes: &'a [u8],
    encoding: Encoding,
    /// After each replacement: where the text goes on, and where the bytes do.
    breaks: Vec<(usize, usize)>,
    /// The place that was asked for last: pieces are asked for in their order.
    last: Cell<(usize, usize)>,
}

/// Decodes a body, without a byte order mark.
///
/// # Errors
/// What is wrong with the bytes, where the profile refuses such.
pub(super) fn decode<'a>(exchange: &ExchangeRule, bytes: &'a [u8]) -> Result<Decoded<'a>, String> {
    let replace = exchange.undecodable_bytes == UndecodableBytes::Replace;
    let (encoding, mut breaks) = (exchange.encoding, Vec::new());
    let (bytes, text) = match encoding {
        Encoding::Utf8 => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(error) if !replace => return Err(format!("byte {} is no UTF-8", error.valid_up_to())),
                Err(_) => Cow::Owned(lossy_utf8(bytes, &mut breaks)),
            };
            (bytes, text)
        }
        Encoding::Gb18030 => {
            let bytes = bytes.strip_prefix(b"\x84\x31\x95\x33").unwrap_or(bytes);
            (bytes, Cow::Owned(gb18030(bytes, replace, &mut breaks)?))
        }
    };
    Ok(Decoded { text, bytes, encoding, breaks, last: Cell::new((0, 0)) })
}

fn lossy_utf8(bytes: &[u8], breaks: &mut Vec<(usize, usize)>) -> String {
    let (mut text, mut read) = (String::with_capacity(bytes.len()), 0);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        read += chunk.valid().len() + chunk.invalid().len();
        if !chunk.invalid().is_empty() {
            text.push('\u{fffd}');
            breaks.push((text.len(), read));
        }
    }
    text
}

fn gb18030(bytes: &[u8], replace: bool, breaks: &mut Vec<(usize, usize)>) -> Result<String, String> {
    let mut decoder = encoding_rs::GB18030.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(bytes.len().saturating_mul(2).max(64));
    let mut at = 0;
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(&bytes[at..], &mut text, true);
        at += read;
        match result {
            encoding_rs::DecoderResult::InputEmpty => return Ok(text),
            encoding_rs::DecoderResult::OutputFull => text.reserve((bytes.len() - at).saturating_mul(2).max(64)),
            encoding_rs::DecoderResult::Malformed(length, after) => {
                let (length, after) = (usize::from(length), usize::from(after));
                if !replace {
                    return Err(format!("byte {} is no GB18030", at.saturating_sub(length + after)));
                }
                text.push('\u{fffd}');
                // What the decoder has read beyond the bad bytes comes out next.
                breaks.push((text.len(), at - after));
            }
        }
    }
}

impl Decoded<'_> {
    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of a part of the text, whose ends must be where characters meet.
    pub(super) fn source(&self, part: Range<usize>) -> Bytes {
        let (start, end) = (self.byte_of(part.start), self.byte_of(part.end));
        Bytes::copy_from_slice(self.bytes.get(start..end).unwrap_or_default())
    }

    /// The bytes of a slice of the text; of a text from elsewhere, its encoding.
    pub(super) fn source_of(&self, slice: &str) -> Bytes {
        let offset = (slice.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if offset <= self.text.len() && slice.len() <= self.text.len() - offset {
            return self.source(offset..offset + slice.len());
        }
        encode(self.encoding, slice)
    }

    fn byte_of(&self, offset: usize) -> usize {
        let broken = self.breaks.partition_point(|(text, _)| *text <= offset);
        let mut from = broken.checked_sub(1).map_or((0, 0), |at| self.breaks[at]);
        let last = self.last.get();
        if last.0 > from.0 && last.0 <= offset {
            from = last;
        }
        let (text, mut byte) = from;
        match self.encoding {
            Encoding::Utf8 => byte += offset - text,
            Encoding::Gb18030 => {
                for letter in self.text.get(text..offset).unwrap_or_default().chars() {
                    byte += width(letter, self.bytes.get(byte..).unwrap_or_default());
                }
            }
        }
        self.last.set((offset, byte));
        byte
    }
}

/// How many bytes a character has at the beginning of GB18030 bytes.
fn width(letter: char, bytes: &[u8]) -> usize {
    match bytes {
        _ if letter.is_ascii() => 1,
        [0x80, ..] => 1,
        [_, b'0'..=b'9', ..] => 4,
        _ => 2,
    }
}

/// A text in an encoding.
pub(super) fn encode(encoding: Encoding, text: &str) -> Bytes {
    match encoding {
        Encoding::Utf8 => Bytes::copy_from_slice(text.as_bytes()),
        Encoding::Gb18030 => Bytes::copy_from_slice(&encoding_rs::GB18030.encode(text).0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(encoding: Encoding) -> ExchangeRule {
        ExchangeRule { encoding, undecodable_bytes: UndecodableBytes::Replace, ..ExchangeRule::default() }
    }

    #[test]
    fn every_piece_of_the_text_leads_to_its_bytes() {
        for encoding in [Encoding::Utf8, Encoding::Gb18030] {
            let text = "a南b㮾c𠀀d€e\u{a0}粤A·D12345";
            let bytes = encode(encoding, text);
            let rule = exchange(encoding);
            let decoded = decode(&rule, &bytes).unwrap();
            assert_eq!(decoded.text(), text);
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            for (at, start) in ends.iter().enumerate() {
                for end in &ends[at..] {
                    assert_eq!(decoded.source(*start..*end), encode(encoding, &text[*start..*end]), "{start}..{end}");
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced_visibly_and_kept() {
        for (encoding, bad) in [(Encoding::Utf8, &b"\xe5\x8d"[..]), (Encoding::Gb18030, &b"\xff"[..])] {
            let mut bytes = encode(encoding, "南").to_vec();
            bytes.extend(bad);
            bytes.extend(b"<x>");
            bytes.extend(encode(encoding, "站"));
            let rule = exchange(encoding);
            let decoded = decode(&rule, &bytes).unwrap();
            assert_eq!(decoded.text(), "南\u{fffd}<x>站");
            let at = decoded.text().find('<').unwrap();
            assert_eq!(&decoded.source(at..at + 3)[..], b"<x>");
            assert_eq!(decoded.source(0..decoded.text().len()), bytes);
            let strict = ExchangeRule { encoding, ..ExchangeRule::default() };
            assert!(decode(&strict, &bytes).is_err());
        }
    }

    #[test]
    fn a_torn_character_takes_nothing_with_it() {
        // The first half of a character before a tag: the tag stays.
        let bytes = b"\xb9<b>\xe3\xdd</b>\x81\x30\x84<c>";
        let rule = exchange(Encoding::Gb18030);
        let decoded = decode(&rule, bytes).unwrap();
        let text = decoded.text();
        assert!(text.contains("<b>") && text.ends_with("<c>"), "{text}");
        let at = text.find("</b>").unwrap();
        assert_eq!(&decoded.source(at..at + 4)[..], b"</b>");
        let at = text.find("<c>").unwrap();
        assert_eq!(&decoded.source(at..at + 3)[..], b"<c>");
    }
}
