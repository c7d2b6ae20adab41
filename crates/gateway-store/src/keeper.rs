//! Keeping a lease while something is waited for.
//!
//! A lease says that its holder lives, so it is short, and renewed at a third of its length by whoever works under it, also while a request to a slow
//! peer is waited for. A process that dies, hangs as a whole or is stopped renews nothing, and another takes over when the lease has run out; a process
//! that was only waiting is never taken for dead. Refused: renewing beside the work, in a task of its own, which would hold a lease for a job that
//! hangs. What is waited for therefore has an end of its own: every request has a time-out.
//!
//! Instants are compared by [`Clock`] only; the waits between renewals are the machine's. What is written under a lease is checked against its epoch by
//! the store: that, not this, is what keeps a stale holder out.

use crate::{LeaseGrant, LeaseStore, StoreError};
use gateway_model::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The shortest wait between two renewals, whatever was configured.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// Takes one lease, and keeps it.
#[derive(Clone)]
pub struct LeaseKeeper {
    store: Arc<dyn LeaseStore>,
    clock: Arc<dyn Clock>,
    name: String,
    holder: String,
    length: Duration,
    rest: Duration,
}

impl LeaseKeeper {
    /// A keeper of the lease `name` for `holder`, which names this process among its replicas. `length` is how long the lease outlasts its last renewal.
    pub fn new(
        store: Arc<dyn LeaseStore>,
        clock: Arc<dyn Clock>,
        name: impl Into<String>,
        holder: impl Into<String>,
        length: Duration,
    ) -> Self {
        Self { store, clock, name: name.into(), holder: holder.into(), length, rest: Duration::ZERO }
    }

    /// Longer by the pause between two rounds in which nothing renews it: a process that lives is not taken turns with.
    #[must_use]
    pub fn resting(mut self, pause: Duration) -> Self {
        self.rest = pause;
        self
    }

    /// The lease's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How soon whoever was refused asks again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        (self.length / 4).max(SHORTEST_WAIT)
    }

    /// Takes or renews the lease; `None` while another has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn take(&self) -> Result<Option<LeaseGrant>, StoreError> {
        let now = self.clock.now();
        let until = now.saturating_add(self.length.saturating_add(self.rest)).unwrap_or(Timestamp::MAX);
        self.store.acquire_lease(&self.name, &self.holder, now, until).await
    }

    /// Renews the lease where a third of its length is over.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another has it, or had it meanwhile; else the store's, and it is not known.
    pub async fn hold(&self, grant: &mut LeaseGrant) -> Result<(), StoreError> {
        if self.is_fresh(grant) { Ok(()) } else { self.renew(grant).await }
    }

    /// Waits for `work` and holds the lease meanwhile. `work` is begun only while the lease is held.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another has it by now, another error when it has run out and can't be renewed. `work` is given up then, and
    /// nothing may be concluded or written of it.
    pub async fn keep<T>(&self, grant: &mut LeaseGrant, work: impl Future<Output = T>) -> Result<T, StoreError> {
        self.hold(grant).await?;
        let done = tokio::select! {
            biased;
            done = work => done,
            error = self.renewing(grant) => return Err(error),
        };
        // A process that was stopped meanwhile may find the answer before it finds the time.
        if self.left(grant).is_zero() {
            self.renew(grant).await?;
        }
        Ok(done)
    }

    /// Renews the lease for ever; returns, with the reason, only when it is lost or has run out. For work that goes on whatever becomes of the lease.
    pub async fn renewing(&self, grant: &mut LeaseGrant) -> StoreError {
        let third = (self.length / 3).max(SHORTEST_WAIT);
        let sooner = (third / 4).max(SHORTEST_WAIT);
        let mut wait = match self.left(grant) {
            _ if self.is_fresh(grant) => third,
            // It has run out already, as it was told before.
            Duration::ZERO => sooner,
            _ => Duration::ZERO,
        };
        loop {
            tokio::time::sleep(wait).await;
            match self.renew(grant).await {
                Ok(()) => wait = third,
                Err(lost @ StoreError::LeaseLost { .. }) => return lost,
                Err(error) if self.left(grant).is_zero() => return error,
                // While the store is away, sooner again.
                Err(_) => wait = sooner,
            }
        }
    }

    /// For how long the lease is surely ours.
    #[must_use]
    pub fn left(&self, grant: &LeaseGrant) -> Duration {
        Duration::try_from(grant.until.duration_since(self.clock.now())).unwrap_or_default()
    }

    fn is_fresh(&self, grant: &LeaseGrant) -> bool {
        self.left(grant) > self.length * 2 / 3
    }

    /// Not longer than the lease lasts: a store that hangs is no reason to believe in it.
    async fn renew(&self, grant: &mut LeaseGrant) -> Result<(), StoreError> {
        let patience = self.left(grant).max(self.length / 3).max(SHORTEST_WAIT);
        let taken = match tokio::time::timeout(patience, self.take()).await {
            Ok(taken) => taken?,
            Err(late) => return Err(StoreError::Unavailable(Box::new(late))),
        };
        match taken {
            Some(renewed) if renewed.epoch == grant.epoch => {
                *grant = renewed;
                Ok(())
            }
            _ => Err(StoreError::LeaseLost { name: self.name.clone(), epoch: grant.epoch }),
        }
    }
}
