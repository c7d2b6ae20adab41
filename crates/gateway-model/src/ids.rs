//! Typed identifiers. A bare `String` never names an order, a channel or an event, so that one can't be passed for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// An identifier from outside that can't be used: empty, too long, or with control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is empty, longer than {max} bytes, or has control characters")]
pub struct InvalidId {
    what: &'static str,
    max: usize,
}

impl InvalidId {
    pub(crate) fn of(what: &'static str, max: usize) -> Self {
        Self { what, max }
    }
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and takes a text.
            ///
            /// # Errors
            /// [`InvalidId`] when it is empty, too long, or holds control characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                if text.is_empty() || text.len() > $max || text.chars().any(char::is_control) {
                    return Err(InvalidId { what: $what, max: $max });
                }
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_id!(
    /// A configured instance of a connector, as `municipal-12345`.
    ChannelId, "channel id", 64
);
string_id!(
    /// The number by which a channel knows an order (工单编号). Numbers wrap and collide, so it identifies an order only together with
    /// the channel and the order's creation day there.
    SourceNumber, "source number", 128
);
string_id!(
    /// The identifier of an event at its channel, unique within the order.
    EventId, "event id", 128
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// The gateway's own identifier of a work order; time-ordered (UUID version 7).
    OrderId
);
uuid_id!(
    /// The identifier of a command; derived from its sender and idempotency key, so that a repeated command has the same one.
    CommandId
);

impl OrderId {
    /// A new identifier, ordered by `at`. The random part makes identifiers of the same millisecond distinct.
    #[must_use]
    pub fn new(at: crate::Timestamp) -> Self {
        let ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
        let stamp = uuid::Timestamp::from_unix(uuid::NoContext, ms / 1000, (ms % 1000) as u32 * 1_000_000);
        Self(Uuid::new_v7(stamp))
    }
}

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

row_id!(
    /// A raw record in the store.
    RawId
);
row_id!(
    /// A delivery: one change owed to one destination.
    DeliveryId
);
row_id!(
    /// A sync gap.
    GapId
);
row_id!(
    /// A group of gaps.
    GapGroupId
);
row_id!(
    /// A dead letter.
    DeadLetterId
);
row_id!(
    /// A background job.
    JobId
);
row_id!(
    /// An incident.
    IncidentId
);
row_id!(
    /// A notification: what one notifier is told at once.
    NotificationId
);
row_id!(
    /// A silence.
    SilenceId
);
