//! The dress of a platform: how what it thinks goes over the wire.
//!
//! The platform thinks in the words of `docs/channels/municipal-12345.md`. A dress translates at the HTTP boundary, both ways: addresses,
//! parameters, field names, codes, times, envelopes, encodings, signatures, and the digests of the account, which are over what is on the wire.
//! Each dress is written from its own page (`docs/channels/municipal-12345-*.md`) and knows nothing of the gateway's wire profiles, so that a profile is
//! tested against a second reading of the page.

mod canghai;
mod plain;
mod words;
mod xml;
mod yunjing;

use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::record::Order;
use crate::sign::Signer;
pub(crate) use words::Of;

/// Which dress a platform wears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Dress {
    /// `docs/channels/municipal-12345.md`.
    #[default]
    Default,
    /// The invented city 沧海: `docs/channels/municipal-12345-canghai.md`.
    Canghai,
    /// The invented city 云京: `docs/channels/municipal-12345-yunjing.md`.
    Yunjing,
}

/// A call as it came.
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// A header, empty where it is not there.
    fn header(&self, name: &str) -> &'a str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn target(&self) -> &'a str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }
}

/// What a call asks for, in the platform's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    /// `GET /gateway/orders`
    List(Parameters),
    /// `POST /gateway/orders/query`
    ByNumber(Vec<String>),
    /// `GET /gateway/manifest`; of a total, the start as it was asked for.
    Account(Parameters, Option<String>),
    /// `GET /gateway/receipts`
    Receipt(Parameters),
    /// `GET /gateway/files/{reference}`
    File(String),
    /// `POST /gateway/orders/{orderNo}/{operation}`
    Operate {
        /// The order's number.
        number: String,
        /// `sign`, `reply`, `refuse`, `complete`, `extend` or `appeal`.
        operation: String,
        /// The caller's key.
        request_id: String,
        /// The operation's fields, as a JSON object.
        body: Vec<u8>,
    },
}

/// Parameters of a question by name.
pub(crate) type Parameters = std::collections::HashMap<String, String>;

/// What a call that can't be read is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// There is no such address.
    Nowhere,
    /// It is there, and what it was given makes no sense.
    Invalid(&'static str),
}

/// What the platform says to a call: a code of the municipal page (0 = success), words, data.
pub(crate) struct Said<'a> {
    pub(crate) code: u16,
    pub(crate) message: &'a str,
    pub(crate) data: &'a Value,
}

/// A push, signed.
pub(crate) struct SignedPush {
    /// To be added to the address.
    pub(crate) query: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Dress {
    /// Its name on a command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Canghai => "canghai",
            Self::Yunjing => "yunjing",
        }
    }

    /// Whether a call is authentic and fresh.
    pub(crate) fn authentic(self, signer: &Signer, call: &Incoming<'_>, now_ms: i64) -> bool {
        match self {
            Self::Default => plain::authentic(signer, call, now_ms),
            Self::Canghai => canghai::authentic(signer, call, now_ms),
            Self::Yunjing => yunjing::authentic(signer, call, now_ms),
        }
    }

    /// What a call asks for.
    pub(crate) fn read(self, call: &Incoming<'_>) -> Result<Call, Unread> {
        match self {
            Self::Default => plain::read(call),
            Self::Canghai => canghai::read(call),
            Self::Yunjing => yunjing::read(call),
        }
    }

    /// The body of an answer; without a call where it could not be read.
    pub(crate) fn write(self, call: Option<&Call>, said: &Said<'_>) -> Vec<u8> {
        match self {
            Self::Default => plain::write(said),
            Self::Canghai => canghai::write(call, said),
            Self::Yunjing => yunjing::write(call, said),
        }
    }

    /// The HTTP status of a call whose signature is refused.
    pub(crate) fn refused_status(self) -> u16 {
        match self {
            Self::Default | Self::Yunjing => 401,
            Self::Canghai => 200,
        }
    }

    /// The `Content-Type` of what it writes.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Default | Self::Canghai => "application/json; charset=utf-8",
            Self::Yunjing => "text/xml; charset=GB18030",
        }
    }

    /// The body of a push of whole records.
    pub(crate) fn push_records(self, nonce: &str, records: &[Order]) -> Vec<u8> {
        match self {
            Self::Default => plain::push_records(nonce, records),
            Self::Canghai => canghai::push_records(nonce, records),
            Self::Yunjing => yunjing::push_records(nonce, records),
        }
    }

    /// The body of a push of one event.
    pub(crate) fn push_event(self, nonce: &str, number: &str, event: &Value) -> Vec<u8> {
        match self {
            Self::Default => plain::push_event(nonce, number, event),
            Self::Canghai => canghai::push_event(nonce, number, event),
            Self::Yunjing => yunjing::push_event(nonce, number, event),
        }
    }

    /// Signs a push.
    pub(crate) fn sign_push(self, signer: &Signer, target: &str, now_ms: i64, nonce: &str, body: &[u8]) -> SignedPush {
        match self {
            Self::Default => plain::sign_push(signer, target, now_ms, nonce, body),
            Self::Canghai => canghai::sign_push(signer, now_ms),
            Self::Yunjing => yunjing::sign_push(signer, now_ms, nonce, body),
        }
    }

    /// Whether an answer with HTTP 200 to a push says that it was taken.
    pub(crate) fn is_taken(self, body: &[u8]) -> bool {
        match self {
            Self::Default => plain::is_taken(body),
            Self::Canghai => canghai::is_taken(body),
            Self::Yunjing => yunjing::is_taken(body),
        }
    }

    /// Damages a body so that it surely can't be read any more.
    pub(crate) fn damage(self, body: &mut [u8]) {
        let byte = match self {
            // In no UTF-8 text.
            Self::Default | Self::Canghai => 0xff,
            // In GB18030 it would be one unreadable letter; three beginnings of a tag are no XML anywhere.
            Self::Yunjing => b'<',
        };
        let middle = body.len() / 2;
        body.iter_mut().skip(middle).take(3).for_each(|place| *place = byte);
    }

    /// The name under which a field is on the wire, with dots between levels.
    pub(crate) fn name(self, of: Of, own: &str) -> &str {
        match self {
            Self::Default => own,
            Self::Canghai => words::name(canghai::NAMES, of, own),
            Self::Yunjing => words::name(yunjing::NAMES, of, own),
        }
    }

    /// A field's value on the wire.
    pub(crate) fn value(self, of: Of, own: &str, value: &str) -> String {
        match self {
            Self::Default => value.to_owned(),
            Self::Canghai => canghai::value(of, own, value),
            Self::Yunjing => yunjing::value(of, own, value),
        }
    }
}
