//! The settings of all checks: `[alert.checks.<name>]`. The defaults fit a bureau with a hundred to a thousand orders a day.

use super::breaker_open::BreakerOpenConfig;
use super::bus_size::BusSizeConfig;
use super::channel_quiet::ChannelQuietConfig;
use super::clock_skew::ClockSkewConfig;
use super::comparison_overdue::ComparisonOverdueConfig;
use super::credential_expiring::CredentialExpiringConfig;
use super::dead_letters_open::DeadLettersOpenConfig;
use super::deliveries_held::DeliveriesHeldConfig;
use super::deliveries_rejected::DeliveriesRejectedConfig;
use super::delivery_stuck::DeliveryStuckConfig;
use super::disk_low::DiskLowConfig;
use super::gaps::GapsConfig;
use super::number_holes::NumberHolesConfig;
use super::parked_overdue::ParkedOverdueConfig;
use super::pipeline_lag::PipelineLagConfig;
use super::poll_behind::PollBehindConfig;
use super::receipts_overdue::ReceiptsOverdueConfig;
use super::spool_depth::SpoolDepthConfig;
use super::task_stalled::TaskStalledConfig;
use super::unmapped_codes::UnmappedCodesConfig;
use super::verification_overdue::VerificationOverdueConfig;
use super::webhooks_all_refused::WebhooksAllRefusedConfig;
use serde::{Deserialize, Serialize};

macro_rules! sections {
    ($($name:ident: $section:ident,)*) => {
        /// The settings of each check, by its name.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct ChecksConfig {
            $(#[doc = concat!("`", stringify!($name), "`.")] pub $name: $section,)*
        }
    };
}

sections! {
    channel_quiet: ChannelQuietConfig,
    pipeline_lag: PipelineLagConfig,
    poll_behind: PollBehindConfig,
    delivery_stuck: DeliveryStuckConfig,
    deliveries_held: DeliveriesHeldConfig,
    deliveries_rejected: DeliveriesRejectedConfig,
    receipts_overdue: ReceiptsOverdueConfig,
    breaker_open: BreakerOpenConfig,
    webhooks_all_refused: WebhooksAllRefusedConfig,
    clock_skew: ClockSkewConfig,
    bus_size: BusSizeConfig,
    spool_depth: SpoolDepthConfig,
    disk_low: DiskLowConfig,
    credential_expiring: CredentialExpiringConfig,
    task_stalled: TaskStalledConfig,
    dead_letters_open: DeadLettersOpenConfig,
    parked_overdue: ParkedOverdueConfig,
    verification_overdue: VerificationOverdueConfig,
    comparison_overdue: ComparisonOverdueConfig,
    unmapped_codes: UnmappedCodesConfig,
    number_holes: NumberHolesConfig,
    gaps: GapsConfig,
}

impl ChecksConfig {
    /// What makes no sense: keys below `alert.checks`, and what is expected.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut expect = |right: bool, key: &str, text: &str| {
            if !right {
                mistakes.push((key.to_owned(), text.to_owned()));
            }
        };
        let share = |value: f64| value > 0.0 && value < 1.0;
        let quiet = &self.channel_quiet;
        expect(share(quiet.share), "channel_quiet.share", "must be between 0 and 1");
        expect(
            quiet.improbable > 0.0 && quiet.improbable <= 0.01,
            "channel_quiet.improbable",
            "must be above 0 and at most 0.01: whatever is less rare happens by chance",
        );
        expect((1..=168).contains(&quiet.longest_h), "channel_quiet.longest_h", "must be 1 to 168");
        expect(quiet.gap_s >= 60, "channel_quiet.gap_s", "must be at least 60");
        let lag = &self.pipeline_lag;
        expect(lag.leave_age_s <= lag.age_s, "pipeline_lag.leave_age_s", "must be at most `age_s`");
        expect(lag.leave_records <= lag.records, "pipeline_lag.leave_records", "must be at most `records`");
        expect(lag.records > 0, "pipeline_lag.records", "must be at least 1");
        expect(lag.age_s > 0, "pipeline_lag.age_s", "must be at least 1");
        expect(self.poll_behind.after_s > 0, "poll_behind.after_s", "must be at least 1");
        let stuck = &self.delivery_stuck;
        expect(stuck.leave_s <= stuck.after_s, "delivery_stuck.leave_s", "must be at most `after_s`");
        expect(stuck.critical_s >= stuck.after_s, "delivery_stuck.critical_s", "must be at least `after_s`");
        let rejected = &self.deliveries_rejected;
        expect(share(rejected.share), "deliveries_rejected.share", "must be between 0 and 1");
        expect(
            rejected.leave_share > 0.0 && rejected.leave_share <= rejected.share,
            "deliveries_rejected.leave_share",
            "must be above 0 and at most `share`",
        );
        expect(rejected.least > 0, "deliveries_rejected.least", "must be at least 1");
        expect(rejected.window_s >= 60, "deliveries_rejected.window_s", "must be at least 60");
        let receipts = &self.receipts_overdue;
        expect(receipts.leave_s <= receipts.after_s, "receipts_overdue.leave_s", "must be at most `after_s`");
        let clock = &self.clock_skew;
        expect(clock.leave_ms <= clock.warn_ms, "clock_skew.leave_ms", "must be at most `warn_ms`");
        expect(clock.critical_ms >= clock.warn_ms, "clock_skew.critical_ms", "must be at least `warn_ms`");
        // A `Date` is exact to a second, and an answer takes its time.
        expect(clock.leave_ms >= 2_000, "clock_skew.leave_ms", "must be at least 2000");
        let bus = &self.bus_size;
        expect(bus.leave_mib <= bus.warn_mib, "bus_size.leave_mib", "must be at most `warn_mib`");
        expect(bus.warn_mib > 0, "bus_size.warn_mib", "must be at least 1");
        let spool = &self.spool_depth;
        expect(
            spool.warn_after_s <= spool.critical_after_s,
            "spool_depth.critical_after_s",
            "must be at least `warn_after_s`",
        );
        let disk = &self.disk_low;
        expect((0.0..1.0).contains(&disk.warn_share), "disk_low.warn_share", "must be 0 to 1");
        expect(
            disk.critical_share >= 0.0 && disk.critical_share <= disk.warn_share,
            "disk_low.critical_share",
            "must be 0 to `warn_share`",
        );
        expect(disk.critical_mib <= disk.warn_mib, "disk_low.critical_mib", "must be at most `warn_mib`");
        expect(disk.leave_factor >= 1.0 && disk.leave_factor < 10.0, "disk_low.leave_factor", "must be 1 to 10");
        let credential = &self.credential_expiring;
        expect(
            credential.critical_days <= credential.warn_days && credential.warn_days <= credential.info_days,
            "credential_expiring.warn_days",
            "must be between `critical_days` and `info_days`",
        );
        expect(self.dead_letters_open.many > 0, "dead_letters_open.many", "must be at least 1");
        expect(self.comparison_overdue.periods > 0, "comparison_overdue.periods", "must be at least 1");
        expect((1..=14).contains(&self.number_holes.days), "number_holes.days", "must be 1 to 14");
        expect(self.number_holes.every_s >= 60, "number_holes.every_s", "must be at least 60");
        mistakes
    }
}
