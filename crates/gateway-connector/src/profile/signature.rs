//! How requests are signed, in both directions.

use super::identity::read_header;
use super::reader::Section;
use crate::codec::TimeFormat;
use serde::Deserialize;

/// How the signature is made of the string to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum MacScheme {
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SM3 (GB/T 32905-2016).
    #[serde(rename = "hmac-sm3")]
    HmacSm3,
    /// SHA-1 of a string that holds the secret. Weak, and still asked for.
    #[serde(rename = "sha1")]
    Sha1,
    /// SHA-256 of a string that holds the secret.
    #[serde(rename = "sha256")]
    Sha256,
    /// SM3 of a string that holds the secret.
    #[serde(rename = "sm3")]
    Sm3,
}

impl MacScheme {
    /// Whether the secret is the key, and not a part of the string.
    #[must_use]
    pub fn is_keyed(self) -> bool {
        matches!(self, MacScheme::HmacSha256 | MacScheme::HmacSm3)
    }
}

/// How the signature's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignEncoding {
    /// Lower-case hex.
    #[default]
    Hex,
    /// Upper-case hex.
    HexUpper,
    /// Base64 with padding.
    Base64,
}

/// Where application id, timestamp, nonce and signature stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignPlace {
    /// In headers.
    #[default]
    Header,
    /// In the query, after all other parameters.
    Query,
}

/// A piece of the string to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignPiece {
    /// As it stands.
    Literal(String),
    /// `{method}`.
    Method,
    /// `{target}`: path and query as sent, without the signature's own parameters.
    Target,
    /// `{path}`: without query.
    Path,
    /// `{timestamp}` as it stands in the request.
    Timestamp,
    /// `{nonce}` as it stands in the request.
    Nonce,
    /// `{app_id}`.
    AppId,
    /// `{secret}`: of schemes without key.
    Secret,
    /// `{body}`: its bytes.
    Body,
    /// `{body_sha256}`: lower-case hex.
    BodySha256,
    /// `{body_sm3}`: lower-case hex.
    BodySm3,
}

impl SignPiece {
    const ALL: [(SignPiece, &'static str); 10] = [
        (SignPiece::Method, "method"),
        (SignPiece::Target, "target"),
        (SignPiece::Path, "path"),
        (SignPiece::Timestamp, "timestamp"),
        (SignPiece::Nonce, "nonce"),
        (SignPiece::AppId, "app_id"),
        (SignPiece::Secret, "secret"),
        (SignPiece::Body, "body"),
        (SignPiece::BodySha256, "body_sha256"),
        (SignPiece::BodySm3, "body_sm3"),
    ];
}

/// How requests are signed, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureRule {
    /// The scheme.
    pub scheme: MacScheme,
    /// How the signature is written.
    pub encoding: SignEncoding,
    /// Where the four stand.
    pub place: SignPlace,
    /// Name of the application id; a header's in lower case.
    pub app_id_name: String,
    /// Name of the time.
    pub timestamp_name: String,
    /// Name of the nonce; `None` = requests have none.
    pub nonce_name: Option<String>,
    /// Name of the signature.
    pub sign_name: String,
    /// How the time is written.
    pub timestamp: TimeFormat,
    /// What is signed.
    pub string_to_sign: Vec<SignPiece>,
    /// How far the peer's time may be from ours, in seconds.
    pub skew_s: u32,
}

impl SignatureRule {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let scheme = section.take::<MacScheme>("scheme");
        let encoding = section.take_or("encoding", SignEncoding::default());
        let place = section.take_or("place", SignPlace::default())?;
        let in_query = place == SignPlace::Query;
        let app_id_name = read_name(&mut section, "app_id", in_query);
        let timestamp_name = read_name(&mut section, "timestamp", in_query);
        let sign_name = read_name(&mut section, "sign", in_query);
        let nonce_key = if in_query { "nonce_param" } else { "nonce_header" };
        let nonce_name = if section.keys().iter().any(|key| key == nonce_key) {
            read_name(&mut section, "nonce", in_query).map(Some)
        } else {
            Some(None)
        };
        let timestamp = section.take::<String>("timestamp").and_then(|text| {
            TimeFormat::new(&text).map_err(|error| section.mistake("timestamp", error.to_string())).ok()
        });
        let pieces = section
            .take::<String>("string_to_sign")
            .and_then(|text| read_pieces(&text).map_err(|what| section.mistake("string_to_sign", what)).ok());
        let unsigned = section.take_or::<Vec<String>>("unsigned", Vec::new());
        let skew_s = section.take::<u32>("skew_s");
        if let (Some(pieces), Some(unsigned)) = (&pieces, &unsigned) {
            check_pieces(&section, pieces, unsigned, scheme);
        }
        section.check(skew_s.is_none_or(|skew| (1..=86_400).contains(&skew)), "skew_s", "must be 1 to 86400");
        Some(Self {
            scheme: scheme?,
            encoding: encoding?,
            place,
            app_id_name: app_id_name?,
            timestamp_name: timestamp_name?,
            nonce_name: nonce_name?,
            sign_name: sign_name?,
            timestamp: timestamp?,
            string_to_sign: pieces?,
            skew_s: skew_s?,
        })
    }
}

// What is not signed can be changed on the way; without the nonce a request can be replayed. A profile may only say so openly.
fn check_pieces(section: &Section, pieces: &[SignPiece], unsigned: &[String], scheme: Option<MacScheme>) {
    let has = |wanted: &[SignPiece]| wanted.iter().any(|piece| pieces.contains(piece));
    section.check(has(&[SignPiece::Timestamp]), "string_to_sign", "must hold {timestamp}");
    for (name, places, text) in [
        ("nonce", &[SignPiece::Nonce][..], "{nonce}"),
        ("body", &[SignPiece::Body, SignPiece::BodySha256, SignPiece::BodySm3][..], "{body_sha256}"),
    ] {
        match (has(places), unsigned.iter().any(|word| word == name)) {
            (false, false) => section.mistake("string_to_sign", format!("must hold {text}")),
            (true, true) => section.mistake("unsigned", format!("the {name} is signed")),
            _ => {}
        }
    }
    for word in unsigned.iter().filter(|word| !matches!(word.as_str(), "nonce" | "body")) {
        section.mistake("unsigned", format!("`{word}` means nothing; nonce and body can be left out"));
    }
    if let Some(scheme) = scheme {
        let fits = scheme.is_keyed() != pieces.contains(&SignPiece::Secret);
        section.check(fits, "string_to_sign", "must hold {secret} where the scheme has no key, and only there");
    }
}

fn read_name(section: &mut Section, role: &str, in_query: bool) -> Option<String> {
    if !in_query {
        return read_header(section, &format!("{role}_header"));
    }
    let key = format!("{role}_param");
    let name = section.take::<String>(&key)?;
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    section.check(fits, &key, "is no parameter name");
    fits.then_some(name)
}

fn read_pieces(text: &str) -> Result<Vec<SignPiece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        if open > 0 {
            pieces.push(SignPiece::Literal(rest[..open].to_owned()));
        }
        let Some(close) = rest[open..].find('}') else { return Err("a `{` is never closed".to_owned()) };
        let word = &rest[open + 1..open + close];
        let piece = SignPiece::ALL.into_iter().find(|(_, name)| *name == word).map(|(piece, _)| piece);
        pieces.push(piece.ok_or_else(|| format!("`{{{word}}}` means nothing"))?);
        rest = &rest[open + close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(SignPiece::Literal(rest.to_owned()));
    }
    Ok(pieces)
}
