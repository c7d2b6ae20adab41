//! Channel: the bureau's own handling system (局业务系统, 承办单位).
//!
//! Orders of other channels are dispatched to it; it signs, refuses, dispatches on to units (主办, 协办), asks for more time and replies, and pushes what it
//! did. The dress is data: `profiles/default.toml` is the default and describes the wire contract of `docs/channels/bureau.md`; another system is another
//! profile. The shape is the SDK's [`wire`](gateway_connector::wire) channel. That its own word on its work is asked of the platform whose order it is, is
//! one line of the profile (`[record] handles = true`).

use gateway_connector::wire::Kind;

/// The kind of connector, with its default profile.
pub const KIND: Kind = Kind { name: "bureau", default_profile: include_str!("../profiles/default.toml") };
