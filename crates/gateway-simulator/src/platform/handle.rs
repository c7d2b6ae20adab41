//! The handle of a running platform: where it is, how to step it, what it holds, how to end it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Platform, PlatformEnd, life, push};
use crate::clock::SimClock;
use crate::error::SimError;

/// A running platform.
pub struct PlatformHandle {
    /// Where it listens.
    pub address: SocketAddr,
    /// Token of its control surface.
    pub token: String,
    pub(super) shutdown: CancellationToken,
    pub(super) task: JoinHandle<Result<PlatformEnd, SimError>>,
    pub(super) platform: Arc<Platform>,
}

impl PlatformHandle {
    /// Base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The clock that it lives by.
    pub fn clock(&self) -> SimClock {
        self.platform.options.clock.clone()
    }

    /// A token that ends the platform when cancelled.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What ended it, when that was an error.
    pub async fn ended(self) -> Result<PlatformEnd, SimError> {
        self.task.await.unwrap_or(Err(SimError::JournalClosed))
    }

    /// Lets a stepped platform live up to its clock's now and pushes what is due; returns when these pushes were answered.
    ///
    /// What life brought since the last step happens at its own moment, not at now, but never before something that was answered
    /// in between. Move the clock, step the platform, then step the others: nobody can then have seen an earlier state at a moment
    /// that the history gives to a later one. After the fault `platform_restart` the platform is ended, see [`Self::shutdown`].
    ///
    /// # Errors
    /// When the journal can't be written any more.
    pub async fn step(&self) -> Result<(), SimError> {
        life::catch_up(&self.platform);
        self.platform.ledger.settled().await?;
        push::drain(&self.platform).await
    }

    /// The next moment at which something happens of its own accord, in ms: a clock may be moved up to it and nothing is missed.
    /// `None` = nothing is planned.
    pub fn next_due_ms(&self) -> Option<i64> {
        let life = life::next_due(&self.platform);
        let push = push::next_due(&self.platform);
        life.into_iter().chain(push).min()
    }

    /// Ends life: nothing spontaneous any more, no faults. What is queued is still pushed.
    pub fn stop_life(&self) {
        self.platform.stop_life();
    }
}

impl std::fmt::Debug for PlatformHandle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PlatformHandle").field("address", &self.address).finish_non_exhaustive()
    }
}
