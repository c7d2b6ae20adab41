//! Signature vectors, computed with Python's hmac and hashlib and with `openssl dgst -sm3 -hmac`.

use crate::PROFILE;
use gateway_connector::profile::{MacScheme, Profile};
use gateway_connector::sign::{SignedParts, mac_hex};
use gateway_connector::{Credentials, Secret, VerifyError, WebhookRequest};

const SHA256: &str = "c0453404bea8a34ac19859d0958ab683d5b9fbe6978522c0750b05d220303bd6";
const SM3: &str = "673b70e80cea51b63ff2986e32a6819854e52b0019eb816ace5059ea3fafa32c";

fn parts() -> SignedParts<'static> {
    SignedParts {
        method: "POST",
        target: "/gateway/orders/query?a=1%20b",
        timestamp: "1795396361000",
        nonce: "n-0_1",
        app_id: "app",
        body: br#"{"orderNos":["GZ1"]}"#,
    }
}

#[test]
fn the_default_string_to_sign_gives_the_known_macs() {
    let profile = Profile::parse(PROFILE).unwrap();
    let secret = Secret::new("secret-one");
    let message = profile.signature.message(&parts(), &secret);
    assert_eq!(mac_hex(MacScheme::HmacSha256, &secret, &message), SHA256);
    assert_eq!(mac_hex(MacScheme::HmacSm3, &secret, &message), SM3);
}

#[test]
fn an_empty_body_hashes_as_empty() {
    let profile = Profile::parse(PROFILE).unwrap();
    let message = profile.signature.message(&SignedParts { body: b"", ..parts() }, &Secret::new("unused"));
    assert!(message.ends_with(b"\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

fn signed(sign: &str) -> WebhookRequest {
    let parts = parts();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    WebhookRequest {
        method: parts.method.to_owned(),
        target: parts.target.to_owned(),
        headers: vec![
            header("x-app-id", parts.app_id),
            header("x-timestamp", parts.timestamp),
            header("x-nonce", parts.nonce),
            header("x-sign", sign),
        ],
        body: parts.body.into(),
        received_at: gateway_model::Timestamp::from_millisecond(1_795_396_361_000).unwrap(),
    }
}

#[test]
fn verification_by_either_mac() {
    let credentials = Credentials {
        app_id: "app".to_owned(),
        request_secret: Secret::new("unused"),
        webhook_secrets: vec![Secret::new("old"), Secret::new("secret-one")],
    };
    let sha = Profile::parse(PROFILE).unwrap().signature;
    assert_eq!(sha.verify(&credentials, &signed(SHA256)), Ok(()));
    assert_eq!(sha.verify(&credentials, &signed(SM3)), Err(VerifyError::BadSignature));
    assert_eq!(sha.verify(&credentials, &signed(&SHA256.to_uppercase())), Err(VerifyError::BadSignature));
    assert_eq!(sha.verify(&credentials, &signed(&SHA256[..63])), Err(VerifyError::BadSignature));
    let sm3 = Profile::parse(&PROFILE.replace("\"hmac-sha256\"", "\"hmac-sm3\"")).unwrap().signature;
    assert_eq!(sm3.verify(&credentials, &signed(SM3)), Ok(()));
    assert_eq!(sm3.verify(&credentials, &signed(SHA256)), Err(VerifyError::BadSignature));
}

#[test]
fn strange_headers_are_named() {
    let credentials = Credentials {
        app_id: "app".to_owned(),
        request_secret: Secret::new("x"),
        webhook_secrets: vec![Secret::new("y")],
    };
    let rule = Profile::parse(PROFILE).unwrap().signature;
    let with = |at: usize, value: &str| {
        let mut request = signed(SHA256);
        request.headers[at].1 = value.to_owned();
        rule.verify(&credentials, &request).unwrap_err().code()
    };
    assert_eq!(with(0, "other"), "unknown_application");
    assert_eq!(with(1, "yesterday"), "missing_header");
    assert_eq!(with(2, "no spaces"), "missing_header");
    assert_eq!(with(2, &"n".repeat(65)), "missing_header");
}

#[test]
fn secrets_are_never_shown() {
    let credentials = Credentials {
        app_id: "app".to_owned(),
        request_secret: Secret::new("topsecret"),
        webhook_secrets: vec![Secret::new("topsecret")],
    };
    assert!(!format!("{credentials:?}").contains("topsecret"));
}
