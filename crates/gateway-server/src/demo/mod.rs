//! `demo`: the gateway at work between simulated counterparties, processes under one supervisor, and a judge at the end.

mod child;
mod parties;
mod servers;
mod setup;
mod watch;

use crate::cli::{DemoEngines, DemoOptions};
use crate::serve::{start_logging, stop_signal};
use crate::{Failure, config::TelemetryConfig};
use child::Supervised;
use gateway_simulator::{Dress, FaultPlan, Verdict};
pub use parties::unhurried_profile;
pub use servers::Servers;
use setup::Setup;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use watch::{Watch, last_line};

/// A child that died so often in a row right after its start can't start at all.
const TOO_MANY_DEATHS: u32 = 20;
/// How long the account that closes the days may take: fifteen seconds after the last change, and then the next whole comparison.
const CLOSING_PATIENCE: Duration = Duration::from_secs(60);
/// What a shell shows for a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Runs the demo.
///
/// # Errors
/// When it can't be set up; a demo that is not balanced is no error but an exit code.
pub async fn demo(options: DemoOptions) -> Result<ExitCode, Failure> {
    start_logging(&TelemetryConfig { filter: "warn".into(), ..TelemetryConfig::default() })?;
    // What the children would refuse is refused here, at once.
    if let Err(error) = options.faults.parse::<FaultPlan>() {
        return Err(Failure(format!("--faults: {error}")));
    }
    if options.province_dress == Dress::Canghai {
        return Err(Failure("--province-dress: no province speaks canghai; there are default and yunjing".into()));
    }
    for file in options.data.iter().chain(&options.mapping) {
        std::fs::File::open(file).map_err(|error| Failure(format!("{}: {error}", file.display())))?;
    }
    let interrupted = stop_signal(false)?;
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let (dir, temporary) = directory(&options)?;
    let say = Say { to_stderr: options.json };
    say.line(&format!("demo: directory {}, seed {seed}, faults {}", dir.display(), options.faults));
    let servers = match options.engines {
        DemoEngines::Embedded => None,
        DemoEngines::Scaled => {
            say.line("demo: starting Apache Kafka and PostgreSQL");
            Some(Servers::start(&dir, temporary).await?)
        }
    };
    let setup = Arc::new(Setup::prepare(&dir, seed, &options, servers.as_ref()).await?);
    let stop = CancellationToken::new();
    let children = start(&setup, &stop)?;
    let watch = Watch::new(&setup);
    // Who keeps the directory will ask it for a report; who wants JSON wants the verdict.
    let closes = !temporary && !options.json && !options.without_reconcile;
    let ended = tokio::select! {
        ended = run(&watch, &children, &say, Duration::from_secs(options.settle_seconds), closes) => ended,
        () = interrupted.cancelled() => Ok(None),
    };
    stop.cancel();
    let restarts: u64 = children.iter().map(|child| child.state().restarts).sum();
    for child in children {
        child.ended().await;
    }
    if let Some(servers) = servers {
        servers.stop().await;
    }
    let Some(verdict) = ended? else {
        say.line("demo: interrupted; the children have ended");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    tell(&verdict, restarts, options.json, &say)?;
    // On the scaled engines the servers have ended with the demo.
    if verdict.balanced && !temporary && !options.json && options.engines == DemoEngines::Embedded {
        let gateway = dir.join("gateway");
        say.line(&format!("demo: look further 继续查看: hotline-gateway status --dir {}", gateway.display()));
    }
    if verdict.balanced && temporary {
        std::fs::remove_dir_all(&dir)?;
    } else if !verdict.balanced {
        say.line(&format!("demo: not balanced; see {}", dir.display()));
    }
    Ok(if verdict.balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn directory(options: &DemoOptions) -> std::io::Result<(PathBuf, bool)> {
    let (dir, temporary) = match &options.dir {
        Some(dir) => (dir.clone(), false),
        None => {
            let name = format!("hotline-gateway-demo-{}-{:08x}", std::process::id(), rand::random::<u32>());
            (std::env::temp_dir().join(name), true)
        }
    };
    std::fs::create_dir_all(&dir)?;
    Ok((std::path::absolute(&dir)?, temporary))
}

/// Starts the children; `demo.json` follows their processes.
fn start(setup: &Arc<Setup>, stop: &CancellationToken) -> Result<Vec<Supervised>, Failure> {
    let changed = Arc::new(tokio::sync::Notify::new());
    let mut children = Vec::new();
    for spec in setup.children() {
        let changed = changed.clone();
        children.push(Supervised::start(spec, stop.clone(), move || changed.notify_one())?);
    }
    let watched: Vec<_> = children.iter().map(Supervised::observer).collect();
    let (setup, stop) = (setup.clone(), stop.clone());
    tokio::spawn(async move {
        let mut failed = false;
        loop {
            let pids = watched.iter().map(|child| (child.name, child.state().pid)).collect();
            let written = setup.write_state(pids);
            // Once is enough: on a full disk it fails with every change.
            if let Err(error) = &written
                && !failed
            {
                tracing::warn!(%error, "demo.json could not be written");
            }
            failed = written.is_err();
            tokio::select! {
                () = changed.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    });
    Ok(children)
}

/// Lets life run out, then everything settle; the last verdict, balanced or not.
async fn run(
    watch: &Watch,
    children: &[Supervised],
    say: &Say,
    settle: Duration,
    closes: bool,
) -> Result<Option<Verdict>, Failure> {
    let mut shown = Instant::now();
    let mut troubles = Vec::new();
    while !watch.life_has_stopped().await {
        if let Some(child) = children.iter().find(|child| child.state().early_deaths >= TOO_MANY_DEATHS) {
            let (name, log) = (child.spec.name, child.spec.log.display());
            let why = last_line(&child.spec.log).unwrap_or_default();
            return Err(Failure(format!("{name} ends as soon as it is started: {why}; see its log {log}")));
        }
        if shown.elapsed() >= Duration::from_secs(2) {
            shown = Instant::now();
            let restarts: u64 = children.iter().map(|child| child.state().restarts).sum();
            say.line(&watch.progress(restarts).await);
            tell_troubles(watch, &mut troubles, say).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    say.line("demo: life has ended; settling");
    let deadline = Instant::now() + settle;
    let mut last_words = String::new();
    loop {
        let over = Instant::now() >= deadline;
        if !over && !watch.has_settled().await {
            if shown.elapsed() >= Duration::from_secs(5) {
                shown = Instant::now();
                tell_troubles(watch, &mut troubles, say).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        match watch.verdict().await {
            Ok(verdict) if verdict.balanced => {
                if closes {
                    wait_for_closing_account(watch, say).await;
                }
                return Ok(Some(verdict));
            }
            Ok(verdict) if over => {
                troubles.clear();
                tell_troubles(watch, &mut troubles, say).await;
                return Ok(Some(verdict));
            }
            Ok(verdict) => {
                let first = verdict.mismatches.first();
                let first = first.map(|one| {
                    let words = [&one.dataset, &one.number, &one.kind].map(String::as_str);
                    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
                });
                let count = verdict.mismatch_count;
                let noun = if count == 1 { "mismatch" } else { "mismatches" };
                let words = format!("settling: {count} {noun}, first: {}", first.unwrap_or_default());
                if words != last_words {
                    say.line(&words);
                    last_words = words;
                }
            }
            Err(error) if over => {
                troubles.clear();
                tell_troubles(watch, &mut troubles, say).await;
                return Err(error);
            }
            Err(error) => tracing::debug!(error = error.0, "no verdict yet"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Says what keeps the demo from going on, where that is news.
async fn tell_troubles(watch: &Watch, told: &mut Vec<String>, say: &Say) {
    let troubles = watch.troubles().await;
    for trouble in troubles.iter().filter(|trouble| !told.contains(trouble)) {
        say.line(&format!("demo: {trouble}"));
    }
    *told = troubles;
}

/// Balanced by the judge, the books still wait for the platform's own account that is newer than the last repair: without it a report says only that
/// something has changed since.
async fn wait_for_closing_account(watch: &Watch, say: &Say) {
    let deadline = Instant::now() + CLOSING_PATIENCE;
    let mut told = false;
    while !watch.accounts_are_closed().await {
        if Instant::now() >= deadline {
            say.line(
                "demo: the closing account did not come; a report tells 对账后有变 (changed since) until the next one",
            );
            return;
        }
        if !told {
            say.line("demo: balanced; waiting for the closing account, so that reports tell it too");
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Progress for people; with `--json` it goes to standard error, so that the balance stands alone.
struct Say {
    to_stderr: bool,
}

impl Say {
    fn line(&self, text: &str) {
        if self.to_stderr {
            eprintln!("{text}");
        } else {
            crate::commands::say(text);
        }
    }
}

fn counts(faults: &BTreeMap<String, u64>) -> String {
    faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}

fn tell(verdict: &Verdict, restarts: u64, as_json: bool, say: &Say) -> Result<(), Failure> {
    if as_json {
        crate::commands::say(serde_json::to_string(verdict)?);
        return Ok(());
    }
    let line = |row: &serde_json::Value, keys: &[&str]| {
        keys.iter()
            .map(|key| row[*key].as_str().map_or_else(|| row[*key].to_string(), str::to_owned))
            .collect::<Vec<_>>()
    };
    say.line("\ninbound 入站");
    let keys = ["channel", "dataset", "at_source", "captured", "duplicate", "applied", "dead_lettered", "in_flight"];
    let rows: Vec<_> = verdict.inbound.iter().map(|row| line(row, &keys)).collect();
    crate::commands::table(&keys, &rows);
    say.line("\noutbound 出站");
    let keys = [
        "channel",
        "dataset",
        "owed",
        "delivered",
        "acknowledged",
        "superseded",
        "rejected",
        "dead_lettered",
        "waived",
        "in_flight",
    ];
    let rows: Vec<_> = verdict.outbound.iter().map(|row| line(row, &keys)).collect();
    crate::commands::table(&keys, &rows);
    let gaps = &verdict.gaps;
    say.line(&format!(
        "\ngaps 缺口: {} opened, {} repaired, {} unfinished, {} false; manifest {}; restarts {restarts}",
        gaps.opened, gaps.repaired, gaps.open, gaps.false_gaps, verdict.manifest
    ));
    if let Some(bureau) = &verdict.bureau {
        say.line(&format!(
            "dispatched 转办 to {}: {}; {} replies, units {}, asked {}, {} of what it did excused; faults there: {}",
            bureau.channel,
            counts(&bureau.orders),
            bureau.replies,
            counts(&bureau.units),
            counts(&bureau.asked),
            bureau.excused,
            counts(&bureau.faults)
        ));
    }
    if let Some(forwards) = &verdict.forwards {
        say.line(&format!(
            "forwarded 转送: {} orders with {} items owed to {}, {} excused; faults there: {}",
            forwards.orders,
            forwards.items,
            forwards.channel,
            forwards.excused,
            counts(&forwards.faults)
        ));
    }
    for (channel, files) in &verdict.attachments {
        say.line(&format!(
            "attachments 附件 of {channel}: {} referred to, {} kept, {} lost there and told, {} passed on to the bureau",
            files.references, files.kept, files.lost, files.passed_on
        ));
    }
    if !verdict.verified.is_empty() {
        say.line(&format!("verified 核查 by the operating data: {}", counts(&verdict.verified)));
    }
    for (front, faults) in &verdict.fronts {
        let came = faults.iter().filter(|(_, count)| **count > 0).map(|(kind, count)| (kind.clone(), *count)).collect();
        say.line(&format!("faults 故障 at {front}: {}", counts(&came)));
    }
    say.line(&format!("faults 故障: {}", counts(&verdict.faults)));
    for mismatch in verdict.mismatches.iter().take(50) {
        say.line(&format!("mismatch: {} {} {} {}", mismatch.channel, mismatch.dataset, mismatch.number, mismatch.kind));
    }
    say.line(if verdict.balanced { "balanced 账实相符" } else { "NOT balanced 账实不符" });
    Ok(())
}
