//! Accounts that contradict themselves: suspected, looked at again, and only then a gap that says which account is worth nothing.
//!
//! Nothing is concluded from such an account, and nothing repaired because of it; the gap closes when the same account is consistent later.

use crate::carry::{close, forget, open};
use crate::compare::{Difference, Differing, Tally, diff};
use crate::config::later;
use crate::error::ReconcileError;
use crate::gaps::Known;
use crate::look::Looked;
use crate::reliability::{Unreliable, contradicts_whole, proves_lie};
use crate::tour::{Sums, Tour};
use crate::witness::{Says, Witness};
use gateway_model::{Dataset, GapEvidence, GapId, GapKind, GapState, Grain, SourceNumber, Timestamp, Window};
use gateway_store::{GapRow, NewGap};
use std::collections::HashSet;

/// An account that contradicted itself, also when asked again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Doubt {
    pub(crate) dataset: Dataset,
    pub(crate) window: Window,
    pub(crate) grain: Grain,
    /// The grain of the account that a list contradicts.
    pub(crate) said_by: Option<Grain>,
    pub(crate) why: Unreliable,
    /// When the account first said what was doubted only now; what it repeats a whole allowance later is no mere delay.
    pub(crate) since: Timestamp,
}

impl Doubt {
    /// What the gap remembers: grain, contradiction, and the grain of the account that a list contradicts.
    fn detail(&self) -> String {
        match self.said_by {
            Some(said_by) => format!("{} {} {said_by}", self.grain, self.why.code()),
            None => format!("{} {}", self.grain, self.why.code()),
        }
    }
}

/// What a gap remembers of the account that it is about.
fn remembered(gap: &GapRow) -> Option<(Grain, &str, Option<Grain>)> {
    let mut words = gap.detail.as_deref()?.split(' ');
    let grain = words.next()?.parse().ok()?;
    Some((grain, words.next()?, words.next().and_then(|word| word.parse().ok())))
}

/// A few windows prove that an account is worth nothing; more of the same kind would only be more to read.
const WINDOWS: usize = 3;

// An account that is doubted already.
struct Doubted {
    dataset: Dataset,
    grain: Grain,
    code: String,
    window: Window,
    /// `None` when it is doubted in this round for the first time.
    gap: Option<GapId>,
}

impl Doubted {
    fn of(gap: &GapRow) -> Option<Self> {
        let (grain, code, _) = remembered(gap)?;
        Some(Self { dataset: gap.dataset, grain, code: code.to_owned(), window: gap.window, gap: Some(gap.id) })
    }

    // How old accounts are does not depend on what they are about.
    fn tells_of(&self, doubt: &Doubt) -> bool {
        let about_time = |code: &str| [Unreliable::StaleSnapshot.code(), Unreliable::GoesBack.code()].contains(&code);
        self.dataset == doubt.dataset
            && ((about_time(&self.code) && about_time(doubt.why.code()))
                || (self.grain == doubt.grain && overlap(&self.window, &doubt.window)))
    }

    fn is_like(&self, doubt: &Doubt) -> bool {
        self.dataset == doubt.dataset && self.grain == doubt.grain && self.code == doubt.why.code()
    }
}

/// Writes suspicions of this round's doubts; returns the known and the new ones.
pub(crate) async fn suspect_doubts(tour: &mut Tour<'_>, known: &Known) -> Result<Vec<GapId>, ReconcileError> {
    let mut doubted: Vec<Doubted> = known.unreliable().iter().filter_map(Doubted::of).collect();
    let (mut saw, mut new) = (Vec::new(), Vec::new());
    let now = tour.context.now();
    for doubt in std::mem::take(&mut tour.doubts) {
        let like = || doubted.iter().filter(|known| known.is_like(&doubt));
        let told = doubted.iter().find(|known| known.tells_of(&doubt));
        if let Some(known) = told.or_else(|| like().nth(WINDOWS - 1)) {
            saw.extend(known.gap);
            continue;
        }
        let Doubt { dataset, window, grain, why, since, .. } = doubt;
        doubted.push(Doubted { dataset, grain, code: why.code().to_owned(), window, gap: None });
        new.push(NewGap {
            channel: tour.context.channel.clone(),
            dataset,
            kind: GapKind::ManifestUnreliable,
            key: None,
            window,
            delivery_id: None,
            evidence: evidence(since),
            detail: Some(doubt.detail()),
            at: now,
        });
    }
    if !new.is_empty() {
        saw.extend(tour.context.suspect_gaps(&new).await?);
    }
    Ok(saw)
}

fn overlap(a: &Window, b: &Window) -> bool {
    a.start < b.end && b.start < a.end
}

fn evidence(now: Timestamp) -> GapEvidence {
    GapEvidence { theirs: None, ours: None, as_of: now, compared_at: now }
}

/// Looks again at accounts that contradicted themselves.
pub(crate) async fn look_at_doubts(
    tour: &mut Tour<'_>,
    looked: &mut Looked,
    gaps: &[GapRow],
) -> Result<(), ReconcileError> {
    for gap in gaps.iter().filter(|gap| gap.kind == GapKind::ManifestUnreliable) {
        if tour.is_half_spent() {
            break;
        }
        let Some((grain, code, said_by)) = remembered(gap) else { continue };
        let flips = code == Unreliable::Flips.code();
        let mut contradiction = if code == Unreliable::RecordsDiffer.code() {
            records_differ(tour, gap).await?
        } else {
            ask_again(tour, gap, grain, said_by, flips).await?
        };
        if contradiction.is_some() && code != Unreliable::RecordsDiffer.code() {
            contradiction = ask_again(tour, gap, grain, said_by, flips).await?;
        }
        let now = tour.context.now();
        looked.note(gap, None, now);
        match (gap.state, contradiction) {
            (GapState::Suspected, None) => forget(tour, &[gap.id]).await?,
            (GapState::Suspected, Some(_)) if now < later(gap.evidence.compared_at, tour.allowance_ms()) => {}
            (GapState::Suspected, Some(_)) => open(tour, &[(gap, evidence(now))]).await?,
            (_, None) => close(tour, gap, None).await?,
            (_, Some(_)) => {}
        }
    }
    Ok(())
}

// Whether records still say what we hold where the account does not; a few of them tell.
async fn records_differ(tour: &mut Tour<'_>, gap: &GapRow) -> Result<Option<Unreliable>, ReconcileError> {
    const FEW: usize = 20;
    let (theirs, _) = match tour.items(gap.dataset, gap.window).await? {
        Ok(answer) => answer,
        Err(why) => return Ok(Some(why)),
    };
    let ours = tour.context.store.items(&tour.context.channel, gap.dataset, gap.window).await?;
    let mut differences = diff(&ours, &theirs);
    differences.truncate(FEW);
    let numbers: HashSet<SourceNumber> = differences.iter().map(|one| one.key.number.clone()).collect();
    if numbers.is_empty() {
        return Ok(None);
    }
    let witness = Witness::ask(tour, &numbers).await?;
    let lies = |one: &Difference| witness.says(&one.key, one.theirs.as_ref(), one.ours.as_ref()) == Says::Ours;
    Ok(differences.iter().any(lies).then_some(Unreliable::RecordsDiffer))
}

// The same account again; a list with the account of the sums around it.
async fn ask_again(
    tour: &mut Tour<'_>,
    gap: &GapRow,
    grain: Grain,
    said_by: Option<Grain>,
    flips: bool,
) -> Result<Option<Unreliable>, ReconcileError> {
    let (dataset, window) = (gap.dataset, gap.window);
    if grain != Grain::Ids {
        let mut counts = Vec::new();
        for _ in 0..if flips { 3 } else { 1 } {
            match tour.sums(dataset, window, grain).await? {
                Ok((Sums::Count(count), _)) => counts.push(count),
                Ok((Sums::Buckets(_), _)) => {}
                Err(why) => return Ok(Some(why)),
            }
        }
        // A count that only moved on is none of that.
        let flips = matches!(counts[..], [first, second, third] if first == third && first != second);
        return Ok(flips.then_some(Unreliable::Flips));
    }
    let Some(said_by) = said_by else { return Ok(tour.items(dataset, window).await?.err()) };
    let (before, before_at) = match tour.sums(dataset, window, said_by).await? {
        Ok(answer) => answer,
        Err(why) => return Ok(Some(why)),
    };
    let (items, as_of) = match tour.items(dataset, window).await? {
        Ok(answer) => answer,
        Err(why) => return Ok(Some(why)),
    };
    let said = said(&before, window, said_by);
    if !contradicts_whole(said_by, &said, window, &items) {
        return Ok(None);
    }
    let (after, after_at) = match tour.sums(dataset, window, said_by).await? {
        Ok(answer) => answer,
        Err(why) => return Ok(Some(why)),
    };
    let total = |said: &[Differing]| said.iter().fold(Tally::default(), |sum, one| sum.plus(one.theirs));
    let (first, second) = (total(&said), total(&self::said(&after, window, said_by)));
    Ok(proves_lie((before_at, first), as_of, (after_at, second)).then_some(Unreliable::ListMismatch))
}

fn said(sums: &Sums, window: Window, grain: Grain) -> Vec<Differing> {
    let one = |window, theirs| Differing { window, ours: Tally::default(), theirs };
    match sums {
        Sums::Buckets(buckets) if grain == Grain::Total => {
            vec![one(window, crate::tour::total(buckets))]
        }
        Sums::Buckets(buckets) => {
            buckets.iter().map(|bucket| one(grain.bucket(bucket.start), Tally::from(*bucket))).collect()
        }
        Sums::Count(count) => vec![one(window, Tally { count: *count, ..Tally::default() })],
    }
}
