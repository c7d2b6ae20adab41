//! Channel: a municipal 12345 platform (市12345热线).
//!
//! The dress is data: `profiles/default.toml` is the default and describes the wire contract of `docs/channels/municipal-12345.md`; another city is
//! another profile. The shape (one wide record, paging by update time, signed pushes, four operations, an account by buckets) is the SDK's
//! [`wire`](gateway_connector::wire) channel.

use gateway_connector::wire::Kind;

/// The kind of connector, with its default profile.
pub const KIND: Kind = Kind { name: "municipal-12345", default_profile: include_str!("../profiles/default.toml") };

/// The profile of the invented platform of 沧海, `docs/channels/municipal-12345-canghai.md`: an example and a test, of no real city.
pub const CANGHAI: &str = include_str!("../profiles/canghai.toml");

/// The profile of the invented platform of 云京, `docs/channels/municipal-12345-yunjing.md`: an example and a test, of no real city.
pub const YUNJING: &str = include_str!("../profiles/yunjing.toml");
