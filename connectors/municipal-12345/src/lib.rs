//! Channel: a municipal 12345 platform (市12345热线).
//!
//! The dress is data: `profiles/default.toml` is the default and describes the wire contract of `docs/channels/municipal-12345.md`; another city is
//! another profile. The shape (one wide record, paging by update time, signed pushes, four operations, an account by buckets) is the SDK's
//! [`wire`](gateway_connector::wire) channel.

use gateway_connector::wire::Kind;

/// The kind of connector, with its default profile.
pub const KIND: Kind = Kind { name: "municipal-12345", default_profile: include_str!("../profiles/default.toml") };
