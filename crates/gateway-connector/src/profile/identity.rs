//! Who the profile is for, how times are written, and the limits.

use super::reader::Section;
use crate::codec::{TimeCodec, TimeFormat};
use gateway_model::{Day, Moment, Timestamp};
use std::time::Duration;

/// What the profile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The kind of connector that it is for.
    pub kind: String,
    /// Its own name, as `default`.
    pub name: String,
    /// Raised with each edit, for people.
    pub version: u32,
    /// Raised whenever the compared fields of any item change; items of different versions are never compared.
    pub projection_version: u32,
    /// The oldest event time that the channel can have; `None` where nobody knows.
    pub since: Option<Timestamp>,
}

impl Identity {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let kind = section.take::<String>("kind");
        let name = section.take::<String>("name");
        let version = section.take("version");
        let projection_version = section.take::<u32>("projection_version");
        let since = section.take_optional::<String>("since");
        let since = since.and_then(|since| match since {
            None => Some(None),
            Some(text) => match text.parse::<Day>() {
                Ok(day) => Some(Some(Moment::On(day).start())),
                Err(_) => {
                    section.mistake("since", "must be a day as 2011-01-01");
                    None
                }
            },
        });
        section.check(projection_version != Some(0), "projection_version", "must be at least 1");
        Some(Self {
            kind: kind?,
            name: name?,
            version: version?,
            projection_version: projection_version?,
            since: since?,
        })
    }
}

pub(super) fn read_times(mut section: Section) -> Option<(TimeCodec, Duration)> {
    let zone = section.take::<String>("zone");
    let read = section.take::<Vec<String>>("read");
    let write = section.take::<String>("write");
    let write_day = section.take::<String>("write_day");
    let tolerance_s = section.take_or::<u32>("future_tolerance_s", 600);
    if let Some(zone) = &zone {
        // Days, buckets and item keys are China days everywhere; a peer in another zone must write zoned times (rfc3339, epoch_ms).
        section.check(zone == "+08:00", "zone", "only +08:00 (China time) is supported");
    }
    let format =
        |key: &str, text: &str| TimeFormat::new(text).map_err(|error| section.mistake(key, error.to_string())).ok();
    let formats = read.and_then(|texts| {
        section.check(!texts.is_empty(), "read", "must name at least one format");
        let formats: Vec<_> = texts.iter().map(|text| format("read", text)).collect();
        formats.into_iter().collect::<Option<Vec<_>>>()
    });
    let write = write.and_then(|text| format("write", &text));
    let write_day = write_day.and_then(|text| format("write_day", &text));
    if let Some(write) = &write {
        section.check(!write.is_date_only(), "write", "must tell the time of day");
    }
    if let (Some(formats), Some(write), Some(write_day)) = (&formats, &write, &write_day) {
        // What we write comes back as an echo and must be read again.
        section.check(formats.contains(write), "write", "must be among `read`");
        section.check(formats.contains(write_day), "write_day", "must be among `read`");
    }
    zone?;
    let codec = TimeCodec { read: formats?, write: write?, write_day: write_day? };
    Some((codec, Duration::from_secs(u64::from(tolerance_s?))))
}

pub(super) fn read_header(section: &mut Section, key: &str) -> Option<String> {
    let name = section.take::<String>(key)?;
    let fits =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    section.check(fits, key, "is no header name");
    fits.then(|| name.to_ascii_lowercase())
}

/// What we allow ourselves and the peer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests a second towards the peer, all kinds together; 0 = no limit.
    pub requests_per_second: f64,
    /// Requests at once.
    pub concurrency: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a request may take from the first byte to the last byte of its answer.
    pub request_timeout: Duration,
    /// The largest answer in bytes.
    pub answer_bytes: usize,
}

impl Limits {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let requests_per_second = section.take::<f64>("requests_per_second");
        let concurrency = section.take::<usize>("concurrency");
        let connect_timeout_ms = section.take::<u32>("connect_timeout_ms");
        let request_timeout_ms = section.take::<u32>("request_timeout_ms");
        let answer_bytes = section.take::<usize>("answer_bytes");
        section.check(
            requests_per_second.is_none_or(|rate| rate.is_finite() && rate >= 0.0),
            "requests_per_second",
            "must be 0 (no limit) or more",
        );
        section.check(concurrency.is_none_or(|slots| (1..=1_024).contains(&slots)), "concurrency", "must be 1 to 1024");
        section.check(connect_timeout_ms != Some(0), "connect_timeout_ms", "must be at least 1");
        section.check(request_timeout_ms != Some(0), "request_timeout_ms", "must be at least 1");
        section.check(answer_bytes.is_none_or(|bytes| bytes >= 1_024), "answer_bytes", "must be at least 1024");
        Some(Self {
            requests_per_second: requests_per_second?,
            concurrency: concurrency?,
            connect_timeout: Duration::from_millis(u64::from(connect_timeout_ms?)),
            request_timeout: Duration::from_millis(u64::from(request_timeout_ms?)),
            answer_bytes: answer_bytes?,
        })
    }
}
