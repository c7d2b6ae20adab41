//! The simulated municipal 12345 platform 市12345热线: a peer with a durable book of its own.
//!
//! Parts: [`server`] answers the gateway (reading, writing), [`push`] calls it, [`life`] lets orders happen, [`control`] is the
//! surface for the demo and the judge. All of them change the book only through [`crate::book::Ledger`], and nothing is answered
//! before what it depends on is on disk.

mod control;
mod life;
mod plan;
mod push;
mod read;
mod server;
mod tricks;
mod write;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::book::entry::Entry;
use crate::book::{Book, Ledger};
use crate::clock;
use crate::control as shared;
use crate::data::{self, Row};
use crate::error::SimError;
use crate::faults::{FaultKind, FaultPlan, Faults};
use crate::sign::{SignatureMethod, Signer};
use plan::Planner;

/// How many answers to `complete` come late for sure.
const LATE_COMPLETES: usize = 2;

/// What a platform is to be.
#[derive(Clone, Debug)]
pub struct PlatformOptions {
    /// Its directory: book, address, control token.
    pub dir: PathBuf,
    /// Listening address; port 0 takes a free one (and the same one again after a restart).
    pub listen: String,
    /// Where it pushes to; the gateway's base address. Without this and `gateway_address_file` nothing is pushed.
    pub gateway_url: Option<String>,
    /// A file that holds the gateway's `host:port`, read again before each push.
    pub gateway_address_file: Option<PathBuf>,
    /// Name of the channel in the webhook's path.
    pub channel: String,
    /// `X-App-Id` of both directions.
    pub app_id: String,
    /// The MAC of both directions.
    pub signature: SignatureMethod,
    /// Secret of calls that come in.
    pub api_secret: String,
    /// Secret of pushes that go out.
    pub webhook_secret: String,
    /// Seed of everything invented.
    pub seed: u64,
    /// Orders created per second.
    pub rate: f64,
    /// Life ends after so many seconds.
    pub seconds: Option<u64>,
    /// Life ends after so many orders.
    pub orders: Option<u64>,
    /// Name of this life: a process started again with the same name continues it. Absent = every start is a new life.
    pub life: Option<String>,
    /// Faults.
    pub faults: FaultPlan,
    /// Data file to play instead of inventing.
    pub data: Option<PathBuf>,
    /// Mapping of the data file.
    pub mapping: Option<PathBuf>,
    /// The overlap of the gateway's polling, so that faults can lie outside it.
    pub overlap: Duration,
    /// How long the gateway waits for an answer, so that hangs can be longer.
    pub client_timeout: Duration,
}

impl PlatformOptions {
    /// A fault-free platform of a directory with 20 orders a second, for ever.
    pub fn new(dir: impl Into<PathBuf>, api_secret: impl Into<String>, webhook_secret: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            listen: "127.0.0.1:0".to_owned(),
            gateway_url: None,
            gateway_address_file: None,
            channel: "municipal-12345".to_owned(),
            app_id: "transport-bureau".to_owned(),
            signature: SignatureMethod::default(),
            api_secret: api_secret.into(),
            webhook_secret: webhook_secret.into(),
            seed: 1,
            rate: 20.0,
            seconds: None,
            orders: None,
            life: None,
            faults: FaultPlan::None,
            data: None,
            mapping: None,
            overlap: Duration::from_secs(15),
            client_timeout: Duration::from_secs(5),
        }
    }
}

/// How a platform ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformEnd {
    /// It was told to.
    Stopped,
    /// The fault `platform_restart`: its supervisor is to start it again (exit code 75 of the process).
    RestartWanted,
}

/// A running platform.
#[derive(Debug)]
pub struct PlatformHandle {
    /// Where it listens.
    pub address: SocketAddr,
    /// Token of its control surface.
    pub token: String,
    shutdown: CancellationToken,
    task: JoinHandle<Result<PlatformEnd, SimError>>,
}

impl PlatformHandle {
    /// Base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token that ends the platform when cancelled.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What ended it, when that was an error.
    pub async fn ended(self) -> Result<PlatformEnd, SimError> {
        self.task.await.unwrap_or(Err(SimError::JournalClosed))
    }
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
    /// Orders that the listing does not show yet (fault `late`), until when.
    late: Mutex<HashMap<String, i64>>,
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
    /// Whether to inject a fault now; when so, it is counted and journalled.
    fn inject(&self, book: &mut MutexGuard<'_, Book>, kind: FaultKind) -> bool {
        let taken = !book.stopped && lock(&self.faults).take(kind, clock::now_ms());
        if taken {
            self.ledger.write(book, &Entry::Fault { kind: kind.as_str().to_owned() });
        }
        taken
    }

    /// Whether to answer this `complete` late: the first ones of a process always, where the plan has late answers at all. No receipt of it can be
    /// asked for, so these are the late answers that are hard to get over, and chance alone might bring none.
    fn late_complete(&self, book: &mut MutexGuard<'_, Book>) -> bool {
        let kind = FaultKind::LateAnswer;
        let wanted = !book.stopped && self.late_completes.load(Ordering::SeqCst) < LATE_COMPLETES;
        let taken = wanted && lock(&self.faults).force(kind, clock::now_ms());
        if taken {
            self.late_completes.fetch_add(1, Ordering::SeqCst);
            self.ledger.write(book, &Entry::Fault { kind: kind.as_str().to_owned() });
        }
        taken
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
    fn plan(&self, book: &Book, number: &str) {
        if let Some(held) = book.order(number) {
            lock(&self.planner).plan(&self.options, held, book.stopped);
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
    let ledger = Ledger::open(&options.dir)?;
    let now = clock::now_ms();
    let faults = begin_life(&ledger, &options, rows.len(), now);
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
        late: Mutex::default(),
        page_size: AtomicUsize::new(0),
        late_completes: AtomicUsize::new(0),
        restart: AtomicBool::new(false),
        shutdown: shutdown.clone(),
        incarnation: now,
        options,
    });
    tracing::info!(%address, faults = platform.options.faults.name(), "the platform listens");
    let task = tokio::spawn(server::run(platform, listener));
    Ok(PlatformHandle { address, token, shutdown, task })
}

/// Runs a platform to its end.
///
/// # Errors
/// As [`start_platform`], and when its journal can't be written any more.
pub async fn run_platform(options: PlatformOptions) -> Result<PlatformEnd, SimError> {
    start_platform(options).await?.ended().await
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
    let planned = if life.is_finite() { (life * 1000.0) as i64 } else { 60_000 };
    let mut faults = Faults::new(&options.faults, options.seed, since, planned, &book.faults);
    if !life.is_finite() {
        faults.never_end();
    }
    faults
}
