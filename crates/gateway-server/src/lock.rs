//! The lock on an installation's directory: one `serve` at a time, and no command behind its back.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Held for as long as the value lives; the system lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Locks a directory; `None` when another process has it.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub fn take(dir: &Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Locks a directory, waiting for a process that is just ending.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub async fn take_within(dir: &Path, patience: Duration) -> io::Result<Option<Self>> {
        let until = Instant::now() + patience;
        loop {
            if let Some(lock) = Self::take(dir)? {
                return Ok(Some(lock));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
