//! Hours in which the platform as a whole is not itself: outages, and a clock that runs ahead or behind.

use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};

use axum::serve::Listener;
use rand::RngExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::{Platform, lock};
use crate::book::Book;
use crate::faults::FaultKind;
use crate::faults::injected::Hit;
use crate::invent;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// Beyond this difference signatures are refused on both sides.
const FAR_MS: i64 = 5 * MINUTE_MS;

/// What is out of order as a whole, and until when.
#[derive(Clone, Copy, Default)]
pub(super) struct Disruption {
    out_until_ms: i64,
    /// During the outage connections are closed at once instead of being answered 503.
    closes: bool,
    skewed_until_ms: i64,
    skew_ms: i64,
}

impl Platform {
    /// Whether there is an outage.
    pub(super) fn is_out(&self, now: i64) -> bool {
        lock(&self.disruption).out_until_ms > now
    }

    fn closes(&self, now: i64) -> bool {
        let disruption = lock(&self.disruption);
        disruption.closes && disruption.out_until_ms > now
    }

    /// What the platform's own clock shows at a moment.
    pub(super) fn shown_ms(&self, now: i64) -> i64 {
        let disruption = lock(&self.disruption);
        if disruption.skewed_until_ms > now { now + disruption.skew_ms } else { now }
    }
}

/// Begins what is due.
pub(super) fn tick(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let calm = |until: fn(&Disruption) -> i64| until(&lock(&platform.disruption)) <= now;
    let kind = FaultKind::Outage;
    if calm(|disruption| disruption.out_until_ms) && platform.take(book, kind, now) {
        let mut rng = invent::rng_for(platform.options.seed, kind.as_str(), now as u64);
        let until = now + rng.random_range(HOUR_MS / 2..6 * HOUR_MS);
        let closes = rng.random_bool(0.5);
        {
            let mut disruption = lock(&platform.disruption);
            disruption.out_until_ms = until;
            disruption.closes = closes;
        }
        let variant = if closes { "closed" } else { "unavailable" }.to_owned();
        platform.log(book, kind, now, Hit { variant, window: Some((now, until)), ..Hit::default() });
    }
    let kind = FaultKind::ClockSkew;
    if calm(|disruption| disruption.skewed_until_ms) && platform.take(book, kind, now) {
        let mut rng = invent::rng_for(platform.options.seed, kind.as_str(), now as u64);
        let until = now + rng.random_range(HOUR_MS..5 * HOUR_MS);
        let (ahead, by) = (rng.random_bool(0.5), rng.random_range(MINUTE_MS..12 * MINUTE_MS));
        {
            let mut disruption = lock(&platform.disruption);
            disruption.skewed_until_ms = until;
            disruption.skew_ms = if ahead { by } else { -by };
        }
        let far = if by > FAR_MS { "_far" } else { "" };
        let variant = format!("{}{far}", if ahead { "ahead" } else { "behind" });
        platform.log(book, kind, now, Hit { variant, window: Some((now, until)), ..Hit::default() });
    }
}

/// The listening socket, which closes what connects while an outage wants it so.
pub(super) struct Gate {
    /// The socket.
    pub(super) listener: TcpListener,
    /// Whose.
    pub(super) platform: Arc<Platform>,
}

impl Listener for Gate {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if !self.platform.closes(self.platform.now()) {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
