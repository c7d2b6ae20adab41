//! Channel: where citizens write to 12328 themselves: 12328微信, the 12328 website, and 出租微信 for taxis.
//!
//! One kind, a profile each: the wire contract is `docs/channels/web-12328.md`. The default is 12328微信; [`shipped`] has the others by name. What the bureau
//! does and answers goes back to where the citizen wrote; a front end asks for an order's progress by its number (`[inquiry]`). The shape is the SDK's
//! [`wire`](gateway_connector::wire) channel.

use gateway_connector::wire::Kind;

/// The kind of connector, with its default profile.
pub const KIND: Kind = Kind { name: "web-12328", default_profile: WECHAT };

const WECHAT: &str = include_str!("../profiles/default.toml");
const WEBSITE: &str = include_str!("../profiles/website.toml");
const TAXI_WECHAT: &str = include_str!("../profiles/taxi-wechat.toml");

/// The names of the shipped profiles, the default first.
pub const PROFILES: [&str; 3] = ["wechat", "website", "taxi-wechat"];

/// The shipped profiles by their names.
pub const SHIPPED: [(&str, &str); 3] = [("wechat", WECHAT), ("website", WEBSITE), ("taxi-wechat", TAXI_WECHAT)];

/// The text of a shipped profile by its name.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.into_iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| text)
}
