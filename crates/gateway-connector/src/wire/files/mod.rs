//! The dress of files over a front-end box: data files, manifests, receipts and our answers to them. Pure: bytes in, bytes out; who reads and writes
//! them, and where, is the gateway's.

mod csv;
mod receipt;

use super::sink::OrderSink;
use crate::profile::{DigestKind, Encoding, FilesRule, ForwardKind};
use crate::{OutboundDelivery, Reason};
use gateway_model::{Dataset, Part};
pub use receipt::{ReceiptReading, ReceiptRow, Verdict};
use sha2::Digest as _;
use std::fmt;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct FileFault {
    /// A stable code.
    pub code: &'static str,
    /// The line of the text, from 1; 0 = the file as a whole.
    pub line: u64,
    /// A sentence, without anything that the file says of persons.
    pub text: String,
}

impl FileFault {
    /// A fault.
    pub fn new(code: &'static str, line: u64, text: impl Into<String>) -> Self {
        Self { code, line, text: text.into() }
    }
}

/// A digest that is being taken.
#[derive(Clone)]
pub enum FileDigest {
    /// SM3.
    Sm3(Box<sm3::Sm3>),
    /// SHA-256.
    Sha256(Box<sha2::Sha256>),
}

impl FileDigest {
    /// Of nothing yet.
    #[must_use]
    pub fn new(kind: DigestKind) -> Self {
        match kind {
            DigestKind::Sm3 => Self::Sm3(Box::default()),
            DigestKind::Sha256 => Self::Sha256(Box::default()),
        }
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sm3(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
        }
    }

    /// Lower-case hex.
    #[must_use]
    pub fn hex(self) -> String {
        match self {
            Self::Sm3(digest) => hex::encode(digest.finalize()),
            Self::Sha256(digest) => hex::encode(digest.finalize()),
        }
    }
}

impl fmt::Debug for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sm3(_) => "Sm3",
            Self::Sha256(_) => "Sha256",
        })
    }
}

/// A data file that was written, for the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub kind: ForwardKind,
    /// Rows, without the first line.
    pub rows: u64,
    /// Its digest, lower-case hex.
    pub digest: String,
}

/// What the file beside a receipt says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyMark {
    /// Rows, without the first line.
    pub rows: u64,
    /// Its digest, lower-case hex.
    pub digest: String,
}

/// How files are written and read for one channel.
pub struct FileDress {
    sink: OrderSink,
    rule: FilesRule,
}

impl FileDress {
    pub(super) fn new(sink: OrderSink, rule: FilesRule) -> Self {
        Self { sink, rule }
    }

    /// The facts.
    #[must_use]
    pub fn rule(&self) -> &FilesRule {
        &self.rule
    }

    /// The kind of file that an item belongs in; `None` = in none.
    #[must_use]
    pub fn kind_of(&self, dataset: Dataset, part: &Part) -> Option<ForwardKind> {
        ForwardKind::of(dataset, part).filter(|kind| self.rule.data.contains_key(kind))
    }

    /// A data file's name.
    #[must_use]
    pub fn name(&self, kind: ForwardKind, batch: &str) -> Option<String> {
        self.rule.data.get(&kind).map(|rule| rule.name.replace("{batch}", batch))
    }

    /// The manifest's name.
    #[must_use]
    pub fn manifest_name(&self, batch: &str) -> String {
        self.rule.manifest.replace("{batch}", batch)
    }

    fn encode(&self, line: &str, out: &mut Vec<u8>) -> Result<(), Reason> {
        match self.rule.encoding {
            Encoding::Utf8 => out.extend_from_slice(line.as_bytes()),
            Encoding::Gb18030 => {
                let mut encoder = encoding_rs::GB18030.new_encoder();
                let most = encoder.max_buffer_length_from_utf8_without_replacement(line.len());
                out.reserve(most.unwrap_or(line.len().saturating_mul(4)));
                let (result, _) = encoder.encode_from_utf8_to_vec_without_replacement(line, out, true);
                if result != encoding_rs::EncoderResult::InputEmpty {
                    return Err(Reason::new("unwritable", "a text holds a character that GB18030 has no code for"));
                }
            }
        }
        Ok(())
    }

    /// The first line of a data file.
    ///
    /// # Errors
    /// When a column's name can't be encoded.
    pub fn head(&self, kind: ForwardKind) -> Result<Vec<u8>, Reason> {
        let columns = self.rule.data.get(&kind).map(|rule| rule.columns.as_slice()).unwrap_or_default();
        let own = [self.rule.columns.row_key.as_str(), self.rule.columns.number.as_str()];
        let mut out = Vec::new();
        self.encode(&csv::line(self.rule.quote, own.into_iter().chain(columns.iter().map(String::as_str))), &mut out)?;
        Ok(out)
    }

    /// Appends the row of a forwarded item. After an error nothing was appended.
    ///
    /// # Errors
    /// Why it can't be told.
    pub fn row(&self, kind: ForwardKind, delivery: &OutboundDelivery, out: &mut Vec<u8>) -> Result<(), Reason> {
        let none = || Reason::new("unknown_operation", "there is no file for such an item");
        let columns = &self.rule.data.get(&kind).ok_or_else(none)?.columns;
        let mut line = String::with_capacity(512);
        csv::value(self.rule.quote, &delivery.idempotency_key, &mut line);
        csv::value(self.rule.quote, delivery.number.number.as_str(), &mut line);
        self.sink.texts(delivery, columns, &mut |text| csv::value(self.rule.quote, text, &mut line))?;
        line.push_str("\r\n");
        let before = out.len();
        let encoded = self.encode(&line, out);
        if encoded.is_err() {
            out.truncate(before);
        }
        encoded
    }

    /// The manifest of a batch.
    ///
    /// # Errors
    /// When a name can't be encoded.
    pub fn manifest(&self, scope: &str, files: &[DataFile]) -> Result<Vec<u8>, Reason> {
        let columns = &self.rule.columns;
        let head =
            [&columns.file, &columns.dataset, &columns.scope, &columns.rows, &columns.algorithm, &columns.digest];
        let mut text = csv::line(self.rule.quote, head.map(String::as_str));
        for file in files {
            let dataset = self.rule.data.get(&file.kind).map(|rule| rule.dataset.as_str()).unwrap_or_default();
            let rows = file.rows.to_string();
            let algorithm = self.rule.digest.as_str();
            text += &csv::line(self.rule.quote, [&file.name, dataset, scope, &rows, algorithm, &file.digest]);
        }
        let mut out = Vec::new();
        self.encode(&text, &mut out)?;
        Ok(out)
    }

    /// The name of the file that says that a receipt is whole, turned into the receipt's; `None` where it is none, or not harmless.
    #[must_use]
    pub fn receipt_of_ready<'a>(&self, ready: &'a str) -> Option<(&'a str, String)> {
        let stem = ready.strip_suffix(self.rule.receipts.ready.as_str())?;
        let fits = stem.starts_with(self.rule.receipts.prefix.as_str()) && crate::profile::is_plain_name(ready);
        fits.then(|| (stem, format!("{stem}.csv")))
    }

    /// Our answer to a receipt: its name and bytes.
    ///
    /// # Errors
    /// When a text can't be encoded.
    pub fn answer(&self, receipt: &str, fault: Option<&FileFault>) -> Result<(String, Vec<u8>), Reason> {
        let (columns, words) = (&self.rule.columns, &self.rule.verdicts);
        let head = [&columns.file, &columns.verdict, &columns.code, &columns.message].map(String::as_str);
        let message = fault.map(ToString::to_string).unwrap_or_default();
        let verdict = if fault.is_some() { &words.refused } else { &words.accepted };
        let code = fault.map(|fault| fault.code).unwrap_or_default();
        let text = csv::line(self.rule.quote, head) + &csv::line(self.rule.quote, [receipt, verdict, code, &message]);
        let mut out = Vec::new();
        self.encode(&text, &mut out)?;
        Ok((format!("{}{receipt}", self.rule.receipts.answer_prefix), out))
    }
}
