//! Reconciliation against the real store, with a channel that is a list in memory and a clock that only moves when told.
#![allow(clippy::unwrap_used)]

mod absence;
mod accounts;
mod attachments;
mod audit;
mod gaps;
mod lease;
mod letters;
mod lies;
mod narrowing;
mod oracle;
mod peer;
mod repair;
mod resume;
mod sent;
mod world;
