//! What can go wrong between us and a counterparty, by what the gateway has to do about it.

use std::time::Duration;

/// A request to a counterparty that did not bring what it should.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It asks for patience (HTTP 429 or 503 with `Retry-After`).
    #[error("the counterparty asks for patience")]
    Throttled {
        /// For how long, where it says.
        retry_after: Option<Duration>,
    },
    /// It can't be reached, answers with 5xx, or not in time. The request may have had its effect.
    #[error("the counterparty is unavailable: {what}")]
    Unavailable {
        /// What was seen.
        what: String,
        /// Whether the request can not have reached the counterparty's application (connection refused, name not found).
        not_sent: bool,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The answer can't be decoded: damaged or not what the profile says. Reading again may help.
    #[error("the answer of the counterparty can't be decoded: {what}")]
    Undecodable {
        /// What was wrong where.
        what: String,
    },
    /// Our credentials were refused.
    #[error("the counterparty refused our credentials ({code})")]
    Unauthorized {
        /// HTTP status or business code.
        code: String,
    },
    /// A business error.
    #[error("the counterparty answered {code}: {message}")]
    Business {
        /// The peer's code.
        code: String,
        /// The peer's message, cut to 200 characters.
        message: String,
    },
}

impl RequestError {
    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            RequestError::Throttled { .. } | RequestError::Unavailable { .. } | RequestError::Undecodable { .. }
        )
    }

    /// A stable code for counting: `throttled`, `unavailable`, `undecodable`, `unauthorized`, `business`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            RequestError::Throttled { .. } => "throttled",
            RequestError::Unavailable { .. } => "unavailable",
            RequestError::Undecodable { .. } => "undecodable",
            RequestError::Unauthorized { .. } => "unauthorized",
            RequestError::Business { .. } => "business",
        }
    }
}

/// A file that a record refers to and that was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum AttachmentError {
    /// The request for it failed; whether asking again may help, [`RequestError::is_transient`] says.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The counterparty does not have it, or not yet.
    #[error("the counterparty does not have the file ({code})")]
    NotThere {
        /// HTTP status or business code.
        code: String,
    },
    /// It is larger than the asker takes.
    #[error("the file is larger than {largest} bytes")]
    TooLarge {
        /// The most that was taken.
        largest: usize,
    },
    /// The reference leads where requests never go; nothing was asked.
    #[error("the reference is not followed: it {what}")]
    Address {
        /// What is wrong with it, without a word of it.
        what: &'static str,
    },
}

impl AttachmentError {
    /// A stable code for counting: those of [`RequestError::code`], `attachment_not_there`, `attachment_too_large`, `attachment_address`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            AttachmentError::Request(error) => error.code(),
            AttachmentError::NotThere { .. } => "attachment_not_there",
            AttachmentError::TooLarge { .. } => "attachment_too_large",
            AttachmentError::Address { .. } => "attachment_address",
        }
    }

    /// Whether asking again would end the same, however often: the file or its reference itself is what we don't take.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, AttachmentError::TooLarge { .. } | AttachmentError::Address { .. })
    }

    /// For how long the counterparty asks for patience, where it says.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            AttachmentError::Request(RequestError::Throttled { retry_after }) => *retry_after,
            _ => None,
        }
    }
}

/// Why a webhook request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header that the signature needs is missing, repeated or malformed.
    #[error("header {0} is missing or malformed")]
    MissingHeader(&'static str),
    /// The application id is not the one agreed on.
    #[error("unknown application id")]
    UnknownApplication,
    /// No live secret gives this signature.
    #[error("the signature does not match")]
    BadSignature,
    /// The signature is right, the time is not: the clocks differ.
    #[error("the timestamp is {offset_ms} ms away from our clock")]
    ClockSkew {
        /// Theirs minus ours.
        offset_ms: i64,
    },
}

impl VerifyError {
    /// A stable code for counting.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            VerifyError::MissingHeader(_) => "missing_header",
            VerifyError::UnknownApplication => "unknown_application",
            VerifyError::BadSignature => "bad_signature",
            VerifyError::ClockSkew { .. } => "clock_skew",
        }
    }
}

/// Why a record can't be normalized; it is dead-lettered with this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NormalizeError {
    /// The bytes are not what the profile says (not JSON, not XML, wrong encoding).
    #[error("not decodable: {0}")]
    Undecodable(String),
    /// A field without which nothing can be said of an order is missing or unreadable.
    #[error("field {wire_field} is missing or unreadable")]
    MissingField {
        /// The wire field.
        wire_field: String,
    },
}

impl NormalizeError {
    /// A stable code for counting and for the dead letter.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            NormalizeError::Undecodable(_) => "undecodable",
            NormalizeError::MissingField { .. } => "missing_field",
        }
    }
}
