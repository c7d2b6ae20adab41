//! Deliveries in the real store, with ends of attempts that can be made to fail.

use async_trait::async_trait;
use gateway_model::{ChannelId, DeliveryId, ItemKey, Timestamp};
use gateway_store::{
    AttemptResult, AttemptRow, AttemptStart, DeliveryRow, DeliveryStore, DeliveryWork, ForwardedScope, Hearing,
    LeaseGrant, OutboundTally, RowVerdict, SqliteStore, StoreError, VerdictTally,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

type Result<T> = std::result::Result<T, StoreError>;

pub struct FaultyDeliveries {
    store: Arc<SqliteStore>,
    failing_ends: AtomicU32,
    verdicts_until_kill: AtomicI64,
}

impl FaultyDeliveries {
    pub fn new(store: Arc<SqliteStore>) -> Self {
        Self { store, failing_ends: AtomicU32::new(0), verdicts_until_kill: AtomicI64::new(0) }
    }

    /// The taking of verdicts with this number is written, and its caller dies.
    pub fn kill_at_verdicts(&self, number: i64) {
        self.verdicts_until_kill.store(number, Ordering::SeqCst);
    }

    pub fn fail_ends(&self, times: u32) {
        self.failing_ends.store(times, Ordering::SeqCst);
    }
}

#[async_trait]
impl DeliveryStore for FaultyDeliveries {
    async fn due_deliveries(&self, destination: &ChannelId, now: Timestamp, limit: u32) -> Result<Vec<DeliveryWork>> {
        self.store.due_deliveries(destination, now, limit).await
    }

    async fn next_due(&self, destination: &ChannelId) -> Result<Option<Timestamp>> {
        self.store.next_due(destination).await
    }

    async fn recover_sending(
        &self,
        destination: &ChannelId,
        now: Timestamp,
        under: Option<&LeaseGrant>,
    ) -> Result<u64> {
        self.store.recover_sending(destination, now, under).await
    }

    async fn begin_attempts(&self, starts: &[AttemptStart], under: Option<&LeaseGrant>) -> Result<()> {
        self.store.begin_attempts(starts, under).await
    }

    async fn end_attempts(&self, results: &[AttemptResult], under: Option<&LeaseGrant>) -> Result<()> {
        let failing = self.failing_ends.load(Ordering::SeqCst);
        if failing > 0 {
            self.failing_ends.store(failing - 1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("locked".into()));
        }
        self.store.end_attempts(results, under).await
    }

    async fn redeliver(&self, id: DeliveryId, now: Timestamp) -> Result<()> {
        self.store.redeliver(id, now).await
    }

    async fn waive_delivery(&self, id: DeliveryId, reason: &str, now: Timestamp) -> Result<()> {
        self.store.waive_delivery(id, reason, now).await
    }

    async fn deliveries(&self, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>> {
        self.store.deliveries(ids).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        self.store.delivery(id).await
    }

    async fn deliveries_of_item(&self, destination: &ChannelId, key: &ItemKey) -> Result<Vec<DeliveryRow>> {
        self.store.deliveries_of_item(destination, key).await
    }

    async fn deliveries_left(
        &self,
        destination: Option<&ChannelId>,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>> {
        self.store.deliveries_left(destination, after, limit).await
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<AttemptRow>> {
        self.store.attempts(id).await
    }

    async fn forwarded(
        &self,
        destination: &ChannelId,
        scope: ForwardedScope,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryWork>> {
        self.store.forwarded(destination, scope, after, limit).await
    }

    async fn last_delivery(&self) -> Result<DeliveryId> {
        self.store.last_delivery().await
    }

    async fn take_verdicts(
        &self,
        destination: &ChannelId,
        verdicts: &[RowVerdict],
        hearing: Hearing<'_>,
    ) -> Result<VerdictTally> {
        let tally = self.store.take_verdicts(destination, verdicts, hearing).await?;
        match self.verdicts_until_kill.fetch_sub(1, Ordering::SeqCst) {
            // It was written, and nobody learns of it.
            1 => Err(StoreError::Unavailable("killed".into())),
            _ => Ok(tally),
        }
    }

    async fn outbound_tallies(&self) -> Result<Vec<OutboundTally>> {
        self.store.outbound_tallies().await
    }
}
