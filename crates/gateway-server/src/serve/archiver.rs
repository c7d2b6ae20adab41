//! Takes out the months that are old enough and free of what holds one back, by `[store.archive]`.

use async_trait::async_trait;
use gateway_model::Clock;
use gateway_runtime::{Ran, Round, Schedule, Task, TaskError};
use gateway_store::{
    ArchiveStore, Hold, HoldKind, LeaseGrant, LeaseKeeper, Month, MonthLeft, MonthPlace, Store, StoreError, Taking,
};
use std::sync::Arc;
use std::time::Duration;

/// Months grow old slowly; what holds one back ends at any time.
const EVERY: Duration = Duration::from_secs(3_600);

/// The job. One does it at a time.
pub(super) struct MonthArchiver {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keeper: LeaseKeeper,
    holder: String,
    after_months: u32,
}

impl MonthArchiver {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        holder: String,
        after_months: u32,
        lease: Duration,
    ) -> Self {
        let keeper = LeaseKeeper::new(store.clone(), clock.clone(), "archive", holder.clone(), lease).resting(EVERY);
        Self { store, clock, keeper, holder, after_months }
    }

    pub(super) fn schedule() -> Schedule {
        Schedule::every(EVERY)
    }

    async fn round(&self, archive: &dyn ArchiveStore, lease: &mut LeaseGrant, round: &Round) -> Result<(), StoreError> {
        let now = self.clock.now();
        let newest = Month::of(now).before(self.after_months);
        let months = self.keeper.keep(lease, archive.months(now)).await??;
        let mut left = Vec::new();
        let old = months.into_iter().filter(|row| row.month < newest);
        for row in old.filter(|row| row.place == MonthPlace::Attached || row.beside.is_some()) {
            let month = row.month;
            let mut leave = |holds| left.push(MonthLeft { month, holds, looked_at: now });
            if !row.holds.is_empty() {
                leave(row.holds);
                continue;
            }
            if round.stopping.is_cancelled() {
                return Ok(());
            }
            let under = lease.clone();
            let taking = archive.take_month(month, &self.holder, now, Some(&under));
            match self.keeper.keep(lease, taking).await?? {
                Taking::Taken { records, changes } => {
                    tracing::info!(%month, records, changes, "a month was archived");
                }
                Taking::Held(holds) => leave(holds),
                Taking::Busy => leave(vec![Hold { kind: HoldKind::InUse, count: 1, first: Vec::new() }]),
            }
        }
        self.tell(archive, &left, lease).await
    }

    /// Writes down what was left, and logs what is new of it.
    async fn tell(&self, archive: &dyn ArchiveStore, left: &[MonthLeft], lease: &LeaseGrant) -> Result<(), StoreError> {
        let before = archive.months_left().await?;
        for one in left {
            let kinds = |left: &MonthLeft| left.holds.iter().map(|hold| hold.kind).collect::<Vec<_>>();
            if before.iter().any(|old| old.month == one.month && kinds(old) == kinds(one)) {
                continue;
            }
            let why: Vec<String> =
                one.holds.iter().map(|hold| format!("{} {}", hold.count, hold.kind.as_str())).collect();
            tracing::info!(month = %one.month, why = why.join(", "), "a month is old enough and stays: `archive list` has more");
        }
        archive.note_months_left(left, lease).await
    }
}

#[async_trait]
impl Task for MonthArchiver {
    fn name(&self) -> String {
        "archive".into()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let Some(archive) = self.store.archive() else { return Ok(Ran::Idle) };
        let failed = |error: StoreError| TaskError::new("store", &error);
        let Some(mut lease) = self.keeper.take().await.map_err(failed)? else {
            return Ok(Ran::After(self.keeper.retry_after().max(Duration::from_secs(60))));
        };
        match self.round(archive, &mut lease, round).await {
            // Another goes on with it.
            Err(StoreError::LeaseLost { .. }) => Ok(Ran::Idle),
            done => done.map(|()| Ran::Idle).map_err(failed),
        }
    }
}
