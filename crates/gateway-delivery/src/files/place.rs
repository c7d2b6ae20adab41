//! Where a box is: folders and files with plain names, whatever carries them.

use async_trait::async_trait;
use gateway_model::Timestamp;
use std::io;

/// The most files that a folder may hold; more are refused rather than remembered.
pub(super) const MOST_FILES: usize = 100_000;

/// The box could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("front-end box, {path}: {source}; {advice}")]
pub struct BoxError {
    path: String,
    source: io::Error,
    advice: &'static str,
}

impl BoxError {
    pub(super) fn new(path: impl Into<String>, source: io::Error, advice: &'static str) -> Self {
        Self { path: path.into(), source, advice }
    }
}

/// An ordinary file of a folder; links and folders are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When it was last written, where that is told.
    pub(super) written_at: Option<Timestamp>,
}

/// The folders of a box are named from its top, as `receipt/done`; names of files are plain, which the caller sees to.
#[async_trait]
pub(super) trait Place: Send + Sync {
    /// Makes a folder, and those above it up to the box, where they are missing.
    async fn make_folder(&self, folder: &str) -> Result<(), BoxError>;
    /// The ordinary files of a folder, in any order.
    async fn list(&self, folder: &str) -> Result<Vec<Found>, BoxError>;
    /// An ordinary file, where it is there.
    async fn find(&self, folder: &str, name: &str) -> Result<Option<Found>, BoxError>;
    /// Moves a file at once, over one that is there by that name.
    async fn shift(&self, name: &str, from: &str, to: &str) -> Result<(), BoxError>;
    /// Drops a file.
    async fn remove(&self, folder: &str, name: &str) -> Result<(), BoxError>;
    /// Opens an ordinary file for reading.
    async fn open(&self, folder: &str, name: &str) -> Result<Box<dyn Opened>, BoxError>;
    /// Begins a file under another name, which begins with a dot and is no name of ours.
    async fn begin(&self, folder: &str, name: &str) -> Result<Box<dyn Part>, BoxError>;
}

/// A file that is being read.
#[async_trait]
pub(super) trait Opened: Send {
    /// The next piece; empty at the end.
    async fn next(&mut self) -> Result<Vec<u8>, BoxError>;
}

/// A file that is being written under another name. What is dropped before its end is no file.
#[async_trait]
pub(super) trait Part: Send {
    /// Writes on.
    async fn append(&mut self, bytes: Vec<u8>) -> Result<(), BoxError>;
    /// To disk, and under its own name.
    async fn commit(self: Box<Self>) -> Result<(), BoxError>;
}

/// The name under which a file is written.
pub(super) fn part_of(name: &str) -> String {
    format!(".{name}.part")
}
