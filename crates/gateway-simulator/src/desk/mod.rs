//! The bureau's handling desk 局办理席, simulated: a user of `/api/v1` and of nothing else.
//!
//! It follows the orders by cursor, signs what is dispatched to it, replies, completes, sometimes refuses; an order that is given
//! back is handled again. Its book holds every command before it is sent, with a key that is a function of (order, operation,
//! round, attempt): a desk that is killed at any moment sends the same commands again and nothing else.

mod book;
mod control;
mod decide;
mod run;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::SimClock;
use crate::control as shared;
use crate::data::{self, Reply};
use crate::error::SimError;
use crate::http;
use crate::journal::Journal;
use crate::pace::DeskPace;
use book::DeskBook;
use decide::Agenda;

/// What a desk is to be.
#[derive(Clone, Debug)]
pub struct DeskOptions {
    /// Its directory: book, address, control token.
    pub dir: PathBuf,
    /// Listening address of its control surface; port 0 takes a free one.
    pub listen: String,
    /// Base address of the gateway's API.
    pub gateway_url: Option<String>,
    /// A file that holds the gateway's `host:port`, read again after each failure.
    pub gateway_address_file: Option<PathBuf>,
    /// Token of role `desk`.
    pub token: String,
    /// Whose orders it handles.
    pub channel: String,
    /// Seed of its decisions and texts.
    pub seed: u64,
    /// Data file that holds the replies.
    pub data: Option<PathBuf>,
    /// Mapping of the data file.
    pub mapping: Option<PathBuf>,
    /// Commands in flight at the same time.
    pub parallel: usize,
    /// Where it takes the time from.
    pub clock: SimClock,
    /// It does nothing of its own accord: [`DeskHandle::step`] lets it work. Meant for a driven clock.
    pub stepped: bool,
    /// How long its people take; without it a second or so.
    pub pace: Option<DeskPace>,
    /// Whether its journal is synced to disk before anything is sent. Only a campaign, whose desk is never killed, does without.
    pub durable: bool,
}

impl DeskOptions {
    /// A desk that invents its replies.
    pub fn new(dir: impl Into<PathBuf>, gateway_url: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            listen: "127.0.0.1:0".to_owned(),
            gateway_url: Some(gateway_url.into()),
            gateway_address_file: None,
            token: token.into(),
            channel: "municipal-12345".to_owned(),
            seed: 1,
            data: None,
            mapping: None,
            parallel: 8,
            clock: SimClock::default(),
            stepped: false,
            pace: None,
            durable: true,
        }
    }
}

/// A running desk.
pub struct DeskHandle {
    /// Where its control surface listens.
    pub address: SocketAddr,
    /// Token of its control surface.
    pub token: String,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), SimError>>,
    desk: Arc<Desk>,
}

impl DeskHandle {
    /// Base URL of the control surface.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token that ends the desk when cancelled.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Lets a stepped desk work at its clock's now: it reads what is new in the gateway's orders, sends the commands that are due and
    /// looks again at those that showed no effect; returns when all of that was answered. What the gateway does not take now is due
    /// again a minute later.
    ///
    /// # Errors
    /// When the journal can't be written any more.
    pub async fn step(&self) -> Result<(), SimError> {
        run::step(&self.desk).await
    }

    /// The next moment at which a command is due, in ms; `None` = nothing is planned.
    pub fn next_due_ms(&self) -> Option<i64> {
        lock(&self.desk.agenda).next_due()
    }

    /// No new command; what was meant is still brought to its end.
    pub fn stop(&self) {
        self.desk.stopped.store(true, Ordering::SeqCst);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What ended it, when that was an error.
    pub async fn ended(self) -> Result<(), SimError> {
        self.task.await.unwrap_or(Err(SimError::JournalClosed))
    }
}

impl std::fmt::Debug for DeskHandle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("DeskHandle").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Everything that the parts of a desk share.
struct Desk {
    options: DeskOptions,
    book: Mutex<DeskBook>,
    journal: Journal,
    agenda: Mutex<Agenda>,
    client: reqwest::Client,
    token: String,
    /// Replies of the data file; `None` = invented replies.
    replies: Option<HashMap<String, Option<Reply>>>,
    slots: Arc<Semaphore>,
    in_flight: AtomicUsize,
    /// Whether the last look at the orders reached their end.
    caught_up: AtomicBool,
    stopped: AtomicBool,
    /// When the desk last saw something new or wrote something down, in ms.
    active_at: AtomicI64,
    shutdown: CancellationToken,
}

impl Desk {
    /// Now, in ms.
    fn now(&self) -> i64 {
        self.options.clock.now_ms()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a desk and returns when its control surface listens.
///
/// # Errors
/// When its directory, data or address can't be used.
pub async fn start_desk(options: DeskOptions) -> Result<DeskHandle, SimError> {
    std::fs::create_dir_all(&options.dir).map_err(SimError::file(&options.dir))?;
    let token = shared::control_token(&options.dir)?;
    let replies = options.data.as_ref().map(|file| data::replies(file, options.mapping.as_deref())).transpose()?;
    let mut book = DeskBook::default();
    let journal = Journal::open(&options.dir.join("commands.jsonl"), options.durable, |entry| book.apply(&entry))?;
    let (listener, address) = shared::listen(&options.dir, &options.listen).await?;
    let shutdown = CancellationToken::new();
    let desk = Arc::new(Desk {
        book: Mutex::new(book),
        journal,
        agenda: Mutex::new(Agenda::default()),
        client: http::client(Duration::from_secs(10))?,
        token: token.clone(),
        replies,
        slots: Arc::new(Semaphore::new(options.parallel.max(1))),
        in_flight: AtomicUsize::new(0),
        caught_up: AtomicBool::new(false),
        stopped: AtomicBool::new(false),
        active_at: AtomicI64::new(options.clock.now_ms()),
        shutdown: shutdown.clone(),
        options,
    });
    tracing::info!(%address, "the desk listens");
    desk.consider_all();
    let task = tokio::spawn(run::run(desk.clone(), listener));
    Ok(DeskHandle { address, token, shutdown, task, desk })
}

/// Runs a desk to its end.
///
/// # Errors
/// As [`start_desk`], and when its journal can't be written any more.
pub async fn run_desk(options: DeskOptions) -> Result<(), SimError> {
    start_desk(options).await?.ended().await
}
