//! A comparison of all datasets over a span, in steps that fit into rounds.
//!
//! A sweep that runs into a cap or an error keeps its remaining steps and goes on in the next round; each step compares afresh, so nothing that it
//! learnt earlier can be out of date. What remains is remembered beyond the process, so that a sweep that takes days ends although the process
//! is started anew every hour. Long windows of a fine grain are cut piece by piece, so that what remains is always one window a dataset.

use crate::classify::Found;
use crate::compare::{Differing, Tally, diff, in_step, narrow};
use crate::cut::cut;
use crate::descend::{Descent, Ladder, Step, halving_grain, middle};
use crate::doubt::Doubt;
use crate::error::ReconcileError;
use crate::reliability::{Unreliable, contradicted, proves_lie};
use crate::tour::{Sums, Tour, total};
use gateway_model::{BookItem, Dataset, Digest, GapId, Grain, ItemKey, JobId, SourceNumber, Timestamp, Window};
use gateway_store::{ComparisonKind, GapRow};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Which comparison it is; of several under way the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// What a person asked for.
    Asked,
    /// The time of an outage.
    Outage,
    /// The recent past.
    Recent,
    /// An older part, as many milliseconds back.
    Older(u64),
    /// Everything.
    Whole,
}

impl Scope {
    pub(crate) fn kind(self) -> ComparisonKind {
        match self {
            Scope::Asked => ComparisonKind::Asked,
            Scope::Outage => ComparisonKind::Outage,
            Scope::Recent => ComparisonKind::Recent,
            Scope::Older(_) => ComparisonKind::Older,
            Scope::Whole => ComparisonKind::Whole,
        }
    }
}

/// A comparison under way.
pub(crate) struct Sweep {
    pub(crate) scope: Scope,
    pub(crate) started_at: Timestamp,
    steps: VecDeque<(Dataset, Step)>,
    /// Whether it has seen no item, and no bucket that can't be resolved into items, on which the sides differ.
    pub(crate) clean: bool,
    /// Whether an account contradicted itself, so that something remained uncompared.
    pub(crate) doubted: bool,
    /// How many items each dataset has, here and there, as far as it has seen them.
    pub(crate) sizes: BTreeMap<Dataset, (u64, u64)>,
    /// What it has asked for, over all its rounds.
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    /// The suspicions that it saw.
    pub(crate) saw: HashSet<GapId>,
    /// The jobs that asked for it.
    pub(crate) jobs: Vec<(JobId, u64)>,
}

/// What remains of a comparison, as it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedSweep {
    scope: Scope,
    started_at: Timestamp,
    steps: Vec<SavedStep>,
    clean: bool,
    doubted: bool,
    sizes: BTreeMap<Dataset, (u64, u64)>,
    calls: u64,
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedStep {
    dataset: Dataset,
    start: Timestamp,
    end: Timestamp,
    grain: Grain,
}

impl SavedStep {
    // A step that a coarser account led to is remembered as that account, asked for anew over the buckets that differed: what it said is out of
    // date by then, and what it leads to (date-only items, too) can be told only from it.
    fn of(dataset: Dataset, step: &Step) -> Self {
        let hull = step.parents.as_ref().and_then(|parents| {
            let (first, last) = (parents.buckets.first()?, parents.buckets.last()?);
            Some((Window::new(first.window.start, last.window.end), parents.grain))
        });
        let (window, grain) = hull.unwrap_or((step.window, step.grain));
        Self { dataset, start: window.start, end: window.end, grain }
    }

    fn step(&self) -> (Dataset, Step) {
        let window = Window::new(self.start, self.end);
        (self.dataset, Step { window, grain: self.grain, parents: None, doubts: 0, half: None })
    }
}

/// What a round's sweeping found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) items: BTreeMap<ItemKey, Found>,
    pub(crate) unnamed: Vec<Unnamed>,
}

/// A bucket that differs and that the channel can't resolve into items.
#[derive(Debug, Clone)]
pub(crate) struct Unnamed {
    pub(crate) dataset: Dataset,
    pub(crate) window: Window,
    pub(crate) theirs: Digest,
    pub(crate) ours: Digest,
    pub(crate) as_of: Timestamp,
    pub(crate) compared_at: Timestamp,
}

impl Sweep {
    pub(crate) fn new(ladder: &Ladder, datasets: &[Dataset], span: Window, scope: Scope, now: Timestamp) -> Self {
        let first = |dataset: &Dataset| Some((*dataset, ladder.first(span)?));
        Self {
            scope,
            started_at: now,
            steps: datasets.iter().filter_map(first).collect(),
            clean: true,
            doubted: false,
            sizes: BTreeMap::new(),
            calls: 0,
            bytes: 0,
            saw: HashSet::new(),
            jobs: Vec::new(),
        }
    }

    /// Goes on with what was remembered.
    pub(crate) fn resume(saved: &SavedSweep) -> Self {
        Self {
            scope: saved.scope,
            started_at: saved.started_at,
            steps: saved.steps.iter().map(SavedStep::step).collect(),
            clean: saved.clean,
            doubted: saved.doubted,
            sizes: saved.sizes.clone(),
            calls: saved.calls,
            bytes: saved.bytes,
            saw: HashSet::new(),
            jobs: Vec::new(),
        }
    }

    /// What is to be remembered.
    pub(crate) fn saved(&self) -> SavedSweep {
        let mut steps: Vec<SavedStep> =
            self.steps.iter().map(|(dataset, step)| SavedStep::of(*dataset, step)).collect();
        // Steps of one coarser account are remembered as that account, once.
        steps.dedup();
        SavedSweep {
            scope: self.scope,
            started_at: self.started_at,
            steps,
            clean: self.clean,
            doubted: self.doubted,
            sizes: self.sizes.clone(),
            calls: self.calls,
            bytes: self.bytes,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// Takes steps until it is done or the round has spent what it may.
    pub(crate) async fn advance(
        &mut self,
        tour: &mut Tour<'_>,
        ladder: &Ladder,
        findings: &mut Findings,
    ) -> Result<(), ReconcileError> {
        let (calls, bytes) = (tour.calls, tour.bytes);
        let outcome = self.take_steps(tour, ladder, findings).await;
        self.calls += tour.calls - calls;
        self.bytes += tour.bytes - bytes;
        outcome
    }

    async fn take_steps(
        &mut self,
        tour: &mut Tour<'_>,
        ladder: &Ladder,
        findings: &mut Findings,
    ) -> Result<(), ReconcileError> {
        while !tour.is_spent() {
            let Some((dataset, step)) = self.steps.pop_front() else { break };
            let (step, rest) = cut(tour, dataset, step).await?;
            if let Some(rest) = rest {
                self.steps.push_front((dataset, rest));
            }
            let taken = match step.grain {
                Grain::Total if step.half.is_some() => self.halve(tour, ladder, dataset, &step, findings).await,
                Grain::Ids => self.list(tour, dataset, &step, findings).await,
                _ => self.compare(tour, ladder, dataset, &step, findings).await,
            };
            // Depth first, so that a capped round ends with named items and not with half-narrowed windows.
            match taken {
                Ok(more) => more.into_iter().rev().for_each(|step| self.steps.push_front((dataset, step))),
                Err(error) => {
                    self.steps.push_front((dataset, step));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    // Notes how many items a first account and our book have.
    fn size(&mut self, tour: &mut Tour<'_>, dataset: Dataset, ours: u64, theirs: u64) {
        let size = self.sizes.entry(dataset).or_default();
        *size = (size.0 + ours, size.1 + theirs);
        let known = tour.memory.sizes.entry(dataset).or_default();
        *known = (known.0.max(size.0), known.1.max(size.1));
    }

    async fn compare(
        &mut self,
        tour: &mut Tour<'_>,
        ladder: &Ladder,
        dataset: Dataset,
        step: &Step,
        findings: &mut Findings,
    ) -> Result<Vec<Step>, ReconcileError> {
        let (theirs, as_of) = match tour.steady_sums(dataset, step.window, step.grain).await? {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                self.doubted = true;
                return Ok(Vec::new());
            }
            Err(unreliable) => return Ok(self.again(tour, dataset, step.clone(), unreliable)),
        };
        let ours = tour.our_sums(dataset, step.window, step.grain).await?;
        tour.record(dataset, step, &theirs, &ours, as_of);
        let differing = match &theirs {
            Sums::Buckets(theirs) => narrow(step.grain, step.window, &ours, theirs),
            Sums::Count(theirs) => narrow_count(step.window, total(&ours), *theirs),
        };
        tour.note_agreement(dataset, step.window, |gap| lies_in(gap, &differing)).await?;
        if self.scope == Scope::Whole && step.parents.is_none() {
            let theirs = match &theirs {
                Sums::Buckets(buckets) => total(buckets).count,
                Sums::Count(count) => *count,
            };
            self.size(tour, dataset, total(&ours).count, theirs);
        }
        let descent = ladder.descend(step, as_of, &differing);
        Ok(self.follow(tour, dataset, as_of, descent, findings))
    }

    // Asks for the total of one half; the other's is what is left.
    async fn halve(
        &mut self,
        tour: &mut Tour<'_>,
        ladder: &Ladder,
        dataset: Dataset,
        step: &Step,
        findings: &mut Findings,
    ) -> Result<Vec<Step>, ReconcileError> {
        let whole = step.parents.as_ref().and_then(|parents| parents.buckets.first()).copied();
        let (Some(whole), Some(grain)) = (whole, halving_grain(step.window)) else { return Ok(Vec::new()) };
        let Some(at) = middle(step.window, grain, &tour.our_sums(dataset, step.window, grain).await?) else {
            let descent = ladder.unhalved(tour.context.now(), &[whole]);
            return Ok(self.follow(tour, dataset, tour.context.now(), descent, findings));
        };
        let (first, second) = (Window::new(step.window.start, at), Window::new(at, step.window.end));
        let (theirs, as_of) = match tour.sums(dataset, first, Grain::Total).await? {
            Ok(answer) => answer,
            Err(unreliable) => return Ok(self.again(tour, dataset, step.clone(), unreliable)),
        };
        let descent = match &theirs {
            Sums::Buckets(said) if total(said).count <= whole.theirs.count => {
                let asked = Step { window: first, ..step.clone() };
                let ours = tour.our_sums(dataset, first, Grain::Total).await?;
                tour.record(dataset, &asked, &theirs, &ours, as_of);
                let rest = total(&tour.our_sums(dataset, second, Grain::Total).await?);
                let (ours, said) = (total(&ours), total(said));
                let rest = Differing { window: second, ours: rest, theirs: whole.theirs.minus(said) };
                let halves = [Differing { window: first, ours, theirs: said }, rest];
                let differing: Vec<Differing> = halves.into_iter().filter(|half| half.ours != half.theirs).collect();
                tour.note_agreement(dataset, step.window, |gap| lies_in(gap, &differing)).await?;
                ladder.split(step, as_of, halves)
            }
            // It changed meanwhile, or it only counts now.
            _ => ladder.unhalved(as_of, &[whole]),
        };
        Ok(self.follow(tour, dataset, as_of, descent, findings))
    }

    fn follow(
        &mut self,
        tour: &Tour<'_>,
        dataset: Dataset,
        as_of: Timestamp,
        descent: Descent,
        findings: &mut Findings,
    ) -> Vec<Step> {
        self.clean &= descent.unnamed.is_empty();
        let compared_at = tour.context.now();
        findings.unnamed.extend(descent.unnamed.iter().map(|bucket| Unnamed {
            dataset,
            window: bucket.window,
            theirs: evidence_of(bucket.theirs),
            ours: evidence_of(bucket.ours),
            as_of,
            compared_at,
        }));
        descent.steps
    }

    async fn list(
        &mut self,
        tour: &mut Tour<'_>,
        dataset: Dataset,
        step: &Step,
        findings: &mut Findings,
    ) -> Result<Vec<Step>, ReconcileError> {
        let (theirs, as_of) = match tour.items(dataset, step.window).await? {
            Ok(answer) => answer,
            Err(unreliable) => return Ok(self.again(tour, dataset, step.clone(), unreliable)),
        };
        if let Some(doubted) = self.check_list(tour, dataset, step, &theirs, as_of).await? {
            return Ok(self.again(tour, dataset, doubted, Unreliable::ListMismatch));
        }
        let store = &tour.context.store;
        let channel = &tour.context.channel;
        let ours = store.items(channel, dataset, step.window).await?;
        if self.scope == Scope::Whole && step.parents.is_none() {
            self.size(tour, dataset, ours.len() as u64, theirs.len() as u64);
        }
        let mut differences = diff(&ours, &theirs);
        // An item that we lack here we may hold at another event time.
        let lacking: Vec<SourceNumber> =
            differences.iter().filter(|one| one.ours.is_none()).map(|one| one.key.number.clone()).collect();
        let mut elsewhere = HashMap::new();
        for numbers in lacking.chunks(500) {
            let held = store.items_of(channel, dataset, numbers).await?;
            elsewhere.extend(held.into_iter().map(|held| (held.item.key.clone(), held)));
        }
        for difference in &mut differences {
            if difference.ours.is_none() {
                difference.ours = elsewhere.remove(&difference.key);
            }
        }
        differences.retain(|one| !in_step(one.theirs.as_ref(), one.ours.as_ref()));
        self.clean &= differences.is_empty();
        let differs = |gap: &GapRow| differences.iter().any(|one| Some(&one.key) == gap.key.as_ref());
        tour.note_agreement(dataset, step.window, differs).await?;
        let compared_at = tour.context.now();
        for difference in differences {
            let found = Found { difference, as_of, compared_at };
            // An item that moved is seen where it was and where it is; the latter says more.
            match findings.items.get(&found.difference.key) {
                Some(known) if known.difference.theirs.is_some() => {}
                _ => {
                    findings.items.insert(found.difference.key.clone(), found);
                }
            }
        }
        Ok(Vec::new())
    }

    // Whether the list is what its buckets said: they are asked again, and only if they still say the same, the account contradicts itself.
    async fn check_list(
        &mut self,
        tour: &mut Tour<'_>,
        dataset: Dataset,
        step: &Step,
        items: &[BookItem],
        as_of: Timestamp,
    ) -> Result<Option<Step>, ReconcileError> {
        let Some(parents) = &step.parents else { return Ok(None) };
        let doubtful = contradicted(parents.grain, &parents.buckets, step.window, items);
        if doubtful.is_empty() || parents.as_of > as_of {
            return Ok(None);
        }
        let Ok((after, after_as_of)) = tour.sums(dataset, step.window, parents.grain).await? else {
            return Ok(None);
        };
        let lies = |said: &&Differing| {
            let now = match &after {
                Sums::Buckets(after) => after
                    .iter()
                    .find(|bucket| bucket.start == said.window.start)
                    .copied()
                    .map_or(Tally::default(), Tally::from),
                Sums::Count(count) => Tally { count: *count, ..Tally::default() },
            };
            proves_lie((parents.as_of, said.theirs), as_of, (after_as_of, now))
        };
        if !doubtful.iter().any(lies) {
            return Ok(None);
        }
        let mut again = step.clone();
        if let Some(parents) = &mut again.parents {
            parents.as_of = after_as_of;
        }
        Ok(Some(again))
    }

    // An account that contradicts itself is asked for once more, then left and reported.
    fn again(&mut self, tour: &mut Tour<'_>, dataset: Dataset, mut step: Step, why: Unreliable) -> Vec<Step> {
        // A peer that flips was asked three times already.
        if step.doubts == 0 && why != Unreliable::Flips {
            step.doubts = 1;
            return vec![step];
        }
        self.doubted = true;
        let said_by = (why == Unreliable::ListMismatch).then(|| step.parents.as_ref().map(|parents| parents.grain));
        let (window, grain, since) = (step.window, step.grain, tour.context.now());
        tour.doubt(Doubt { dataset, window, grain, said_by: said_by.flatten(), why, since });
        Vec::new()
    }
}

fn lies_in(gap: &GapRow, differing: &[Differing]) -> bool {
    differing.iter().any(|bucket| bucket.window.contains(gap.window.start))
}

fn narrow_count(window: Window, ours: Tally, theirs: u64) -> Vec<Differing> {
    if ours.count == theirs {
        return Vec::new();
    }
    let counted = |count| Tally { count, ..Tally::default() };
    vec![Differing { window, ours: counted(ours.count), theirs: counted(theirs) }]
}

/// What stands for a bucket in a gap's evidence: its sum, or its count where there is none.
pub(crate) fn evidence_of(tally: Tally) -> Digest {
    let mut bytes = tally.sum.0;
    if tally.sum == Tally::default().sum {
        bytes[24..].copy_from_slice(&tally.count.to_be_bytes());
    }
    Digest(bytes)
}
