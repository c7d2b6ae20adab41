//! The engines against the suite, and what only each has.
#![allow(clippy::unwrap_used, missing_docs)]

mod crash;
mod keeper;
mod lock;
mod place;
mod plan;
mod postgres;
mod schema;

gateway_store::store_conformance!(place::Place::new());
