//! Reading receipts, piece by piece in constant memory.

use super::csv::Reading;
use super::{FileDigest, FileDress, FileFault, ReadyMark};
use crate::profile::Encoding;

/// What is said of a row or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is held as it was told.
    Accepted,
    /// The row was refused.
    Rejected,
    /// The whole file was refused and is wanted again.
    Refused,
}

/// One line of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    /// The data file that it is about.
    pub file: String,
    /// Our key of the row; empty where the file as a whole is meant.
    pub row_key: String,
    /// What is said.
    pub verdict: Verdict,
    /// A code for why not.
    pub code: String,
    /// A sentence for why not, cut short.
    pub message: String,
}

/// A receipt, or the file beside it, that is being read.
pub struct ReceiptReading<'a> {
    dress: &'a FileDress,
    decoder: Option<encoding_rs::Decoder>,
    lines: Reading,
    digest: FileDigest,
    columns: Vec<&'a str>,
    places: Option<(usize, Vec<usize>)>,
    rows: u64,
}

impl FileDress {
    /// Begins to read a receipt.
    #[must_use]
    pub fn receipt(&self) -> ReceiptReading<'_> {
        let columns = &self.rule.columns;
        let names = [&columns.file, &columns.row_key, &columns.verdict, &columns.code, &columns.message];
        ReceiptReading::new(self, names.map(String::as_str).to_vec())
    }

    /// What the file beside a receipt says.
    ///
    /// # Errors
    /// Where it is wrong; a name that is not the receipt's is refused too.
    pub fn ready_mark(&self, bytes: &[u8], receipt: &str) -> Result<ReadyMark, FileFault> {
        let columns = &self.rule.columns;
        let names = [&columns.file, &columns.rows, &columns.digest].map(String::as_str).to_vec();
        let (mut mark, mut reading) = (None, ReceiptReading::new(self, names));
        reading.lines_of(bytes, &mut |line, values| {
            let [name, rows, digest] = values else { return Ok(()) };
            if *name != receipt || mark.is_some() {
                return Err(FileFault::new("wrong_name", line, "it must name the receipt beside it, and nothing else"));
            }
            let rows = rows.parse().map_err(|_| FileFault::new("wrong_columns", line, "the rows are no number"))?;
            mark = Some(ReadyMark { rows, digest: digest.to_ascii_lowercase() });
            Ok(())
        })?;
        reading.finish()?;
        mark.ok_or_else(|| FileFault::new("wrong_columns", 0, "it names no file"))
    }
}

type EachValues<'e> = &'e mut dyn FnMut(u64, &[&str]) -> Result<(), FileFault>;

impl<'a> ReceiptReading<'a> {
    fn new(dress: &'a FileDress, columns: Vec<&'a str>) -> Self {
        let decoder = match dress.rule.encoding {
            Encoding::Utf8 => encoding_rs::UTF_8.new_decoder_with_bom_removal(),
            Encoding::Gb18030 => encoding_rs::GB18030.new_decoder_without_bom_handling(),
        };
        Self {
            dress,
            decoder: Some(decoder),
            lines: Reading::new(dress.rule.quote),
            digest: FileDigest::new(dress.rule.digest),
            columns,
            places: None,
            rows: 0,
        }
    }

    fn lines_of(&mut self, bytes: &[u8], each: EachValues<'_>) -> Result<(), FileFault> {
        self.digest.update(bytes);
        self.text_of(bytes, false, each)
    }

    fn text_of(&mut self, bytes: &[u8], last: bool, each: EachValues<'_>) -> Result<(), FileFault> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(()) };
        let most = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len() * 3);
        let mut text = String::with_capacity(most);
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, last);
        if !last {
            self.decoder = Some(decoder);
        }
        let Self { lines, columns, places, rows, .. } = self;
        lines.feed(&text, &mut |line, values| match places {
            None => {
                let place = |name: &&str| {
                    values.iter().position(|value| value == name).ok_or_else(|| {
                        FileFault::new("wrong_columns", line, format!("the first line lacks the column `{name}`"))
                    })
                };
                *places = Some((values.len(), columns.iter().map(place).collect::<Result<_, _>>()?));
                Ok(())
            }
            Some((count, _)) if values.len() != *count => {
                let text = format!("there are {} values for {count} columns", values.len());
                Err(FileFault::new("wrong_columns", line, text))
            }
            Some((_, places)) => {
                *rows += 1;
                let chosen: Vec<&str> = places.iter().map(|place| values[*place].as_str()).collect();
                each(line, &chosen)
            }
        })?;
        if result != encoding_rs::DecoderResult::InputEmpty {
            let encoding = if self.dress.rule.encoding == Encoding::Utf8 { "UTF-8" } else { "GB18030" };
            return Err(FileFault::new("undecodable", 0, format!("it holds bytes that are no {encoding}")));
        }
        Ok(())
    }

    /// Reads on.
    ///
    /// # Errors
    /// Where it is wrong, or what `each` says.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(ReceiptRow) -> Result<(), FileFault>,
    ) -> Result<(), FileFault> {
        let words = &self.dress.rule.verdicts;
        self.lines_of(bytes, &mut |line, values| {
            let [file, row_key, said, code, message] = values else { return Ok(()) };
            let verdict = match *said {
                said if said == words.accepted => Verdict::Accepted,
                said if said == words.rejected => Verdict::Rejected,
                said if said == words.refused => Verdict::Refused,
                _ => return Err(FileFault::new("wrong_verdict", line, "the verdict is none of those agreed on")),
            };
            if row_key.is_empty() && verdict == Verdict::Rejected {
                return Err(FileFault::new("wrong_verdict", line, "a rejected row has no key"));
            }
            each(ReceiptRow {
                file: (*file).to_owned(),
                row_key: (*row_key).to_owned(),
                verdict,
                code: short(code, 40),
                message: short(message, 200),
            })
        })
    }

    /// It is over: its rows and digest.
    ///
    /// # Errors
    /// Where it is torn, or without a first line.
    pub fn finish(mut self) -> Result<ReadyMark, FileFault> {
        self.text_of(&[], true, &mut |_, _| Ok(()))?;
        self.lines.finish()?;
        if self.places.is_none() {
            return Err(FileFault::new("wrong_columns", 1, "there is no first line with the columns"));
        }
        Ok(ReadyMark { rows: self.rows, digest: self.digest.hex() })
    }
}

/// What another wrote, short and without control characters.
fn short(text: &str, letters: usize) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(letters).collect()
}
