//! The HTTP client and the few calls that the simulators and the judge make.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use crate::error::SimError;

/// Builds the client. No proxy: everything simulated is on this machine.
///
/// # Errors
/// When the client can't be built.
pub fn client(timeout: Duration) -> Result<Client, SimError> {
    // Already installed by somebody else in the process: just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(timeout).no_proxy().build().map_err(SimError::Client)
}

/// Sends a request and returns status and JSON body (`null` when the body is none).
///
/// # Errors
/// When no answer came.
pub async fn send(what: &str, request: RequestBuilder) -> Result<(u16, Value), SimError> {
    let (status, body) = send_for_bytes(what, request).await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// Sends a request and returns status and body.
///
/// # Errors
/// When no answer came.
pub async fn send_for_bytes(what: &str, request: RequestBuilder) -> Result<(u16, Vec<u8>), SimError> {
    let failed = |source| SimError::Call { what: what.to_owned(), source };
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(failed)?;
    Ok((status, body.to_vec()))
}

/// GETs JSON with a bearer token and demands 200.
///
/// # Errors
/// When no answer came or it is not 200.
pub async fn get(client: &Client, base: &str, path: &str, token: &str) -> Result<Value, SimError> {
    let what = format!("GET {}", path.split('?').next().unwrap_or(path));
    let (status, body) =
        send(&what, client.get(format!("{}{path}", base.trim_end_matches('/'))).bearer_auth(token)).await?;
    if status != 200 {
        return Err(SimError::Answer {
            what,
            status,
            detail: body["code"].as_str().unwrap_or("no reason given").to_owned(),
        });
    }
    Ok(body)
}

/// Escapes a value for a query string or a path segment.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
