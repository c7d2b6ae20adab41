//! The HTTP client of notifiers: bounded in time and in what it reads of an answer. Addresses may hold keys, so they are in no error and no log.

use super::SendError;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;

/// The most that is read of an answer.
const MOST: usize = 64 * 1024;

/// Calls one address.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    url: reqwest::Url,
}

/// A call.
#[derive(Debug, Default)]
pub struct Request {
    /// POST instead of GET.
    pub post: bool,
    /// Appended to the address's path, as `/api/v2/alerts`.
    pub path: &'static str,
    /// Added to the address's query.
    pub query: Vec<(&'static str, String)>,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// A JSON body; empty for none.
    pub body: Vec<u8>,
}

/// An answer, whatever its status.
pub struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The answer, where its status says that all is well.
    pub fn ok(self) -> Result<Self, SendError> {
        match self.status {
            200..=299 => Ok(self),
            429 => Err(SendError::Throttled { retry_after: self.retry_after }),
            503 if self.retry_after.is_some() => Err(SendError::Throttled { retry_after: self.retry_after }),
            408 | 500..=599 => Err(SendError::Unreachable { what: format!("HTTP {}", self.status) }),
            status => Err(SendError::refused(format!("http_{status}"), &String::from_utf8_lossy(&self.body))),
        }
    }
}

impl Http {
    /// A client of `url`. The error is a sentence for whoever configured it, without the address.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, String> {
        let url = reqwest::Url::parse(url.trim()).map_err(|_| "is no absolute http or https address".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("is no absolute http or https address".into());
        }
        gateway_connector::install_crypto();
        let mut client = reqwest::Client::builder();
        if url.scheme() == "http" {
            // A machine without root certificates can still speak plain HTTP; the default TLS set-up would fail there.
            client = client.tls_backend_preconfigured(without_roots().map_err(|error| error.to_string())?);
        }
        let client = client
            .connect_timeout(timeout)
            .timeout(timeout)
            // A key in the address or a signature is meant for one receiver.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // A retry of the library would tell twice behind our back.
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| format!("the HTTP client can't be built: {}", error.without_url()))?;
        Ok(Self { client, url })
    }

    /// Calls.
    pub async fn call(&self, request: Request) -> Result<Answer, SendError> {
        let mut url = self.url.clone();
        if !request.path.is_empty() {
            url.set_path(&format!("{}{}", self.url.path().trim_end_matches('/'), request.path));
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = if request.post { self.client.post(url) } else { self.client.get(url) };
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if !request.body.is_empty() {
            builder = builder.header("content-type", "application/json; charset=utf-8").body(request.body);
        }
        let mut answer = builder.send().await.map_err(|error| unreachable(&error))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + chunk.len() > MOST {
                return Err(SendError::refused("answer_too_long", "the answer is longer than 64 KiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body: body.freeze() })
    }

    /// POSTs a JSON body and returns a good answer.
    pub async fn post(&self, path: &'static str, body: Vec<u8>) -> Result<Answer, SendError> {
        self.call(Request { post: true, path, body, ..Request::default() }).await?.ok()
    }
}

fn unreachable(error: &reqwest::Error) -> SendError {
    let what = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "can't connect"
    } else {
        "the connection broke off"
    };
    SendError::Unreachable { what: what.into() }
}

fn without_roots() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}
