//! Files over a front-end box (前置机): what they are called, how they are written, and what their columns are.
//!
//! A batch is one data file for each kind of item and a manifest with rows and digest of each, which comes last. The peer answers with receipt files
//! (回执), each with a small file beside it that says that it is whole.

use super::exchange::Encoding;
use super::reader::Section;
use super::writing::{ForwardKind, WriteRule};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a quote inside a quoted value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuoteStyle {
    /// `\"`, and a backslash is `\\`: JT/T 1415.3.
    #[default]
    Backslash,
    /// `""`: RFC 4180.
    Doubled,
}

/// The digest of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum DigestKind {
    /// SM3 (GM/T 0004).
    #[default]
    #[serde(rename = "sm3")]
    Sm3,
    /// SHA-256.
    #[serde(rename = "sha-256")]
    Sha256,
}

impl DigestKind {
    /// The name in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sm3 => "SM3",
            Self::Sha256 => "SHA-256",
        }
    }
}

/// One kind of data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFileRule {
    /// Its name; `{batch}` is the batch.
    pub name: String,
    /// What the manifest calls the dataset.
    pub dataset: String,
    /// The columns after row key and number: wire fields of the forwarded item's body.
    pub columns: Vec<String>,
}

/// What the columns of manifests and receipts are called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileColumns {
    /// Our key of a row.
    pub row_key: String,
    /// The order's number.
    pub number: String,
    /// A file's name.
    pub file: String,
    /// The dataset of a data file.
    pub dataset: String,
    /// `whole`, or the day.
    pub scope: String,
    /// Rows of a file, without its first line.
    pub rows: String,
    /// Which digest.
    pub algorithm: String,
    /// The digest, lower-case hex.
    pub digest: String,
    /// What is said of a row or a file.
    pub verdict: String,
    /// A code for why not.
    pub code: String,
    /// A sentence for why not.
    pub message: String,
}

/// The words of verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictWords {
    /// The row is held as it was told; of a receipt: it was taken.
    pub accepted: String,
    /// The row was refused.
    pub rejected: String,
    /// The whole file was refused and is wanted again.
    pub refused: String,
}

/// What receipt files are called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFileRule {
    /// What their names begin with.
    pub prefix: String,
    /// What the name of the file beside it ends with in place of `.csv`; a receipt without it is not whole yet.
    pub ready: String,
    /// What is put before a receipt's name for our answer to it.
    pub answer_prefix: String,
}

/// Files over a front-end box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesRule {
    /// The encoding of all of them.
    pub encoding: Encoding,
    /// How quotes inside values are written.
    pub quote: QuoteStyle,
    /// The digest in manifests.
    pub digest: DigestKind,
    /// The folder of the box that we write to.
    pub outgoing: String,
    /// The folder of the box that receipts come to.
    pub incoming: String,
    /// The manifest's name; `{batch}` is the batch.
    pub manifest: String,
    /// The data files.
    pub data: BTreeMap<ForwardKind, DataFileRule>,
    /// The receipts.
    pub receipts: ReceiptFileRule,
    /// The columns.
    pub columns: FileColumns,
    /// The verdicts.
    pub verdicts: VerdictWords,
}

/// Whether a name is harmless in every file system: no folder, no leading dot, no character with a meaning anywhere.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=120).contains(&name.len()) && !name.starts_with(['.', '-']) && !name.contains("..") && name.bytes().all(plain)
}

impl FilesRule {
    pub(super) fn read(mut section: Section, write: Option<&WriteRule>) -> Option<Self> {
        let encoding = section.take_or("encoding", Encoding::Gb18030);
        let quote = section.take_or("quote", QuoteStyle::default());
        let digest = section.take_or("digest", DigestKind::default());
        let (outgoing, incoming) = (read_folder(&mut section, "outgoing"), read_folder(&mut section, "incoming"));
        let manifest = read_template(&mut section, "manifest");
        let receipts = section.take::<ReceiptFileRule>("receipts");
        if let Some(rule) = &receipts {
            let ends = [&rule.prefix, &rule.answer_prefix];
            let plain =
                ends.iter().all(|text| is_plain_name(text)) && rule.ready.strip_prefix('.').is_some_and(is_plain_name);
            section.check(
                plain && rule.ready != ".csv",
                "receipts",
                "prefixes must be of A-Z a-z 0-9 _ - ., and `ready` a suffix such as .ok that is not .csv",
            );
        }
        let columns = section.take::<FileColumns>("columns");
        let verdicts = section.take::<VerdictWords>("verdicts");
        if let Some(words) = &verdicts {
            let distinct =
                words.accepted != words.rejected && words.rejected != words.refused && words.accepted != words.refused;
            section.check(distinct, "verdicts", "the three words must differ");
        }
        let data = section.section("data").and_then(|mut listed| {
            let mut data = Vec::new();
            for kind in ForwardKind::ALL {
                match listed.optional_section(kind.as_str()) {
                    None => data.push(None),
                    Some(None) => {}
                    Some(Some(section)) => data.push(read_data(section, kind, write).map(|rule| (kind, rule))),
                }
            }
            data.into_iter().collect::<Option<BTreeMap<_, _>>>()
        });
        if let Some(data) = &data {
            section.check(!data.is_empty(), "data", "must name at least one data file");
            let names: std::collections::BTreeSet<_> = data.values().map(|rule| &rule.name).chain(&manifest).collect();
            section.check(names.len() == data.len() + 1, "data", "every file must have a name of its own");
        }
        Some(Self {
            encoding: encoding?,
            quote: quote?,
            digest: digest?,
            outgoing: outgoing?,
            incoming: incoming?,
            manifest: manifest?,
            data: data?,
            receipts: receipts?,
            columns: columns?,
            verdicts: verdicts?,
        })
    }
}

fn read_folder(section: &mut Section, key: &str) -> Option<String> {
    let folder = section.take::<String>(key)?;
    let plain = folder.split('/').all(is_plain_name);
    section.check(plain, key, "must be a folder of the box, of A-Z a-z 0-9 _ - . and /");
    Some(folder)
}

fn read_template(section: &mut Section, key: &str) -> Option<String> {
    let name = section.take::<String>(key)?;
    let plain = is_plain_name(&name.replace("{batch}", "20261126103000"));
    section.check(
        plain && name.matches("{batch}").count() == 1 && name.ends_with(".csv"),
        key,
        "must hold {batch} once, end with .csv, and be of A-Z a-z 0-9 _ - . besides",
    );
    Some(name)
}

fn read_data(mut section: Section, kind: ForwardKind, write: Option<&WriteRule>) -> Option<DataFileRule> {
    let name = read_template(&mut section, "name");
    let dataset = section.take::<String>("dataset");
    let columns = section.take::<Vec<String>>("columns");
    if let (Some(write), Some(columns)) = (write, &columns) {
        match write.forwards.get(&kind) {
            None => section
                .mistake("name", format!("there is no `write.forward.{}` that says what its rows are", kind.as_str())),
            Some(rule) => {
                for column in columns {
                    let there = rule.body.iter().any(|value| value.wire == *column);
                    section.check(
                        there,
                        "columns",
                        format!("`{column}` is not in the body of `write.forward.{}`", kind.as_str()),
                    );
                }
                for required in &rule.required {
                    section.check(
                        columns.contains(required),
                        "columns",
                        format!("`{required}` is required, and missing"),
                    );
                }
            }
        }
    }
    Some(DataFileRule { name: name?, dataset: dataset?, columns: columns? })
}
