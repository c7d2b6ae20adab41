//! The tests of the SDK against the outside: fixed vectors, a whole profile, real sockets.
#![allow(clippy::unwrap_used)]

mod attachments;
mod http;
mod operating_data;
mod peer;
mod profile;
mod sign;

/// The default profile of the municipal connector: the one real profile there is.
const PROFILE: &str = include_str!("../../../../connectors/municipal-12345/profiles/default.toml");
