//! A manifest: a channel's own account of what it holds, at some grain.

use crate::{BookItem, BucketSum, CHINA, Dataset, Day, Moment, Timestamp, Window};
use jiff::ToSpan;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How fine an account is, from coarse to fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    /// One sum of the whole window, whatever its length.
    Total,
    /// Sums by calendar month.
    Month,
    /// Sums by calendar day.
    Day,
    /// Sums by hour; items with a date-only time are absent.
    Hour,
    /// Sums by ten minutes; items with a date-only time are absent.
    TenMinutes,
    /// Every item with its digest.
    Ids,
}

impl Grain {
    /// The grains that buckets are kept at; a total is added up from months.
    pub const BUCKETS: [Grain; 4] = [Grain::Month, Grain::Day, Grain::Hour, Grain::TenMinutes];

    /// The name in SQL, JSON and profiles.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Grain::Total => "total",
            Grain::Month => "month",
            Grain::Day => "day",
            Grain::Hour => "hour",
            Grain::TenMinutes => "ten_minutes",
            Grain::Ids => "ids",
        }
    }

    /// The window of the bucket (China time) that an instant falls into; all time for [`Grain::Total`], whose one bucket begins where the window
    /// asked for begins; the instant itself for [`Grain::Ids`].
    #[must_use]
    pub fn bucket(self, at: Timestamp) -> Window {
        let local = CHINA.to_datetime(at);
        let day = local.date();
        let start_of = |day: Day| Moment::On(day).start();
        match self {
            Grain::Total => Window::new(Timestamp::MIN, Timestamp::MAX),
            Grain::Month => {
                let first = day.first_of_month();
                let next = first.checked_add(1.month()).unwrap_or(Day::MAX);
                Window::new(start_of(first), start_of(next))
            }
            Grain::Day => Window::new(start_of(day), start_of(day.tomorrow().unwrap_or(Day::MAX))),
            Grain::Hour => aligned(at, 3_600),
            Grain::TenMinutes => aligned(at, 600),
            Grain::Ids => Window::new(at, at),
        }
    }

    /// The start of the bucket that counts an event time; `None` where the grain does not count it (date-only at an hour or finer).
    #[must_use]
    pub fn bucket_start(self, moment: Moment) -> Option<Timestamp> {
        match (self, moment) {
            (Grain::Ids, _) | (Grain::Hour | Grain::TenMinutes, Moment::On(_)) => None,
            _ => Some(self.bucket(moment.start()).start),
        }
    }
}

// Whole hours of UTC are whole hours of UTC+8.
fn aligned(at: Timestamp, seconds: i64) -> Window {
    let start = at.as_second().div_euclid(seconds) * seconds;
    let instant = |second| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    Window::new(instant(start), instant(start + seconds))
}

impl fmt::Display for Grain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Grain {
    type Err = crate::dataset::UnknownWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Grain::Total, Grain::Ids]
            .into_iter()
            .chain(Self::BUCKETS)
            .find(|grain| grain.as_str() == text)
            .ok_or(crate::dataset::UnknownWord("grain"))
    }
}

/// A bucket of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The first instant.
    pub start: Timestamp,
    /// How many items.
    pub count: u64,
    /// The sum of their elements.
    pub sum: BucketSum,
}

/// An account of one dataset over one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The dataset.
    pub dataset: Dataset,
    /// The window of event times.
    pub window: Window,
    /// The grain.
    pub grain: Grain,
    /// When the account was true; it may be older than the answer.
    pub as_of: Timestamp,
    /// The account.
    pub body: ManifestBody,
    /// Bytes received for it, request and answer bodies.
    pub bytes: u64,
}

/// What an account says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestBody {
    /// Only how many; all that some peers can say.
    Count(u64),
    /// Buckets, ascending; absent = empty.
    Buckets(Vec<Bucket>),
    /// Every item.
    Items(Vec<BookItem>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_moment;

    #[test]
    fn buckets_follow_china_time() {
        let moment = parse_moment("2026-01-01T00:05:00+08:00").unwrap();
        let start = |grain: Grain| Moment::At(grain.bucket(moment.start()).start).to_string();
        assert_eq!(start(Grain::Month), "2026-01-01T00:00:00+08:00");
        assert_eq!(start(Grain::Day), "2026-01-01T00:00:00+08:00");
        assert_eq!(start(Grain::TenMinutes), "2026-01-01T00:00:00+08:00");
        let month = Grain::Month.bucket(moment.start());
        assert_eq!(Moment::At(month.end).to_string(), "2026-02-01T00:00:00+08:00");
    }

    #[test]
    fn a_date_only_time_counts_at_day_and_coarser() {
        let day = parse_moment("2011-04-02").unwrap();
        assert!(Grain::Day.bucket_start(day).is_some() && Grain::Month.bucket_start(day).is_some());
        assert!(Grain::Hour.bucket_start(day).is_none() && Grain::TenMinutes.bucket_start(day).is_none());
    }
}
