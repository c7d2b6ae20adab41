//! `make campaign`: the detection campaign at any size.

use clap::Parser;
use gateway_e2e::campaign::{CampaignOptions, Trouble, run};
use gateway_server::cli::DemoEngines;
use std::path::PathBuf;
use std::process::ExitCode;

/// Simulated weeks with seeded faults; every observable one must be found, named, repaired and verified, and no gap may be false.
#[derive(Parser)]
#[command(name = "campaign")]
struct Options {
    /// The seed; a random one where absent. May be given several times: one campaign after the other.
    #[arg(long)]
    seed: Vec<u64>,
    /// Simulated days.
    #[arg(long, default_value_t = 31)]
    days: u32,
    /// Orders on a simulated day, on average.
    #[arg(long, default_value_t = 500.0)]
    orders_per_day: f64,
    /// Faults of every kind together.
    #[arg(long, default_value_t = 10_000)]
    faults: u32,
    /// How many campaigns, when no seed is given.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Where its directories are made; memory is quickest.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// On which engines the gateway runs; scaled starts Apache Kafka and PostgreSQL by deploy/dev.
    #[arg(long, value_enum, default_value_t)]
    engines: DemoEngines,
    /// Keeps the directory of a campaign that was lost.
    #[arg(long)]
    keep: bool,
    /// Prints what must come of each kind of fault, as fixed beforehand, and ends.
    #[arg(long)]
    table: bool,
    /// The outcome as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.table {
        print!("{}", gateway_simulator::faults::expectation::table());
        return ExitCode::SUCCESS;
    }
    // Everybody takes turns: on one thread nobody waits to be woken on another.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("campaign: the runtime can't be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(campaigns(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            eprintln!("campaign: could not be run: {trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn campaigns(options: &Options) -> Result<bool, Trouble> {
    let mut seeds = options.seed.clone();
    if seeds.is_empty() {
        seeds = (0..options.runs).map(|_| u64::from(rand::random::<u32>())).collect();
    }
    let mut won = true;
    for seed in seeds {
        eprintln!("campaign: seed {seed}");
        let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        let dir = tempfile::Builder::new().prefix("hotline-gateway-campaign-").tempdir_in(parent)?;
        let campaign = CampaignOptions {
            seed,
            days: options.days,
            orders_per_day: options.orders_per_day,
            faults: options.faults,
            upheavals: true,
            scaled: options.engines == DemoEngines::Scaled,
            progress: true,
        };
        let outcome = run(dir.path(), &campaign).await?;
        if options.json {
            println!("{}", serde_json::to_string(&outcome)?);
        } else {
            println!("{outcome}");
        }
        won &= outcome.lost.is_empty();
        if options.keep && !outcome.lost.is_empty() {
            eprintln!("campaign: kept {}", dir.keep().display());
        }
    }
    Ok(won)
}
