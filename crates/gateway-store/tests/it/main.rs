//! The embedded engine against the suite, and what only it has.
#![allow(clippy::unwrap_used, missing_docs)]

mod crash;
mod lock;
mod place;
mod plan;
mod schema;

gateway_store::store_conformance!(place::Place::new());
