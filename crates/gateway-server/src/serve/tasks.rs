//! The background work, task by task.

use super::archiver::MonthArchiver;
use super::installation::Installation;
use super::process::{ProcessTold, Remembering, check_deps};
use crate::Failure;
use crate::config::GatewayConfig;
use crate::role::{NodeRole, Roles};
use async_trait::async_trait;
use gateway_alert::Check;
use gateway_alert::checks::{self, Checks, LastLook};
use gateway_alert::node::{NodeTeller, nodes_check};
use gateway_api::Waker;
use gateway_bus::{Bus, TopicName};
use gateway_connector::{Breaker, Connector};
use gateway_delivery::files::{FileExchange, FilesDeps};
use gateway_delivery::{AttachmentAddresses, DeliveryDeps, DeliveryWorker, Origins, OutboundWaker};
use gateway_intake::{
    AttachmentFetcher, Backfiller, ChannelIntake, PollProgress, Poller, Rereader, SpoolDrainer, WebhookGate,
};
use gateway_model::{ChannelId, Dataset};
use gateway_pipeline::{
    Decider, DuplicateFinder, LookUps, Normalizers, PairShower, ParkedSweeper, Pipeline, Reverifier, Routes, Verifying,
};
use gateway_reconcile::{Auditor, Reconciler};
use gateway_runtime::{Driver, Ran, Round, Schedule, Task, TaskError, TaskHandle, TaskHealth, TaskHost, TaskStatus};
use gateway_store::JobKind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The defences of all parts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defences {
    /// Of intake.
    pub intake: gateway_intake::Defences,
    /// Of the pipeline.
    pub pipeline: gateway_pipeline::Defences,
    /// Of reconciliation.
    pub reconcile: gateway_reconcile::Defences,
}

#[cfg(feature = "defence-switches")]
impl Defences {
    /// All but one.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn without(name: Option<&str>) -> Result<Self, Failure> {
        let mut defences = Self::default();
        match name {
            None => {}
            Some("overlap") => defences.intake.overlap = false,
            Some("second-look") => defences.reconcile.second_look = false,
            Some("reread-on-tie") => defences.pipeline.reread_on_tie = false,
            Some("echo") => defences.pipeline.echo = false,
            Some(other) => return Err(Failure(format!("there is no defence {other}"))),
        }
        Ok(defences)
    }
}

/// What was started, as far as others need it.
pub struct Tasks {
    /// What the checks last found; nothing while alerting is switched off.
    pub last_look: Arc<LastLook>,
    /// Takes pushes.
    pub gate: Arc<WebhookGate>,
    /// Wakes tasks.
    pub waker: TaskWaker,
}

/// Wakes the task that does a kind of job for a channel.
#[derive(Default)]
pub struct TaskWaker {
    jobs: BTreeMap<(JobKind, ChannelId), TaskHandle>,
    deliveries: BTreeMap<ChannelId, TaskHandle>,
}

impl Waker for TaskWaker {
    fn job_enqueued(&self, kind: JobKind, channel: &ChannelId) {
        if let Some(task) = self.jobs.get(&(kind, channel.clone())) {
            task.wake();
        }
    }

    fn delivery_owed(&self, destination: &ChannelId) {
        if let Some(task) = self.deliveries.get(destination) {
            task.wake();
        }
    }
}

/// Starts everything.
///
/// # Errors
/// When the routing table makes no sense.
pub fn start(
    installation: &Installation,
    config: &GatewayConfig,
    host: &impl TaskHost,
    defences: Defences,
) -> Result<Tasks, Failure> {
    let Installation { bus, store, clock, connectors, roles, .. } = installation;
    let decider = Arc::new(decider(installation, config, defences)?);
    let mut waker = TaskWaker::default();
    let host = &Remembering::new(host);
    let (mut breakers, mut polls) = (Vec::new(), Vec::new());
    let channels = installation.channel_ids();
    if roles.has(NodeRole::Pipeline) {
        let pipeline =
            Pipeline::new(bus.clone(), store.clone(), decider.clone(), clock.clone(), &config.pipeline, &channels);
        // A batch follows the last at once; the interval only matters when it failed.
        host.spawn(pipeline, Schedule::every(Duration::from_millis(10)).backoff_max(Duration::from_secs(5)));
        if let Some(verifying) = &decider.verifying {
            let again = Reverifier::new(store.clone(), clock.clone(), verifying.answered.clone());
            host.spawn(again, Schedule::every(Duration::from_secs(5)));
            // Without a service too: what waits for one that is configured no more is judged by the imports.
            let service = installation.operating_data.clone();
            let retry = config.operating_data.as_ref().map(|section| section.retry).unwrap_or_default();
            let key = verifying.person_key.clone();
            let look_ups = LookUps::new(store.clone(), clock.clone(), service, key, retry);
            host.spawn(look_ups, Schedule::every(Duration::from_millis(500)));
        }
        // A person waits for the first.
        let shower = PairShower::new(store.clone(), decider.clone(), clock.clone());
        host.spawn(shower, Schedule::every(Duration::from_millis(500)));
        if several_bring_orders(installation) {
            let finder = DuplicateFinder::new(store.clone(), clock.clone(), installation.person_key.clone());
            host.spawn(finder, Schedule::every(Duration::from_secs(2)));
        }
        let patience = Duration::from_secs(config.pipeline.park_patience_s);
        host.spawn(
            ParkedSweeper::new(store.clone(), decider, clock.clone(), patience),
            Schedule::every(Duration::from_secs(10)),
        );
    }
    for (channel, connector) in connectors {
        if roles.has(NodeRole::Poll) {
            polls.extend(start_reading(installation, config, host, defences, (channel, connector), &mut waker));
        }
        if roles.has(NodeRole::Deliver) {
            breakers.extend(start_delivering(installation, config, host, (channel, connector), &mut waker));
            start_filing(installation, config, host, (channel, connector), &mut waker);
        }
        if roles.has(NodeRole::Monitor) && config.reconcile.enabled {
            start_comparing(installation, config, host, defences, (channel, connector), &mut waker);
        }
    }
    host.spawn(ExpirySweeper(bus.clone()), Schedule::every(Duration::from_secs(600)));
    if let Some(after_months) = config.store.archive.after_months.filter(|_| roles.has(NodeRole::Monitor)) {
        let lease = Duration::from_millis(config.reconcile.policy.lease_ms);
        let holder = installation.holder.clone();
        let archiver = MonthArchiver::new(store.clone(), clock.clone(), holder, after_months, lease);
        host.spawn(archiver, MonthArchiver::schedule());
    }
    if let Some(spool) = &installation.spool {
        // Whatever its roles are now: an earlier start may have left something.
        host.spawn(SpoolDrainer::new(spool.clone()), SpoolDrainer::schedule());
    }
    let intake_bus = installation.intake_bus.clone();
    let gate = Arc::new(WebhookGate::new(connectors.iter().cloned(), intake_bus, clock.clone(), config.intake.webhook));
    let told = ProcessTold {
        tasks: host.tasks(),
        gate: gate.clone(),
        breakers,
        polls,
        connectors: connectors.clone(),
        spool: installation.spool_reading(),
    };
    let last_look = start_looking(
        installation,
        config,
        checks::all(&check_deps(installation, config, told), &config.alert.checks),
        host,
    );
    Ok(Tasks { last_look, gate, waker })
}

/// Whether more than one channel brings orders: two of one channel are never offered as duplicates, so the finder has nothing to do for one. It begins where it
/// ended when there is a second.
fn several_bring_orders(installation: &Installation) -> bool {
    let brings = |connector: &Arc<dyn Connector>| connector.descriptor().datasets.contains(&Dataset::Acceptance);
    installation.connectors.iter().filter(|(_, connector)| brings(connector)).count() > 1
}

/// Starts reading a channel: its listing, and what is to be read again.
fn start_reading(
    installation: &Installation,
    config: &GatewayConfig,
    host: &impl TaskHost,
    defences: Defences,
    (channel, connector): (&ChannelId, &Arc<dyn Connector>),
    waker: &mut TaskWaker,
) -> Option<(ChannelId, Arc<PollProgress>)> {
    let Installation { bus, store, clock, holder, .. } = installation;
    let intake = ChannelIntake {
        channel: channel.clone(),
        connector: connector.clone(),
        bus: bus.clone(),
        clock: clock.clone(),
    };
    let poller = Poller::new(intake.clone(), store.clone(), holder.clone(), config.intake.poll, defences.intake);
    let progress = poller.map(|poller| {
        let progress = poller.progress();
        host.spawn(poller, config.intake.poll.schedule());
        (channel.clone(), progress)
    });
    let (dir, fetch) = (installation.attachments.clone(), config.attachments.fetch.clone());
    let schedule = fetch.schedule();
    if let Some(fetcher) = AttachmentFetcher::new(intake.clone(), store.clone(), dir, fetch) {
        host.spawn(fetcher, schedule);
    }
    if let Some(rereader) = Rereader::new(intake.clone(), store.clone(), config.intake.reread) {
        let task = host.spawn(rereader, config.intake.reread.schedule());
        waker.jobs.insert((JobKind::Reread, channel.clone()), task);
    }
    if let Some(backfiller) = Backfiller::new(intake, store.clone(), config.intake.backfill) {
        let task = host.spawn(backfiller, config.intake.backfill.schedule());
        waker.jobs.insert((JobKind::Backfill, channel.clone()), task);
    }
    progress
}

/// Starts delivering to a channel, where it takes anything.
fn start_delivering(
    installation: &Installation,
    config: &GatewayConfig,
    host: &impl TaskHost,
    (channel, connector): (&ChannelId, &Arc<dyn Connector>),
    waker: &mut TaskWaker,
) -> Option<(ChannelId, Arc<Breaker>)> {
    let Installation { bus, store, clock, holder, .. } = installation;
    let deps = DeliveryDeps {
        channel: channel.clone(),
        connector: connector.clone(),
        deliveries: store.clone(),
        jobs: store.clone(),
        leases: store.clone(),
        clock: clock.clone(),
        origins: origins(installation, config),
    };
    let worker = DeliveryWorker::new(deps, holder.clone(), config.delivery)?;
    let (breaker, leads) = (worker.breaker(), worker.leads());
    let task = host.spawn(worker, config.delivery.schedule());
    host.spawn(
        OutboundWaker::new(channel.clone(), bus.clone(), task.clone(), leads, &config.delivery),
        Schedule::every(Duration::from_millis(10)),
    );
    waker.deliveries.insert(channel.clone(), task);
    Some((channel.clone(), breaker))
}

/// Starts exchanging files with a channel, where it has a front-end box.
fn start_filing(
    installation: &Installation,
    config: &GatewayConfig,
    host: &impl TaskHost,
    (channel, connector): (&ChannelId, &Arc<dyn Connector>),
    waker: &mut TaskWaker,
) {
    let Installation { store, clock, holder, .. } = installation;
    let configured = config.channels.iter().find(|configured| configured.id == channel.as_str());
    let Some(files) = configured.and_then(|configured| configured.files.clone()) else { return };
    let deps = FilesDeps {
        channel: channel.clone(),
        connector: connector.clone(),
        deliveries: store.clone(),
        jobs: store.clone(),
        leases: store.clone(),
        clock: clock.clone(),
        origins: origins(installation, config),
    };
    let Some(exchange) = FileExchange::new(deps, holder.clone(), files) else { return };
    let schedule = exchange.schedule();
    let task = host.spawn(exchange, schedule);
    waker.jobs.insert((JobKind::Export, channel.clone()), task);
}

/// Who states what is forwarded, and what was granted of it.
fn origins(installation: &Installation, config: &GatewayConfig) -> Arc<Origins> {
    let attachments = &config.attachments;
    let addresses = AttachmentAddresses::new(
        installation.address_key.clone(),
        attachments.public_url.as_deref(),
        Duration::from_secs(u64::from(attachments.address_valid_days) * 86_400),
        installation.store.clone(),
    );
    let origins = Origins::new(installation.connectors.iter().cloned()).addressing(addresses);
    let granted = config.routes.iter().fold(origins, |origins, route| {
        origins.granting(route.from.clone(), route.to.clone(), route.person_fields.iter().copied())
    });
    Arc::new(granted)
}

/// Starts comparing a channel's account with ours, and auditing our own books of it.
fn start_comparing(
    installation: &Installation,
    config: &GatewayConfig,
    host: &impl TaskHost,
    defences: Defences,
    (channel, connector): (&ChannelId, &Arc<dyn Connector>),
    waker: &mut TaskWaker,
) {
    let Installation { store, clock, holder, .. } = installation;
    let policy = config.reconcile.policy.clone();
    let every = Duration::from_millis(policy.recent_every_ms.min(policy.whole_every_ms));
    let (connector, store, clock) = (connector.clone(), store.clone(), clock.clone());
    let topics = [TopicName::raw(channel), TopicName::raw_backfill(channel)];
    let auditor = Auditor::new(
        channel.clone(),
        connector.clone(),
        store.clone(),
        clock.clone(),
        policy.clone(),
        holder.clone(),
        topics.map(|topic| topic.to_string()).to_vec(),
    );
    let auditor = if installation.shared { auditor.with_nodes(config.node.silent_after_ms) } else { auditor };
    host.spawn(auditor, Schedule::every(Duration::from_millis(policy.audit_every_ms)));
    let reconciler = Reconciler::new(channel.clone(), connector, store, clock, policy, holder.clone());
    let task = host.spawn(reconciler.with_defences(defences.reconcile), Schedule::every(every));
    waker.jobs.insert((JobKind::Reconcile, channel.clone()), task);
}

/// Starts looking for what is wrong. One process that does everything looks at everything itself; where several share a store, each tells what only it
/// can see, and who has the role `monitor` looks at the books and at what all have told.
fn start_looking(
    installation: &Installation,
    config: &GatewayConfig,
    checks: Checks,
    host: &impl TaskHost,
) -> Arc<LastLook> {
    if !installation.shared {
        let (checks, last) = checks.together();
        if config.alert.enabled {
            start_alerts(installation, checks, host);
        }
        return last;
    }
    let Installation { store, clock, roles, .. } = installation;
    let Checks { of_process, of_books: mut checks, last } = checks;
    let teller = NodeTeller::new(
        installation.node_self(),
        of_process,
        last.clone(),
        store.clone(),
        clock.clone(),
        config.node.clone(),
    );
    let schedule = teller.schedule();
    host.spawn(teller, schedule);
    if config.alert.enabled && roles.has(NodeRole::Monitor) {
        checks.push(nodes_check(store.clone(), config.node.clone(), Roles::all().words()));
        start_alerts(installation, checks, host);
    }
    last
}

/// Starts looking for what is wrong, and telling.
fn start_alerts(installation: &Installation, checks: Vec<Box<dyn Check>>, host: &impl TaskHost) {
    let Installation { store, clock, holder, alerting, .. } = installation;
    let alerter = alerting.alerter(checks, store.clone(), clock.clone(), holder.clone());
    let schedule = alerter.schedule();
    host.spawn(alerter, schedule);
    for sender in alerting.senders(store, clock, holder) {
        let schedule = sender.schedule();
        host.spawn(sender, schedule);
    }
}

/// Starts the heartbeat, where one is configured: while the gateway does its own work, an outside watcher is called. A task of one channel
/// (`poll/…`) that stalls because its counterparty is away is an incident and told as one; only that it ended stops the heartbeat.
pub fn start_heartbeat(installation: &Installation, driver: &Arc<Driver>) {
    let Installation { store, clock, alerting, .. } = installation;
    let tasks = Arc::downgrade(driver);
    let well = |task: &TaskStatus| match task.health {
        TaskHealth::Healthy | TaskHealth::Failing => true,
        // The heartbeat itself may have been cut off for long; that is no reason to stay silent.
        TaskHealth::Stalled => task.name.contains('/') || task.name == gateway_alert::HEARTBEAT,
        TaskHealth::Ended => false,
    };
    let healthy = move || tasks.upgrade().is_some_and(|driver| driver.statuses().iter().all(well));
    if let Some(heartbeat) = alerting.heartbeat(store.clone(), clock.clone(), Arc::new(healthy)) {
        let schedule = heartbeat.schedule();
        driver.spawn(heartbeat, schedule);
    }
}

pub(super) fn decider(
    installation: &Installation,
    config: &GatewayConfig,
    defences: Defences,
) -> Result<Decider, Failure> {
    let routes = Routes::new(config.routes.clone())
        .map_err(|errors| Failure(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let rereadable = installation.connectors.iter().filter(|(_, connector)| connector.source().is_some());
    Ok(Decider {
        normalizers: Normalizers::new(installation.connectors.iter().cloned()),
        routes,
        authority: config.authority.clone(),
        content_key: installation.content_key.clone(),
        rereadable: rereadable.map(|(id, _)| id.clone()).collect(),
        future_tolerance_ms: i64::try_from(config.pipeline.future_tolerance_s).unwrap_or(0).saturating_mul(1_000),
        settle_ms: i64::try_from(config.delivery.settle_after_ms).unwrap_or(i64::MAX),
        verifying: verifying(installation, config),
        defences: defences.pipeline,
    })
}

/// What is compared with the operating data; `None` where no channel asks for it.
fn verifying(installation: &Installation, config: &GatewayConfig) -> Option<Verifying> {
    let asked = config.channels.iter().filter(|channel| channel.verification);
    let asked: BTreeSet<&str> = asked.map(|channel| channel.id.as_str()).collect();
    let connected = installation.connectors.iter().map(|(id, _)| id);
    let channels: BTreeSet<ChannelId> = connected.filter(|id| asked.contains(id.as_str())).cloned().collect();
    let answered = installation.operating_data.as_ref().map(|service| service.kinds()).unwrap_or_default();
    (!channels.is_empty()).then(|| Verifying { channels, person_key: installation.person_key.clone(), answered })
}

/// Drops bus segments that are past their retention.
struct ExpirySweeper(Arc<dyn Bus>);

#[async_trait]
impl Task for ExpirySweeper {
    fn name(&self) -> String {
        "expiry".into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        let dropped = self.0.drop_expired().await.map_err(|error| TaskError::new("bus", &error))?;
        if dropped > 0 {
            tracing::info!(messages = dropped, "messages past their retention were dropped");
        }
        Ok(Ran::Idle)
    }
}
