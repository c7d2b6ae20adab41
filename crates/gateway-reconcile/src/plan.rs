//! Which comparisons are due. Pure.
//!
//! The recent past often, older parts ever more rarely, everything now and then, and after an outage its time at once. A comparison that reaches
//! farther includes the shorter ones; while a long one is under way the shorter ones still come at their own pace, and go first.

use crate::config::{ReconcileConfig, earlier, later};
use crate::memory::Memory;
use crate::sweep::Scope;
use gateway_model::{Grain, Timestamp, Window};

/// What was asked for besides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) whole: bool,
    pub(crate) recent: bool,
}

fn is_due(last: Option<Timestamp>, every_ms: u64, now: Timestamp) -> bool {
    // A clock that was set back begins anew.
    last.is_none_or(|last| now >= later(last, every_ms) || now < last)
}

/// What is to begin now.
pub(crate) fn due(
    config: &ReconcileConfig,
    memory: &Memory,
    under_way: &[Scope],
    wants: Wants,
    now: Timestamp,
) -> Vec<Scope> {
    let idle = |scope: Scope| !under_way.contains(&scope);
    let mut scopes = Vec::new();
    if memory.outage.is_some() && idle(Scope::Outage) {
        scopes.push(Scope::Outage);
    }
    let whole = wants.whole || memory.whole_wanted || is_due(memory.whole_at, config.whole_every_ms, now);
    if whole && idle(Scope::Whole) {
        scopes.push(Scope::Whole);
        return scopes;
    }
    let older = config.tiers.iter().rev().find(|tier| {
        // What everything includes is not due before everything was ever compared.
        let last = memory.older_at.get(&tier.reach_ms).copied().or(memory.whole_at);
        idle(Scope::Older(tier.reach_ms)) && is_due(last, tier.every_ms, now)
    });
    if let Some(tier) = older {
        scopes.push(Scope::Older(tier.reach_ms));
    } else if idle(Scope::Recent) && (wants.recent || is_due(memory.recent_at, config.recent_every_ms, now)) {
        scopes.push(Scope::Recent);
    }
    scopes
}

/// Notes that a comparison begins: what it includes begins with it.
pub(crate) fn begun(config: &ReconcileConfig, memory: &mut Memory, scope: Scope, now: Timestamp) {
    let reach = match scope {
        Scope::Asked => return,
        Scope::Outage => {
            memory.outage = None;
            return;
        }
        Scope::Recent => 0,
        Scope::Older(reach) => reach,
        Scope::Whole => {
            memory.whole_at = Some(now);
            memory.whole_wanted = false;
            u64::MAX
        }
    };
    memory.recent_at = Some(now);
    for tier in config.tiers.iter().filter(|tier| tier.reach_ms <= reach) {
        memory.older_at.insert(tier.reach_ms, now);
    }
    memory.older_at.retain(|reach, _| config.tiers.iter().any(|tier| tier.reach_ms == *reach));
}

/// From so far back until the end of today.
pub(crate) fn back(reach_ms: u64, now: Timestamp) -> Window {
    Window::new(Grain::Day.bucket(earlier(now, reach_ms)).start, Grain::Day.bucket(now).end)
}

/// When the next comparison falls due by time.
pub(crate) fn next_at(config: &ReconcileConfig, memory: &Memory, now: Timestamp) -> Timestamp {
    let at = |last: Option<Timestamp>, every| last.map_or(now, |last| later(last, every));
    let older = config.tiers.iter().map(|tier| at(memory.older_at.get(&tier.reach_ms).copied(), tier.every_ms));
    let rest = [at(memory.recent_at, config.recent_every_ms), at(memory.whole_at, config.whole_every_ms)];
    older.chain(rest).min().unwrap_or(now)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Tier;
    use std::collections::BTreeMap;

    const HOUR: u64 = 3_600_000;

    fn config() -> ReconcileConfig {
        ReconcileConfig {
            recent_every_ms: 60_000,
            tiers: vec![
                Tier { reach_ms: 14 * 24 * HOUR, every_ms: HOUR },
                Tier { reach_ms: 100 * 24 * HOUR, every_ms: 6 * HOUR },
            ],
            whole_every_ms: 24 * HOUR,
            ..ReconcileConfig::default()
        }
    }

    #[test]
    fn older_parts_are_compared_ever_more_rarely_and_everything_daily() {
        let config = config();
        let mut memory = Memory::default();
        let mut counts: BTreeMap<Scope, u32> = BTreeMap::new();
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let week_s = 7 * 86_400;
        for second in (0..week_s).step_by(10) {
            let now = Timestamp::from_second(start.as_second() + second).unwrap();
            for scope in due(&config, &memory, &[], Wants::default(), now) {
                begun(&config, &mut memory, scope, now);
                *counts.entry(scope).or_default() += 1;
            }
        }
        let count = |scope| counts.get(&scope).copied().unwrap_or_default();
        assert_eq!(count(Scope::Whole), 7);
        assert_eq!(count(Scope::Older(100 * 24 * HOUR)), 7 * 3, "the fourth of each day is the whole one");
        assert_eq!(count(Scope::Older(14 * 24 * HOUR)), 7 * 20);
        assert_eq!(count(Scope::Recent), 7 * 24 * 59);
    }

    #[test]
    fn a_long_comparison_does_not_keep_the_short_ones_waiting() {
        let config = config();
        let mut memory = Memory::default();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(due(&config, &memory, &[], Wants::default(), now), [Scope::Whole]);
        begun(&config, &mut memory, Scope::Whole, now);
        let under_way = [Scope::Whole];
        assert!(due(&config, &memory, &under_way, Wants::default(), now).is_empty());
        let minute = later(now, 60_000);
        assert_eq!(due(&config, &memory, &under_way, Wants::default(), minute), [Scope::Recent]);
        assert!(Scope::Recent < Scope::Older(1) && Scope::Older(1) < Scope::Older(2) && Scope::Older(2) < Scope::Whole);
    }

    #[test]
    fn after_an_outage_its_time_is_compared_and_then_everything() {
        let config = config();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut memory = Memory::default();
        begun(&config, &mut memory, Scope::Whole, now);
        memory.answered(now, &config);
        let back = later(now, HOUR / 2);
        memory.answered(back, &config);
        assert_eq!(due(&config, &memory, &[], Wants::default(), back), [Scope::Outage, Scope::Whole]);
        begun(&config, &mut memory, Scope::Outage, back);
        begun(&config, &mut memory, Scope::Whole, back);
        assert!(due(&config, &memory, &[], Wants::default(), back).is_empty());
    }
}
