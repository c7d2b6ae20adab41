//! The embedded engine against the suite, and what only this engine has: segments, kill -9, full disks.
#![allow(clippy::unwrap_used)]

mod child;
mod files;
mod full_disk;
mod kill;
mod suite;
mod support;
