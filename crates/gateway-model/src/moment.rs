//! Times of the field: instants shown in China time (UTC+8), and event times that a source knows only to the day.
//!
//! The field's systems write local times without a zone; China has had one zone and no summer time since 1991, so a fixed offset is exact
//! for all data the gateway meets and needs no zone database.

use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

pub use jiff::Timestamp;
/// A calendar day in China time.
pub type Day = jiff::civil::Date;

/// UTC+8, the zone of every local time that a channel writes.
pub const CHINA: Offset = Offset::constant(8);

/// When something happened, as exactly as its source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// An instant.
    At(Timestamp),
    /// A day in China time, no time of day given.
    On(Day),
}

impl Moment {
    /// The instant, or the first instant of the day.
    #[must_use]
    pub fn start(self) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::On(day) => start_of(day),
        }
    }

    /// The calendar day in China time.
    #[must_use]
    pub fn day(self) -> Day {
        match self {
            Moment::At(at) => day_of(at),
            Moment::On(day) => day,
        }
    }

    /// Whether only the day is known.
    #[must_use]
    pub fn is_date_only(self) -> bool {
        matches!(self, Moment::On(_))
    }
}

/// The calendar day of an instant in China time.
#[must_use]
pub fn day_of(at: Timestamp) -> Day {
    CHINA.to_datetime(at).date()
}

/// An instant in China time, RFC 3339, as `2026-11-23T09:00:01+08:00`.
#[must_use]
pub fn format_china(at: Timestamp) -> String {
    at.display_with_offset(CHINA).to_string()
}

fn start_of(day: Day) -> Timestamp {
    // A day at the very edge of the calendar has no start in UTC+8; the nearest instant keeps the order.
    day.to_zoned(TimeZone::fixed(CHINA)).map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// A text that is neither an RFC 3339 time nor a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected RFC 3339 (2026-11-23T09:00:01+08:00) or a day (2026-11-23)")]
pub struct MomentError;

/// Reads the canonical text of a [`Moment`].
///
/// # Errors
/// [`MomentError`] for any other text.
pub fn parse_moment(text: &str) -> Result<Moment, MomentError> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Moment::At(at));
    }
    if text.len() == 10 {
        return text.parse::<Day>().map(Moment::On).map_err(|_| MomentError);
    }
    Err(MomentError)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::At(at) => f.write_str(&format_china(*at)),
            Moment::On(day) => write!(f, "{day}"),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_moment(&text).map_err(serde::de::Error::custom)
    }
}

/// A half-open span of time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after.
    pub end: Timestamp,
}

impl Window {
    /// A window; an end before the start makes it empty.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Whether an instant is inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// The part that both windows share; may be empty.
    #[must_use]
    pub fn intersect(&self, other: &Window) -> Window {
        Window::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Whether nothing is inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", format_china(self.start), format_china(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_texts_round_trip() {
        for text in ["2026-11-23T09:00:01+08:00", "2011-04-02", "2099-12-31T23:59:59+08:00"] {
            assert_eq!(parse_moment(text).unwrap().to_string(), text);
        }
        assert_eq!(parse_moment("2026/11/23"), Err(MomentError));
    }

    #[test]
    fn a_day_begins_at_china_midnight() {
        let day = parse_moment("2026-11-23").unwrap();
        assert_eq!(day.start(), "2026-11-22T16:00:00Z".parse().unwrap());
        assert_eq!(Moment::At(day.start()).day(), day.day());
    }
}
