//! Records as they arrive, and the two ways in: pages that we read and requests that we are sent.

use bytes::Bytes;
use gateway_model::{Dataset, Fields, OrderNumber, SourceNumber, Timestamp};
use serde::{Deserialize, Serialize};

/// One item exactly as received.
#[derive(Debug, Clone)]
pub struct RawRecord {
    /// The order's number, where it can be read without normalizing; `None` for an undecodable record.
    pub number: Option<SourceNumber>,
    /// The bytes.
    pub body: Bytes,
    /// The source's update time, where the listing is ordered by it.
    pub updated_at: Option<Timestamp>,
    /// Whether the bytes could not be decoded; the pipeline dead-letters them with the reason.
    pub undecodable: Option<String>,
}

/// A channel's paging token; opaque to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// What one read brought.
#[derive(Debug, Clone)]
pub struct Page {
    /// The records.
    pub records: Vec<RawRecord>,
    /// Where the next page starts; `None` when there is no more.
    pub next: Option<Cursor>,
    /// The datasets that the records speak of.
    pub datasets: Vec<Dataset>,
    /// When the request was sent.
    pub read_at: Timestamp,
}

/// A request that a channel sent us.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// The method, upper case.
    pub method: String,
    /// The request target exactly as sent: path and query.
    pub target: String,
    /// Header names in lower case, with their values; a value that is no text is absent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// When it was received.
    pub received_at: Timestamp,
}

impl WebhookRequest {
    /// The value of a header (lower-case name); `None` when it is absent or there more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let first = values.next()?;
        values.next().is_none().then_some(first.1.as_str())
    }
}

/// What became of a request, to be told in the peer's own dress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntakeOutcome {
    /// Durable.
    Accepted,
    /// It was accepted before; the answer is the same as then.
    Repeated,
    /// The nonce was used before with another body.
    NonceConflict,
    /// Signature or time refused.
    Refused(crate::VerifyError),
    /// The body could not be decoded; it is kept and dead-lettered.
    Undecodable,
    /// The body is larger than allowed.
    TooLarge,
    /// It could not be made durable now.
    Unavailable {
        /// After how many seconds to try again.
        retry_after_s: u32,
    },
}

/// What the gateway knows of an order that a channel's own front end asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Its number at the channel that asks.
    pub number: OrderNumber,
    /// Its round.
    pub round: u32,
    /// The composed fields, without person fields.
    pub fields: Fields,
}

/// What became of such a question, to be told in the channel's own dress.
#[derive(Debug, Clone, PartialEq)]
pub enum InquiryOutcome {
    /// The channel's order of this number that came last.
    Found(Progress),
    /// The channel has none that we know.
    Unknown,
    /// Signature or time refused.
    Refused(crate::VerifyError),
    /// It can't be looked up now.
    Unavailable {
        /// After how many seconds to try again.
        retry_after_s: u32,
    },
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookReply {
    /// HTTP status.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u32>,
    /// The body.
    pub body: Vec<u8>,
}
