//! Errors as `application/problem+json` (RFC 9457) with a code of a closed list; `docs/errors.md` has a line for each.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gateway_bus::BusError;
use gateway_store::StoreError;
use serde_json::{Map, Value};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $code:literal $status:literal $title:literal;)*) => {
        /// What can be wrong with a request, or with us.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> StatusCode {
                let status = match self { $(Code::$variant => $status,)* };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// A body that can't be read.
    MalformedBody "malformed_body" 400 "The body can't be read";
    /// A query parameter or header out of its range.
    InvalidParameter "invalid_parameter" 400 "A parameter is not valid";
    /// A cursor that this gateway did not give.
    MalformedCursor "malformed_cursor" 400 "The cursor is not one of ours";
    /// No token, or none that we know.
    Unauthenticated "unauthenticated" 401 "A valid token is needed";
    /// The token's role may not do that.
    RoleNotAllowed "role_not_allowed" 403 "The token's role may not do that";
    /// No such path.
    NoSuchPath "no_such_path" 404 "There is nothing at this path";
    /// What is named does not exist.
    NotFound "not_found" 404 "It does not exist";
    /// No such channel, or it does not do what is asked.
    UnknownChannel "unknown_channel" 404 "There is no such channel";
    /// The pipeline has not seen the command yet.
    NotProcessedYet "not_processed_yet" 404 "The command is not known, or not processed yet";
    /// The path does not take this method.
    MethodNotAllowed "method_not_allowed" 405 "The path does not take this method";
    /// The client was too slow with its body.
    RequestTimeout "request_timeout" 408 "The request did not come in time";
    /// Several orders have that number.
    AmbiguousNumber "ambiguous_number" 409 "Several orders have this number";
    /// The idempotency key was used for something else.
    IdempotencyConflict "idempotency_conflict" 409 "The idempotency key was used for another request";
    /// The order's state does not allow the command.
    StateDoesNotAllow "state_does_not_allow" 409 "The order's state does not allow it";
    /// What is named is in a state in which that makes no sense.
    WrongState "wrong_state" 409 "Its state does not allow it";
    /// The channel gives no account of itself.
    UnverifiableChannel "unverifiable_channel" 409 "The channel gives no account to compare with";
    /// The record's bytes were erased.
    BodyErased "body_erased" 409 "The record's bytes were erased";
    /// The body is over the limit.
    BodyTooLarge "body_too_large" 413 "The body is too large";
    /// The command lacks something, or says too much.
    InvalidCommand "invalid_command" 422 "The command is not valid";
    /// A mistake of ours.
    Internal "internal" 500 "The gateway made a mistake";
    /// The store's rows make no sense.
    StoreDamaged "store_damaged" 500 "The store does not make sense";
    /// The store can't be used now.
    StoreUnavailable "store_unavailable" 503 "The store is unavailable";
    /// The bus can't append now.
    BusUnavailable "bus_unavailable" 503 "The bus is unavailable";
    /// It took too long here.
    Timeout "timeout" 503 "The gateway did not answer in time";
}

/// A failed request.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    retry_after_s: Option<u32>,
    more: Map<String, Value>,
}

impl Problem {
    /// A problem with a sentence for the person who asked; no personal data, no secrets.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = (code.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        Self { code, detail: detail.into(), retry_after_s, more: Map::new() }
    }

    /// With another member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Something of a kind that does not exist.
    #[must_use]
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} {id}"))
    }

    /// A parameter out of its range.
    #[must_use]
    pub fn parameter(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidParameter, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("type".into(), format!("urn:hotline-gateway:error:{}", self.code.as_str()).into());
        body.insert("title".into(), self.code.title().into());
        body.insert("status".into(), self.code.status().as_u16().into());
        body.insert("detail".into(), self.detail.into());
        body.insert("code".into(), self.code.as_str().into());
        body.extend(self.more);
        let mut response = (self.code.status(), Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An error with its causes, for a person.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => Self::new(Code::StoreUnavailable, chain(&error)),
            StoreError::NotFound { what, id } => Self::not_found(what, id),
            StoreError::WrongState { .. } => Self::new(Code::WrongState, error.to_string()),
            StoreError::Damaged { .. } | StoreError::Schema { .. } | StoreError::Refused { .. } => {
                let text = chain(&error);
                tracing::error!("{text}");
                Self::new(Code::StoreDamaged, text)
            }
            // The API works under no lease.
            StoreError::LeaseLost { .. } => Self::new(Code::Internal, error.to_string()),
        }
    }
}

impl From<BusError> for Problem {
    fn from(error: BusError) -> Self {
        let text = chain(&error);
        match error {
            BusError::Unavailable(_) | BusError::Closed => Self::new(Code::BusUnavailable, text),
            // A topic that is not there, or files that make no sense: nothing was made durable, and trying again is right once somebody mended it.
            BusError::UnknownTopic(_) | BusError::Damaged { .. } => {
                tracing::error!("{text}");
                Self::new(Code::BusUnavailable, text)
            }
            BusError::Refused { .. } => Self::new(Code::BodyTooLarge, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_line_in_the_docs() {
        let page = include_str!("../../../docs/errors.md");
        for code in Code::ALL {
            assert!(page.contains(&format!("| `{}` |", code.as_str())), "docs/errors.md lacks {}", code.as_str());
        }
    }

    #[test]
    fn only_ours_to_mend_asks_to_come_again() {
        for code in Code::ALL {
            let asks = Problem::new(*code, "").into_response().headers().contains_key(header::RETRY_AFTER);
            assert_eq!(asks, code.status() == StatusCode::SERVICE_UNAVAILABLE, "{code:?}");
        }
    }
}
