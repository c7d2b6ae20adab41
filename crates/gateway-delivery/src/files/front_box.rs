//! The box on disk: nothing is ever half-written under its own name, and nothing outside of it is ever touched.

use gateway_connector::profile::{FilesRule, is_plain_name};
use gateway_connector::wire::FileDigest;
use gateway_model::Timestamp;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Receipts that are being worked on, are done, were refused.
pub(super) const TAKEN: &str = "taken";
pub(super) const DONE: &str = "done";
pub(super) const QUARANTINE: &str = "quarantine";

/// The box could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("front-end box, {path}: {source}; check that the directory is there and may be written to")]
pub struct BoxError {
    path: String,
    source: io::Error,
}

impl BoxError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self { path: path.display().to_string(), source }
    }
}

/// One box.
#[derive(Debug, Clone)]
pub(super) struct FrontBox {
    pub(super) outgoing: PathBuf,
    pub(super) incoming: PathBuf,
}

impl FrontBox {
    pub(super) fn new(dir: &Path, rule: &FilesRule) -> Self {
        Self { outgoing: dir.join(&rule.outgoing), incoming: dir.join(&rule.incoming) }
    }

    /// Makes what folders are missing.
    pub(super) fn prepare(&self) -> Result<(), BoxError> {
        for folder in [self.outgoing.clone(), self.folder(TAKEN), self.folder(DONE), self.folder(QUARANTINE)] {
            fs::create_dir_all(&folder).map_err(BoxError::at(&folder))?;
        }
        Ok(())
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.incoming.join(name)
    }

    /// Writes a whole file at once.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), BoxError> {
        let mut file = NewFile::begin(&self.outgoing, name)?;
        file.append(bytes)?;
        file.commit()
    }

    /// The plain names in a folder that end so, ascending; what is no ordinary file is not among them.
    pub(super) fn names(&self, folder: &Path, suffix: &str) -> Result<Vec<String>, BoxError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(BoxError::at(folder))? {
            let entry = entry.map_err(BoxError::at(folder))?;
            let ordinary = entry.file_type().map_err(BoxError::at(folder))?.is_file();
            match entry.file_name().into_string() {
                Ok(name) if ordinary && is_plain_name(&name) && name.ends_with(suffix) => names.push(name),
                _ => {}
            }
        }
        names.sort();
        Ok(names)
    }

    /// Whether an ordinary file of that name is there; a link is none.
    pub(super) fn has(&self, folder: &Path, name: &str) -> bool {
        fs::symlink_metadata(folder.join(name)).is_ok_and(|found| found.is_file())
    }

    /// Moves a file between folders of the box.
    pub(super) fn shift(&self, name: &str, from: &Path, to: &Path) -> Result<(), BoxError> {
        let (from, to) = (from.join(name), to.join(name));
        fs::rename(&from, &to).map_err(BoxError::at(&from))
    }

    /// A small file; more than 64 KiB is refused.
    pub(super) fn small(&self, path: &Path) -> Result<Vec<u8>, BoxError> {
        let size = fs::symlink_metadata(path).map_err(BoxError::at(path))?;
        if !size.is_file() || size.len() > 64 * 1024 {
            return Err(BoxError::at(path)(io::Error::other("it is no small ordinary file")));
        }
        fs::read(path).map_err(BoxError::at(path))
    }

    /// What went wrong with a file of the box.
    pub(super) fn failed(&self, path: &Path, source: io::Error) -> BoxError {
        BoxError::at(path)(source)
    }

    pub(super) fn open(&self, path: &Path) -> Result<File, BoxError> {
        if !fs::symlink_metadata(path).map_err(BoxError::at(path))?.is_file() {
            return Err(BoxError::at(path)(io::Error::other("it is no ordinary file")));
        }
        File::open(path).map_err(BoxError::at(path))
    }

    /// Drops what is older than so many days. A failure is only told: the next sweep tries again.
    pub(super) fn sweep(&self, now: Timestamp, keep_days: u32) {
        let age = Duration::from_secs(u64::from(keep_days) * 86_400);
        let now = SystemTime::from(now);
        for folder in [self.outgoing.clone(), self.folder(TAKEN), self.folder(DONE), self.folder(QUARANTINE)] {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let found = entry.metadata().ok().filter(fs::Metadata::is_file);
                let old = found.and_then(|found| found.modified().ok()).and_then(|at| now.duration_since(at).ok());
                if old.is_some_and(|old| old > age)
                    && let Err(error) = fs::remove_file(entry.path())
                {
                    tracing::warn!(folder = %folder.display(), %error, "an old file of the front-end box could not be dropped");
                }
            }
        }
    }
}

/// A file that is being written under another name; dropped before its end it leaves nothing.
pub(super) struct NewFile {
    file: Option<File>,
    part: PathBuf,
    path: PathBuf,
    bytes: u64,
}

impl NewFile {
    pub(super) fn begin(folder: &Path, name: &str) -> Result<Self, BoxError> {
        let (part, path) = (folder.join(format!(".{name}.part")), folder.join(name));
        let file = File::create(&part).map_err(BoxError::at(&part))?;
        Ok(Self { file: Some(file), part, path, bytes: 0 })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), BoxError> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(BoxError::at(&self.part))?;
            self.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// To disk, and under its own name.
    pub(super) fn commit(mut self) -> Result<(), BoxError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        file.sync_all().map_err(BoxError::at(&self.part))?;
        fs::rename(&self.part, &self.path).map_err(BoxError::at(&self.path))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(BoxError::at(folder))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.file.take().is_some()
            && let Err(error) = fs::remove_file(&self.part)
        {
            tracing::debug!(%error, "a part of a file stays in the front-end box; the next batch is not hindered by it");
        }
    }
}

/// A data file that is being written, with the digest of what is in it.
pub(super) struct Writing {
    pub(super) file: NewFile,
    pub(super) digest: FileDigest,
    pub(super) rows: u64,
}

impl Writing {
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), BoxError> {
        self.digest.update(bytes);
        self.file.append(bytes)
    }
}
