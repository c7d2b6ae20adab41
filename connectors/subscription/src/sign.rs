//! Signatures by Standard Webhooks, version 1, symmetric: HMAC-SHA256 over `id.timestamp.body`, Base64, behind `v1,`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_connector::{Credentials, Secret};
use gateway_model::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secret can't sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// Neither `whsec_…` nor Base64.
    #[error("must be `whsec_` and Base64, as Standard Webhooks writes a secret")]
    NotBase64,
    /// Too short or too long.
    #[error("must be 24 to 64 bytes long, as Standard Webhooks asks")]
    Length,
}

/// Signs what is sent; under each secret while one is being replaced.
pub struct Signer(Vec<Hmac<Sha256>>);

impl Signer {
    /// A signer with the request secret, and with every webhook secret beside it.
    ///
    /// # Errors
    /// [`SignerError`] of the first secret that can't sign.
    pub fn new(credentials: &Credentials) -> Result<Self, SignerError> {
        let secrets = std::iter::once(&credentials.request_secret).chain(&credentials.webhook_secrets);
        secrets.map(key).collect::<Result<_, _>>().map(Self)
    }

    /// The three headers of a message.
    #[must_use]
    pub fn headers(&self, id: &str, at: Timestamp, body: &[u8]) -> Vec<(String, String)> {
        let timestamp = at.as_second().to_string();
        let signatures: Vec<String> = self
            .0
            .iter()
            .map(|key| {
                let mut mac = key.clone();
                mac.update(format!("{id}.{timestamp}.").as_bytes());
                mac.update(body);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            })
            .collect();
        vec![
            ("webhook-id".to_owned(), id.to_owned()),
            ("webhook-timestamp".to_owned(), timestamp),
            ("webhook-signature".to_owned(), signatures.join(" ")),
        ]
    }
}

fn key(secret: &Secret) -> Result<Hmac<Sha256>, SignerError> {
    let text = std::str::from_utf8(secret.expose()).map_err(|_| SignerError::NotBase64)?.trim();
    let bytes = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| SignerError::NotBase64)?;
    if !(24..=64).contains(&bytes.len()) {
        return Err(SignerError::Length);
    }
    Hmac::new_from_slice(&bytes).map_err(|_| SignerError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secret: &str, others: &[&str]) -> Result<Signer, SignerError> {
        Signer::new(&Credentials {
            app_id: String::new(),
            request_secret: Secret::new(secret),
            webhook_secrets: others.iter().map(|secret| Secret::new(*secret)).collect(),
        })
    }

    fn signature(secret: &str, id: &str, second: i64, body: &str) -> String {
        let at = Timestamp::from_second(second).unwrap();
        signer(secret, &[]).unwrap().headers(id, at, body.as_bytes())[2].1.clone()
    }

    /// The vector that the specification's reference libraries publish.
    #[test]
    fn the_published_vector() {
        let (secret, id) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let signed = signature(secret, id, 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_live_secrets_sign_side_by_side() {
        let (new, old) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldw==");
        let headers = signer(new, &[old]).unwrap().headers("m1", Timestamp::UNIX_EPOCH, b"{}");
        assert_eq!(headers[2].1.split(' ').count(), 2);
    }

    #[test]
    fn what_can_not_sign_is_refused() {
        assert_eq!(signer("not base64!", &[]).err(), Some(SignerError::NotBase64));
        assert_eq!(signer("whsec_c2hvcnQ=", &[]).err(), Some(SignerError::Length));
    }
}
