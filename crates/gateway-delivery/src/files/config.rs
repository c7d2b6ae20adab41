//! Where the box is, and when it is written to.

use super::{FilesError, SftpConfig};
use serde::Deserialize;
use std::path::PathBuf;

/// `[channel.files]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// The box: a directory that both sides see. Folders in it are the profile's.
    pub dir: PathBuf,
    /// Where the directory is a server's.
    #[serde(default)]
    pub sftp: Option<SftpConfig>,
    /// When the whole file of the day is written, China time, as `02:00`; only when asked where absent.
    #[serde(default)]
    pub export_at: Option<String>,
    /// For how many days our own files, and receipts that are done, stay: they hold what citizens wrote.
    #[serde(default = "keep_days")]
    pub keep_days: u32,
    /// How often the box is looked at.
    #[serde(default = "look_every_ms")]
    pub look_every_ms: u64,
    /// How often a row is sent before its refusal is left to a person.
    #[serde(default = "max_generations")]
    pub max_generations: u32,
    /// Rows that are read from the store and encoded, or whose verdicts are taken, at a time.
    #[serde(default = "page_rows")]
    pub page_rows: u32,
}

fn keep_days() -> u32 {
    14
}

fn look_every_ms() -> u64 {
    5_000
}

fn max_generations() -> u32 {
    3
}

fn page_rows() -> u32 {
    1_000
}

impl FilesConfig {
    /// A box without a daily file.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            sftp: None,
            export_at: None,
            keep_days: keep_days(),
            look_every_ms: look_every_ms(),
            max_generations: max_generations(),
            page_rows: page_rows(),
        }
    }

    pub(super) fn export_at(&self) -> Result<Option<jiff::civil::Time>, FilesError> {
        let wrong = |text: &str| FilesError::Dress(format!("export_at: `{text}` is no time of day as 02:00"));
        self.export_at.as_deref().map(|text| parse(text).ok_or_else(|| wrong(text))).transpose()
    }

    /// Every mistake in it, by key.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if let Err(error) = self.export_at() {
            mistakes.push(("export_at", error.to_string()));
        }
        if self.dir.as_os_str().is_empty() {
            mistakes.push(("dir", "is empty: name the directory of the front-end box".to_owned()));
        }
        mistakes.extend(self.sftp.iter().flat_map(SftpConfig::mistakes));
        if !(1..=10_000).contains(&self.page_rows) {
            mistakes.push(("page_rows", "must be 1 to 10000".to_owned()));
        }
        if self.max_generations == 0 {
            mistakes.push(("max_generations", "must be at least 1: what is owed is sent once".to_owned()));
        }
        if self.look_every_ms == 0 {
            mistakes.push(("look_every_ms", "must be at least 1".to_owned()));
        }
        mistakes
    }
}

fn parse(text: &str) -> Option<jiff::civil::Time> {
    let (hour, minute) = text.split_once(':')?;
    jiff::civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}
