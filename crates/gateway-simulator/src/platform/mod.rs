//! The simulated platform, a municipal one 市12345热线, the province's 省12328热线中心 or the bureau's own system 局业务系统: a peer with a durable book of its own.
//!
//! Parts: [`server`] answers the gateway (reading, writing), [`push`] calls it, [`life`] lets orders happen, [`control`] is the
//! surface for the demo and the judge. All of them change the book only through [`crate::book::Ledger`], and nothing is answered
//! before what it depends on is on disk.

mod bureau;
mod control;
mod disruption;
mod files;
mod front_box;
mod handle;
mod inject;
mod lies;
mod life;
mod options;
mod overlay;
mod plan;
mod push;
mod read;
mod renumbering;
mod server;
mod tampering;
mod times;
mod torn;
mod tricks;
mod upload;
mod write;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::book::entry::Entry;
use crate::book::{Book, Ledger};
use crate::control as shared;
use crate::data::{self, Row};
use crate::error::SimError;
use crate::faults::{FaultKind, FaultPlan, Faults};
use crate::http;
use crate::sign::Signer;
use disruption::Disruption;
pub use front_box::BoxFault;
pub use handle::PlatformHandle;
use lies::Lie;
use life::Life;
pub(crate) use options::LIE_LASTS;
pub use options::{PlatformKind, PlatformOptions};
use plan::Planner;
use push::Retries;

/// How many answers to `complete` come late for sure.
const LATE_COMPLETES: usize = 2;

/// A campaign without an end of life spreads its faults over three weeks.
const CAMPAIGN_MS: i64 = 21 * 86_400_000;

/// No restored backup is older.
const BACKUP_REACH_MS: i64 = 6 * 3_600_000;

/// How a platform ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformEnd {
    /// It was told to.
    Stopped,
    /// The fault `platform_restart`: its supervisor is to start it again (exit code 75 of the process).
    RestartWanted,
}

/// How an order was shown last: its version, and when, in ms.
#[derive(Clone, Copy)]
struct Seen {
    version: u64,
    at: i64,
}

/// Everything that the parts of a platform share.
struct Platform {
    options: PlatformOptions,
    ledger: Ledger,
    incoming: Signer,
    outgoing: Signer,
    token: String,
    rows: Vec<Row>,
    faults: Mutex<Faults>,
    planner: Mutex<Planner>,
    life: Mutex<Life>,
    /// Pushes that were not taken and those that are not due yet.
    retries: Mutex<Retries>,
    /// What is told of each dataset's account instead of the truth.
    lies: Mutex<[Option<Lie>; 4]>,
    disruption: Mutex<Disruption>,
    /// What came and went over the front-end box.
    front_box: front_box::Kept,
    client: reqwest::Client,
    /// The last moment at which a peer was answered, in ms: what life catches up on happens later.
    answered_ms: AtomicI64,
    /// Orders that the listing does not show yet (fault `late`), until when.
    late: Mutex<HashMap<String, i64>>,
    /// What this process showed last of each order.
    seen: Mutex<HashMap<String, Seen>>,
    /// The versions of an order that pushes of single events have told beyond what was seen of it.
    told: Mutex<HashMap<String, BTreeSet<u64>>>,
    /// The largest page that the gateway asked for.
    page_size: AtomicUsize,
    /// How many answers to `complete` came late by plan.
    late_completes: AtomicUsize,
    restart: AtomicBool,
    shutdown: CancellationToken,
    /// Makes nonces of different processes differ.
    incarnation: i64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Platform {
    /// Now, in ms.
    fn now(&self) -> i64 {
        self.options.clock.now_ms()
    }

    /// Whether there is somebody to push to.
    fn pushes(&self) -> bool {
        self.options.kind != PlatformKind::Province
            && (self.options.gateway_url.is_some() || self.options.gateway_address_file.is_some())
    }

    /// Ends life: nothing spontaneous any more, no faults.
    fn stop_life(&self) {
        let mut book = self.ledger.lock();
        if !book.stopped {
            self.ledger.write(&mut book, &Entry::Stop);
        }
        lock(&self.faults).end();
    }

    /// Plans the next step of an order after it changed.
    fn plan(&self, book: &Book, number: &str, now: i64) {
        if let Some(held) = book.order(number) {
            lock(&self.planner).plan(&self.options, held, book.stopped, now);
        }
    }
}

/// Starts a platform and returns when it listens.
///
/// # Errors
/// When its directory, data or address can't be used.
pub async fn start_platform(options: PlatformOptions) -> Result<PlatformHandle, SimError> {
    std::fs::create_dir_all(&options.dir).map_err(SimError::file(&options.dir))?;
    if !(options.rate > 0.0 && options.rate <= 100_000.0) {
        return Err(SimError::Option { option: "--rate", reason: "must be above 0".to_owned() });
    }
    let token = shared::control_token(&options.dir)?;
    let rows = match &options.data {
        Some(file) => data::read(file, options.mapping.as_deref())?,
        None => Vec::new(),
    };
    let ledger = Ledger::open(&options.dir, options.dress, options.durable, backup_reach_ms(&options))?;
    let now = options.clock.now_ms();
    let faults = begin_life(&ledger, &options, rows.len(), now);
    let life = Life::begin(&options, ledger.lock().created_in_life(), now);
    let (listener, address) = shared::listen(&options.dir, &options.listen).await?;
    let shutdown = CancellationToken::new();
    let platform = Arc::new(Platform {
        incoming: Signer::new(&options.app_id, options.signature, options.api_secret.as_bytes()),
        outgoing: Signer::new(&options.app_id, options.signature, options.webhook_secret.as_bytes()),
        ledger,
        token: token.clone(),
        rows,
        faults: Mutex::new(faults),
        planner: Mutex::new(Planner::default()),
        life: Mutex::new(life),
        retries: Mutex::default(),
        lies: Mutex::default(),
        disruption: Mutex::default(),
        front_box: Mutex::new(front_box::FrontBox::new(&options.box_faults)),
        client: http::client(options.client_timeout)?,
        answered_ms: AtomicI64::new(now),
        late: Mutex::default(),
        seen: Mutex::default(),
        told: Mutex::default(),
        page_size: AtomicUsize::new(0),
        late_completes: AtomicUsize::new(0),
        restart: AtomicBool::new(false),
        shutdown: shutdown.clone(),
        incarnation: now,
        options,
    });
    tracing::info!(%address, faults = platform.options.faults.name(), "the platform listens");
    life::replan(&platform);
    let task = tokio::spawn(server::run(platform.clone(), listener));
    Ok(PlatformHandle { address, token, shutdown, task, platform })
}

/// Runs a platform to its end.
///
/// # Errors
/// As [`start_platform`], and when its journal can't be written any more.
pub async fn run_platform(options: PlatformOptions) -> Result<PlatformEnd, SimError> {
    start_platform(options).await?.ended().await
}

/// How far back a backup of this plan may lie.
fn backup_reach_ms(options: &PlatformOptions) -> i64 {
    if options.faults.kinds(options.kind).contains(&FaultKind::RestoredBackup) { BACKUP_REACH_MS } else { 0 }
}

/// Continues the named life or begins a new one.
fn begin_life(ledger: &Ledger, options: &PlatformOptions, rows: usize, now: i64) -> Faults {
    let mut book = ledger.lock();
    let id = options.life.clone().unwrap_or_else(|| format!("start-{now}"));
    let same = book.life.as_ref().is_some_and(|(name, ..)| *name == id);
    if !same {
        ledger.write(&mut book, &Entry::Life { id, at: now });
    }
    let since = book.life.as_ref().map_or(now, |(_, at, _)| *at);
    let by_orders = options.orders.map(|orders| orders as f64 / options.rate);
    let by_rows = (rows > 0).then(|| rows as f64 / options.rate);
    let by_time = options.seconds.map(|seconds| seconds as f64);
    let life = [by_orders, by_rows, by_time].into_iter().flatten().fold(f64::INFINITY, f64::min);
    // A life without end still wants its planned faults: they come in its first minute, and by chance from then on.
    let endless = if matches!(options.faults, FaultPlan::Campaign { .. }) { CAMPAIGN_MS } else { 60_000 };
    let planned = if life.is_finite() { (life * 1000.0) as i64 } else { endless };
    let mut faults = Faults::new((&options.faults, options.kind), options.seed, since, planned, &book.faults);
    if !life.is_finite() {
        faults.never_end();
    }
    faults
}
