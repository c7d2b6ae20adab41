//! Delivery: brings what is owed to its destination, and finds out what became of it.
//!
//! One [`DeliveryWorker`] a destination. Truth and schedule live in the store's `delivery` table; the outbound topic only wakes
//! ([`OutboundWaker`]). At most one delivery of an order is under way at a destination, in the order in which they were owed; distinct orders go
//! side by side. An attempt is written down before its first byte is sent, so a crash leaves a `sending` delivery, never a doubt whether it was sent.
//!
//! What an answer means is decided in one pure place, [`policy`], whose page is the contract. Refused: resending after a time-out in
//! the hope that the peer is idempotent; giving up after a number of attempts, since what is owed stays owed until a person says otherwise.

mod address;
mod attempt;
mod config;
mod content;
mod failure;
pub mod files;
mod origin;
pub mod policy;
mod question;
mod waker;
mod worker;

pub use address::{AttachmentAddresses, Elsewhere};
pub use config::DeliveryConfig;
pub use origin::Origins;
pub use waker::OutboundWaker;
pub use worker::{DeliveryDeps, DeliveryWorker};
