//! The bus: a durable, partitioned log between the channels and the pipeline, and between the pipeline and the delivery workers.
//!
//! The contract, which one conformance suite checks against every engine (`conformance`):
//! - `append` returns only when every message is durable; messages of one key keep the order in which they were appended.
//! - Reading is at least once: after a crash or a hand-over, what was not committed comes again. Nothing comes out of order within a partition.
//! - A group's position is what `commit` last saved, never what was merely read. There is no automatic reset: a position that the log no longer
//!   holds is told as [`Fetched::lost`], and reading goes on at the first offset that is left.
//! - A [`Guard`] makes an append idempotent within its time: the same nonce and digest again answers [`Appended::Repeated`], the same nonce with
//!   another digest [`Appended::Conflict`]; neither writes. Nonce and message are one write on every engine; on Kafka a replica learns a moment
//!   later what another one wrote.
//!
//! The trait is narrow on purpose: no transactions, no queries, no compaction. What needs more lives in the store.

mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod embedded;
mod envelope;
pub mod kafka;
mod message;
pub mod spool;
mod traits;

pub use config::{BusOptions, Engine, OpenedBus};
pub use envelope::{Envelope, EnvelopeError};
pub use message::{
    Appended, Fetched, Guard, Headers, LostOffsets, Message, NewMessage, Position, TopicName, TopicSpec,
};
pub use traits::{Bus, BusError, Consumer};
