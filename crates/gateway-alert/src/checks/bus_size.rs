//! How much the directory of the embedded bus holds: what was taken in and is still kept.

use super::latch::{Latch, Reading};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// When the bus holds too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusSizeConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// Its files hold this much, in MiB: a warning. A bureau with 1,000 orders a day fills some 200 MiB in 14 days.
    pub warn_mib: u64,
    /// It ends below this.
    pub leave_mib: u64,
}

impl Default for BusSizeConfig {
    fn default() -> Self {
        Self { enabled: true, warn_mib: 4_096, leave_mib: 3_584 }
    }
}

/// `bus_size`. Facts: `mib`, `files`, `limit_mib`. Count = files.
pub(super) struct BusSize {
    dir: PathBuf,
    config: BusSizeConfig,
    latch: Latch,
}

impl BusSize {
    pub(super) fn new(deps: &CheckDeps, config: BusSizeConfig) -> Self {
        Self { dir: deps.dirs.bus.clone(), config, latch: Latch::new() }
    }
}

/// Bytes and files below a directory; nothing when there is no directory (the bus is elsewhere).
fn size_of(dir: &Path) -> io::Result<(u64, u64)> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        entries => entries?,
    };
    let mut sum = (0, 0);
    for entry in entries {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // A segment past its retention may go while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let (bytes, files) = if metadata.is_dir() { size_of(&entry.path())? } else { (metadata.len(), 1) };
        sum = (sum.0 + bytes, sum.1 + files);
    }
    Ok(sum)
}

#[async_trait]
impl Check for BusSize {
    fn name(&self) -> &'static str {
        "bus_size"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let unreadable = |source| CheckError::Unreadable { what: "the bus's directory".to_owned(), source };
        let (bytes, files) = size_of(&self.dir).map_err(unreadable)?;
        let mib = bytes >> 20;
        let facts =
            [("mib", mib.to_string()), ("files", files.to_string()), ("limit_mib", self.config.warn_mib.to_string())];
        let reading = Reading {
            enter: mib >= self.config.warn_mib,
            stay: mib >= self.config.leave_mib,
            finding: finding("bus_size", None, "", Severity::Warning, files, now, facts),
        };
        Ok(self.latch.step(now, [reading]))
    }
}
