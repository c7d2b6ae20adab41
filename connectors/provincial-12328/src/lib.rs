//! Channel: a province's 12328 centre (省12328热线中心).
//!
//! It takes what a city uploads of its orders (上报) and has orders of its own that it dispatches to the city, spot checks (抽检工单) among them. The dress is
//! data: `profiles/default.toml` is the default and describes the wire contract of `docs/channels/provincial-12328.md`; another province is another profile. The
//! shape is the SDK's [`wire`](gateway_connector::wire) channel; nothing is pushed.

use gateway_connector::wire::Kind;

/// The kind of connector, with its default profile.
pub const KIND: Kind = Kind { name: "provincial-12328", default_profile: include_str!("../profiles/default.toml") };

/// The profile of an invented province in the dress 云京, `docs/channels/provincial-12328-yunjing.md`: an example and a test, of no real province.
pub const YUNJING: &str = include_str!("../profiles/yunjing.toml");
