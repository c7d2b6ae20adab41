//! The filesystems that the gateway writes to are nearly full, or will be soon.

use super::latch::{Latch, Reading, elapsed};
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// How much of the past the trend is made of.
const TREND_HOURS: usize = 7 * 24;
/// A trend of less is none.
const TREND_LEAST_HOURS: usize = 24;

/// When the disk is low.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskLowConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// This share is free, 0 to 1, or less: a warning.
    pub warn_share: f64,
    /// So many MiB are free or less: a warning.
    pub warn_mib: u64,
    /// This share is free, 0 to 1, or less: critical.
    pub critical_share: f64,
    /// So many MiB are free or less: critical.
    pub critical_mib: u64,
    /// By the trend of the last week it is full in so many days: a warning.
    pub warn_days: u64,
    /// It ends at this multiple of the warning's thresholds.
    pub leave_factor: f64,
}

impl Default for DiskLowConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            warn_share: 0.05,
            warn_mib: 2_048,
            critical_share: 0.01,
            critical_mib: 512,
            warn_days: 7,
            leave_factor: 1.25,
        }
    }
}

/// The space of a filesystem, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Free for us.
    pub free: u64,
    /// In all.
    pub total: u64,
    /// Which filesystem: two directories of the same one are told once.
    pub filesystem: u64,
}

/// The space of the filesystem that a path lies on.
///
/// # Errors
/// When the system doesn't tell.
pub fn space_of(path: &Path) -> io::Result<Space> {
    let told = rustix::fs::statvfs(path)?;
    let device = rustix::fs::stat(path)?.st_dev;
    Ok(Space { free: told.f_bavail * told.f_frsize, total: told.f_blocks * told.f_frsize, filesystem: device })
}

/// Tells the space of the filesystem that a path lies on.
pub type SpaceProbe = Arc<dyn Fn(&Path) -> io::Result<Space> + Send + Sync>;

/// `disk_low`, subject = which directory: `data`, `bus` or `store`, the first on each filesystem. Facts: `directory`, `free_mib`, `free_percent`,
/// `days_left` (by the trend, `-` while there is none).
pub(super) struct DiskLow {
    dirs: Vec<(&'static str, PathBuf)>,
    probe: SpaceProbe,
    config: DiskLowConfig,
    /// Hourly, by filesystem: when, and how much was free.
    trend: BTreeMap<u64, VecDeque<(Timestamp, u64)>>,
    latch: Latch,
}

impl DiskLow {
    pub(super) fn new(deps: &CheckDeps, config: DiskLowConfig) -> Self {
        let dirs = &deps.dirs;
        let dirs =
            [("data", &dirs.data), ("bus", &dirs.bus), ("store", &dirs.store), ("attachments", &dirs.attachments)];
        Self {
            dirs: dirs.map(|(name, path)| (name, path.clone())).to_vec(),
            probe: deps.space.clone(),
            config,
            trend: BTreeMap::new(),
            latch: Latch::new(),
        }
    }

    /// Days until it is full, by the line through the past week; `None` while it is too short, or not filling.
    fn days_left(&mut self, space: Space, now: Timestamp) -> Option<u64> {
        let trend = self.trend.entry(space.filesystem).or_default();
        if trend.back().is_none_or(|(at, _)| elapsed(*at, now) >= HOUR) {
            trend.push_back((now, space.free));
            if trend.len() > TREND_HOURS {
                trend.pop_front();
            }
        }
        if trend.len() < TREND_LEAST_HOURS {
            return None;
        }
        let hours = |at: Timestamp| now.duration_since(at).as_secs_f64() / -3_600.0;
        let slope = slope(trend.iter().map(|(at, free)| (hours(*at), *free as f64)))?;
        // Less than a hundredth of the whole in a week is no trend.
        let lost_in_a_week = -slope * TREND_HOURS as f64;
        if lost_in_a_week < space.total as f64 / 100.0 {
            return None;
        }
        Some((space.free as f64 / -slope / 24.0) as u64)
    }
}

/// The slope of the least-squares line; `None` where all lies at one instant.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let count = points.clone().count() as f64;
    let mean_x = points.clone().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.clone().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.clone().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let joint: f64 = points.map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (spread > 0.0).then(|| joint / spread)
}

#[async_trait]
impl Check for DiskLow {
    fn name(&self) -> &'static str {
        "disk_low"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let mut seen = Vec::new();
        let mut readings = Vec::new();
        for (name, path) in self.dirs.clone() {
            let space = match (self.probe)(&path) {
                // The bus may be elsewhere.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                space => space.map_err(|source| CheckError::Unreadable { what: format!("the {name} disk"), source })?,
            };
            if seen.contains(&space.filesystem) {
                continue;
            }
            seen.push(space.filesystem);
            let days_left = self.days_left(space, now);
            let config = &self.config;
            let share = space.free as f64 / space.total.max(1) as f64;
            let mib = space.free >> 20;
            let below = |factor: f64, by_share: f64, by_mib: u64| {
                share <= by_share * factor || mib as f64 <= by_mib as f64 * factor
            };
            let soon = |factor: f64| days_left.is_some_and(|days| days as f64 <= config.warn_days as f64 * factor);
            let critical = below(1.0, config.critical_share, config.critical_mib);
            let facts = [
                ("directory", name.to_owned()),
                ("free_mib", mib.to_string()),
                ("free_percent", format!("{:.1}", share * 100.0)),
                ("days_left", days_left.map_or_else(|| "-".to_owned(), shown_days)),
            ];
            let severity = if critical { Severity::Critical } else { Severity::Warning };
            let leave = config.leave_factor;
            readings.push(Reading {
                enter: critical || below(1.0, config.warn_share, config.warn_mib) || soon(1.0),
                stay: below(leave, config.warn_share, config.warn_mib) || soon(leave),
                finding: finding("disk_low", None, name, severity, 1, now, facts),
            });
        }
        Ok(self.latch.step(now, readings))
    }
}

/// "0 days" would read as full already.
fn shown_days(days: u64) -> String {
    if days == 0 { "<1".to_owned() } else { days.to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope_and_a_point_has_none() {
        let line = (0..50).map(|x| (f64::from(x), 100.0 - 3.0 * f64::from(x)));
        assert!((slope(line).unwrap() + 3.0).abs() < 1e-9);
        assert_eq!(slope([(1.0, 5.0), (1.0, 7.0)].into_iter()), None);
    }

    #[test]
    fn the_machine_tells_its_space() {
        let space = space_of(&std::env::temp_dir()).unwrap();
        assert!(space.total >= space.free && space.total > 0);
    }
}
