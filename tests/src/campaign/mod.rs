//! The detection campaign: simulated weeks with thousands of seeded faults, and the proof that each was found.
//!
//! Gateway and simulator run as libraries in one process over loopback HTTP, on one driven clock. What must happen to a fault of each kind is fixed
//! beforehand ([`gateway_simulator::faults`]); the simulator logs what it did and when, and [`score`] holds that log and the platform's own history
//! against what the gateway says over `/api/v1`. The gateway's books are never asked whether the gateway is right.

mod month;
pub mod score;
mod tell;
mod world;

use gateway_model::Timestamp;
use gateway_simulator::judge::Mismatch;
use gateway_simulator::{FaultKind, FaultPlan, PlatformKind, Verdict};
use score::Score;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
pub use world::{CHANNEL, World, WorldOptions};

const DAY: Duration = Duration::from_secs(86_400);
/// Province and bureau have one fault for so many of the municipal platform's.
const LESSER_SHARE: u32 = 5;
/// Where citizens write themselves, one for so many.
const FRONT_SHARE: u32 = 10;
const MONTH: &str = "2026-03";
const MONTH_DAYS: u32 = 31;

/// Why a campaign could not be run; not that it was lost.
#[derive(Debug)]
pub struct Trouble(pub String);

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// How large a campaign is.
#[derive(Debug, Clone)]
pub struct CampaignOptions {
    /// Seed; the same gives the same life and the same faults.
    pub seed: u64,
    /// Simulated days of life.
    pub days: u32,
    /// Orders on a simulated day, on average.
    pub orders_per_day: f64,
    /// Faults of every kind together.
    pub faults: u32,
    /// Whether what hits everything at once is among them: outages, restored backups, wrong clocks.
    pub upheavals: bool,
    /// Whether the gateway runs on Apache Kafka and PostgreSQL.
    pub scaled: bool,
    /// Whether to tell how far it is, on standard error.
    pub progress: bool,
}

/// How a campaign ended.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Simulated days of life.
    pub days: u32,
    /// Orders at the source at the end.
    pub orders: u64,
    /// What was found of what was injected.
    pub score: Score,
    /// The judge's verdict on both books at the end.
    pub verdict: Verdict,
    /// Failed rounds of the gateway's tasks, by task and code.
    pub failed_rounds: BTreeMap<String, u64>,
    /// Real time that it took.
    pub seconds: f64,
    /// Why it is lost; empty when it is won.
    pub lost: Vec<String>,
}

/// Runs a campaign in an empty directory.
///
/// # Errors
/// When it can't be run.
pub async fn run(dir: &Path, options: &CampaignOptions) -> Result<Outcome, Trouble> {
    let begun = Instant::now();
    // The first of a month in China, so that a month's report can be held against the source.
    let start: Timestamp = format!("{MONTH}-01T00:00:00+08:00").parse()?;
    let life = DAY * options.days;
    let world = WorldOptions {
        seed: options.seed,
        start,
        orders_per_day: options.orders_per_day,
        step: Duration::from_secs(300),
        faults: plan_of,
        fault_count: options.faults,
        upheavals: options.upheavals,
        life,
        scaled: options.scaled,
    };
    let mut world = World::start(dir, &world).await?;
    let end = start.checked_add(life)?;
    let mut told = 0;
    while world.now() < end {
        world.step().await?;
        let days = (world.now().as_second() - start.as_second()) / 86_400;
        if options.progress && days > told {
            told = days;
            eprintln!("campaign: day {days} of {}, {:.0} s", options.days, begun.elapsed().as_secs_f64());
        }
    }
    world.stop_life();
    let verdict = settle(&mut world, options.progress).await?;
    let score = Score::of(&world).await?;
    let left = score::left_to_people(&world).await?;
    let differing: Vec<Mismatch> = verdict.mismatches.iter().filter(|one| !left.explains(one)).cloned().collect();
    let reports = month::differences(&world, MONTH, options.days.min(MONTH_DAYS), &left).await?;
    let orders = world.ask("/api/v1/status").await?["books"]["orders"].as_u64().unwrap_or_default();
    let failed_rounds = world.failures.iter().map(|((task, code), count)| (format!("{task} {code}"), *count)).collect();
    world.end().await?;
    let lost = tell::lost(&score, &differing, &reports, options.faults);
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Outcome { seed: options.seed, days: options.days, orders, score, verdict, failed_rounds, seconds, lost })
}

/// Lets time pass after life has ended, until the books agree, at most for some days.
async fn settle(world: &mut World, progress: bool) -> Result<Verdict, Trouble> {
    const STEPS_A_LOOK: u32 = 72;
    const MOST_LOOKS: u32 = 16;
    for look in 0..MOST_LOOKS {
        for _ in 0..STEPS_A_LOOK {
            world.step().await?;
        }
        let verdict = world.verdict().await?;
        if progress {
            eprintln!(
                "campaign: settling {look}, {} mismatches, {} gaps open",
                verdict.mismatch_count, verdict.gaps.open
            );
        }
        let left = score::left_to_people(world).await?;
        if verdict.mismatches.iter().all(|mismatch| left.explains(mismatch)) {
            return Ok(verdict);
        }
    }
    world.verdict().await
}

/// What goes wrong at a counterparty, where so many faults befall the municipal platform.
fn plan_of(kind: PlatformKind, faults: u32, upheavals: bool) -> FaultPlan {
    match kind {
        PlatformKind::Municipal => plan(faults, upheavals),
        PlatformKind::Province => lesser_plan(FaultKind::provincial(), faults / LESSER_SHARE),
        PlatformKind::Bureau => lesser_plan(FaultKind::of_the_bureau(), faults / LESSER_SHARE),
        PlatformKind::TaxiQr | PlatformKind::Web | PlatformKind::TaxiWechat => plan(faults / FRONT_SHARE, false),
    }
}

/// So many faults, evenly over most kinds.
fn plan(faults: u32, upheavals: bool) -> FaultPlan {
    // What hits everything at once comes a few times; what makes the gateway wait in real time or changes hundreds of orders, seldom; a process that
    // ends is not this test's.
    let few = BTreeMap::from([
        (FaultKind::Outage, 3),
        (FaultKind::ClockSkew, 4),
        (FaultKind::RestoredBackup, 2),
        (FaultKind::Hang, 3),
        (FaultKind::LateAnswer, 10),
        // Each takes a bulk change of more orders than a page holds.
        (FaultKind::PageDrift, 40),
        (FaultKind::PlatformRestart, 0),
    ]);
    let many = FaultKind::ALL
        .iter()
        .filter(|kind| !few.contains_key(*kind) && !kind.befalls_uploads() && !kind.befalls_files());
    let lies = many.clone().filter(|kind| kind.as_str().starts_with("manifest_")).count() as u32;
    // Accounts that lie most of the time would prove nothing: an eighth of the others' number.
    let each = faults.div_ceil(many.clone().count() as u32 - lies * 7 / 8);
    let count = |kind: &FaultKind| if kind.as_str().starts_with("manifest_") { each.div_ceil(8) } else { each };
    let per_kind = many.map(|kind| (*kind, count(kind))).chain(few.clone()).filter(|(_, count)| *count > 0);
    let per_kind = per_kind.filter(|(kind, _)| upheavals || !few.contains_key(kind));
    FaultPlan::Campaign { per_kind: per_kind.collect() }
}

/// So many faults at province or bureau, evenly over what befalls uploads, answers and accounts there.
fn lesser_plan(kinds: Vec<FaultKind>, faults: u32) -> FaultPlan {
    // They make the gateway wait in real time, or end the process.
    let others = [FaultKind::Hang, FaultKind::LateAnswer, FaultKind::PlatformRestart, FaultKind::StaleManifest];
    let kinds = kinds.into_iter().filter(|kind| !others.contains(kind));
    let kinds: Vec<_> = kinds.chain([FaultKind::ManifestCountLie, FaultKind::ManifestTruncated]).collect();
    let each = faults.div_ceil(kinds.len() as u32);
    let count = |kind: &FaultKind| if kind.as_str().starts_with("manifest_") { each.div_ceil(8) } else { each };
    FaultPlan::Campaign { per_kind: kinds.into_iter().map(|kind| (kind, count(&kind))).collect() }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        tell::table(self, f)
    }
}
