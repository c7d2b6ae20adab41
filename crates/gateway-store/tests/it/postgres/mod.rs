//! The scaled-out engine against the suite, on a real server, and what only it has.

mod carry;
mod crash;
mod fault;
mod month;
mod place;
mod refusal;
mod schema;
mod server;

gateway_store::store_conformance!(place::Place::new());
