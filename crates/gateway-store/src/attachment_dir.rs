//! The attachment directory: the bytes of attachments, each file named by the SHA-256 of its bytes.
//!
//! A file is there whole or not at all: it is written beside its place, synced, and only then given its name, so that a row that says "kept" is never ahead
//! of its bytes, and the same bytes are one file however many orders refer to them. Several processes may share the directory.
//!
//! Trade-off: bytes stand outside the store, so that its backups, its log and its pages stay small; a backup of the installation has to take both, the store
//! first: what the directory has more is harmless.

use gateway_model::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where unfinished files are.
const UNFINISHED: &str = "unfinished";

/// A directory of attachments. Its calls block.
#[derive(Debug, Clone)]
pub struct AttachmentDir {
    dir: PathBuf,
}

impl AttachmentDir {
    /// Opens it; made where it is not there, for its owner alone.
    ///
    /// # Errors
    /// When it can't be made or written.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        make(&dir)?;
        make(&dir.join(UNFINISHED))?;
        Ok(Self { dir })
    }

    /// Keeps bytes, durable when it returns. What is there already is not written again.
    ///
    /// # Errors
    /// When they can't be written; then nothing is there under their name.
    pub fn keep(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest(Sha256::digest(bytes).into());
        let path = self.path_of(&digest);
        // A file of another length was damaged by something else, and is replaced.
        if fs::metadata(&path).is_ok_and(|there| there.len() == bytes.len() as u64) {
            return Ok(digest);
        }
        let place = path.parent().unwrap_or(&self.dir);
        if !place.is_dir() {
            make(place)?;
            File::open(&self.dir)?.sync_all()?;
        }
        let unfinished = self.dir.join(UNFINISHED).join(uuid::Uuid::new_v4().simple().to_string());
        let written = write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            // Of no use any more; that it can't be removed changes nothing.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        File::open(place)?.sync_all()?;
        Ok(digest)
    }

    /// Where the bytes of a digest are, if they are kept.
    #[must_use]
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        let name = hex::encode(digest.0);
        self.dir.join(&name[..2]).join(name)
    }

    /// Takes away what processes that were killed left unfinished more than a day ago.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn tidy(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.dir.join(UNFINISHED))? {
            let entry = entry?;
            let old = entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age.as_secs() > 86_400);
            if old {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_same_bytes_are_one_file_and_a_damaged_one_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let dir = AttachmentDir::open(place.path().join("attachments")).unwrap();
        let digest = dir.keep(b"bytes of a picture").unwrap();
        let path = dir.path_of(&digest);
        assert_eq!(fs::read(&path).unwrap(), b"bytes of a picture");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let made = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(dir.keep(b"bytes of a picture").unwrap(), digest);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made, "it was not written again");
        fs::write(&path, b"torn").unwrap();
        assert_eq!(
            AttachmentDir::open(place.path().join("attachments")).unwrap().keep(b"bytes of a picture").unwrap(),
            digest
        );
        assert_eq!(fs::read(&path).unwrap(), b"bytes of a picture");
        assert_ne!(dir.keep(b"others").unwrap(), digest);
        assert_eq!(fs::read_dir(place.path().join("attachments").join(UNFINISHED)).unwrap().count(), 0);
    }

    #[test]
    fn what_was_left_unfinished_long_ago_is_taken_away() {
        let place = tempfile::tempdir().unwrap();
        let dir = AttachmentDir::open(place.path()).unwrap();
        let left = |name: &str| place.path().join(UNFINISHED).join(name);
        fs::write(left("old"), b"x").unwrap();
        fs::write(left("new"), b"x").unwrap();
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(90_000);
        File::options().write(true).open(left("old")).unwrap().set_modified(long_ago).unwrap();
        dir.tidy().unwrap();
        assert!(!left("old").exists() && left("new").exists());
    }
}
