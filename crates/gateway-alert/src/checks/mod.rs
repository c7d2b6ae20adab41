//! The checks of silence and slowness: one file for each.
//!
//! Each looks at one kind of trouble in the store, on the bus, on the disk, or in the process ([`ProcessView`]), remembers between looks what it
//! needs so as not to flap at a threshold, and names how many, since when, and the values that a text needs (listed at each check). Subjects are
//! bounded: a channel, a task, a directory, the beginning of numbers. Looking costs a few statements that an index serves.
//!
//! Refused: rules written as expressions in the configuration. Each check knows what its numbers mean, and only its thresholds are settings.

mod breaker_open;
mod bus_size;
mod channel_quiet;
mod clock_skew;
mod comparison_overdue;
mod config;
mod credential_expiring;
mod dead_letters_open;
mod deliveries_held;
mod deliveries_rejected;
mod delivery_stuck;
mod disk_low;
mod gaps;
mod habit;
mod last_look;
mod latch;
mod number_holes;
mod numbering;
mod parked_overdue;
mod pipeline_lag;
mod poll_behind;
mod process;
mod receipts_overdue;
mod spool_depth;
mod task_stalled;
mod unmapped_codes;
mod verification_overdue;
mod webhooks_all_refused;

pub use config::ChecksConfig;
pub use disk_low::{Space, SpaceProbe, space_of};
pub use last_look::LastLook;
pub use process::{PollReading, ProcessView, Refusal};

use crate::{Check, Finding};
use gateway_bus::Bus;
use gateway_model::{ChannelId, Day, Severity, Timestamp};
use gateway_store::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the checks look at.
#[derive(Clone)]
pub struct CheckDeps {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The process.
    pub process: Arc<dyn ProcessView>,
    /// The channels.
    pub channels: Vec<WatchedChannel>,
    /// Where the gateway writes.
    pub dirs: WatchedDirs,
    /// Tells the space of a filesystem: [`space_of`].
    pub space: SpaceProbe,
    /// How often everything is compared; `None` where comparing is switched off.
    pub whole_comparison_every: Option<Duration>,
}

/// A channel, as far as the checks have to know it.
#[derive(Debug, Clone)]
pub struct WatchedChannel {
    /// Its id.
    pub id: ChannelId,
    /// Whether we pull from it.
    pub source: bool,
    /// Whether it pushes to us.
    pub receiver: bool,
    /// Whether we push to it.
    pub sink: bool,
    /// Whether it gives an account to compare with.
    pub verifiable: bool,
    /// The day on which its credentials end, where it is known.
    pub expires_on: Option<Day>,
    /// The files of its secrets.
    pub secret_files: Vec<PathBuf>,
}

impl WatchedChannel {
    /// Whether records come from it.
    fn sends(&self) -> bool {
        self.source || self.receiver
    }
}

/// Where the gateway writes.
#[derive(Debug, Clone)]
pub struct WatchedDirs {
    /// The installation's directory.
    pub data: PathBuf,
    /// The bus's.
    pub bus: PathBuf,
    /// The one with the store's file.
    pub store: PathBuf,
    /// The attachments'.
    pub attachments: PathBuf,
}

impl CheckDeps {
    fn channel_ids(&self) -> Vec<ChannelId> {
        self.channels.iter().map(|channel| channel.id.clone()).collect()
    }

    fn sinks(&self) -> Vec<ChannelId> {
        self.channels.iter().filter(|channel| channel.sink).map(|channel| channel.id.clone()).collect()
    }
}

/// The checks that the configuration wants.
pub struct Checks {
    /// Of what only this process can see.
    pub of_process: Vec<Box<dyn Check>>,
    /// Of the books, which every process sees alike.
    pub of_books: Vec<Box<dyn Check>>,
    /// What they last found.
    pub last: Arc<LastLook>,
}

impl Checks {
    /// All of them, where one process sees everything.
    #[must_use]
    pub fn together(self) -> (Vec<Box<dyn Check>>, Arc<LastLook>) {
        (self.of_books.into_iter().chain(self.of_process).collect(), self.last)
    }
}

/// Checks, some of which the configuration may not want.
struct Wanted {
    checks: Vec<Box<dyn Check>>,
    last: Arc<LastLook>,
}

impl Wanted {
    fn new(last: &Arc<LastLook>) -> Self {
        Self { checks: Vec::new(), last: Arc::clone(last) }
    }

    fn add(&mut self, enabled: bool, check: impl Check + 'static) {
        if enabled {
            self.checks.push(Box::new(last_look::Remembered { check: Box::new(check), last: Arc::clone(&self.last) }));
        }
    }
}

/// The checks that the configuration wants, and where what they last found can be read.
#[must_use]
pub fn all(deps: &CheckDeps, config: &ChecksConfig) -> Checks {
    let config = config.clone();
    let last = Arc::new(LastLook::default());
    let (mut process, mut books) = (Wanted::new(&last), Wanted::new(&last));
    // Habits are learnt also while nothing is told of them.
    books.add(true, channel_quiet::ChannelQuiet::new(deps, config.channel_quiet));
    books.add(config.pipeline_lag.enabled, pipeline_lag::PipelineLag::new(deps, config.pipeline_lag));
    process.add(config.poll_behind.enabled, poll_behind::PollBehind::new(deps, &config.poll_behind));
    books.add(config.delivery_stuck.enabled, delivery_stuck::DeliveryStuck::new(deps, config.delivery_stuck));
    books.add(config.deliveries_held.enabled, deliveries_held::DeliveriesHeld::new(deps));
    books.add(
        config.deliveries_rejected.enabled,
        deliveries_rejected::DeliveriesRejected::new(deps, config.deliveries_rejected),
    );
    books.add(config.receipts_overdue.enabled, receipts_overdue::ReceiptsOverdue::new(deps, config.receipts_overdue));
    process.add(config.breaker_open.enabled, breaker_open::BreakerOpen::new(deps, &config.breaker_open));
    process.add(config.webhooks_all_refused.enabled, webhooks_all_refused::WebhooksAllRefused::new(deps));
    process.add(config.clock_skew.enabled, clock_skew::ClockSkew::new(deps, config.clock_skew));
    process.add(config.bus_size.enabled, bus_size::BusSize::new(deps, config.bus_size));
    process.add(config.spool_depth.enabled, spool_depth::SpoolDepth::new(deps, config.spool_depth));
    process.add(config.disk_low.enabled, disk_low::DiskLow::new(deps, config.disk_low));
    process.add(
        config.credential_expiring.enabled,
        credential_expiring::CredentialExpiring::new(deps, config.credential_expiring),
    );
    process.add(config.task_stalled.enabled, task_stalled::TaskStalled::new(deps));
    books
        .add(config.dead_letters_open.enabled, dead_letters_open::DeadLettersOpen::new(deps, config.dead_letters_open));
    books.add(config.parked_overdue.enabled, parked_overdue::ParkedOverdue::new(deps, &config.parked_overdue));
    books.add(
        config.verification_overdue.enabled,
        verification_overdue::VerificationOverdue::new(deps, &config.verification_overdue),
    );
    books.add(
        config.comparison_overdue.enabled,
        comparison_overdue::ComparisonOverdue::new(deps, &config.comparison_overdue),
    );
    books.add(config.unmapped_codes.enabled, unmapped_codes::UnmappedCodes::new(deps, &config.unmapped_codes));
    books.add(config.number_holes.enabled, number_holes::NumberHoles::new(deps, config.number_holes));
    books.add(config.gaps.enabled, gaps::Gaps::new(deps));
    Checks { of_process: process.checks, of_books: books.checks, last }
}

pub(crate) fn finding<const N: usize>(
    code: &'static str,
    channel: Option<&ChannelId>,
    subject: &str,
    severity: Severity,
    count: u64,
    since: Timestamp,
    facts: [(&'static str, String); N],
) -> Finding {
    Finding {
        code,
        channel: channel.cloned(),
        subject: subject.to_owned(),
        severity,
        count,
        since,
        facts: facts.map(|(name, value)| (name.into(), value)).into(),
    }
}
