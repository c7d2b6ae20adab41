//! What the checks see of this process: its tasks, breakers, pollers, doors, and the clocks of its peers.

use super::installation::Installation;
use crate::config::GatewayConfig;
use gateway_alert::checks::{CheckDeps, PollReading, ProcessView, Refusal, WatchedChannel, WatchedDirs, space_of};
use gateway_alert::node::SpoolReading;
use gateway_connector::{Breaker, BreakerState, Connector, PeerClock};
use gateway_intake::{PollProgress, WebhookGate};
use gateway_model::ChannelId;
use gateway_runtime::{Schedule, Task, TaskHandle, TaskHost, TaskStatus};
use gateway_store::NodeSpool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Starts tasks on a host and remembers them.
pub(super) struct Remembering<'a, H> {
    host: &'a H,
    tasks: Arc<Mutex<Vec<TaskHandle>>>,
}

impl<'a, H: TaskHost> Remembering<'a, H> {
    pub(super) fn new(host: &'a H) -> Self {
        Self { host, tasks: Arc::default() }
    }

    /// The tasks that were started, and those that will be.
    pub(super) fn tasks(&self) -> Arc<Mutex<Vec<TaskHandle>>> {
        Arc::clone(&self.tasks)
    }
}

impl<H: TaskHost> TaskHost for Remembering<'_, H> {
    fn spawn(&self, task: impl Task, schedule: Schedule) -> TaskHandle {
        let handle = self.host.spawn(task, schedule);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(handle.clone());
        handle
    }
}

/// What the parts of this process tell.
pub(super) struct ProcessTold {
    pub(super) tasks: Arc<Mutex<Vec<TaskHandle>>>,
    pub(super) gate: Arc<WebhookGate>,
    pub(super) breakers: Vec<(ChannelId, Arc<Breaker>)>,
    pub(super) polls: Vec<(ChannelId, Arc<PollProgress>)>,
    pub(super) connectors: Vec<(ChannelId, Arc<dyn Connector>)>,
    pub(super) spool: SpoolReading,
}

impl ProcessView for ProcessTold {
    fn tasks(&self) -> Vec<TaskStatus> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).iter().map(TaskHandle::status).collect()
    }

    fn refusals(&self) -> Vec<Refusal> {
        let warnings = self.gate.warnings().into_iter();
        let refusals = warnings.map(|warning| Refusal {
            channel: warning.channel,
            since: warning.since,
            refused: warning.refused,
            codes: warning.codes,
            clock_offset_ms: warning.clock_offset_ms,
        });
        refusals.collect()
    }

    fn breakers(&self) -> Vec<(ChannelId, BreakerState)> {
        self.breakers.iter().map(|(channel, breaker)| (channel.clone(), breaker.state())).collect()
    }

    fn polls(&self) -> Vec<PollReading> {
        let held = self.polls.iter().filter_map(|(channel, progress)| {
            let polled = progress.now()?;
            Some(PollReading { channel: channel.clone(), swept_at: polled.swept_at, through: polled.through })
        });
        held.collect()
    }

    fn peer_clocks(&self) -> Vec<(ChannelId, PeerClock)> {
        let told = self.connectors.iter().filter_map(|(id, connector)| Some((id.clone(), connector.peer_clock()?)));
        told.collect()
    }

    fn spool(&self) -> Vec<NodeSpool> {
        (self.spool)()
    }
}

/// What the checks of an installation look at.
pub(super) fn check_deps(installation: &Installation, config: &GatewayConfig, process: ProcessTold) -> CheckDeps {
    let channels = installation.connectors.iter().map(|(id, connector)| {
        let settings = config.channels.iter().find(|channel| channel.id == id.as_str());
        let files = settings
            .into_iter()
            .flat_map(|channel| channel.request_secret_file.iter().chain(&channel.webhook_secret_files).cloned());
        WatchedChannel {
            id: id.clone(),
            source: connector.source().is_some(),
            receiver: connector.receiver().is_some(),
            sink: connector.sink().is_some(),
            verifiable: connector.manifest_source().is_some(),
            expires_on: settings.and_then(|channel| channel.expires_on),
            secret_files: files.collect(),
        }
    });
    // The desk is written to by people: it has no habit, no clock and no secrets, but its records can lag too.
    let desk = WatchedChannel {
        id: installation.desk.clone(),
        source: false,
        receiver: false,
        sink: false,
        verifiable: false,
        expires_on: None,
        secret_files: Vec::new(),
    };
    let store = config.store.dir(installation.dir());
    let compared = config.reconcile.enabled;
    CheckDeps {
        store: installation.store.clone(),
        bus: installation.bus.clone(),
        process: Arc::new(process),
        channels: channels.chain([desk]).collect(),
        dirs: WatchedDirs {
            data: installation.dir().to_owned(),
            bus: config.bus.embedded.dir.clone(),
            store: store.to_owned(),
            attachments: config.attachments.dir.clone(),
        },
        space: Arc::new(space_of),
        whole_comparison_every: compared.then(|| Duration::from_millis(config.reconcile.policy.whole_every_ms)),
    }
}
