//! The handle of a running platform: where it is, how to step it, what it holds, how to end it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Platform, PlatformEnd, life, lock, push};
use crate::book::account::Grain;
use crate::clock::{self, SimClock};
use crate::digest::{Dataset, Digest, Item, ItemKey};
use crate::error::SimError;
use crate::faults::FaultKind;
use crate::faults::injected::Injected;
use crate::record::Order;

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

/// The oracle: what the platform's own book said of its items, at any moment.
impl PlatformHandle {
    /// What an item was at a moment: digest in hex and event time in wire form. `None` = the platform had no such item then.
    /// `day` is the day of the order's creation; `part` as in the contract: `c0`, `c<round>`, `c<visitNo>`, `e:<eventId>`.
    pub fn held_at(
        &self,
        dataset: Dataset,
        number: &str,
        day: &str,
        part: &str,
        at_ms: i64,
    ) -> Option<(String, String)> {
        let key = ItemKey { dataset, number: number.to_owned(), day: day.to_owned(), part: part.to_owned() };
        let book = self.platform.ledger.lock();
        book.account.held_at(&key, at_ms).map(|(digest, time)| (hex::encode(digest), time.to_owned()))
    }

    /// How many items of a dataset have an event time in `[from, to)` (wire times), as of a moment (`None` = now).
    pub fn tally(&self, dataset: Dataset, from: &str, to: &str, at_ms: Option<i64>) -> usize {
        let (from, to) = (clock::sort_time(from), clock::sort_time(to));
        self.platform.ledger.lock().account.tally(dataset, &from, &to, at_ms)
    }

    /// Count of each bucket of a grain in `[from, to)` (wire times) by the bucket's start, as of a moment (`None` = now).
    pub fn tallies(
        &self,
        dataset: Dataset,
        from: &str,
        to: &str,
        grain: Grain,
        at_ms: Option<i64>,
    ) -> BTreeMap<String, usize> {
        let (from, to) = (clock::sort_time(from), clock::sort_time(to));
        let book = self.platform.ledger.lock();
        let buckets = book.account.buckets(dataset, (&from, &to), grain, at_ms);
        buckets.into_iter().map(|(start, (count, _))| (start, count)).collect()
    }

    /// Every item that the platform holds now.
    pub fn items(&self) -> Vec<Item> {
        let book = self.platform.ledger.lock();
        let item = |(key, digest, time): (&ItemKey, &Digest, &str)| Item {
            key: key.clone(),
            event_time: time.to_owned(),
            digest: *digest,
        };
        book.account.all().map(item).collect()
    }

    /// Every fault injected so far by a campaign, in the order of injection.
    pub fn injected(&self) -> Vec<Injected> {
        self.platform.ledger.lock().injections.all().to_vec()
    }

    /// How many faults of a kind a campaign has still to inject.
    pub fn to_come(&self, kind: FaultKind) -> usize {
        lock(&self.platform.faults).to_come(kind)
    }

    /// The orders of the book as it is now, in the order of their creation.
    pub fn orders(&self) -> Vec<Order> {
        self.platform.ledger.lock().from_position(0).map(|held| held.order.clone()).collect()
    }
}

impl std::fmt::Debug for PlatformHandle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PlatformHandle").field("address", &self.address).finish_non_exhaustive()
    }
}
