//! Months of records and timelines, and what holds one back.

use gateway_model::{Day, Grain, Moment, Timestamp, Window, day_of};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A calendar month in China time, as `2025-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Day);

/// A text that is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is written as 2025-01")]
pub struct NoMonth;

impl Month {
    /// The month that an instant lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(day_of(at).first_of_month())
    }

    /// From its first instant to that of the next.
    #[must_use]
    pub fn window(self) -> Window {
        Grain::Month.bucket(Moment::On(self.0).start())
    }

    /// So many months before this one; the first that there is where there are not so many.
    #[must_use]
    pub fn before(self, months: u32) -> Self {
        use jiff::ToSpan as _;
        Self(self.0.saturating_sub(i64::from(months).months()).first_of_month())
    }

    /// Its name as part of a table's, as `2025_01`.
    #[cfg(feature = "postgres")]
    pub(crate) fn suffix(self) -> String {
        format!("{:04}_{:02}", self.0.year(), self.0.month())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = NoMonth;
    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(NoMonth)?;
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(NoMonth);
        }
        let (year, month) = (year.parse().map_err(|_| NoMonth)?, month.parse().map_err(|_| NoMonth)?);
        Day::new(year, month, 1).map(Self).map_err(|_| NoMonth)
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a month's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MonthPlace {
    /// With the others, where everything finds them.
    Attached,
    /// In the schema `archive`.
    Archived,
    /// They were archived, and their table was dropped: they are in a dump, or nowhere.
    Dropped,
}

/// Why a month can't be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// It is not over.
    Running,
    /// Its tables were read without pause.
    InUse,
    /// It has the newest record: ids go on after the newest that is there, and would be given twice.
    NewestRecord,
    /// Records that wait for their order.
    ParkedRecords,
    /// Open dead letters, which may be resubmitted.
    DeadLetters,
    /// Deliveries that have not ended, or wait for a person: they are sent from their record.
    Deliveries,
    /// Orders that are not closed and of which a channel last spoke in that month, or that changed in it.
    OpenOrders,
}

impl HoldKind {
    /// The name in JSON and SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            HoldKind::Running => "running",
            HoldKind::InUse => "in_use",
            HoldKind::NewestRecord => "newest_record",
            HoldKind::ParkedRecords => "parked_records",
            HoldKind::DeadLetters => "dead_letters",
            HoldKind::Deliveries => "deliveries",
            HoldKind::OpenOrders => "open_orders",
        }
    }
}

/// One reason that holds a month back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What.
    pub kind: HoldKind,
    /// How many.
    pub count: u64,
    /// The ids of the first few, of records, dead letters, deliveries or orders.
    pub first: Vec<String>,
}

/// A month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MonthRow {
    /// Which.
    pub month: Month,
    /// Where its rows are.
    pub place: MonthPlace,
    /// How many records; of an attached month about, as the server last counted. `None` where nobody wrote it down.
    pub records: Option<u64>,
    /// How many lines of timelines, likewise.
    pub changes: Option<u64>,
    /// What they take on disk with their indexes, in bytes.
    pub bytes: Option<u64>,
    /// Of an archived one, how many records of it are attached beside it about: they came late, or were brought back to be sent again.
    pub beside: Option<u64>,
    /// When it was taken out.
    pub taken_at: Option<Timestamp>,
    /// By whom.
    pub taken_by: Option<String>,
    /// What holds an attached month, or what is attached beside an archived one, back.
    pub holds: Vec<Hold>,
}

/// What became of taking a month out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// It is out.
    Taken {
        /// How many records went.
        records: u64,
        /// How many lines of timelines.
        changes: u64,
    },
    /// It is where it was, for these reasons.
    Held(Vec<Hold>),
    /// It is where it was: its tables were read without pause. Try again.
    Busy,
}

/// What became of bringing a month back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returning {
    /// It is back.
    Returned,
    /// It is where it was: the tables were read without pause. Try again.
    Busy,
}

/// A month that the job left though it is old enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthLeft {
    /// Which.
    pub month: Month,
    /// Why.
    pub holds: Vec<Hold>,
    /// As of when.
    pub looked_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_chinas() {
        let at: Timestamp = "2024-12-31T16:00:00Z".parse().unwrap();
        let month = Month::of(at);
        assert_eq!(month.to_string(), "2025-01");
        assert_eq!(month.window().start, at);
        assert_eq!(month, "2025-01".parse().unwrap());
        assert_eq!(month.before(13).to_string(), "2023-12");
        for text in ["2025-13", "2025-1", "25-01", "2025-01-01", "2025_01", "+025-01", ""] {
            assert_eq!(text.parse::<Month>(), Err(NoMonth), "{text}");
        }
    }
}
