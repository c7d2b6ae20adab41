//! Time formats as integrators know them from interface documents: `yyyy-MM-dd HH:mm:ss`, `yyyyMMddHHmmss`, `yyyy/M/d H:mm:ss`, `epoch_ms`…
//!
//! Local times carry no zone and are China time (UTC+8). A format without an hour is a date-only time. The pattern letters are those of the
//! documents (Java's), not strftime's, because a profile is written beside such a document.

use gateway_model::{CHINA, Day, Moment, Timestamp, parse_moment};
use std::fmt::Write as _;
use std::time::Duration;

/// A format that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time format: {0}")]
pub struct TimeFormatError(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    // The number of letters: two and more are exactly so many digits, one is one or two digits.
    Number(Part, usize),
    Literal(char),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    EpochMillis,
    EpochSeconds,
    Rfc3339,
    Pattern(Vec<Token>),
}

/// One way in which a peer writes times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeFormat {
    text: String,
    form: Form,
}

impl TimeFormat {
    /// Reads a pattern of `yyyy MM|M dd|d HH|H mm|m ss|s SSS` and literals, or one of `epoch_ms`, `epoch_s`, `rfc3339`.
    ///
    /// # Errors
    /// [`TimeFormatError`] for letters that mean nothing, a part that is there twice, or a pattern without year, month and day.
    pub fn new(text: &str) -> Result<Self, TimeFormatError> {
        let form = match text {
            "epoch_ms" => Form::EpochMillis,
            "epoch_s" => Form::EpochSeconds,
            "rfc3339" => Form::Rfc3339,
            _ => Form::Pattern(tokens(text)?),
        };
        Ok(Self { text: text.to_owned(), form })
    }

    /// The format's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it tells only the day.
    #[must_use]
    pub fn is_date_only(&self) -> bool {
        match &self.form {
            Form::Pattern(tokens) => !tokens.iter().any(|token| matches!(token, Token::Number(Part::Hour, _))),
            _ => false,
        }
    }

    /// The smallest difference that it can tell.
    #[must_use]
    pub fn resolution(&self) -> Duration {
        let has = |part| match &self.form {
            Form::Pattern(tokens) => {
                tokens.iter().any(|token| matches!(token, Token::Number(this, _) if *this == part))
            }
            _ => false,
        };
        match self.form {
            Form::EpochMillis | Form::Rfc3339 => Duration::from_millis(1),
            Form::EpochSeconds => Duration::from_secs(1),
            Form::Pattern(_) if has(Part::Millis) => Duration::from_millis(1),
            Form::Pattern(_) if has(Part::Second) => Duration::from_secs(1),
            Form::Pattern(_) if has(Part::Minute) => Duration::from_secs(60),
            Form::Pattern(_) if has(Part::Hour) => Duration::from_secs(3_600),
            Form::Pattern(_) => Duration::from_secs(86_400),
        }
    }

    /// Reads a time; `None` when the text is not of this format.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Moment> {
        match &self.form {
            Form::EpochMillis => Timestamp::from_millisecond(text.parse().ok()?).ok().map(Moment::At),
            Form::EpochSeconds => Timestamp::from_second(text.parse().ok()?).ok().map(Moment::At),
            Form::Rfc3339 => parse_moment(text).ok(),
            Form::Pattern(tokens) => read_pattern(tokens, text),
        }
    }

    /// Writes a time; a finer part than the format has is cut off.
    #[must_use]
    pub fn write(&self, moment: Moment) -> String {
        let at = moment.start();
        match &self.form {
            Form::EpochMillis => at.as_millisecond().to_string(),
            Form::EpochSeconds => at.as_second().to_string(),
            Form::Rfc3339 => moment.to_string(),
            Form::Pattern(tokens) => write_pattern(tokens, at),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, TimeFormatError> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if !letter.is_ascii_alphabetic() || letter == 'T' {
            tokens.push(Token::Literal(letter));
            continue;
        }
        let mut count = 1;
        while letters.next_if_eq(&letter).is_some() {
            count += 1;
        }
        let part = match (letter, count) {
            ('y', 4) => Part::Year,
            ('M', 1 | 2) => Part::Month,
            ('d', 1 | 2) => Part::Day,
            ('H', 1 | 2) => Part::Hour,
            ('m', 1 | 2) => Part::Minute,
            ('s', 1 | 2) => Part::Second,
            ('S', 3) => Part::Millis,
            _ => return Err(TimeFormatError(format!("{text}: {count} × {letter} has no meaning"))),
        };
        if tokens.iter().any(|token| matches!(token, Token::Number(this, _) if *this == part)) {
            return Err(TimeFormatError(format!("{text}: {letter} is there twice")));
        }
        tokens.push(Token::Number(part, count));
    }
    for (part, name) in [(Part::Year, "year"), (Part::Month, "month"), (Part::Day, "day")] {
        if !tokens.iter().any(|token| matches!(token, Token::Number(this, _) if *this == part)) {
            return Err(TimeFormatError(format!("{text}: there is no {name}")));
        }
    }
    Ok(tokens)
}

fn read_pattern(tokens: &[Token], text: &str) -> Option<Moment> {
    let (mut year, mut month, mut day) = (0i16, 0i8, 0i8);
    let (mut hour, mut minute, mut second, mut millis) = (None, 0i8, 0i8, 0i32);
    let mut rest = text;
    for token in tokens {
        match token {
            Token::Literal(literal) => rest = rest.strip_prefix(*literal)?,
            Token::Number(part, letters) => {
                let most = if *letters == 1 { 2 } else { *letters };
                let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
                if digits == 0 || (*letters > 1 && digits != most) {
                    return None;
                }
                let number: i32 = rest[..digits].parse().ok()?;
                rest = &rest[digits..];
                match part {
                    Part::Year => year = i16::try_from(number).ok()?,
                    Part::Month => month = i8::try_from(number).ok()?,
                    Part::Day => day = i8::try_from(number).ok()?,
                    Part::Hour => hour = Some(i8::try_from(number).ok()?),
                    Part::Minute => minute = i8::try_from(number).ok()?,
                    Part::Second => second = i8::try_from(number).ok()?,
                    Part::Millis => millis = number,
                }
            }
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let date = Day::new(year, month, day).ok()?;
    let Some(hour) = hour else { return Some(Moment::On(date)) };
    let time = jiff::civil::Time::new(hour, minute, second, millis * 1_000_000).ok()?;
    CHINA.to_timestamp(date.to_datetime(time)).ok().map(Moment::At)
}

fn write_pattern(tokens: &[Token], at: Timestamp) -> String {
    let local = CHINA.to_datetime(at);
    let mut text = String::with_capacity(24);
    for token in tokens {
        match token {
            Token::Literal(literal) => text.push(*literal),
            Token::Number(part, width) => {
                let number = match part {
                    Part::Year => i64::from(local.year()),
                    Part::Month => i64::from(local.month()),
                    Part::Day => i64::from(local.day()),
                    Part::Hour => i64::from(local.hour()),
                    Part::Minute => i64::from(local.minute()),
                    Part::Second => i64::from(local.second()),
                    Part::Millis => i64::from(local.millisecond()),
                };
                // Writing to a text can't fail.
                let _ = write!(text, "{number:0width$}");
            }
        }
    }
    text
}

/// How a peer writes times, by profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeCodec {
    /// The formats that are read, tried in order.
    pub read: Vec<TimeFormat>,
    /// The format of an instant that we write.
    pub write: TimeFormat,
    /// The format of a date-only time that we write.
    pub write_day: TimeFormat,
}

impl TimeCodec {
    /// Reads a time in the first format that fits.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Moment> {
        self.read.iter().find_map(|format| format.read(text))
    }

    /// Writes a time; one that is known only to the day stays so.
    #[must_use]
    pub fn write(&self, moment: Moment) -> String {
        match moment {
            Moment::At(_) => self.write.write(moment),
            Moment::On(_) => self.write_day.write(moment),
        }
    }

    /// Writes an instant.
    #[must_use]
    pub fn write_instant(&self, at: Timestamp) -> String {
        self.write.write(Moment::At(at))
    }

    /// Writes the end of a window; `inclusive`: the last instant in it, where the peer counts the end itself in.
    #[must_use]
    pub fn write_end(&self, end: Timestamp, inclusive: bool) -> String {
        if !inclusive {
            return self.write_instant(end);
        }
        let last = Timestamp::from_millisecond(end.as_millisecond().saturating_sub(1)).unwrap_or(end);
        self.write_instant(self.floor(last))
    }

    /// The latest instant not after `at` that can be written without loss.
    #[must_use]
    pub fn floor(&self, at: Timestamp) -> Timestamp {
        // Whole seconds, minutes, hours of UTC are those of UTC+8; whole days are never a resolution of instants.
        let step = i64::try_from(self.write.resolution().as_millis()).unwrap_or(1_000).max(1);
        let floor = at.as_millisecond().div_euclid(step) * step;
        Timestamp::from_millisecond(floor).unwrap_or(at)
    }

    /// The earliest instant not before `at` that can be written without loss.
    #[must_use]
    pub fn ceil(&self, at: Timestamp) -> Timestamp {
        let floor = self.floor(at);
        if floor == at { at } else { self.next(floor) }
    }

    /// The next instant after `at` that can be told apart from it.
    #[must_use]
    pub fn next(&self, at: Timestamp) -> Timestamp {
        let step = i64::try_from(self.write.resolution().as_millis()).unwrap_or(1_000).max(1);
        Timestamp::from_millisecond(self.floor(at).as_millisecond().saturating_add(step)).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, text: &str) -> Option<String> {
        TimeFormat::new(format).unwrap().read(text).map(|moment| moment.to_string())
    }

    #[test]
    fn the_usual_formats_are_read() {
        let nine = Some("2019-04-25T09:32:09+08:00".to_owned());
        assert_eq!(read("yyyy-MM-dd HH:mm:ss", "2019-04-25 09:32:09"), nine);
        assert_eq!(read("yyyy/M/d H:mm:ss", "2019/4/25 9:32:09"), nine);
        assert_eq!(read("yyyyMMddHHmmss", "20190425093209"), nine);
        assert_eq!(read("yyyyMMdd HHmmss", "20190425 093209"), nine);
        assert_eq!(read("yyyy-MM-ddTHH:mm:ss", "2019-04-25T09:32:09"), nine);
        assert_eq!(read("epoch_ms", "1556155929000"), nine);
        assert_eq!(read("epoch_s", "1556155929"), nine);
        assert_eq!(read("yyyy-MM-dd", "2019-04-25"), Some("2019-04-25".to_owned()));
    }

    #[test]
    fn what_does_not_fit_is_not_read() {
        for text in
            ["2019-04-25 09:32", "2019-4-25 09:32:09", "2019-02-30 00:00:00", "2019-04-25 09:32:09 ", "", "二〇一九"]
        {
            assert_eq!(read("yyyy-MM-dd HH:mm:ss", text), None, "{text}");
        }
    }

    #[test]
    fn a_format_without_meaning_is_refused() {
        for text in ["yyyy-MM", "yy-MM-dd", "yyyy-MM-dd dd", "YYYY-MM-dd", ""] {
            assert!(TimeFormat::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writing_cuts_down_to_the_resolution() {
        let format = TimeFormat::new("yyyy-MM-dd HH:mm:ss").unwrap();
        let codec =
            TimeCodec { read: vec![format.clone()], write: format, write_day: TimeFormat::new("yyyy-MM-dd").unwrap() };
        let at: Timestamp = "2026-11-23T01:00:01.750Z".parse().unwrap();
        assert_eq!(codec.write_instant(at), "2026-11-23 09:00:01");
        assert_eq!(codec.write(Moment::On(gateway_model::day_of(at))), "2026-11-23");
        assert_eq!(codec.write_instant(codec.ceil(at)), "2026-11-23 09:00:02");
        assert_eq!(codec.write_instant(codec.next(codec.floor(at))), "2026-11-23 09:00:02");
    }
}
