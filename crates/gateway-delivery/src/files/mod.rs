//! Files over a front-end box (前置机): a channel is told by file what it was told, and says of each row whether it holds it.
//!
//! A batch is *our manifest to them*: of each item that was forwarded, what was said last. It tells again and delivers nothing of itself; what a receipt
//! (回执) rejects is delivered again under a new generation, what it accepts is proved. Refused: a second way of delivering beside the worker, with an
//! order, an idempotency and a state of its own.
//!
//! What is left on disk decides, so that a process may die anywhere: a batch is there when its manifest is, a receipt is done when it lies in `done`.
//! Only the last batches are remembered in the store, for people and for judging receipts.

mod config;
mod export;
mod front_box;
mod pick_up;
mod place;
mod progress;
mod sftp;
mod sftp_config;
mod shared;
mod ssh;
mod state;

pub use config::FilesConfig;
pub use export::{Encoded, Exported, encode};
pub use place::BoxError;
pub use sftp_config::SftpConfig;
pub use state::{BatchFile, BatchState, FilesState};

use crate::{Origins, failure};
use async_trait::async_trait;
use export::Export;
use front_box::FrontBox;
use gateway_connector::Connector;
use gateway_connector::wire::FileDress;
use gateway_model::{ChannelId, Clock, Day, Timestamp, day_of};
use gateway_runtime::{Ran, Round, Schedule, Task, TaskError};
use gateway_store::{DeliveryStore, Job, JobKind, JobStore, LeaseGrant, LeaseKeeper, LeaseStore, NewJob, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// The name of the checkpoint that holds [`FilesState`].
pub const FILES_CHECKPOINT: &str = "files";

/// The subject of a job for everything.
pub const WHOLE: &str = "whole";

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The box.
    #[error(transparent)]
    Box(#[from] BoxError),
    /// What can't be written at all.
    #[error("{0}")]
    Dress(String),
    /// A part of the program was stopped.
    #[error("the work was stopped")]
    Stopped,
}

impl FilesError {
    fn told(self) -> TaskError {
        match self {
            Self::Store(error) => failure::store(&error),
            other => TaskError::new("front_end_box", &other),
        }
    }
}

/// What the exchange works with.
#[derive(Clone)]
pub struct FilesDeps {
    /// The channel.
    pub channel: ChannelId,
    /// How its files are written.
    pub connector: Arc<dyn Connector>,
    /// What was forwarded.
    pub deliveries: Arc<dyn DeliveryStore>,
    /// What is asked for.
    pub jobs: Arc<dyn JobStore>,
    /// Who may exchange files, and what is remembered.
    pub leases: Arc<dyn LeaseStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who states what is forwarded.
    pub origins: Arc<Origins>,
}

/// Exchanges files with one channel.
pub struct FileExchange {
    deps: FilesDeps,
    config: FilesConfig,
    front_box: FrontBox,
    keeper: LeaseKeeper,
}

impl FileExchange {
    /// `None` when the channel has no dress for files. `holder` names this process among its replicas.
    #[must_use]
    pub fn new(deps: FilesDeps, holder: impl Into<String>, config: FilesConfig) -> Option<Self> {
        let dress = deps.connector.files()?;
        let front_box = FrontBox::new(&config, dress.rule());
        let name = format!("files/{}", deps.channel);
        // An export of millions of rows renews it between its pages.
        let keeper = LeaseKeeper::new(deps.leases.clone(), deps.clock.clone(), name, holder, Duration::from_secs(60));
        Some(Self { deps, config, front_box, keeper })
    }

    /// How often it looks for receipts.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(Duration::from_millis(self.config.look_every_ms))
    }

    fn dress(&self) -> Result<&FileDress, FilesError> {
        self.deps.connector.files().ok_or_else(|| FilesError::Dress("the channel exchanges no files".to_owned()))
    }

    async fn load(&self) -> Result<FilesState, FilesError> {
        let text = self.deps.leases.checkpoint(&self.deps.channel, FILES_CHECKPOINT).await?;
        // One of a later program is begun anew: the box tells the rest.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    async fn save(&self, state: &FilesState, lease: &LeaseGrant) -> Result<(), FilesError> {
        let text = serde_json::to_string(state).map_err(|error| FilesError::Dress(error.to_string()))?;
        let now = self.deps.clock.now();
        self.deps.leases.save_checkpoint(&self.deps.channel, FILES_CHECKPOINT, &text, lease, now).await?;
        Ok(())
    }

    /// Asks for the day's whole file where it is due.
    async fn ask_daily(&self, state: &mut FilesState, lease: &LeaseGrant) -> Result<(), FilesError> {
        let Some(at) = self.config.export_at()? else { return Ok(()) };
        let now = self.deps.clock.now();
        let (today, time) = (day_of(now), gateway_model::CHINA.to_datetime(now).time());
        if time < at || state.daily_on.is_some_and(|day| day >= today) {
            return Ok(());
        }
        self.ask(WHOLE, "daily").await?;
        state.daily_on = Some(today);
        self.save(state, lease).await
    }

    async fn ask(&self, subject: &str, reason: &str) -> Result<(), FilesError> {
        let job = NewJob {
            kind: JobKind::Export,
            channel: self.deps.channel.clone(),
            subject: subject.to_owned(),
            reason: reason.to_owned(),
            run_at: self.deps.clock.now(),
        };
        Ok(self.deps.jobs.enqueue(&[job]).await?)
    }

    async fn round(&self) -> Result<Ran, FilesError> {
        let Some(mut lease) = self.keeper.take().await? else { return Ok(Ran::After(self.keeper.retry_after())) };
        let mut state = self.load().await?;
        self.ask_daily(&mut state, &lease).await?;
        let taken = self.pick_up(&mut state, &mut lease).await?;
        let now = self.deps.clock.now();
        let until = now.saturating_add(Duration::from_secs(3_600)).unwrap_or(Timestamp::MAX);
        let jobs = self.deps.jobs.claim_jobs(JobKind::Export, &self.deps.channel, now, until, 1).await?;
        let exported = !jobs.is_empty();
        for job in jobs {
            self.export_job(&mut state, &job, &mut lease).await?;
        }
        Ok(if taken || exported { Ran::Busy } else { Ran::Idle })
    }

    async fn export_job(&self, state: &mut FilesState, job: &Job, lease: &mut LeaseGrant) -> Result<(), FilesError> {
        let day: Option<Option<Day>> = match job.subject.as_str() {
            WHOLE => Some(None),
            day => day.parse().ok().map(Some),
        };
        let finished = [(job.id, job.requested)];
        let Some(day) = day else {
            tracing::warn!(channel = %self.deps.channel, job = %job.id, "an export without a usable day is dropped");
            return Ok(self.deps.jobs.finish_jobs(&finished).await?);
        };
        match self.export(day, lease).await {
            Ok(exported) => {
                tracing::info!(channel = %self.deps.channel, batch = exported.batch, rows = exported.rows(), left_out = exported.left_out.values().sum::<u64>(), "a batch was written");
                state.add(exported.into());
                self.save(state, lease).await?;
                self.front_box.sweep(self.deps.clock.now(), self.config.keep_days).await;
                Ok(self.deps.jobs.finish_jobs(&finished).await?)
            }
            Err(error) => {
                let now = self.deps.clock.now();
                let again = now.saturating_add(Duration::from_secs(60)).unwrap_or(now);
                match self.deps.jobs.fail_job(job.id, "front_end_box", again).await {
                    Ok(()) | Err(StoreError::NotFound { .. }) => Err(error),
                    Err(other) => Err(other.into()),
                }
            }
        }
    }

    /// Writes a batch of everything, or of what was owed since a day began until it was over.
    ///
    /// # Errors
    /// The store's and the box's; no manifest was written then.
    pub async fn export(&self, day: Option<Day>, lease: &mut LeaseGrant) -> Result<Exported, FilesError> {
        let dress = self.dress()?;
        Export { deps: &self.deps, dress, front_box: &self.front_box, keeper: &self.keeper, config: &self.config }
            .run(day, lease)
            .await
    }

    /// Takes the lease, for a caller that exports without the task.
    ///
    /// # Errors
    /// The store's.
    pub async fn lease(&self) -> Result<Option<LeaseGrant>, FilesError> {
        Ok(self.keeper.take().await?)
    }
}

#[async_trait]
impl Task for FileExchange {
    fn name(&self) -> String {
        format!("files/{}", self.deps.channel)
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        tokio::select! {
            // What was written half has no manifest, and what was taken up half is taken up again.
            () = round.stopping.cancelled() => Ok(Ran::Idle),
            ran = self.round() => ran.map_err(FilesError::told),
        }
    }
}
