//! Channel: the taxi QR-code platform (出租车二维码): complaints and ratings that passengers send from the code in the car.
//!
//! The dress is data: `profiles/default.toml` describes the wire contract of `docs/channels/taxi-qr.md`. What a scan says of the car and its
//! driver becomes canonical fields of acceptance; the plate is kept as it came and read into its normal form by the SDK. Whether it fits the
//! operating data is the gateway's verification, not the connector's. The shape is the SDK's [`wire`](gateway_connector::wire) channel.

use gateway_connector::wire::Kind;

/// The kind of connector, with its default profile.
pub const KIND: Kind = Kind { name: "taxi-qr", default_profile: include_str!("../profiles/default.toml") };
