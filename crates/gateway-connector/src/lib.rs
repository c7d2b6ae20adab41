//! The connector SDK: the contract between the gateway and the code for one kind of channel.
//!
//! A connector says *how* a counterparty speaks; the gateway owns the loop, waiting, retry, pacing, breaking, nonces and checkpoints, so that a
//! connector's author can't forget them. Facts about a counterparty (endpoints, names, codes, success rule, signature) are data: the wire
//! [`profile`]. Start with `docs/ADDING-A-CONNECTOR.md`.

mod traits;
mod error;
mod record;
mod delivery;

pub use delivery::{OutboundDelivery, Outcome, PreparedDelivery, Reason, Tracking};
pub use error::{NormalizeError, RequestError, VerifyError};
pub use record::{Cursor, IntakeOutcome, Page, RawRecord, WebhookReply, WebhookRequest};
pub use traits::{Connector, Descriptor, ManifestSource, Normalizer, Receiver, Sink, Source, WebhookIntake};
