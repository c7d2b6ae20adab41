//! The box: nothing is ever half-written under its own name, and nothing outside of it is ever touched.

use super::FilesConfig;
use super::place::{BoxError, Found, Opened, Part, Place};
use super::sftp::SftpPlace;
use super::shared::SharedDirectory;
use gateway_connector::profile::{FilesRule, is_plain_name};
use gateway_connector::wire::FileDigest;
use gateway_model::Timestamp;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Receipts that are being worked on, are done, were refused.
pub(super) const TAKEN: &str = "taken";
pub(super) const DONE: &str = "done";
pub(super) const QUARANTINE: &str = "quarantine";
/// What stands beside a receipt is small.
const SMALL: u64 = 64 * 1024;

/// One box.
#[derive(Clone)]
pub(super) struct FrontBox {
    place: Arc<dyn Place>,
    pub(super) outgoing: String,
    pub(super) incoming: String,
}

impl FrontBox {
    pub(super) fn new(config: &FilesConfig, rule: &FilesRule) -> Self {
        let place: Arc<dyn Place> = match &config.sftp {
            None => Arc::new(SharedDirectory::new(&config.dir)),
            Some(sftp) => Arc::new(SftpPlace::new(sftp.clone(), &config.dir)),
        };
        Self { place, outgoing: rule.outgoing.clone(), incoming: rule.incoming.clone() }
    }

    /// Makes what folders are missing.
    pub(super) async fn prepare(&self) -> Result<(), BoxError> {
        for folder in [self.outgoing.clone(), self.folder(TAKEN), self.folder(DONE), self.folder(QUARANTINE)] {
            self.place.make_folder(&folder).await?;
        }
        Ok(())
    }

    pub(super) fn folder(&self, name: &str) -> String {
        format!("{}/{name}", self.incoming)
    }

    /// Writes a whole file at once.
    pub(super) async fn write(&self, name: &str, bytes: Vec<u8>) -> Result<(), BoxError> {
        let mut file = self.begin(name).await?;
        file.append(bytes).await?;
        file.commit().await
    }

    /// Begins a file that we write to them.
    pub(super) async fn begin(&self, name: &str) -> Result<Box<dyn Part>, BoxError> {
        self.place.begin(&self.outgoing, name).await
    }

    /// The plain names in a folder that end so, ascending; what is no ordinary file is not among them.
    pub(super) async fn names(&self, folder: &str, suffix: &str) -> Result<Vec<String>, BoxError> {
        let found = self.place.list(folder).await?.into_iter().map(|found| found.name);
        let mut names: Vec<String> = found.filter(|name| is_plain_name(name) && name.ends_with(suffix)).collect();
        names.sort();
        Ok(names)
    }

    /// Whether an ordinary file of that name is there; a link is none.
    pub(super) async fn has(&self, folder: &str, name: &str) -> Result<bool, BoxError> {
        Ok(self.place.find(folder, name).await?.is_some())
    }

    /// Moves a file between folders of the box.
    pub(super) async fn shift(&self, name: &str, from: &str, to: &str) -> Result<(), BoxError> {
        self.place.shift(name, from, to).await
    }

    /// A small file; more than 64 KiB is refused.
    pub(super) async fn small(&self, folder: &str, name: &str) -> Result<Vec<u8>, BoxError> {
        let found = self.place.find(folder, name).await?;
        let refused = || {
            let error = io::Error::other("it is no small ordinary file");
            BoxError::new(format!("{folder}/{name}"), error, "look at what the other side has put there")
        };
        if found.is_none_or(|found| found.bytes > SMALL) {
            return Err(refused());
        }
        let (mut file, mut bytes) = (self.open(folder, name).await?, Vec::new());
        loop {
            let piece = file.next().await?;
            if piece.is_empty() {
                return Ok(bytes);
            }
            bytes.extend(piece);
            // It may have grown since.
            if bytes.len() as u64 > SMALL {
                return Err(refused());
            }
        }
    }

    pub(super) async fn open(&self, folder: &str, name: &str) -> Result<Box<dyn Opened>, BoxError> {
        self.place.open(folder, name).await
    }

    /// Drops what is older than so many days. A failure is only told: the next sweep tries again.
    pub(super) async fn sweep(&self, now: Timestamp, keep_days: u32) {
        let age = Duration::from_secs(u64::from(keep_days) * 86_400);
        let Ok(before) = now.checked_sub(age) else { return };
        for folder in [self.outgoing.clone(), self.folder(TAKEN), self.folder(DONE), self.folder(QUARANTINE)] {
            let old = |found: &Found| found.written_at.is_some_and(|at| at < before);
            let swept = match self.place.list(&folder).await {
                Ok(files) => self.drop_all(&folder, files.into_iter().filter(old)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = swept {
                tracing::warn!(folder, %error, "an old file of the front-end box could not be dropped");
            }
        }
    }

    async fn drop_all(&self, folder: &str, files: impl Iterator<Item = Found>) -> Result<(), BoxError> {
        for file in files {
            self.place.remove(folder, &file.name).await?;
        }
        Ok(())
    }
}

/// A data file that is being written, with the digest of what is in it.
pub(super) struct Writing {
    file: Box<dyn Part>,
    digest: FileDigest,
    rows: u64,
    bytes: u64,
}

impl Writing {
    pub(super) fn new(file: Box<dyn Part>, digest: FileDigest) -> Self {
        Self { file, digest, rows: 0, bytes: 0 }
    }

    pub(super) async fn append(&mut self, bytes: Vec<u8>, rows: u64) -> Result<(), BoxError> {
        self.digest.update(&bytes);
        self.rows += rows;
        self.bytes += bytes.len() as u64;
        self.file.append(bytes).await
    }

    /// The file, its rows and bytes, and its digest.
    pub(super) fn end(self) -> (Box<dyn Part>, u64, u64, String) {
        (self.file, self.rows, self.bytes, self.digest.hex())
    }
}
