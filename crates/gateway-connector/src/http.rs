//! The one HTTP client: paced, bounded in time and size, signing, and truthful about what may have happened.
//!
//! Truthful means: `not_sent` only where the connection was never made; anything later may have had its effect. Redirects are not followed,
//! since a signature covers one target; answers are never decompressed. A file has bounds of its own ([`Transport::fetch`]): it may be larger than any answer and
//! take longer, but must keep coming. Bodies, headers and secrets are never logged; the target may be, as no person data is
//! ever put into one.

use crate::pace::{PacePermit, Pacer};
use crate::peer_clock::{PeerClock, PeerClockWatch};
use crate::profile::{Limits, Profile};
use crate::sign::{Credentials, Signed};
use crate::{AttachmentError, RequestError};
use bytes::{Bytes, BytesMut};
use gateway_model::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Installs the process-wide TLS provider (ring). Call once at start; a second call changes nothing.
pub fn install_crypto() {
    // An error says that a provider is there already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A base address or TLS set-up that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// Not an absolute `http` or `https` address without query.
    #[error("the base address is not an absolute http or https address without query")]
    BaseUrl,
    /// There is no TLS provider.
    #[error("there is no TLS provider")]
    Tls,
    /// The client could not be built (no TLS roots, for example).
    #[error("the HTTP client can't be built")]
    Client(#[source] reqwest::Error),
}

/// A request to the peer.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Upper case.
    pub method: &'static str,
    /// Path below the base address, already encoded.
    pub path: String,
    /// Query parameters, not yet encoded.
    pub query: Vec<(String, String)>,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body, as [`crate::profile::ExchangeRule`] says; empty for none.
    pub body: Bytes,
}

impl HttpRequest {
    /// A GET.
    #[must_use]
    pub fn get(path: impl Into<String>, query: Vec<(String, String)>) -> Self {
        Self { method: "GET", path: path.into(), query, headers: Vec::new(), body: Bytes::new() }
    }

    /// A POST of a body.
    #[must_use]
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method: "POST", path: path.into(), query: Vec::new(), headers: Vec::new(), body: body.into() }
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, where it is there and readable.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
    /// Bytes of the request's body and the answer's body together.
    pub bytes: u64,
    /// When the request was sent.
    pub sent_at: Timestamp,
}

impl HttpAnswer {
    /// The body of an HTTP 200.
    ///
    /// # Errors
    /// [`RequestError`] by the status: 401 and 403 unauthorized, 429 (and 503 with `Retry-After`) throttled, 408 and other 5xx unavailable, the
    /// rest business errors `http_<status>`.
    pub fn ok(self) -> Result<Self, RequestError> {
        let unavailable =
            |status: u16| RequestError::Unavailable { what: format!("HTTP {status}"), not_sent: false, source: None };
        match self.status {
            200..=299 => Ok(self),
            401 | 403 => Err(RequestError::Unauthorized { code: format!("http_{}", self.status) }),
            429 => Err(RequestError::Throttled { retry_after: self.retry_after }),
            503 if self.retry_after.is_some() => Err(RequestError::Throttled { retry_after: self.retry_after }),
            408 | 500..=599 => Err(unavailable(self.status)),
            status => Err(RequestError::Business { code: format!("http_{status}"), message: String::new() }),
        }
    }
}

/// Sends to one address: paced, bounded, and truthful. It signs nothing by itself.
pub struct Transport {
    client: reqwest::Client,
    base: String,
    limits: Limits,
    pacer: Pacer,
    clock: Arc<dyn Clock>,
    peer_clock: PeerClockWatch,
}

/// An answer whose body is still to come; it holds its turn until then.
struct Arriving {
    response: reqwest::Response,
    status: u16,
    retry_after: Option<Duration>,
    sent_at: Timestamp,
    _permit: PacePermit,
}

impl Arriving {
    /// The body, each piece of which comes in time; `None` where it is larger.
    async fn body(&mut self, most: usize, patience: Duration) -> Result<Option<Bytes>, RequestError> {
        let mut body = BytesMut::new();
        while let Some(chunk) =
            in_time(patience, self.response.chunk()).await?.map_err(|error| unavailable(error, true))?
        {
            if body.len().saturating_add(chunk.len()) > most {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body.freeze()))
    }

    fn answer(self, body: Bytes, sent_bytes: usize) -> HttpAnswer {
        let bytes = (sent_bytes + body.len()) as u64;
        HttpAnswer { status: self.status, retry_after: self.retry_after, body, bytes, sent_at: self.sent_at }
    }
}

async fn in_time<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T, RequestError> {
    let late = |_| RequestError::Unavailable { what: "timeout".to_owned(), not_sent: false, source: None };
    tokio::time::timeout(patience, work).await.map_err(late)
}

/// A request about to go out, for whoever signs it.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// Upper case.
    pub method: &'a str,
    /// Path and query as they go over the wire, before what the signature adds.
    pub target: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// When it is sent.
    pub at: Timestamp,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Transport {
    /// A transport to `base_url`, which may have a path of its own. [`install_crypto`] must have been called where it is `https`.
    ///
    /// # Errors
    /// [`HttpSetupError`].
    pub fn new(base_url: &str, limits: Limits, clock: Arc<dyn Clock>) -> Result<Self, HttpSetupError> {
        let url = reqwest::Url::parse(base_url).map_err(|_| HttpSetupError::BaseUrl)?;
        let fits = matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !fits {
            return Err(HttpSetupError::BaseUrl);
        }
        install_crypto();
        let mut client = reqwest::Client::builder();
        if url.scheme() == "http" {
            // A machine without root certificates can still speak plain HTTP (to a front-end box beside it); the default TLS set-up would fail there.
            let tls = without_roots().map_err(|_| HttpSetupError::Tls)?;
            client = client.tls_backend_preconfigured(tls);
        }
        let client = client
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.request_timeout)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy of the environment would see and could hold requests; a route to a peer is a setting, not an accident.
            .no_proxy()
            // A retry of the library would send a command twice behind our back.
            .retry(reqwest::retry::never())
            .build()
            .map_err(HttpSetupError::Client)?;
        let pacer = Pacer::new(limits.requests_per_second, limits.concurrency);
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base, limits, pacer, clock, peer_clock: PeerClockWatch::default() })
    }

    /// Sends a request in its turn, with what `sign` adds.
    ///
    /// # Errors
    /// [`RequestError::Unavailable`] where no whole answer came, [`RequestError::Undecodable`] where it is larger than allowed.
    pub async fn send(
        &self,
        request: HttpRequest,
        content_type: &str,
        sign: impl FnOnce(&Leaving<'_>) -> Signed + Send,
    ) -> Result<HttpAnswer, RequestError> {
        let sent_bytes = request.body.len();
        let limits = &self.limits;
        // The client's own bound on the whole is the only one.
        let mut arriving = self.leave(request, content_type, sign, limits.request_timeout, Duration::MAX).await?;
        let most = limits.answer_bytes;
        let body = arriving.body(most, limits.request_timeout).await?;
        let body =
            body.ok_or_else(|| RequestError::Undecodable { what: format!("an answer of more than {most} bytes") })?;
        Ok(arriving.answer(body, sent_bytes))
    }

    /// Sends a request for a file in its turn, with what `sign` adds. The file is bounded by `largest` and not by what answers may have, and may take until
    /// `timeout`; but each of its pieces must come within the time that a whole answer has. Of an answer that is not HTTP 200 the body is not read.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`], told before reading where the peer says the length; [`RequestError::Unavailable`] where no whole answer came.
    pub async fn fetch(
        &self,
        request: HttpRequest,
        sign: impl FnOnce(&Leaving<'_>) -> Signed + Send,
        largest: usize,
        timeout: Duration,
    ) -> Result<HttpAnswer, AttachmentError> {
        let patience = self.limits.request_timeout;
        let mut arriving = self.leave(request, "", sign, timeout.max(patience), patience).await?;
        if arriving.status != 200 {
            return Ok(arriving.answer(Bytes::new(), 0));
        }
        let told = arriving.response.content_length().unwrap_or(0);
        if usize::try_from(told).is_ok_and(|told| told <= largest)
            && let Some(body) = arriving.body(largest, patience).await?
        {
            return Ok(arriving.answer(body, 0));
        }
        Err(AttachmentError::TooLarge { largest })
    }

    /// Sends a request and waits until its answer begins, which may take `first`; reading all of it may take `whole`. Both count from its turn on.
    async fn leave(
        &self,
        request: HttpRequest,
        content_type: &str,
        sign: impl FnOnce(&Leaving<'_>) -> Signed + Send,
        whole: Duration,
        first: Duration,
    ) -> Result<Arriving, RequestError> {
        let mut text = format!("{}{}", self.base, request.path);
        push_query(&mut text, &request.query);
        let never = |what: &str| RequestError::Unavailable { what: what.to_owned(), not_sent: true, source: None };
        let parse = |text: &str| reqwest::Url::parse(text).map_err(|_| never("the address can't be built"));
        let mut url = parse(&text)?;
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).map_err(|_| never("no such method"))?;
        // As it goes over the wire, after the address parser's own normal form.
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));

        let permit = self.pacer.acquire().await;
        let sent_at = self.clock.now();
        let mut headers = request.headers;
        match sign(&Leaving { method: request.method, target: &target, body: &request.body, at: sent_at }) {
            Signed::Headers(signed) => headers.extend(signed),
            Signed::Query(signed) => {
                push_query(&mut text, &signed);
                url = parse(&text)?;
            }
        }
        let mut builder = self.client.request(method, url).timeout(whole);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if !request.body.is_empty() {
            builder = builder.header("content-type", content_type).body(request.body);
        }
        let response = in_time(first, builder.send()).await?.map_err(|error| unavailable(error, false))?;
        if let Some(date) = response.headers().get("date").and_then(|value| value.to_str().ok()) {
            self.peer_clock.observe(date, sent_at, self.clock.now());
        }
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.trim().parse::<u32>().ok())
            .map(|seconds| Duration::from_secs(u64::from(seconds)));
        Ok(Arriving { response, status, retry_after, sent_at, _permit: permit })
    }

    /// The base address, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// When it is now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the peer's answers last told of its clock.
    #[must_use]
    pub fn peer_clock(&self) -> Option<PeerClock> {
        self.peer_clock.last()
    }
}

/// The client of a channel that a wire profile describes.
#[derive(Debug)]
pub struct HttpClient {
    transport: Transport,
    profile: Arc<Profile>,
    credentials: Credentials,
}

impl HttpClient {
    /// A client of the peer at `base_url`.
    ///
    /// # Errors
    /// As [`Transport::new`].
    pub fn new(
        base_url: &str,
        profile: Arc<Profile>,
        credentials: Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpSetupError> {
        Ok(Self { transport: Transport::new(base_url, profile.limits, clock)?, profile, credentials })
    }

    /// Sends a request, signed as the profile says.
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, RequestError> {
        self.transport.send(request, self.profile.exchange.content_type(), |leaving| self.signed(leaving)).await
    }

    /// Asks for a file, signed as the profile says.
    ///
    /// # Errors
    /// As [`Transport::fetch`].
    pub async fn fetch(
        &self,
        request: HttpRequest,
        largest: usize,
        timeout: Duration,
    ) -> Result<HttpAnswer, AttachmentError> {
        self.transport.fetch(request, |leaving| self.signed(leaving), largest, timeout).await
    }

    fn signed(&self, leaving: &Leaving<'_>) -> Signed {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let Leaving { method, target, body, at } = *leaving;
        self.profile.signature.signed(&self.credentials, at, &nonce, method, target, body)
    }

    /// The base address, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        self.transport.base()
    }

    /// When it is now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.transport.now()
    }

    /// What the peer's answers last told of its clock.
    #[must_use]
    pub fn peer_clock(&self) -> Option<PeerClock> {
        self.transport.peer_clock()
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// The credentials, for verifying what we are sent.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

fn without_roots() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

fn unavailable(error: reqwest::Error, answering: bool) -> RequestError {
    // A connect time-out is both; it has not been sent.
    let not_sent = !answering && error.is_connect();
    let what = if not_sent {
        "can't connect"
    } else if error.is_timeout() {
        "timeout"
    } else if answering {
        "the answer broke off"
    } else {
        "the connection broke off"
    };
    // The error's own text holds the address with its query, which stays out of logs.
    RequestError::Unavailable { what: what.to_owned(), not_sent, source: Some(Box::new(error.without_url())) }
}

fn push_query(address: &mut String, query: &[(String, String)]) {
    for (name, value) in query {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(&encode(name));
        address.push('=');
        address.push_str(&encode(value));
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986), for a query value or one segment of a path.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
