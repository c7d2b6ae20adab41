//! Delivery against the real embedded engines and a scripted destination.
#![allow(clippy::unwrap_used)]

mod answered;
mod bench;
mod files;
mod forwarded;
mod lease;
mod sink;
mod sshd;
mod store;
mod unanswered;
mod worker;
