//! What a report is of, and as of when it is told.

use crate::Problem;
use crate::refusals::{no_day, no_month, not_begun};
use crate::state::Channels;
use gateway_model::{Day, Moment, Timestamp, day_of};
use gateway_store::{Days, Store};
use std::time::Duration;

/// How long after its end a day may still be written to: a transaction takes its time before it gets its turn.
pub(crate) const SETTLING: Duration = Duration::from_secs(600);

/// A day or a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    /// A day.
    Day(Day),
    /// The month that begins on this day.
    Month(Day),
}

impl Period {
    /// Reads `2026-11-24`.
    pub(crate) fn day(text: &str) -> Result<Self, Problem> {
        read_day(text).map(Period::Day)
    }

    /// Reads `2026-11`.
    pub(crate) fn month(text: &str) -> Result<Self, Problem> {
        let first = (text.len() == 7).then(|| format!("{text}-01"));
        first.and_then(|first| first.parse().ok()).map(Period::Month).ok_or_else(|| no_month(text))
    }

    /// Its days.
    pub(crate) fn days(self) -> Days {
        match self {
            Period::Day(day) => Days { from: day, to: next(day) },
            Period::Month(first) => Days { from: first, to: next(first.last_of_month()) },
        }
    }

    /// The name in paths and titles.
    pub(crate) fn name(self) -> String {
        match self {
            Period::Day(day) => day.to_string(),
            Period::Month(first) => first.strftime("%Y-%m").to_string(),
        }
    }
}

/// A day as parameters write it.
pub(crate) fn read_day(text: &str) -> Result<Day, Problem> {
    let day = (text.len() == 10).then(|| text.parse().ok()).flatten();
    day.ok_or_else(|| no_day(text))
}

/// Refuses what begins after today, and says which days there are.
pub(crate) async fn has_begun(
    store: &dyn Store,
    channels: &Channels,
    name: &str,
    from: Day,
    now: Timestamp,
) -> Result<(), Problem> {
    let today = day_of(now);
    if from <= today {
        return Ok(());
    }
    let (ever, mut first) = (Days { from: Day::MIN, to: next(today) }, None);
    for info in channels.0.iter() {
        let days = store.flow_days(&info.channel, ever).await?;
        first = days.iter().map(|row| row.day).chain(first).min();
    }
    Err(not_begun(name, today, first))
}

/// The day after.
pub(crate) fn next(day: Day) -> Day {
    day.tomorrow().unwrap_or(Day::MAX)
}

/// The first instant of a day in China.
pub(crate) fn start_of(day: Day) -> Timestamp {
    Moment::On(day).start()
}

/// The day at whose end everything is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AsOf {
    /// The day.
    pub(crate) day: Day,
    /// Whether it is over, so that the answer never changes again.
    pub(crate) is_final: bool,
}

impl AsOf {
    /// The day asked for, else today.
    pub(crate) fn new(asked: Option<Day>, now: Timestamp) -> Result<Self, Problem> {
        let today = day_of(now);
        let day = asked.unwrap_or(today);
        if day > today {
            return Err(Problem::parameter(format!("`as_of` {day} has not begun: today is {today}"))
                .zh(format!("截至日 {day} 尚未到来：今天是 {today}")));
        }
        Ok(Self { day, is_final: now >= start_of(next(day)).checked_add(SETTLING).unwrap_or(Timestamp::MAX) })
    }

    /// The instant at which everything is told.
    pub(crate) fn end(self) -> Timestamp {
        start_of(next(self.day))
    }

    /// The days of a period that had begun by then.
    pub(crate) fn cut(self, days: Days) -> Result<Days, Problem> {
        if self.day < days.from {
            let (day, from) = (self.day, days.from);
            return Err(Problem::parameter(format!("nothing of {from} can be told as of {day}, the earlier day"))
                .zh(format!("截至日 {day} 早于所查的 {from}，当时尚无数据")));
        }
        Ok(Days { from: days.from, to: days.to.min(next(self.day)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_strictly() {
        let day = |text: &str| Period::day(text).map(|period| period.days());
        let expected = Days { from: "2026-11-24".parse().unwrap(), to: "2026-11-25".parse().unwrap() };
        assert_eq!(day("2026-11-24").unwrap(), expected);
        for text in ["", "2026-11", "2026-11-31", "20261124", "2026-11-24T00:00", "昨天"] {
            assert!(Period::day(text).is_err(), "{text}");
        }
        let month = Period::month("2026-12").unwrap();
        assert_eq!(month.days(), Days { from: "2026-12-01".parse().unwrap(), to: "2027-01-01".parse().unwrap() });
        assert_eq!(month.name(), "2026-12");
        for text in ["", "2026", "2026-13", "2026-11-24", "一月"] {
            assert!(Period::month(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_is_final_once_nothing_can_be_written_to_it() {
        let of = |now: &str| AsOf::new(Some("2026-11-24".parse().unwrap()), now.parse().unwrap());
        assert!(of("2026-11-23T15:59:59Z").is_err(), "it has not begun in China");
        assert!(!of("2026-11-24T15:59:59Z").unwrap().is_final);
        assert!(!of("2026-11-24T16:09:59Z").unwrap().is_final);
        assert!(of("2026-11-24T16:10:00Z").unwrap().is_final);
    }

    #[test]
    fn days_that_had_not_begun_are_not_told() {
        let as_of = AsOf::new(Some("2026-11-10".parse().unwrap()), "2026-12-24T00:00:00Z".parse().unwrap()).unwrap();
        let month = as_of.cut(Period::month("2026-11").unwrap().days()).unwrap();
        assert_eq!(month.to, "2026-11-11".parse().unwrap());
        assert!(as_of.cut(Period::month("2026-12").unwrap().days()).is_err());
    }
}
