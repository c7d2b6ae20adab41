//! Signatures over requests: HMAC-SHA256 and HMAC-SM3 (GB/T 32905), one rule for what we send and what we are sent.
//!
//! What is signed is a template of the profile, so that a platform with another order of the same parts needs no code. The body's digest is
//! SHA-256 under either HMAC. Secrets live in [`Credentials`], never in a profile; no error and no `Debug` output shows one.

use crate::profile::{MacScheme, SignatureRule};
use crate::{VerifyError, WebhookRequest};
use gateway_model::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
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

/// The lower-case hex MAC of a message.
#[must_use]
pub fn mac_hex(scheme: MacScheme, secret: &Secret, message: &[u8]) -> String {
    match scheme {
        MacScheme::HmacSha256 => hex_of::<Hmac<Sha256>>(secret, message),
        MacScheme::HmacSm3 => hex_of::<Hmac<sm3::Sm3>>(secret, message),
    }
}

fn hex_of<M: Mac + KeyInit>(secret: &Secret, message: &[u8]) -> String {
    // HMAC takes a key of any length, so the error can't happen; an empty MAC matches no signature.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(&secret.0) else { return String::new() };
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

/// The parts of a request that can be signed.
#[derive(Debug, Clone, Copy)]
pub struct SignedParts<'a> {
    /// Upper case.
    pub method: &'a str,
    /// Path and query exactly as sent.
    pub target: &'a str,
    /// As it stands in the header.
    pub timestamp: &'a str,
    /// As it stands in the header.
    pub nonce: &'a str,
    /// The application id.
    pub app_id: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl SignatureRule {
    /// The message over which the MAC goes.
    #[must_use]
    pub fn message(&self, parts: &SignedParts<'_>) -> String {
        let mut message = String::with_capacity(160);
        for piece in &self.string_to_sign {
            use crate::profile::SignPiece;
            match piece {
                SignPiece::Literal(text) => message.push_str(text),
                SignPiece::Method => message.push_str(parts.method),
                SignPiece::Target => message.push_str(parts.target),
                SignPiece::Timestamp => message.push_str(parts.timestamp),
                SignPiece::Nonce => message.push_str(parts.nonce),
                SignPiece::AppId => message.push_str(parts.app_id),
                SignPiece::BodySha256 => message.push_str(&hex::encode(Sha256::digest(parts.body))),
            }
        }
        message
    }

    /// The headers of a request that we send.
    #[must_use]
    pub fn headers(
        &self,
        credentials: &Credentials,
        now: Timestamp,
        nonce: &str,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Vec<(String, String)> {
        let timestamp = self.timestamp.write(gateway_model::Moment::At(now));
        let parts = SignedParts { method, target, timestamp: &timestamp, nonce, app_id: &credentials.app_id, body };
        let sign = mac_hex(self.scheme, &credentials.request_secret, self.message(&parts).as_bytes());
        vec![
            (self.app_id_header.clone(), credentials.app_id.clone()),
            (self.timestamp_header.clone(), timestamp),
            (self.nonce_header.clone(), nonce.to_owned()),
            (self.sign_header.clone(), sign),
        ]
    }

    /// Checks a request that we are sent: headers, then application, then signature (in constant time, over all live secrets), then time. The
    /// time comes last so that a skewed clock is told from a forged request.
    ///
    /// # Errors
    /// [`VerifyError`] with the first thing that is wrong.
    pub fn verify(&self, credentials: &Credentials, request: &WebhookRequest) -> Result<(), VerifyError> {
        let header = |name: &str, role: &'static str| request.header(name).ok_or(VerifyError::MissingHeader(role));
        let app_id = header(&self.app_id_header, "application id")?;
        let timestamp = header(&self.timestamp_header, "timestamp")?;
        let nonce = header(&self.nonce_header, "nonce")?;
        let sign = header(&self.sign_header, "signature")?;
        let at = match self.timestamp.read(timestamp) {
            Some(moment) if !moment.is_date_only() => moment.start(),
            _ => return Err(VerifyError::MissingHeader("timestamp")),
        };
        if !is_token(nonce) {
            return Err(VerifyError::MissingHeader("nonce"));
        }
        if app_id != credentials.app_id {
            return Err(VerifyError::UnknownApplication);
        }
        let parts = SignedParts {
            method: &request.method,
            target: &request.target,
            timestamp,
            nonce,
            app_id,
            body: &request.body,
        };
        let message = self.message(&parts);
        let matches = credentials.webhook_secrets.iter().fold(Choice::from(0), |matches, secret| {
            matches | mac_hex(self.scheme, secret, message.as_bytes()).as_bytes().ct_eq(sign.as_bytes())
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

/// Whether a text is 1–64 of `[A-Za-z0-9_-]`: what a nonce and a request id may be.
#[must_use]
pub fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
