//! The signature of both directions (section 1 of the wire contract): HMAC-SHA256 or HMAC-SM3 over method, target, timestamp,
//! nonce and the SHA-256 of the body.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use sm3::Sm3;

/// Clock difference beyond which a message is refused, in milliseconds.
pub const TIME_WINDOW_MS: i64 = 300_000;

/// The MAC in use with a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SignatureMethod {
    /// HMAC-SHA256.
    #[default]
    HmacSha256,
    /// HMAC-SM3 国密.
    HmacSm3,
}

/// The shared secret and the rest of what signing needs.
#[derive(Clone)]
pub struct Signer {
    /// `X-App-Id`.
    pub app_id: String,
    method: SignatureMethod,
    secret: Vec<u8>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Signer").field("app_id", &self.app_id).field("method", &self.method).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer for one direction.
    pub fn new(app_id: impl Into<String>, method: SignatureMethod, secret: impl Into<Vec<u8>>) -> Self {
        Self { app_id: app_id.into(), method, secret: secret.into() }
    }

    /// The `X-Sign` of a message.
    pub fn sign(&self, method: &str, target: &str, timestamp: &str, nonce: &str, body: &[u8]) -> String {
        let text = format!("{method}\n{target}\n{timestamp}\n{nonce}\n{}", hex::encode(Sha256::digest(body)));
        // HMAC takes a key of any length, so the error arm can't be reached; an empty signature would be refused by any peer.
        match self.method {
            SignatureMethod::HmacSha256 => mac::<Hmac<Sha256>>(&self.secret, &text),
            SignatureMethod::HmacSm3 => mac::<Hmac<Sm3>>(&self.secret, &text),
        }
        .unwrap_or_default()
    }

    /// The secret, for dresses that put it into what they digest.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// SHA-1 of the parts one after another, in upper-case hex.
    pub(crate) fn sha1_upper(&self, parts: &[&[u8]]) -> String {
        let mut hash = sha1::Sha1::new();
        parts.iter().for_each(|part| hash.update(part));
        hex::encode_upper(hash.finalize())
    }

    /// HMAC-SM3 of the parts one after another, in Base64.
    pub(crate) fn sm3_base64(&self, parts: &[&[u8]]) -> String {
        // As in `sign`: the error can't happen, and an empty signature is refused.
        let Ok(mut mac) = <Hmac<Sm3> as KeyInit>::new_from_slice(&self.secret) else { return String::new() };
        parts.iter().for_each(|part| mac.update(part));
        base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
    }

    /// Whether a message is authentic and fresh.
    pub fn verify(&self, message: &Signed<'_>, now_ms: i64) -> bool {
        let fresh = message.timestamp.parse::<i64>().is_ok_and(|at| now_ms.abs_diff(at) <= TIME_WINDOW_MS as u64);
        let nonce_ok = (1..=64).contains(&message.nonce.len())
            && message.nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let expected = self.sign(message.method, message.target, message.timestamp, message.nonce, message.body);
        fresh && nonce_ok && message.app_id == self.app_id && same(expected.as_bytes(), message.sign.as_bytes())
    }
}

/// The parts of a received message that its signature covers.
pub struct Signed<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Request target exactly as sent.
    pub target: &'a str,
    /// `X-App-Id`.
    pub app_id: &'a str,
    /// `X-Timestamp`.
    pub timestamp: &'a str,
    /// `X-Nonce`.
    pub nonce: &'a str,
    /// `X-Sign`.
    pub sign: &'a str,
    /// Body bytes.
    pub body: &'a [u8],
}

fn mac<M: Mac + KeyInit>(secret: &[u8], text: &str) -> Option<String> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    mac.update(text.as_bytes());
    Some(hex::encode(mac.finalize().into_bytes()))
}

/// Compares without stopping at the first difference.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}
