//! From a coarse difference to the items: which account to ask for next. Pure.
//!
//! A total that differs is halved by further totals as long as few things differ (`halve`): each costs one small bucket. Where many do, and on
//! channels without totals, the calendar is the ladder: month → day → hour → ten minutes → ids, skipping grains that the channel lacks. Two short cuts save calls: a differing bucket with few items,
//! or one of which a side lacks most, is listed at once. Date-only items are absent from hours and ten minutes, so they show as a rest: what
//! the day differs by, less what its hours differ by. They lie in the first second of their day, so one tiny list finds them; a
//! change between the two accounts looks the same, and costs only that list.
//!
//! Refused: set reconciliation by trees or sketches. Sums by calendar are what a peer can compute in plain SQL.

use crate::compare::{Differing, Tally};
use crate::config::ReconcileConfig;
use gateway_model::{Bucket, Grain, Timestamp, Window};

/// One account to ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The window, aligned to what is asked for.
    pub window: Window,
    /// The grain.
    pub grain: Grain,
    /// The coarser buckets that differ and lie in the window, with the grain and time of their account.
    pub parents: Option<Parents>,
    /// How often it was asked in vain for a contradicting account.
    pub doubts: u32,
    /// Where the window, whose total is known to differ, is to be halved: how often it has split into two differing halves on the way here.
    pub half: Option<u32>,
}

/// The coarser account that led to a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Parents {
    /// Its grain.
    pub grain: Grain,
    /// When it was true.
    pub as_of: Timestamp,
    /// Its buckets that differ.
    pub buckets: Vec<Differing>,
}

/// Where a difference leads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Descent {
    /// What to ask next.
    pub steps: Vec<Step>,
    /// What differs and can't be narrowed any further: the channel can't name items.
    pub unnamed: Vec<Differing>,
}

/// What a channel offers, and how much may be asked for at once.
#[derive(Debug, Clone)]
pub struct Ladder {
    grains: Vec<Grain>,
    list_below: u64,
    ids_per_call: u64,
    buckets_per_call: i64,
    merge_between: i64,
    halving_splits: u32,
}

impl Ladder {
    /// The ladder of a channel.
    #[must_use]
    pub fn new(grains: &[Grain], config: &ReconcileConfig) -> Self {
        let mut grains = grains.to_vec();
        grains.sort_unstable();
        grains.dedup();
        Self {
            grains,
            list_below: config.list_below_items,
            ids_per_call: config.ids_per_call,
            buckets_per_call: i64::from(config.buckets_per_call.max(1)),
            merge_between: i64::from(config.merge_between_buckets),
            halving_splits: config.halving_splits,
        }
    }

    /// The first account of a span: day sums up to a few months, beyond that the coarsest: one total where the channel has it. `None` when the channel offers nothing.
    #[must_use]
    pub fn first(&self, span: Window) -> Option<Step> {
        const LONG_S: i64 = 100 * 86_400;
        let coarsest = *self.grains.first()?;
        let short = span.end.as_second() - span.start.as_second() <= LONG_S;
        // Finer than a day would miss date-only items.
        let grain = if short && self.grains.contains(&Grain::Day) { Grain::Day } else { coarsest };
        // Months fill the window of a total, so that ours is a sum of few kept ones.
        let align = grain.clamp(Grain::Month, Grain::Day);
        let last = Timestamp::from_second(span.end.as_second() - 1).unwrap_or(span.end);
        let window = Window::new(align.bucket(span.start).start, align.bucket(last).end);
        Some(Step { window, grain, parents: None, doubts: 0, half: None })
    }

    /// What follows from the differing buckets of a step's account.
    #[must_use]
    pub fn descend(&self, step: &Step, as_of: Timestamp, differing: &[Differing]) -> Descent {
        if step.grain == Grain::Total {
            return self.below_totals(as_of, 0, differing);
        }
        let mut descent = Descent::default();
        let finer = self.grains.iter().copied().find(|grain| *grain > step.grain);
        let (mut list, mut narrow) = (Vec::new(), Vec::new());
        for bucket in differing {
            match finer {
                None => descent.unnamed.push(*bucket),
                Some(Grain::Ids) => list.push(*bucket),
                Some(_) if self.better_listed(bucket) => list.push(*bucket),
                Some(_) => narrow.push(*bucket),
            }
        }
        if let Some(grain) = finer.filter(|grain| *grain != Grain::Ids) {
            descent.steps.extend(self.join(narrow, step.grain, as_of, grain));
        }
        descent.steps.extend(self.join(list, step.grain, as_of, Grain::Ids));
        descent.steps.extend(self.rests(step, differing));
        descent
    }

    /// What follows from the two halves of a window that was to be halved.
    #[must_use]
    pub fn split(&self, step: &Step, as_of: Timestamp, halves: [Differing; 2]) -> Descent {
        let differing: Vec<Differing> = halves.into_iter().filter(|half| half.ours != half.theirs).collect();
        let splits = step.half.unwrap_or(0) + u32::from(differing.len() == 2);
        self.below_totals(as_of, splits, &differing)
    }

    /// What follows from a window that can't be halved after all.
    #[must_use]
    pub fn unhalved(&self, as_of: Timestamp, differing: &[Differing]) -> Descent {
        self.below_totals(as_of, u32::MAX, differing)
    }

    fn below_totals(&self, as_of: Timestamp, splits: u32, differing: &[Differing]) -> Descent {
        let mut descent = Descent::default();
        for bucket in differing {
            let step = |grain, half| {
                let parents = Some(Parents { grain: Grain::Total, as_of, buckets: vec![*bucket] });
                Step { window: bucket.window, grain, parents, doubts: 0, half }
            };
            let halving = splits < self.halving_splits && self.names_items() && self.grains.contains(&Grain::Total);
            let most = bucket.theirs.count.max(bucket.ours.count);
            if self.better_listed(bucket) && (!halving || most <= ITEMS_OF_A_TOTAL || self.lacks_most(bucket)) {
                descent.steps.push(step(Grain::Ids, None));
            } else if halving && halving_grain(bucket.window).is_some() {
                descent.steps.push(step(Grain::Total, Some(splits)));
            } else if let Some(grain) = self.filling(bucket.window) {
                descent.steps.push(step(grain, None));
            } else if self.names_items() {
                descent.steps.push(step(Grain::Ids, None));
            } else {
                descent.unnamed.push(*bucket);
            }
        }
        descent
    }

    // The coarsest grain of which several buckets fill a window.
    fn filling(&self, window: Window) -> Option<Grain> {
        let last = Timestamp::from_second(window.end.as_second() - 1).unwrap_or(window.end);
        let fills = |grain: &&Grain| {
            let (first, last) = (grain.bucket(window.start), grain.bucket(last));
            first.start == window.start && last.end == window.end && first != last
        };
        self.grains.iter().filter(|grain| !matches!(grain, Grain::Total | Grain::Ids)).find(fills).copied()
    }

    fn names_items(&self) -> bool {
        self.grains.last() == Some(&Grain::Ids)
    }

    fn better_listed(&self, bucket: &Differing) -> bool {
        let most = bucket.theirs.count.max(bucket.ours.count);
        self.names_items() && (most <= self.list_below || self.lacks_most(bucket))
    }

    // One side lacks so much of it that a list names little that is known.
    fn lacks_most(&self, bucket: &Differing) -> bool {
        let most = bucket.theirs.count.max(bucket.ours.count);
        let lacking = bucket.theirs.count.abs_diff(bucket.ours.count);
        most <= self.ids_per_call && lacking.saturating_mul(2) >= most
    }

    // Windows close to each other become one call, up to a size.
    fn join(&self, buckets: Vec<Differing>, from: Grain, as_of: Timestamp, to: Grain) -> Vec<Step> {
        let width = match to {
            Grain::Total | Grain::Month => 28 * 86_400,
            Grain::Day => 86_400,
            Grain::Hour => 3_600,
            Grain::TenMinutes | Grain::Ids => 600,
        };
        let items = |buckets: &[Differing]| {
            buckets.iter().map(|bucket| bucket.theirs.count.max(bucket.ours.count)).sum::<u64>()
        };
        let mut groups: Vec<Vec<Differing>> = Vec::new();
        for bucket in buckets {
            let fits = |group: &Vec<Differing>| {
                let (Some(first), Some(last)) = (group.first(), group.last()) else { return false };
                let between = bucket.window.start.as_second() - last.window.end.as_second();
                let span = bucket.window.end.as_second() - first.window.start.as_second();
                if to == Grain::Ids {
                    between <= 0 && items(group) + items(&[bucket]) <= self.ids_per_call
                } else {
                    between <= self.merge_between * width && span <= self.buckets_per_call * width
                }
            };
            match groups.last_mut() {
                Some(group) if fits(group) => group.push(bucket),
                _ => groups.push(vec![bucket]),
            }
        }
        let step = |buckets: Vec<Differing>| {
            let window = Window::new(buckets.first()?.window.start, buckets.last()?.window.end);
            let parents = Some(Parents { grain: from, as_of, buckets });
            Some(Step { window, grain: to, parents, doubts: 0, half: None })
        };
        groups.into_iter().filter_map(step).collect()
    }

    fn rests(&self, step: &Step, differing: &[Differing]) -> Vec<Step> {
        let Some(parents) = &step.parents else { return Vec::new() };
        // Only from a grain that counts date-only items to one that does not.
        if step.grain <= Grain::Day || parents.grain > Grain::Day || !self.names_items() {
            return Vec::new();
        }
        let rest = |parent: &&Differing| {
            let inside = differing.iter().filter(|child| parent.window.contains(child.window.start));
            let explained = inside.fold(Tally::default(), |sum, child| sum.plus(child.delta()));
            parent.delta() != explained
        };
        let list = |parent: &Differing| {
            let one_day = Grain::Day.bucket(parent.window.start) == parent.window;
            let window = if one_day { first_second(parent.window) } else { parent.window };
            Step { window, grain: Grain::Ids, parents: None, doubts: 0, half: None }
        };
        parents.buckets.iter().filter(rest).map(list).collect()
    }
}

/// A list of so many items weighs no more than a further total or two.
const ITEMS_OF_A_TOTAL: u64 = 3;

/// The kept grain at whose bucket borders a window is halved; `None` for ten minutes and less.
#[must_use]
pub fn halving_grain(window: Window) -> Option<Grain> {
    match window.end.as_second() - window.start.as_second() {
        ..=600 => None,
        601..=3_600 => Some(Grain::TenMinutes),
        3_601..=86_400 => Some(Grain::Hour),
        86_401..=5_356_800 => Some(Grain::Day),
        _ => Some(Grain::Month),
    }
}

/// Where to halve a window: at the border of buckets of [`halving_grain`] that has as many of our items before it as behind it; in the middle of
/// time where we hold nothing. `None` where no border lies inside.
#[must_use]
pub fn middle(window: Window, grain: Grain, ours: &[Bucket]) -> Option<Timestamp> {
    let (start, end) = (window.start.as_second(), window.end.as_second());
    let all: u64 = ours.iter().map(|bucket| bucket.count).sum();
    let mut before = 0;
    let half = ours.iter().find(|bucket| {
        before += bucket.count;
        before.saturating_mul(2) >= all
    });
    let at = match half {
        // With the bucket that crosses the half, or without it, whichever is nearer.
        Some(bucket) if all > 0 => {
            let without = before - bucket.count;
            let border = grain.bucket(bucket.start);
            if before.saturating_mul(2) - all <= all - without.saturating_mul(2) { border.end } else { border.start }
        }
        _ => grain.bucket(Timestamp::from_second(start.midpoint(end)).unwrap_or(window.end)).start,
    };
    let inside = |at: Timestamp| at > window.start && at < window.end;
    let first = grain.bucket(window.start).end;
    let last = grain.bucket(Timestamp::from_second(end - 1).unwrap_or(window.end)).start;
    [at, if at <= window.start { first } else { last }, first].into_iter().find(|at| inside(*at))
}

fn first_second(day: Window) -> Window {
    let end = Timestamp::from_second(day.start.as_second() + 1).unwrap_or(day.end);
    Window::new(day.start, end)
}
