//! The engines against the suite, and what only one of them has: segments, kill -9 and full disks; brokers that stop, secure ones, lost ones.
#![allow(clippy::unwrap_used)]

mod child;
mod files;
mod full_disk;
#[cfg(feature = "kafka")]
mod kafka;
mod kill;
mod spool;
mod suite;
mod support;
