//! The `[api]` section of the configuration.

use gateway_model::ChannelId;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Where the API listens, and how much patience it has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Where channels push to.
    pub public_address: SocketAddr,
    /// Where people and programs of this machine ask; loopback unless you know better.
    pub admin_address: SocketAddr,
    /// The channel that commands are records of.
    pub desk_channel: String,
    /// How many connections each listener holds at a time; more wait to be accepted.
    pub max_connections: NonZeroU32,
    /// How long a client may take to send a request's head, in ms.
    pub header_timeout_ms: NonZeroU64,
    /// How long a client may take to send a request's body, in ms.
    pub body_timeout_ms: NonZeroU64,
    /// How long a client may take nothing of an answer before it is cut off, in ms.
    pub write_timeout_ms: NonZeroU64,
    /// How long a request may take in all, in ms.
    pub request_timeout_ms: NonZeroU64,
    /// How long `/readyz` waits for bus and store, in ms.
    pub check_timeout_ms: NonZeroU64,
    /// How long requests under way may take to end when the gateway stops, in ms.
    pub drain_timeout_ms: NonZeroU64,
}

const fn ms(value: u64) -> NonZeroU64 {
    match NonZeroU64::new(value) {
        Some(value) => value,
        None => NonZeroU64::MIN,
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            public_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            desk_channel: "desk".to_owned(),
            max_connections: NonZeroU32::MIN.saturating_add(1023),
            header_timeout_ms: ms(10_000),
            body_timeout_ms: ms(15_000),
            write_timeout_ms: ms(60_000),
            request_timeout_ms: ms(30_000),
            check_timeout_ms: ms(2_000),
            drain_timeout_ms: ms(10_000),
        }
    }
}

impl ApiConfig {
    /// The channel that commands are records of.
    ///
    /// # Errors
    /// When `desk_channel` can't be a channel's id.
    pub fn desk(&self) -> Result<ChannelId, gateway_model::InvalidId> {
        ChannelId::new(self.desk_channel.clone())
    }

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms.get())
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms.get())
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms.get())
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms.get())
    }

    pub(crate) fn check_timeout(&self) -> Duration {
        Duration::from_millis(self.check_timeout_ms.get())
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms.get())
    }
}
