//! The words of the domain, as others rely on them.
#![allow(clippy::unwrap_used)]

mod composition;
mod lifecycle;
mod overlays;
mod plates;
mod texts;
mod verification;
