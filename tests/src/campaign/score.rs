//! What was found of what was injected, and whether every gap was one.
//!
//! A fault that leaves a difference is *found* when a gap of an allowed kind that opened after the injection names one of its items; it is *repaired* when
//! such a gap was closed by a newer comparison. A fault that life itself put right within the patience (the record was shown again, its order deleted)
//! need not be found; one that lasted longer must have been. A gap is *false* when the platform's own history says that at the moment of
//! the second look it held just what the gateway says that it held itself.

use super::world::Side;
use super::{Trouble, World};
use gateway_simulator::FaultKind;
use gateway_simulator::clock;
use gateway_simulator::digest::{Dataset, ItemKey};
use gateway_simulator::judge::Mismatch;
use gateway_simulator::{Expected, Injected};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How long a difference may last before it must have been found: the rarest comparison, its second look, and an outage in between.
const PATIENCE_MS: i64 = 24 * 3_600_000;
/// A lie is believed to be one at the second look: the greatest allowance after the first, and the comparisons before and after it.
const LIE_PATIENCE_MS: i64 = 170 * 60_000;
/// What the reason of a gap says that was sent again in vain.
const GIVEN_UP: [&str; 2] = ["the delivery was rejected", "still does not show what we sent"];
/// How many of a kind are told one by one.
const TOLD: usize = 5;

type Key = (String, String, String, String);

/// A gap that opened, as the gateway tells of it.
struct Gap {
    id: i64,
    kind: String,
    /// Dataset, number, day, part.
    key: Option<Key>,
    dataset: String,
    /// The day of the event time that it is about.
    about: String,
    opened_ms: i64,
    compared_ms: i64,
    closed: bool,
    /// When it ended; never, while it is unfinished.
    ended_ms: i64,
    theirs: Option<String>,
    ours: Option<String>,
    /// Left to a person: the destination refused the repair by its own rules, or lost what was sent again as often as it is sent again.
    refused: bool,
}

/// How the faults of one kind fared.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Row {
    /// How many were injected.
    pub injected: u64,
    /// Of these, how many need not be found: absorbed, or not observable at all.
    pub absorbed: u64,
    /// How many life itself put right before they had to be found, or of which the gateway was never told that they were done.
    pub healed: u64,
    /// How many had to be found.
    pub to_find: u64,
    /// How many of these were found and named to the narrowest grain.
    pub found: u64,
    /// How many of the found can be repaired without a person.
    pub repairable: u64,
    /// How many of those were repaired, verified by a newer comparison.
    pub repaired: u64,
    /// How many of those the destination refused to take again by its own rules, as an order that moved on; left to a person with its words.
    pub refused: u64,
    /// Time from the injection to the open gap, in simulated seconds: median and longest.
    pub seconds_to_find: Option<(i64, i64)>,
    /// The first few that were not found.
    pub missed: Vec<String>,
    /// The first few that were not repaired.
    pub left: Vec<String>,
}

/// The whole score.
#[derive(Debug, Default, Serialize)]
pub struct Score {
    /// By channel and kind of fault, and form where the table tells them apart.
    pub kinds: BTreeMap<String, Row>,
    /// Gaps that opened.
    pub gaps: u64,
    /// Of these, false ones; the first few.
    pub false_gaps: Vec<String>,
    /// Gaps that opened though no injected fault names their item; real by the platform's history, as what heavy-tailed lateness makes.
    pub by_lateness: u64,
    /// Gap groups that opened: what a person would have had to read.
    pub groups: u64,
}

impl Score {
    /// Reads the log, the history and the gaps.
    ///
    /// # Errors
    /// When the gateway can't be read.
    pub async fn of(world: &World) -> Result<Self, Trouble> {
        let mut score = Score { groups: count_groups(world).await?, ..Score::default() };
        for side in &world.sides {
            score.add(world, side).await?;
        }
        Ok(score)
    }

    async fn add(&mut self, world: &World, side: &Side) -> Result<(), Trouble> {
        let gaps = read_gaps(world, side).await?;
        let index = Index::of(&gaps);
        let faults = side.platform.injected();
        let history = History::of(&faults);
        let mut explained = HashSet::new();
        let mut waits: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for fault in &faults {
            let name = format!("{} {}", side.channel, name_of(fault));
            let row = self.kinds.entry(name.clone()).or_default();
            row.injected += 1;
            let explaining = index.explaining(&gaps, fault);
            explained.extend(explaining.iter().copied());
            let repairable = match &fault.expected {
                Expected::Gap { repairable, .. } | Expected::Deleted { repairable, .. } => *repairable,
                Expected::ManifestUnreliable => true,
                Expected::Absorbed { .. } | Expected::Unobservable => {
                    row.absorbed += 1;
                    continue;
                }
            };
            if fault.items.is_empty() && fault.dataset.is_none() {
                row.healed += 1;
                continue;
            }
            let Some(first) = explaining.iter().map(|at| &gaps[*at]).min_by_key(|gap| gap.opened_ms) else {
                if lasted(fault, &faults, world.now().as_millisecond())
                    && !history.never_differed(fault, &index, &gaps)
                    && !is_known_undone(world, fault).await?
                {
                    row.to_find += 1;
                    row.miss(describe(fault));
                } else {
                    row.healed += 1;
                }
                continue;
            };
            row.to_find += 1;
            row.found += 1;
            waits.entry(name).or_default().push((first.opened_ms - fault.at_ms).max(0) / 1_000);
            if repairable {
                row.repairable += 1;
                let open: Vec<&Gap> = explaining.iter().map(|at| &gaps[*at]).filter(|gap| !gap.closed).collect();
                match open.iter().find(|gap| !gap.refused) {
                    None if open.is_empty() => row.repaired += 1,
                    None => row.refused += 1,
                    Some(gap) if row.left.len() < TOLD => {
                        row.left.push(format!("{} of {}", told(gap), describe(fault)))
                    }
                    Some(_) => {}
                }
            }
        }
        for (kind, mut waits) in waits {
            waits.sort_unstable();
            if let (Some(row), Some(longest)) = (self.kinds.get_mut(&kind), waits.last()) {
                row.seconds_to_find = Some((waits[waits.len() / 2], *longest));
            }
        }
        self.gaps += gaps.len() as u64;
        self.by_lateness += (0..gaps.len()).filter(|at| !explained.contains(at)).count() as u64;
        self.false_gaps.extend(gaps.iter().filter(|gap| is_false(world, side, &faults, gap)).take(20).map(told));
        Ok(())
    }
}

impl Row {
    fn miss(&mut self, text: String) {
        if self.missed.len() < TOLD {
            self.missed.push(text);
        }
    }
}

/// The orders that must be left unequal at the end: by the table no account shows it, only a person can repair it, or the destination refuses to.
///
/// # Errors
/// When the gateway can't be read.
pub(super) async fn left_to_people(world: &World) -> Result<Left, Trouble> {
    let mut all = Left::default();
    for side in &world.sides {
        let left = |fault: &&Injected| match &fault.expected {
            Expected::Unobservable => true,
            Expected::Gap { repairable, .. } | Expected::Deleted { repairable, .. } => !repairable,
            _ => false,
        };
        let faults = side.platform.injected();
        all.numbers.extend(faults.iter().filter(left).filter_map(|fault| fault.number.clone()));
        for gap in read_gaps(world, side).await?.into_iter().filter(|gap| gap.refused) {
            *all.refused.entry((side.channel, gap.dataset, gap.about)).or_default() += 1;
            all.numbers.extend(gap.key.map(|key| key.1));
        }
        let found = faults.iter().filter(|fault| must_be_found(&fault.expected));
        all.taken_back.extend(found.filter_map(|fault| fault.number.clone()));
    }
    Ok(all)
}

/// What may differ at the end.
#[derive(Default)]
pub(super) struct Left {
    numbers: HashSet<String>,
    /// Orders of which the source took something back or changed it: our replies may be among that.
    taken_back: HashSet<String>,
    /// How many items are left to a person because the destination refuses to take them, by channel, dataset and day of their event time.
    refused: BTreeMap<(&'static str, String, String), u64>,
}

impl Left {
    /// How many items of a day we may hold that the source does not.
    pub(super) fn refused_on(&self, channel: &'static str, dataset: Dataset, day: &str) -> u64 {
        self.refused.get(&(channel, dataset.as_str().to_owned(), day.to_owned())).copied().unwrap_or_default()
    }

    pub(super) fn explains(&self, mismatch: &Mismatch) -> bool {
        // A delivery whose answer was lost, and that can't be asked for, is held for a person.
        // Whether a gap was false is scored here, where instants are told apart. Dead letters wait for a whole comparison in step.
        let waits = mismatch.kind == "in_flight" || (mismatch.kind == "dead_letter_open" && !self.numbers.is_empty());
        if waits || mismatch.kind == "gap_false" {
            return true;
        }
        let reply = mismatch.kind.starts_with("reply_") || mismatch.kind.starts_with("rejected_");
        self.numbers.contains(&mismatch.number) || (reply && self.taken_back.contains(&mismatch.number))
    }
}

fn must_be_found(expected: &Expected) -> bool {
    matches!(expected, Expected::Gap { .. } | Expected::Deleted { .. })
}

/// Whether it was in place for so long that it must have been found.
fn lasted(fault: &Injected, faults: &[Injected], now_ms: i64) -> bool {
    if let (Expected::ManifestUnreliable, Some(window)) = (&fault.expected, fault.window) {
        // One that ends before the second look is a suspicion that vanished, and nobody looks where nobody is let in.
        return answered_ms(window, faults) > LIE_PATIENCE_MS;
    }
    let settled = [fault.healed_at_ms, fault.fetched_at_ms, fault.superseded_at_ms].into_iter().flatten().min();
    settled.unwrap_or(now_ms) - fault.at_ms > PATIENCE_MS
}

/// For how much of a time the account could be asked for: there was no outage, and no clock so wrong that what we sign is refused.
fn answered_ms((from, until): (i64, i64), faults: &[Injected]) -> i64 {
    let shuts_out = |fault: &&Injected| {
        fault.kind == FaultKind::Outage || (fault.kind == FaultKind::ClockSkew && fault.variant.ends_with("_far"))
    };
    let mut shut: Vec<(i64, i64)> = faults.iter().filter(shuts_out).filter_map(|fault| fault.window).collect();
    shut.sort_unstable();
    let (mut answered, mut at) = (0, from);
    for (begin, end) in shut {
        answered += (begin.min(until) - at).max(0);
        at = at.max(end);
    }
    answered + (until - at).max(0)
}

/// What happened to each item.
struct History<'a> {
    by_item: HashMap<&'a ItemKey, Vec<&'a Injected>>,
}

impl<'a> History<'a> {
    fn of(faults: &'a [Injected]) -> Self {
        let mut by_item: HashMap<&ItemKey, Vec<&Injected>> = HashMap::new();
        for fault in faults {
            fault.items.iter().for_each(|item| by_item.entry(item).or_default().push(fault));
        }
        Self { by_item }
    }

    /// Whether a fault only undid an earlier one before anybody had acted on that: what was taken back before it had arrived is missed by nobody,
    /// what came back before its end had been confirmed was never given up, and what a backup is older than was never taken over.
    fn never_differed(&self, fault: &Injected, index: &Index, gaps: &[Gap]) -> bool {
        let undone = |item: &ItemKey| {
            let acted_on = |earlier: &Injected| {
                let key = (item.dataset.as_str().to_owned(), item.number.clone(), item.day.clone(), item.part.clone());
                let of_item = index.by_key.get(&key).into_iter().flatten().map(|at| &gaps[*at]);
                of_item.into_iter().any(|gap| gap.opened_ms >= earlier.at_ms && gap.ended_ms < fault.at_ms)
            };
            let before = self.by_item.get(item).into_iter().flatten().filter(|earlier| earlier.at_ms < fault.at_ms);
            let undoes = |earlier: &&&Injected| match &fault.expected {
                Expected::Deleted { .. } => {
                    is_lost(earlier) && earlier.healed_at_ms.is_none_or(|shown| shown >= fault.at_ms)
                }
                Expected::Gap { .. } => {
                    let came_back = matches!(earlier.expected, Expected::Deleted { .. })
                        && earlier.superseded_at_ms == Some(fault.at_ms);
                    let older = fault.kind == FaultKind::RestoredBackup
                        && matches!(earlier.expected, Expected::Gap { .. })
                        && fault.window.is_some_and(|(moment, _)| earlier.at_ms > moment);
                    came_back || older
                }
                _ => false,
            };
            before.into_iter().filter(undoes).any(|earlier| !acted_on(earlier))
        };
        !fault.items.is_empty() && fault.items.iter().all(undone)
    }
}

/// Whether the fault is that something was never shown.
fn is_lost(fault: &Injected) -> bool {
    match fault.kind {
        FaultKind::MissedEvent | FaultKind::MissedRecord => true,
        FaultKind::SwapInBucket => fault.variant == "lost",
        _ => false,
    }
}

/// Whether the gateway itself says that what it sent was not taken: the answer to the lost operation was lost as well.
async fn is_known_undone(world: &World, fault: &Injected) -> Result<bool, Trouble> {
    let mut sent = 0;
    for item in &fault.items {
        let delivery = item.part.strip_prefix("e:d").and_then(|part| part.split('-').next()?.parse::<u64>().ok());
        let Some(delivery) = delivery else { return Ok(false) };
        sent += 1;
        if world.ask(&format!("/api/v1/deliveries/{delivery}")).await?["state"] == "acknowledged" {
            return Ok(false);
        }
    }
    Ok(sent > 0)
}

/// Gaps by what they name.
struct Index {
    by_key: HashMap<Key, Vec<usize>>,
    by_order: HashMap<(Option<String>, Option<String>), Vec<usize>>,
    unreliable: Vec<usize>,
}

impl Index {
    fn of(gaps: &[Gap]) -> Self {
        let mut index = Index { by_key: HashMap::new(), by_order: HashMap::new(), unreliable: Vec::new() };
        for (at, gap) in gaps.iter().enumerate() {
            if let Some(key) = &gap.key {
                index.by_key.entry(key.clone()).or_default().push(at);
                let order = (Some(key.1.clone()), Some(key.2.clone()));
                index.by_order.entry(order).or_default().push(at);
            }
            if gap.kind == "manifest_unreliable" {
                index.unreliable.push(at);
            }
        }
        index
    }

    /// The gaps that opened after a fault and tell of it.
    fn explaining(&self, gaps: &[Gap], fault: &Injected) -> Vec<usize> {
        let settled = [fault.healed_at_ms, fault.superseded_at_ms].into_iter().flatten().min();
        // What opened long after it was settled tells of something else.
        let until = settled.unwrap_or(i64::MAX).saturating_add(PATIENCE_MS);
        // A gap that is unfinished when the item is hit once more tells of it already.
        let in_time = |at: &usize| gaps[*at].ended_ms >= fault.at_ms && gaps[*at].opened_ms <= until;
        let kinds: &[String] = match &fault.expected {
            Expected::ManifestUnreliable => {
                let about = |at: &usize| fault.dataset.is_none_or(|dataset| gaps[*at].dataset == dataset.as_str());
                return self.unreliable.iter().copied().filter(in_time).filter(about).collect();
            }
            Expected::Gap { kinds, .. } | Expected::Deleted { kinds, .. } | Expected::Absorbed { kinds } => kinds,
            Expected::Unobservable => &[],
        };
        let keys = fault.items.iter().map(|item| {
            let dataset = item.dataset.as_str().to_owned();
            (dataset, item.number.clone(), item.day.clone(), item.part.clone())
        });
        let of_keys = keys.filter_map(|key| self.by_key.get(&key)).flatten().copied();
        // An order that is gone may be found by any of its items: reading it for one takes them all.
        let gone = matches!(fault.expected, Expected::Deleted { .. })
            && fault.items.iter().any(|item| item.dataset == Dataset::Acceptance);
        let of_order = self
            .by_order
            .get(&(fault.number.clone(), fault.day.clone()))
            .filter(|_| gone)
            .into_iter()
            .flatten()
            .copied();
        let of_keys: BTreeSet<usize> = of_keys.chain(of_order).collect();
        of_keys.into_iter().filter(in_time).filter(|at| kinds.is_empty() || kinds.contains(&gaps[*at].kind)).collect()
    }
}

/// By the platform's own history the item was at the second look what the gateway says that it held itself; or an account is called unreliable that
/// never was.
fn is_false(world: &World, side: &Side, faults: &[Injected], gap: &Gap) -> bool {
    if gap.kind == "manifest_unreliable" {
        let lied =
            |fault: &Injected| matches!(fault.expected, Expected::ManifestUnreliable) && fault.at_ms <= gap.opened_ms;
        return !faults.iter().any(lied);
    }
    let Some((dataset, number, day, part)) = &gap.key else { return false };
    let Some(dataset) = Dataset::parse(dataset) else { return true };
    if gap.theirs.is_some() && gap.theirs == gap.ours {
        // Only the event time differs: somebody must have corrected it, or put another order in this one's place, here or where the order began.
        let of_item = |item: &ItemKey| {
            let here = item.dataset == dataset && item.number == *number && item.day == *day && item.part == *part;
            here || number.strip_suffix(&item.number).is_some_and(|from| from.ends_with('-'))
        };
        let moved = |fault: &Injected| {
            let moves = [FaultKind::EventTimeCorrected, FaultKind::ReusedNumber, FaultKind::RestoredBackup];
            moves.contains(&fault.kind) && fault.at_ms <= gap.compared_ms && fault.items.iter().any(of_item)
        };
        return !world.sides.iter().flat_map(|side| side.platform.injected()).any(|fault| moved(&fault));
    }
    let theirs = |at| side.platform.held_at(dataset, number, day, part, at).map(|(digest, _)| digest);
    // What was answered in the same instant has no order with the account: only what held on both sides of it is held against the gap.
    theirs(gap.compared_ms) == gap.ours && theirs(gap.compared_ms - 1) == gap.ours
}

async fn read_gaps(world: &World, side: &Side) -> Result<Vec<Gap>, Trouble> {
    let mut gaps = Vec::new();
    let mut after = String::new();
    loop {
        let page = world.ask(&format!("/api/v1/gaps?limit=500{after}")).await?;
        let rows = page["gaps"].as_array().cloned().unwrap_or_default();
        gaps.extend(rows.iter().filter(|row| row["channel"] == side.channel && !row["opened_at"].is_null()).map(gap));
        match rows.last() {
            Some(last) if page["more"] == true => after = format!("&after={}", last["id"]),
            _ => return Ok(gaps),
        }
    }
}

async fn count_groups(world: &World) -> Result<u64, Trouble> {
    let mut groups = 0;
    let mut after = String::new();
    loop {
        let page = world.ask(&format!("/api/v1/gap-groups?limit=500{after}")).await?;
        let rows = page["groups"].as_array().cloned().unwrap_or_default();
        groups += rows.len() as u64;
        match rows.last() {
            Some(last) if page["more"] == true => after = format!("&after={}", last["id"]),
            _ => return Ok(groups),
        }
    }
}

fn gap(row: &Value) -> Gap {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    let time = |value: &Value| value.as_str().and_then(clock::api_ms).map_or(0, |(ms, _)| ms);
    let dataset = text("dataset").unwrap_or_default();
    let key = match (text("number"), text("day"), text("part")) {
        (Some(number), Some(day), Some(part)) => Some((dataset.clone(), number, day, part)),
        _ => None,
    };
    let reason = row["reason"].as_str().unwrap_or_default();
    Gap {
        id: row["id"].as_i64().unwrap_or_default(),
        kind: text("kind").unwrap_or_default(),
        key,
        dataset,
        about: row["window"]["start"].as_str().unwrap_or_default().chars().take(10).collect(),
        opened_ms: time(&row["opened_at"]),
        compared_ms: time(&row["evidence"]["compared_at"]),
        closed: row["state"] == "closed",
        ended_ms: row["closed_at"].as_str().and_then(clock::api_ms).map_or(i64::MAX, |(ms, _)| ms),
        refused: row["state"] == "open" && GIVEN_UP.iter().any(|words| reason.contains(words)),
        theirs: row["evidence"]["theirs"].as_str().map(str::to_owned),
        ours: row["evidence"]["ours"].as_str().map(str::to_owned),
    }
}

fn name_of(fault: &Injected) -> String {
    let kind = fault.kind.as_str();
    let named = gateway_simulator::faults::expectation::rule_of(fault.kind, &fault.variant)
        .is_some_and(|rule| !rule.variant.is_empty());
    if named { format!("{kind} ({})", fault.variant) } else { kind.to_owned() }
}

fn told(gap: &Gap) -> String {
    let (number, part) = gap.key.as_ref().map_or(("-", "-"), |key| (&key.1, &key.3));
    format!("gap {} {} {} {number} {part} of {}", gap.id, gap.kind, gap.dataset, clock::wire_time(gap.opened_ms))
}

fn describe(fault: &Injected) -> String {
    let items: Vec<String> =
        fault.items.iter().map(|item| format!("{} {}", item.dataset.as_str(), item.part)).collect();
    let number = fault.number.as_deref().unwrap_or("-");
    let at = clock::wire_time(fault.at_ms);
    format!("{} {} {number} [{}] at {at}", fault.kind.as_str(), fault.variant, items.join(", "))
}
