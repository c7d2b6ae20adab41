//! A comparison of all datasets over a span, in steps that fit into rounds.
//!
//! A sweep that runs into a cap or an error keeps its remaining steps and goes on in the next round; each step compares afresh, so nothing that it
//! learnt earlier can be out of date. Steps live in memory: after a restart a whole sweep begins anyway.

use crate::classify::Found;
use crate::compare::{Differing, Tally, diff, in_step, narrow};
use crate::descend::{Ladder, Step};
use crate::error::ReconcileError;
use crate::reliability::{Unreliable, contradicted, proves_lie};
use crate::tour::{Sums, Tour, total};
use gateway_model::{BookItem, Dataset, Digest, GapId, Grain, ItemKey, JobId, SourceNumber, Timestamp, Window};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// A comparison under way.
pub(crate) struct Sweep {
    pub(crate) whole: bool,
    pub(crate) started_at: Timestamp,
    steps: VecDeque<(Dataset, Step)>,
    /// Whether it has seen no item, and no bucket that can't be resolved into items, on which the sides differ.
    pub(crate) clean: bool,
    /// Whether an account contradicted itself, so that something remained uncompared.
    pub(crate) doubted: bool,
    /// The suspicions that it saw.
    pub(crate) saw: HashSet<GapId>,
    /// The jobs that asked for it.
    pub(crate) jobs: Vec<(JobId, u64)>,
}

/// What a round's sweeping found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) items: BTreeMap<ItemKey, Found>,
    pub(crate) unnamed: Vec<Unnamed>,
    /// How many items a dataset has, here and there, where a whole sweep has seen it.
    pub(crate) sizes: HashMap<Dataset, (u64, u64)>,
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
    pub(crate) fn new(ladder: &Ladder, datasets: &[Dataset], span: Window, whole: bool, now: Timestamp) -> Self {
        let first = |dataset: &Dataset| Some((*dataset, ladder.first(span)?));
        Self {
            whole,
            started_at: now,
            steps: datasets.iter().filter_map(first).collect(),
            clean: true,
            doubted: false,
            saw: HashSet::new(),
            jobs: Vec::new(),
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
        while !tour.is_spent() {
            let Some((dataset, step)) = self.steps.front().cloned() else { break };
            let more = match step.grain {
                Grain::Ids => self.list(tour, dataset, &step, findings).await?,
                _ => self.compare(tour, ladder, dataset, &step, findings).await?,
            };
            // Depth first, so that a capped round ends with named items and not with half-narrowed windows.
            self.steps.pop_front();
            for step in more.into_iter().rev() {
                self.steps.push_front((dataset, step));
            }
        }
        Ok(())
    }

    async fn compare(
        &mut self,
        tour: &mut Tour<'_>,
        ladder: &Ladder,
        dataset: Dataset,
        step: &Step,
        findings: &mut Findings,
    ) -> Result<Vec<Step>, ReconcileError> {
        let (theirs, as_of) = match tour.sums(dataset, step.window, step.grain).await? {
            Ok(answer) => answer,
            Err(unreliable) => return Ok(self.again(tour, dataset, step.clone(), unreliable)),
        };
        let ours = tour.our_sums(dataset, step.window, step.grain).await?;
        tour.record(dataset, step, &theirs, &ours, as_of).await?;
        let differing = match &theirs {
            Sums::Buckets(theirs) => narrow(step.grain, step.window, &ours, theirs),
            Sums::Count(theirs) => narrow_count(step.window, total(&ours), *theirs),
        };
        if self.whole && step.parents.is_none() {
            let theirs = match &theirs {
                Sums::Buckets(buckets) => total(buckets).count,
                Sums::Count(count) => *count,
            };
            findings.sizes.insert(dataset, (total(&ours).count, theirs));
        }
        let descent = ladder.descend(step, as_of, &differing);
        self.note(tour, descent.unnamed.len());
        let compared_at = tour.context.now();
        findings.unnamed.extend(descent.unnamed.iter().map(|bucket| Unnamed {
            dataset,
            window: bucket.window,
            theirs: evidence_of(bucket.theirs),
            ours: evidence_of(bucket.ours),
            as_of,
            compared_at,
        }));
        Ok(descent.steps)
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
        self.note(tour, differences.len());
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
        let Ok((Sums::Buckets(after), after_as_of)) = tour.sums(dataset, step.window, parents.grain).await? else {
            return Ok(None);
        };
        let lies = |said: &&Differing| {
            let now = after
                .iter()
                .find(|bucket| bucket.start == said.window.start)
                .copied()
                .map_or(Tally::default(), Tally::from);
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

    fn note(&mut self, tour: &mut Tour<'_>, differences: usize) {
        self.clean &= differences == 0;
        tour.differences += differences as u64;
    }

    // An account that contradicts itself is asked for once more, then left and reported.
    fn again(&mut self, tour: &mut Tour<'_>, dataset: Dataset, mut step: Step, why: Unreliable) -> Vec<Step> {
        if step.doubts == 0 {
            step.doubts = 1;
            return vec![step];
        }
        self.doubted = true;
        tour.doubt(dataset, step.window, step.grain, why);
        Vec::new()
    }
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
