//! Times as the municipal platform writes them: strings in China time (UTC+8), resolution one second, or a date alone.
//!
//! The wire string is the truth of a record, so times are kept as strings and converted only for comparing. China has had no
//! summer time since 1991; a fixed offset is exact for every date that occurs.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{self, TimeZone};

fn china() -> TimeZone {
    TimeZone::fixed(tz::offset(8))
}

/// Milliseconds since 1970 UTC, now, by the machine's clock.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Where a simulator takes the time from. Cheap to clone; all clones show the same time.
#[derive(Clone)]
pub struct SimClock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl SimClock {
    /// A clock that shows what `read` returns: milliseconds since 1970 UTC. It must never go back.
    pub fn new(read: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Milliseconds since 1970 UTC, now.
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl Default for SimClock {
    /// The machine's clock.
    fn default() -> Self {
        Self::new(now_ms)
    }
}

impl fmt::Debug for SimClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("SimClock").field(&self.now_ms()).finish()
    }
}

/// The wire form `yyyy-MM-dd HH:mm:ss` of a moment; fractions of a second are cut.
pub fn wire_time(ms: i64) -> String {
    let moment = Timestamp::from_millisecond(ms.div_euclid(1000) * 1000).unwrap_or_default();
    moment.to_zoned(china()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The moment of a wire time; a date alone is its midnight. `None` when it is no time at all.
pub fn wire_ms(text: &str) -> Option<i64> {
    let full = sort_time(text);
    let civil: DateTime = full.replace(' ', "T").parse().ok()?;
    Some(civil.to_zoned(china()).ok()?.timestamp().as_millisecond())
}

/// Whether a wire time is known only to the day.
pub fn is_date_only(text: &str) -> bool {
    text.len() == 10
}

/// The wire time in a form that sorts and compares as text: a date alone becomes its midnight.
pub fn sort_time(text: &str) -> String {
    if is_date_only(text) { format!("{text} 00:00:00") } else { text.to_owned() }
}

/// The day of a wire time.
pub fn day_of(text: &str) -> &str {
    text.get(..10).unwrap_or(text)
}

/// The form of `docs/api.md`: RFC 3339 in UTC+8, a date alone staying a date.
pub fn api_time(wire: &str) -> String {
    if is_date_only(wire) { wire.to_owned() } else { format!("{}+08:00", wire.replacen(' ', "T", 1)) }
}

/// The moment of an RFC 3339 time and whether it says fractions of a second.
pub fn api_ms(text: &str) -> Option<(i64, bool)> {
    let moment: Timestamp = text.parse().ok()?;
    Some((moment.as_millisecond(), text.contains('.')))
}

/// Reads a time of a foreign data file in whatever shape it has: numbers for year, month, day and, if known, hour, minute and
/// second, separated by anything; a trailing `Z` or `±hh:mm` is honoured, otherwise China time is meant. Returns the wire form.
pub fn lenient_time(text: &str) -> Option<String> {
    let text = text.trim();
    let (body, offset_minutes) = split_offset(text)?;
    let numbers: Vec<i64> = body
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [year, month, day, rest @ ..] = numbers.as_slice() else { return None };
    if rest.is_empty() {
        jiff::civil::Date::new((*year).try_into().ok()?, (*month).try_into().ok()?, (*day).try_into().ok()?).ok()?;
        return Some(format!("{year:04}-{month:02}-{day:02}"));
    }
    let part = |index: usize| rest.get(index).copied().unwrap_or(0);
    let wire = format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", part(0), part(1), part(2));
    let moment = wire_ms(&wire)?;
    Some(match offset_minutes {
        Some(minutes) => wire_time(moment + (8 * 60 - minutes) * 60_000),
        None => wire,
    })
}

fn split_offset(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(body) = text.strip_suffix(['Z', 'z']) {
        return Some((body, Some(0)));
    }
    // A sign counts as an offset only behind the time of day; before it, `-` separates the date.
    let Some(at) = text.rfind(['+', '-']).filter(|&at| at > 10) else { return Some((text, None)) };
    let (body, offset) = text.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let digits: String = offset.chars().filter(char::is_ascii_digit).collect();
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..4).unwrap_or("0").parse().ok()?;
    Some((body, Some(sign * (hours * 60 + minutes))))
}
