//! Quoted CSV with CRLF: writing, and reading so strictly that a torn file is never taken for a whole one.

use super::FileFault;
use crate::profile::QuoteStyle;

/// The longest value that is read, in bytes.
const VALUE_BYTES: usize = 64 * 1024;
/// The most columns that are read.
const COLUMNS: usize = 64;

/// Appends a value, quoted.
pub(super) fn value(style: QuoteStyle, text: &str, line: &mut String) {
    if !line.is_empty() {
        line.push(',');
    }
    line.push('"');
    let mut rest = text;
    let special: &[char] = match style {
        QuoteStyle::Backslash => &['"', '\\'],
        QuoteStyle::Doubled => &['"'],
    };
    while let Some(at) = rest.find(special) {
        let (before, after) = rest.split_at(at);
        line.push_str(before);
        line.push(if style == QuoteStyle::Backslash { '\\' } else { '"' });
        line.push_str(&after[..1]);
        rest = &after[1..];
    }
    line.push_str(rest);
    line.push('"');
}

/// A line of values.
pub(super) fn line<'a>(style: QuoteStyle, values: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for text in values {
        value(style, text, &mut line);
    }
    line.push_str("\r\n");
    line
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    ValueStart,
    Plain,
    Quoted,
    Escaped,
    QuoteSeen,
    Return,
}

/// What gets each line: the number of the text line at which it began, and its values.
pub(super) type EachLine<'a> = &'a mut dyn FnMut(u64, &[String]) -> Result<(), FileFault>;

/// Takes text piece by piece and gives out lines.
pub(super) struct Reading {
    style: QuoteStyle,
    at: At,
    /// Of the text, from 1; where the current line of values began.
    text_line: u64,
    begun_at: u64,
    values: Vec<String>,
    value: String,
}

impl Reading {
    pub(super) fn new(style: QuoteStyle) -> Self {
        Self { style, at: At::LineStart, text_line: 1, begun_at: 1, values: Vec::new(), value: String::new() }
    }

    fn fault(&self, code: &'static str, text: &str) -> FileFault {
        FileFault::new(code, self.text_line, text)
    }

    fn end_value(&mut self) -> Result<(), FileFault> {
        if self.values.len() == COLUMNS {
            return Err(self.fault("wrong_columns", "there are more than 64 values in the line"));
        }
        self.values.push(std::mem::take(&mut self.value));
        Ok(())
    }

    /// Reads on; `each` gets every line that ended, with the number of the text line at which it began.
    pub(super) fn feed(&mut self, text: &str, each: EachLine<'_>) -> Result<(), FileFault> {
        let backslash = self.style == QuoteStyle::Backslash;
        for letter in text.chars() {
            self.at = match (self.at, letter) {
                (At::LineStart | At::ValueStart, '"') => At::Quoted,
                (At::LineStart | At::ValueStart | At::Plain | At::QuoteSeen, ',') => {
                    self.end_value()?;
                    At::ValueStart
                }
                (At::LineStart | At::ValueStart | At::Plain | At::QuoteSeen, '\r') => {
                    self.end_value()?;
                    At::Return
                }
                (At::Return, '\n') => {
                    each(self.begun_at, &self.values)?;
                    self.values.clear();
                    self.text_line += 1;
                    self.begun_at = self.text_line;
                    At::LineStart
                }
                (At::Return, _) => return Err(self.fault("not_csv", "a line must end with CRLF")),
                (At::Quoted, '"') => At::QuoteSeen,
                (At::Quoted, '\\') if backslash => At::Escaped,
                (At::QuoteSeen, '"') if !backslash => self.push('"', At::Quoted)?,
                (At::QuoteSeen, _) => return Err(self.fault("not_csv", "there is text after a closing quote")),
                (At::Quoted | At::Escaped, letter) => {
                    self.text_line += u64::from(letter == '\n');
                    self.push(letter, At::Quoted)?
                }
                (_, '"' | '\n') => return Err(self.fault("not_csv", "a quote or line end stands outside of quotes")),
                (_, letter) => self.push(letter, At::Plain)?,
            };
        }
        Ok(())
    }

    fn push(&mut self, letter: char, next: At) -> Result<At, FileFault> {
        if self.value.len() >= VALUE_BYTES {
            return Err(self.fault("not_csv", "a value is longer than 64 KiB; a quote may be missing"));
        }
        self.value.push(letter);
        Ok(next)
    }

    /// The text is over.
    pub(super) fn finish(&self) -> Result<(), FileFault> {
        match self.at {
            At::LineStart => Ok(()),
            _ => Err(FileFault::new("torn", self.begun_at, "the last line is torn: it does not end with CRLF")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(style: QuoteStyle, text: &str) -> Result<Vec<(u64, Vec<String>)>, FileFault> {
        let mut rows = Vec::new();
        let mut reading = Reading::new(style);
        // In pieces of one character: where a piece ends must not matter.
        for letter in text.chars() {
            reading.feed(letter.encode_utf8(&mut [0; 4]), &mut |line, values| {
                rows.push((line, values.to_vec()));
                Ok(())
            })?;
        }
        reading.finish()?;
        Ok(rows)
    }

    #[test]
    fn what_is_written_is_read_in_either_style() {
        let values = ["plain", "", "comma, \"quote\" and \\ at the end\\", "two\r\nlines", "路灯不亮，\"急\""];
        for style in [QuoteStyle::Backslash, QuoteStyle::Doubled] {
            let text = line(style, values) + &line(style, ["next"]);
            let rows = read(style, &text).unwrap();
            assert_eq!(rows[0], (1, values.map(str::to_owned).to_vec()));
            assert_eq!(rows[1], (3, vec!["next".to_owned()]));
        }
        assert_eq!(line(QuoteStyle::Backslash, ["a\"b"]), "\"a\\\"b\"\r\n");
        assert_eq!(line(QuoteStyle::Doubled, ["a\"b"]), "\"a\"\"b\"\r\n");
    }

    #[test]
    fn a_torn_end_is_told_with_its_line() {
        for torn in ["\"a\"\r\n\"b\"", "\"a\"\r\n\"b", "\"a\"\r\n\"b\"\r", "\"a\"\r\n\"b\","] {
            let fault = read(QuoteStyle::Backslash, torn).unwrap_err();
            assert_eq!((fault.code, fault.line), ("torn", 2), "{torn:?}");
        }
        for wrong in ["\"a\"b\r\n", "a\"b\r\n", "a\nb\r\n", "\"a\"\rb"] {
            assert_eq!(read(QuoteStyle::Backslash, wrong).unwrap_err().code, "not_csv", "{wrong:?}");
        }
        assert_eq!(read(QuoteStyle::Doubled, "").unwrap(), []);
    }
}
