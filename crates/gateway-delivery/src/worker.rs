//! The worker of one destination: takes the lease, takes what is due, keeps attempts under way, writes down how they ended.
//!
//! Beginning and ending attempts goes to the store in groups: as many as there are free places are begun in one transaction, all that have ended
//! meanwhile are ended in one. An end that can't be written is kept and written before anything else is begun; only when the process
//! dies with it does the delivery stay `sending`, and the next holder of the lease takes it for ambiguous.

use crate::Origins;
use crate::address::Elsewhere;
use crate::{DeliveryConfig, attempt, content, failure, policy, question};
use async_trait::async_trait;
use gateway_connector::{Breaker, BreakerState, Connector, OutboundDelivery};
use gateway_model::{ChannelId, Clock, DeliveryId, DeliveryState, Timestamp};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{
    AttemptResult, AttemptStart, DeliveryRow, DeliveryStore, DeliveryWork, JobStore, LeaseGrant, LeaseKeeper,
    LeaseStore, StoreError,
};
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A round ends now and then also when there is always more, so that its success can be seen.
const LONGEST_ROUND: Duration = Duration::from_secs(30);

/// What a worker works with.
#[derive(Clone)]
pub struct DeliveryDeps {
    /// The destination.
    pub channel: ChannelId,
    /// How it is spoken to.
    pub connector: Arc<dyn Connector>,
    /// What is owed.
    pub deliveries: Arc<dyn DeliveryStore>,
    /// Where re-reads are asked for.
    pub jobs: Arc<dyn JobStore>,
    /// Who may deliver.
    pub leases: Arc<dyn LeaseStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who states what is forwarded.
    pub origins: Arc<Origins>,
}

/// Delivers to one destination.
pub struct DeliveryWorker {
    shared: Arc<Shared>,
    keeper: LeaseKeeper,
    /// The lease as it was held last: what was begun under it is ended under it.
    lease: Option<LeaseGrant>,
    /// The epoch in which work was taken over; `None` when there is something to take over, from another or from this process itself.
    epoch: Option<u64>,
    leads: Arc<AtomicBool>,
    unsaved: Vec<AttemptResult>,
    /// Questions under way: their deliveries still look due.
    asked: HashSet<DeliveryId>,
}

/// What attempts and questions under way share.
pub(crate) struct Shared {
    pub(crate) channel: ChannelId,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) deliveries: Arc<dyn DeliveryStore>,
    pub(crate) jobs: Arc<dyn JobStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) config: DeliveryConfig,
    origins: Arc<Origins>,
    quiet_until: Mutex<Option<Timestamp>>,
}

impl Shared {
    /// The destination asked for patience: nothing is sent to it before.
    pub(crate) fn be_quiet_until(&self, until: Timestamp) {
        let mut quiet = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet = (*quiet).max(Some(until));
    }

    /// For how long nothing may be sent.
    fn quiet_for(&self, now: Timestamp) -> Option<Duration> {
        let until = (*self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        Duration::try_from(until.duration_since(now)).ok().filter(|wait| !wait.is_zero())
    }
}

/// What a due delivery needs.
enum Step {
    Send(Box<DeliveryRow>, Box<OutboundDelivery>, Box<AttemptStart>),
    Ask(Box<DeliveryRow>, Box<OutboundDelivery>),
    End(AttemptResult),
}

type Ended = Result<AttemptResult, StoreError>;

impl DeliveryWorker {
    /// A worker of a destination; `None` when the channel takes no deliveries. `holder` names this process among its replicas.
    #[must_use]
    pub fn new(deps: DeliveryDeps, holder: impl Into<String>, config: DeliveryConfig) -> Option<Self> {
        deps.connector.sink()?;
        let name = format!("deliver/{}", deps.channel);
        let length = Duration::from_millis(config.lease_ms);
        let keeper = LeaseKeeper::new(deps.leases, deps.clock.clone(), name, holder, length);
        let shared = Shared {
            channel: deps.channel,
            connector: deps.connector,
            deliveries: deps.deliveries,
            jobs: deps.jobs,
            clock: deps.clock,
            breaker: Arc::new(Breaker::new(config.breaker)),
            config,
            origins: deps.origins,
            quiet_until: Mutex::new(None),
        };
        Some(Self {
            shared: Arc::new(shared),
            keeper,
            lease: None,
            epoch: None,
            leads: Arc::default(),
            unsaved: Vec::new(),
            asked: HashSet::new(),
        })
    }

    /// The destination's circuit breaker, for status.
    #[must_use]
    pub fn breaker(&self) -> Arc<Breaker> {
        Arc::clone(&self.shared.breaker)
    }

    /// Whether this worker holds the destination's lease, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.leads)
    }

    /// Takes over from whoever held the lease before, which may be this process before it was cut off.
    async fn take_over(&mut self, lease: &LeaseGrant) -> Result<(), TaskError> {
        if self.epoch == Some(lease.epoch) {
            self.lease = Some(lease.clone());
            return Ok(());
        }
        // Another may have gone on with these meanwhile; a proof stays a proof.
        self.save().await?;
        let (deliveries, channel) = (&self.shared.deliveries, &self.shared.channel);
        let recovered = deliveries.recover_sending(channel, self.shared.clock.now(), Some(lease)).await;
        let recovered = recovered.map_err(|error| failure::store(&error))?;
        if recovered > 0 {
            tracing::info!(%channel, recovered, "attempts of a dead process are asked for");
            metrics::counter!("gateway_delivery_recovered_total", "destination" => channel.to_string())
                .increment(recovered);
        }
        self.epoch = Some(lease.epoch);
        self.lease = Some(lease.clone());
        Ok(())
    }

    async fn save(&mut self) -> Result<(), TaskError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let saved = self.shared.deliveries.end_attempts(&self.unsaved, self.lease.as_ref()).await;
        saved.map_err(|error| failure::store(&error))?;
        self.unsaved.clear();
        Ok(())
    }

    fn step(&self, work: DeliveryWork, elsewhere: &Elsewhere) -> Option<Step> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let row = &work.delivery;
        let outbound = match content::outbound(&work, &shared.origins, elsewhere) {
            Ok(Some(outbound)) => outbound,
            Ok(None) => return Some(Step::End(policy::numberless(row, now, &shared.config))),
            Err(reason) => return Some(Step::End(policy::unsendable(row, reason, now))),
        };
        match row.state {
            DeliveryState::Owed => match shared.connector.sink()?.prepare(&outbound) {
                Ok(prepared) => {
                    let start = AttemptStart {
                        id: row.id,
                        item: prepared.item,
                        projection_version: shared.connector.normalizer().projection_version(),
                        ask_by: prepared.ask_by,
                        at: now,
                    };
                    Some(Step::Send(Box::new(work.delivery), Box::new(outbound), Box::new(start)))
                }
                Err(reason) => Some(Step::End(policy::unsendable(row, reason, now))),
            },
            DeliveryState::Pending | DeliveryState::Ambiguous => {
                Some(Step::Ask(Box::new(work.delivery), Box::new(outbound)))
            }
            _ => None,
        }
    }

    /// How many may be under way now; `None` when nothing may be sent.
    fn places(&self) -> Option<usize> {
        if self.shared.quiet_for(self.shared.clock.now()).is_some() {
            return None;
        }
        match self.shared.breaker.state() {
            BreakerState::Closed { .. } => Some(self.shared.config.concurrency.max(1)),
            BreakerState::HalfOpen => Some(1),
            BreakerState::Open { .. } => None,
        }
    }

    /// Takes steps into the free places; sends are begun in one transaction.
    async fn fill(
        &mut self,
        steps: &mut VecDeque<Step>,
        running: &mut JoinSet<Ended>,
        lease: &LeaseGrant,
    ) -> Result<(), TaskError> {
        let places = self.places().unwrap_or(0);
        let mut sends = Vec::new();
        while running.len() + sends.len() < places {
            match steps.pop_front() {
                Some(Step::End(result)) => self.unsaved.push(result),
                Some(Step::Ask(row, outbound)) => {
                    let shared = Arc::clone(&self.shared);
                    self.asked.insert(row.id);
                    running.spawn(async move { question::ask(&shared, &row, &outbound).await });
                }
                Some(Step::Send(row, outbound, mut start)) => {
                    start.at = self.shared.clock.now();
                    sends.push((row, outbound, *start));
                }
                None => break,
            }
        }
        if sends.is_empty() {
            return Ok(());
        }
        let starts: Vec<AttemptStart> = sends.iter().map(|(_, _, start)| start.clone()).collect();
        let begun = self.begin(&starts, lease).await.map_err(|error| failure::store(&error))?;
        sends.retain(|(row, _, _)| begun.contains(&row.id));
        // A process that was stopped here must not send what another has taken for interrupted and asked for since.
        let in_time = !self.keeper.left(lease).is_zero();
        for (row, outbound, _) in sends {
            if !in_time {
                self.unsaved.push(policy::unsent(&row, self.shared.clock.now()));
                continue;
            }
            let shared = Arc::clone(&self.shared);
            running.spawn(async move { Ok(attempt::send(&shared, &row, &outbound).await) });
        }
        Ok(())
    }

    /// Begins attempts. Returns which: one that was superseded, waived or proved since it was read is left out.
    async fn begin(&self, starts: &[AttemptStart], lease: &LeaseGrant) -> Result<HashSet<DeliveryId>, StoreError> {
        let deliveries = &self.shared.deliveries;
        match deliveries.begin_attempts(starts, Some(lease)).await {
            Ok(()) => return Ok(starts.iter().map(|start| start.id).collect()),
            Err(StoreError::WrongState { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut begun = HashSet::new();
        for start in starts {
            match deliveries.begin_attempts(std::slice::from_ref(start), Some(lease)).await {
                Ok(()) => {
                    begun.insert(start.id);
                }
                Err(StoreError::WrongState { .. }) => {}
                // Those that were begun must be sent; the others are due again.
                Err(error) if begun.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(begun)
    }

    /// What is due now and not under way.
    async fn due(&self) -> Result<VecDeque<Step>, TaskError> {
        let limit = self.shared.config.batch.max(1);
        let now = self.shared.clock.now();
        let due = self.shared.deliveries.due_deliveries(&self.shared.channel, now, limit).await;
        let due = due.map_err(|error| failure::store(&error))?;
        let fresh = due.into_iter().filter(|work| !self.asked.contains(&work.delivery.id));
        let fresh: Vec<DeliveryWork> = fresh.collect();
        let elsewhere = self.shared.origins.elsewhere(&fresh).await.map_err(|error| failure::store(&error))?;
        Ok(fresh.into_iter().filter_map(|work| self.step(work, &elsewhere)).collect())
    }

    /// Goes on until nothing is due and everything under way has ended, or until nothing may be begun any more. Places that fall free are
    /// filled at once, so that one slow answer holds up nobody else. The first error is told once everything under way has ended, so that no end is
    /// lost.
    async fn work_off(
        &mut self,
        mut steps: VecDeque<Step>,
        mut lease: LeaseGrant,
        round: &Round,
    ) -> Result<(), TaskError> {
        let mut running: JoinSet<Ended> = JoinSet::new();
        let mut trouble: Option<TaskError> = None;
        let begun = Instant::now();
        loop {
            if trouble.is_none()
                && !round.stopping.is_cancelled()
                && self.still_ours(&mut lease).await
                && let Err(error) = self.fill(&mut steps, &mut running, &lease).await
            {
                trouble = Some(error);
            }
            let Some(ended) = self.next_ended(&mut running, &mut lease).await else { break };
            self.ended(ended, &mut trouble);
            while let Some(ended) = running.try_join_next() {
                self.ended(ended, &mut trouble);
            }
            if let Err(error) = self.save().await {
                trouble.get_or_insert(error);
            }
            let in_time = begun.elapsed() < LONGEST_ROUND;
            let half_free = self.places().is_some_and(|places| running.len() <= places / 2);
            if trouble.is_none() && steps.is_empty() && half_free && in_time && !round.stopping.is_cancelled() {
                match self.due().await {
                    Ok(more) => steps = more,
                    Err(error) => trouble = Some(error),
                }
            }
        }
        self.asked.clear();
        self.save().await?;
        trouble.map_or(Ok(()), Err)
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>, trouble: &mut Option<TaskError>) {
        match ended {
            Ok(Ok(result)) => {
                self.asked.remove(&result.id);
                self.unsaved.push(result);
            }
            Ok(Err(error)) => *trouble = Some(failure::store(&error)),
            // A connector that panics leaves its delivery `sending`; giving the lease up in mind makes the next round recover it.
            Err(error) => {
                self.epoch = None;
                *trouble = Some(TaskError::new("attempt_panicked", &error));
            }
        }
    }

    /// The next one under way that ends. The lease is renewed meanwhile, so that nobody takes an attempt for interrupted that only takes its time.
    async fn next_ended(
        &mut self,
        running: &mut JoinSet<Ended>,
        lease: &mut LeaseGrant,
    ) -> Option<Result<Ended, tokio::task::JoinError>> {
        while self.epoch == Some(lease.epoch) && !running.is_empty() {
            let error = tokio::select! {
                biased;
                ended = running.join_next() => return ended,
                error = self.keeper.renewing(lease) => error,
            };
            self.could_not_renew(&error);
        }
        running.join_next().await
    }

    async fn still_ours(&mut self, lease: &mut LeaseGrant) -> bool {
        if self.epoch != Some(lease.epoch) {
            return false;
        }
        match self.keeper.hold(lease).await {
            Ok(()) => true,
            Err(error) => {
                self.could_not_renew(&error);
                false
            }
        }
    }

    fn could_not_renew(&mut self, error: &StoreError) {
        if matches!(error, StoreError::LeaseLost { .. }) {
            self.epoch = None;
        }
        let error = failure::store(error);
        tracing::warn!(channel = %self.shared.channel, code = error.code, "the lease can't be renewed: nothing new is begun");
    }

    /// When the next round is due.
    async fn sleep(&self) -> Result<Ran, TaskError> {
        let every = self.shared.config.every();
        let now = self.shared.clock.now();
        if let Some(wait) = self.shared.quiet_for(now) {
            return Ok(Ran::After(wait.min(every)));
        }
        if let BreakerState::Open { for_ms } = self.shared.breaker.state() {
            return Ok(Ran::After(Duration::from_millis(for_ms).min(every)));
        }
        let due = self.shared.deliveries.next_due(&self.shared.channel).await;
        let Some(due) = due.map_err(|error| failure::store(&error))? else { return Ok(Ran::Idle) };
        // What is due now and was not taken can't be taken yet: a delivery before it in its order is in the way.
        let wait = Duration::try_from(due.duration_since(now)).ok().filter(|wait| !wait.is_zero());
        Ok(Ran::After(wait.unwrap_or(every).min(every)))
    }
}

#[async_trait]
impl Task for DeliveryWorker {
    fn name(&self) -> String {
        self.keeper.name().to_owned()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let Some(lease) = self.keeper.take().await.map_err(|error| failure::store(&error))? else {
            self.epoch = None;
            self.leads.store(false, Ordering::Release);
            // Proofs that could not be written while the lease was ours.
            self.save().await?;
            return Ok(Ran::After(self.keeper.retry_after()));
        };
        self.leads.store(true, Ordering::Release);
        self.take_over(&lease).await?;
        self.save().await?;
        if self.places().is_none() {
            return self.sleep().await;
        }
        let steps = self.due().await?;
        if steps.is_empty() {
            return self.sleep().await;
        }
        self.work_off(steps, lease, round).await?;
        // What was behind these in their orders may be due now.
        Ok(if self.places().is_some() { Ran::Busy } else { self.sleep().await? })
    }
}
