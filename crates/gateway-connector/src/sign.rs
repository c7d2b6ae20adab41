//! Signatures over requests: HMAC-SHA256 and HMAC-SM3 (GB/T 32905), and the old digests of a text that holds the secret; one rule for what we
//! send and what we are sent.
//!
//! What is signed is a template of the profile, so that a platform with another order of the same parts needs no code. Secrets live in
//! [`Credentials`], never in a profile; no error and no `Debug` output shows one.

use crate::http::encode;
use crate::profile::{MacScheme, SignEncoding, SignPiece, SignPlace, SignatureRule};
use crate::{VerifyError, WebhookRequest};
use base64::Engine as _;
use gateway_model::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// A shared secret.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes as they are; whoever reads a file trims its line end.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for a connector that signs in a way of its own. They go nowhere else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing in it; an empty secret signs nothing worth verifying.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who we are for a counterparty, and what we share with it. Read from files by the server.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The application id in both directions.
    pub app_id: String,
    /// Signs what we send.
    pub request_secret: Secret,
    /// Each of these may sign what we are sent; two while a secret is being replaced.
    pub webhook_secrets: Vec<Secret>,
}

/// The lower-case hex MAC of a message; of a scheme without key, its digest.
#[must_use]
pub fn mac_hex(scheme: MacScheme, secret: &Secret, message: &[u8]) -> String {
    hex::encode(signature(scheme, secret, message))
}

fn signature(scheme: MacScheme, secret: &Secret, message: &[u8]) -> Vec<u8> {
    match scheme {
        MacScheme::HmacSha256 => mac_of::<Hmac<Sha256>>(secret, message),
        MacScheme::HmacSm3 => mac_of::<Hmac<sm3::Sm3>>(secret, message),
        MacScheme::Sha1 => sha1::Sha1::digest(message).to_vec(),
        MacScheme::Sha256 => Sha256::digest(message).to_vec(),
        MacScheme::Sm3 => sm3::Sm3::digest(message).to_vec(),
    }
}

fn mac_of<M: Mac + KeyInit>(secret: &Secret, message: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length, so the error can't happen; an empty MAC matches no signature.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(&secret.0) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The parts of a request that can be signed.
#[derive(Debug, Clone, Copy)]
pub struct SignedParts<'a> {
    /// Upper case.
    pub method: &'a str,
    /// Path and query exactly as sent, without the signature's own parameters.
    pub target: &'a str,
    /// As it stands in the request; empty where there is none.
    pub timestamp: &'a str,
    /// As it stands in the request; empty where there is none.
    pub nonce: &'a str,
    /// The application id.
    pub app_id: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What a request carries so that it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// Headers.
    Headers(Vec<(String, String)>),
    /// Parameters, to be added behind all others.
    Query(Vec<(String, String)>),
}

/// What a signed request says of itself.
struct Said<'a> {
    app_id: Cow<'a, str>,
    timestamp: Cow<'a, str>,
    nonce: Option<Cow<'a, str>>,
    sign: Cow<'a, str>,
}

impl SignatureRule {
    /// The message that is signed. `secret` stands in it where the scheme has no key.
    #[must_use]
    pub fn message(&self, parts: &SignedParts<'_>, secret: &Secret) -> Vec<u8> {
        let mut message = Vec::with_capacity(160);
        for piece in &self.string_to_sign {
            match piece {
                SignPiece::Literal(text) => message.extend(text.bytes()),
                SignPiece::Method => message.extend(parts.method.bytes()),
                SignPiece::Target => message.extend(parts.target.bytes()),
                SignPiece::Path => message.extend(parts.target.split('?').next().unwrap_or_default().bytes()),
                SignPiece::Timestamp => message.extend(parts.timestamp.bytes()),
                SignPiece::Nonce => message.extend(parts.nonce.bytes()),
                SignPiece::AppId => message.extend(parts.app_id.bytes()),
                SignPiece::Secret => message.extend(&secret.0),
                SignPiece::Body => message.extend(parts.body),
                SignPiece::BodySha256 => message.extend(hex::encode(Sha256::digest(parts.body)).bytes()),
                SignPiece::BodySm3 => message.extend(hex::encode(sm3::Sm3::digest(parts.body)).bytes()),
            }
        }
        message
    }

    fn sign(&self, parts: &SignedParts<'_>, secret: &Secret) -> String {
        let bytes = signature(self.scheme, secret, &self.message(parts, secret));
        match self.encoding {
            SignEncoding::Hex => hex::encode(bytes),
            SignEncoding::HexUpper => hex::encode_upper(bytes),
            SignEncoding::Base64 => base64::engine::general_purpose::STANDARD.encode(bytes),
        }
    }

    /// What a request that we send carries.
    #[must_use]
    pub fn signed(
        &self,
        credentials: &Credentials,
        now: Timestamp,
        nonce: &str,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Signed {
        let timestamp = self.timestamp.write(gateway_model::Moment::At(now));
        let parts = SignedParts { method, target, timestamp: &timestamp, nonce, app_id: &credentials.app_id, body };
        let sign = self.sign(&parts, &credentials.request_secret);
        let mut named =
            vec![(self.app_id_name.clone(), credentials.app_id.clone()), (self.timestamp_name.clone(), timestamp)];
        named.extend(self.nonce_name.iter().map(|name| (name.clone(), nonce.to_owned())));
        named.push((self.sign_name.clone(), sign));
        match self.place {
            SignPlace::Header => Signed::Headers(named),
            SignPlace::Query => Signed::Query(named),
        }
    }

    /// The nonce of a request that we are sent, where its signature has one.
    #[must_use]
    pub fn nonce<'a>(&self, request: &'a WebhookRequest) -> Option<Cow<'a, str>> {
        let name = self.nonce_name.as_ref()?;
        match self.place {
            SignPlace::Header => request.header(name).map(Cow::Borrowed),
            SignPlace::Query => parameter(&request.target, name).map(Cow::Owned),
        }
    }

    fn said<'a>(&self, request: &'a WebhookRequest) -> Result<Said<'a>, VerifyError> {
        let take = |name: &str, role: &'static str| {
            let value = match self.place {
                SignPlace::Header => request.header(name).map(Cow::Borrowed),
                SignPlace::Query => parameter(&request.target, name).map(Cow::Owned),
            };
            value.ok_or(VerifyError::MissingHeader(role))
        };
        Ok(Said {
            app_id: take(&self.app_id_name, "application id")?,
            timestamp: take(&self.timestamp_name, "timestamp")?,
            nonce: self.nonce_name.as_ref().map(|name| take(name, "nonce")).transpose()?,
            sign: take(&self.sign_name, "signature")?,
        })
    }

    // The target that was signed: the signature's own parameters came later.
    fn signed_target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        let (SignPlace::Query, Some((path, query))) = (self.place, target.split_once('?')) else {
            return Cow::Borrowed(target);
        };
        let own =
            [Some(&self.app_id_name), Some(&self.timestamp_name), self.nonce_name.as_ref(), Some(&self.sign_name)];
        let is_own = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            own.iter().flatten().any(|own| encode(own) == name)
        };
        let rest: Vec<&str> = query.split('&').filter(|pair| !is_own(pair)).collect();
        Cow::Owned(if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) })
    }

    /// Checks a request that we are sent: what it must carry, then application, then signature (in constant time, over all live secrets), then time.
    /// The time comes last so that a skewed clock is told from a forged request.
    ///
    /// # Errors
    /// [`VerifyError`] with the first thing that is wrong.
    pub fn verify(&self, credentials: &Credentials, request: &WebhookRequest) -> Result<(), VerifyError> {
        let said = self.said(request)?;
        let at = match self.timestamp.read(&said.timestamp) {
            Some(moment) if !moment.is_date_only() => moment.start(),
            _ => return Err(VerifyError::MissingHeader("timestamp")),
        };
        let nonce = said.nonce.as_deref();
        if nonce.is_some_and(|nonce| !is_token(nonce)) {
            return Err(VerifyError::MissingHeader("nonce"));
        }
        if said.app_id != credentials.app_id.as_str() {
            return Err(VerifyError::UnknownApplication);
        }
        let parts = SignedParts {
            method: &request.method,
            target: &self.signed_target(&request.target),
            timestamp: &said.timestamp,
            nonce: nonce.unwrap_or_default(),
            app_id: &said.app_id,
            body: &request.body,
        };
        let matches = credentials.webhook_secrets.iter().fold(Choice::from(0), |matches, secret| {
            matches | self.sign(&parts, secret).as_bytes().ct_eq(said.sign.as_bytes())
        });
        if !bool::from(matches) {
            return Err(VerifyError::BadSignature);
        }
        let offset_ms = at.as_millisecond().saturating_sub(request.received_at.as_millisecond());
        if offset_ms.unsigned_abs() > u64::from(self.skew_s) * 1_000 {
            return Err(VerifyError::ClockSkew { offset_ms });
        }
        Ok(())
    }
}

/// The value of a query parameter that is there once.
fn parameter(target: &str, name: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    let name = encode(name);
    let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
    let (_, value) = values.next()?;
    if values.next().is_some() {
        return None;
    }
    decode(value)
}

fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let digits = text.get(at + 1..at + 3)?;
                plain.push(u8::from_str_radix(digits, 16).ok()?);
                at += 3;
            }
            b'+' => {
                plain.push(b' ');
                at += 1;
            }
            other => {
                plain.push(*other);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).ok()
}

/// Whether a text is 1–64 of `[A-Za-z0-9_-]`: what a nonce and a request id may be.
#[must_use]
pub fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
