//! The connector SDK: the contract between the gateway and the code for one kind of channel.
//!
//! A connector says *how* a counterparty speaks; the gateway owns the loop, waiting, retry, pacing, breaking, nonces and checkpoints, so that a
//! connector's author can't forget them. Facts about a counterparty (endpoints, names, codes, success rule, signature) are data: the wire
//! [`profile`]. Start with `docs/ADDING-A-CONNECTOR.md`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod breaker;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod delivery;
mod error;
pub mod http;
mod pace;
mod peer_clock;
pub mod profile;
mod record;
mod retry;
pub mod sign;
mod traits;
pub mod wire;

pub use breaker::{Breaker, BreakerOpen, BreakerPermit, BreakerPolicy, BreakerState};

pub use delivery::{OutboundDelivery, Outcome, PreparedDelivery, Reason, Tracking};
pub use error::{AttachmentError, NormalizeError, RequestError, VerifyError};
pub use http::install_crypto;
pub use pace::{PacePermit, Pacer};
pub use peer_clock::PeerClock;
pub use profile::{Profile, ProfileErrors};
pub use record::{Cursor, InquiryOutcome, IntakeOutcome, Page, Progress, RawRecord, WebhookReply, WebhookRequest};
pub use retry::{Retry, RetryPolicy};
pub use sign::{Credentials, Secret};
pub use traits::{
    AttachmentSource, Connector, Descriptor, Inquiry, ManifestSource, Normalizer, Receiver, Sink, Source, WebhookIntake,
};
