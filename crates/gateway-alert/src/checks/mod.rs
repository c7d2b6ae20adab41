//! The checks of silence and slowness: one file for each.
//!
//! Each looks at one kind of trouble in the store, on the bus, on the disk, or in the process ([`ProcessView`]), remembers between looks what it
//! needs so as not to flap at a threshold, and names how many, since when, and the values that a text needs (listed at each check). Subjects are
//! bounded: a channel, a task, a directory, the beginning of numbers. Looking costs a few statements that an index serves.
//!
//! Refused: rules written as expressions in the configuration. Each check knows what its numbers mean, and only its thresholds are settings.

mod breaker_open;
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
}

impl CheckDeps {
    fn channel_ids(&self) -> Vec<ChannelId> {
        self.channels.iter().map(|channel| channel.id.clone()).collect()
    }

    fn sinks(&self) -> Vec<ChannelId> {
        self.channels.iter().filter(|channel| channel.sink).map(|channel| channel.id.clone()).collect()
    }
}

/// The checks that the configuration wants, and where what they last found can be read.
#[must_use]
pub fn all(deps: &CheckDeps, config: &ChecksConfig) -> (Vec<Box<dyn Check>>, Arc<LastLook>) {
    let config = config.clone();
    // Habits are learnt also while nothing is told of them.
    let mut checks: Vec<Box<dyn Check>> = vec![Box::new(channel_quiet::ChannelQuiet::new(deps, config.channel_quiet))];
    let mut add = |enabled: bool, check: Box<dyn Check>| {
        if enabled {
            checks.push(check);
        }
    };
    add(config.pipeline_lag.enabled, Box::new(pipeline_lag::PipelineLag::new(deps, config.pipeline_lag)));
    add(config.poll_behind.enabled, Box::new(poll_behind::PollBehind::new(deps, &config.poll_behind)));
    add(config.delivery_stuck.enabled, Box::new(delivery_stuck::DeliveryStuck::new(deps, config.delivery_stuck)));
    add(config.deliveries_held.enabled, Box::new(deliveries_held::DeliveriesHeld::new(deps)));
    add(
        config.deliveries_rejected.enabled,
        Box::new(deliveries_rejected::DeliveriesRejected::new(deps, config.deliveries_rejected)),
    );
    add(
        config.receipts_overdue.enabled,
        Box::new(receipts_overdue::ReceiptsOverdue::new(deps, config.receipts_overdue)),
    );
    add(config.breaker_open.enabled, Box::new(breaker_open::BreakerOpen::new(deps, &config.breaker_open)));
    add(config.webhooks_all_refused.enabled, Box::new(webhooks_all_refused::WebhooksAllRefused::new(deps)));
    add(config.clock_skew.enabled, Box::new(clock_skew::ClockSkew::new(deps, config.clock_skew)));
    add(config.spool_depth.enabled, Box::new(spool_depth::SpoolDepth::new(deps, config.spool_depth)));
    add(config.disk_low.enabled, Box::new(disk_low::DiskLow::new(deps, config.disk_low)));
    add(
        config.credential_expiring.enabled,
        Box::new(credential_expiring::CredentialExpiring::new(deps, config.credential_expiring)),
    );
    add(config.task_stalled.enabled, Box::new(task_stalled::TaskStalled::new(deps)));
    add(
        config.dead_letters_open.enabled,
        Box::new(dead_letters_open::DeadLettersOpen::new(deps, config.dead_letters_open)),
    );
    add(config.parked_overdue.enabled, Box::new(parked_overdue::ParkedOverdue::new(deps, &config.parked_overdue)));
    add(
        config.comparison_overdue.enabled,
        Box::new(comparison_overdue::ComparisonOverdue::new(deps, &config.comparison_overdue)),
    );
    add(config.unmapped_codes.enabled, Box::new(unmapped_codes::UnmappedCodes::new(deps, &config.unmapped_codes)));
    add(config.number_holes.enabled, Box::new(number_holes::NumberHoles::new(deps, config.number_holes)));
    add(config.gaps.enabled, Box::new(gaps::Gaps::new(deps)));
    let last = Arc::new(LastLook::default());
    let remembered = checks
        .into_iter()
        .map(|check| -> Box<dyn Check> { Box::new(last_look::Remembered { check, last: Arc::clone(&last) }) });
    (remembered.collect(), last)
}

fn finding<const N: usize>(
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
        facts: facts.into_iter().collect(),
    }
}
