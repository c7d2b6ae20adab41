//! Where a reference leads: to a file of the counterparty, to a host that the profile names, or nowhere.
//!
//! References come from citizens' forms, so this decides what strangers can let us ask (SSRF). Nothing is cleaned up: what is not plainly inside is refused,
//! as each cleaning is another reading than the server's. Judged is the text as it came *and* the address parser's reading of it, and every reading that a
//! server gets which decodes escapes once more. Of the counterparty's own host only files below the profile's path are asked: a signed
//! request for any path that a citizen names would lend them our hand.

use crate::AttachmentError;
use crate::http::encode;
use crate::profile::AttachmentRule;
use reqwest::Url;

/// The longest reference in bytes.
const LONGEST: usize = 2_048;

/// So many times a reference may be percent-encoded.
const MOST_DECODINGS: usize = 4;

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// To a path below the counterparty's base address, encoded, with its query.
    Own(String),
    /// To a path of a named host, encoded, with its query.
    Named {
        /// Which of the rule's hosts.
        host: usize,
        path: String,
    },
}

/// The addresses that are followed.
#[derive(Debug)]
pub(super) struct Addresses {
    base: Url,
    rule: AttachmentRule,
    /// The length of the base address's own path.
    below: usize,
    /// The path of a file up to its reference, in the parser's normal form.
    before: String,
    after: String,
}

type Refused = &'static str;

impl Addresses {
    /// Those of a counterparty at a base address that requests are sent to; `None` where there is no such address.
    pub(super) fn new(base: &str, rule: AttachmentRule) -> Option<Self> {
        let base = base.trim_end_matches('/');
        let url = Url::parse(base).ok()?;
        let normal = |path: &str| Some(Url::parse(&format!("{base}{path}")).ok()?.path().to_owned());
        let before = normal(&rule.before)?;
        let after = normal(&format!("{}-{}", rule.before, rule.after))?.strip_prefix(&format!("{before}-"))?.to_owned();
        let below = url.path().trim_end_matches('/').len();
        Some(Self { base: url, rule, below, before, after })
    }

    /// Where a reference leads.
    ///
    /// # Errors
    /// [`AttachmentError::Address`].
    pub(super) fn place(&self, reference: &str) -> Result<Place, AttachmentError> {
        self.judged(reference).map_err(|what| AttachmentError::Address { what })
    }

    fn judged(&self, reference: &str) -> Result<Place, Refused> {
        if reference.is_empty() {
            return Err("is empty");
        }
        if reference.len() > LONGEST {
            return Err("is longer than 2048 bytes");
        }
        plain(reference)?;
        match scheme(reference) {
            None => self.relative(reference),
            Some((scheme, rest)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
                self.whole(reference, rest)
            }
            Some(_) => Err("has a scheme that is not followed"),
        }
    }

    fn relative(&self, reference: &str) -> Result<Place, Refused> {
        // One slash at the front is how many write a path; two are another host.
        let path = reference.strip_prefix('/').unwrap_or(reference);
        inside(path)?;
        let segments = path.split('/').map(encode).collect::<Vec<_>>().join("/");
        Ok(Place::Own(format!("{}{segments}{}", self.rule.before, self.rule.after)))
    }

    fn whole(&self, reference: &str, rest: &str) -> Result<Place, Refused> {
        let rest = rest.strip_prefix("//").ok_or("is no whole address")?;
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let written =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        if authority.is_empty() || !authority.bytes().all(written) {
            return Err("names its host in a way that is not followed");
        }
        if tail.contains('#') {
            return Err("has a fragment");
        }
        let path = tail.split_once('?').map_or(tail, |(path, _)| path);
        inside(path.strip_prefix('/').ok_or("names no file")?)?;

        let url = Url::parse(reference).map_err(|_| "is no address")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("names its host in a way that is not followed");
        }
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let here = url.scheme() == self.base.scheme()
            && url.host() == self.base.host()
            && url.port_or_known_default() == self.base.port_or_known_default();
        if here && self.is_file(url.path()) {
            return target.get(self.below..).map(|below| Place::Own(below.to_owned())).ok_or("is no address");
        }
        let host = url.host_str().unwrap_or_default();
        let named = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        match self.rule.hosts.iter().position(|host| *host == named) {
            Some(_) if url.scheme() != "https" => Err("is not https"),
            Some(host) => Ok(Place::Named { host, path: target }),
            None if here => Err("is of the counterparty's host, but not below `attachments.path`"),
            None => Err("is of a host that is not followed"),
        }
    }

    fn is_file(&self, path: &str) -> bool {
        let reference = path.strip_prefix(&self.before).and_then(|rest| rest.strip_suffix(&self.after));
        reference.is_some_and(|reference| !reference.is_empty())
    }
}

/// The scheme in front, and what comes after its colon.
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let letters = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    (letters && scheme.starts_with(|first: char| first.is_ascii_alphabetic())).then_some((scheme, rest))
}

/// Holds no sign that servers read as something else.
fn plain(text: &str) -> Result<(), Refused> {
    if text.contains('\\') {
        return Err("holds a backslash");
    }
    if text.contains(char::is_control) { Err("holds a control character") } else { Ok(()) }
}

/// Goes neither up nor nowhere, however often it is decoded.
fn inside(path: &str) -> Result<(), Refused> {
    let mut reading = path.to_owned();
    for _ in 0..=MOST_DECODINGS {
        plain(&reading)?;
        if reading.split('/').any(goes_elsewhere) {
            return Err("has an empty segment, or one of dots");
        }
        match decoded(&reading)? {
            Some(next) => reading = next,
            None => return Ok(()),
        }
    }
    Err("is encoded too often")
}

// Some servers cut a segment at `;`, others drop dots and blanks at its end.
fn goes_elsewhere(segment: &str) -> bool {
    segment.split(';').next().unwrap_or_default().trim_matches(['.', ' ']).is_empty()
}

/// The text with its escapes decoded; `None` where it has none.
fn decoded(text: &str) -> Result<Option<String>, Refused> {
    let bytes = text.as_bytes();
    let (mut read, mut found, mut at) = (Vec::with_capacity(bytes.len()), false, 0);
    while let Some(byte) = bytes.get(at) {
        let digit = |place: usize| bytes.get(place).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                read.push((high * 16 + low) as u8);
                found = true;
                at += 3;
            }
            _ => {
                read.push(*byte);
                at += 1;
            }
        }
    }
    // What is no UTF-8 may be an overlong dot or slash to a lenient server.
    let read = String::from_utf8(read).map_err(|_| "holds an escape of what is no UTF-8")?;
    Ok(found.then_some(read))
}
