//! Fetching a window again: the repair of what reconciliation finds missing in bulk.
//!
//! The subject of a job is `<dataset> <start> <end>` (RFC 3339, the end not inside). Its records go to the topic that the pipeline reads with less
//! priority, so that repairing the past never delays the present. A window goes on at the same page after a failure of the channel; after a
//! restart, or when the claim ran out, it begins anew.

use crate::{BackfillConfig, ChannelIntake, failure};
use async_trait::async_trait;
use gateway_bus::TopicName;
use gateway_connector::{Cursor, RequestError, Source};
use gateway_model::{Dataset, Origin, Timestamp, Window};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{Job, JobKind, JobStore};
use std::sync::Arc;
use std::time::Duration;

/// Does one channel's [`JobKind::Backfill`] jobs.
pub struct Backfiller {
    intake: ChannelIntake,
    jobs: Arc<dyn JobStore>,
    config: BackfillConfig,
    topic: TopicName,
    current: Option<Fetching>,
}

/// A window that is being fetched.
struct Fetching {
    job: Job,
    dataset: Dataset,
    window: Window,
    cursor: Option<Cursor>,
    claimed_until: Timestamp,
}

impl Backfiller {
    /// A backfiller of a channel; `None` when the channel has nothing to pull.
    #[must_use]
    pub fn new(intake: ChannelIntake, jobs: Arc<dyn JobStore>, config: BackfillConfig) -> Option<Self> {
        intake.connector.source()?;
        let topic = TopicName::raw_backfill(&intake.channel);
        Some(Self { intake, jobs, config, topic, current: None })
    }

    async fn next(&self) -> Result<Option<Fetching>, TaskError> {
        let now = self.intake.clock.now();
        let until = now.saturating_add(Duration::from_millis(self.config.claim_ms)).unwrap_or(now);
        let claimed = self.jobs.claim_jobs(JobKind::Backfill, &self.intake.channel, now, until, 1).await;
        for job in claimed.map_err(|error| failure::store(&error))? {
            match parse_subject(&job.subject) {
                Some((dataset, window)) => {
                    return Ok(Some(Fetching { job, dataset, window, cursor: None, claimed_until: until }));
                }
                None => {
                    tracing::warn!(channel = %self.intake.channel, job = %job.id, "a backfill job without a usable window is dropped");
                    self.finish(&job).await?;
                }
            }
        }
        Ok(None)
    }

    async fn finish(&self, job: &Job) -> Result<(), TaskError> {
        self.jobs.finish_jobs(&[(job.id, job.requested)]).await.map_err(|error| failure::store(&error))
    }

    async fn give_back(&self, job: &Job, error: &RequestError) -> Result<(), TaskError> {
        let wait = self.config.retry.wait_after(job.failures.saturating_add(1), None);
        let now = self.intake.clock.now();
        let run_at = now.saturating_add(wait).unwrap_or(now);
        failure::gone_is_fine(self.jobs.fail_job(job.id, error.code(), run_at).await)
    }

    /// Pages of one round; what is not finished is kept in `current`.
    async fn pages(&mut self, source: &dyn Source, mut fetching: Fetching, round: &Round) -> Result<Ran, TaskError> {
        for _ in 0..self.config.pages_per_round.max(1) {
            let asked = source.fetch_window(fetching.dataset, fetching.window, fetching.cursor.as_ref());
            let page = tokio::select! {
                () = round.stopping.cancelled() => return Ok(Ran::Idle),
                page = asked => page,
            };
            let page = match page {
                Ok(page) => page,
                Err(error) if error.is_transient() => {
                    self.current = Some(fetching);
                    return Err(failure::request(&error));
                }
                Err(error) => {
                    self.give_back(&fetching.job, &error).await?;
                    return Err(failure::request(&error));
                }
            };
            let read_at = page.read_at;
            let envelopes: Vec<_> = page
                .records
                .into_iter()
                .map(|record| self.intake.envelope(record, Origin::Backfill, read_at))
                .collect();
            let channel = self.intake.channel.to_string();
            metrics::counter!("gateway_backfill_records_total", "channel" => channel).increment(envelopes.len() as u64);
            self.intake.append(&self.topic, envelopes).await?;
            fetching.cursor = page.next;
            if fetching.cursor.is_none() {
                self.finish(&fetching.job).await?;
                return Ok(Ran::Busy);
            }
        }
        self.current = Some(fetching);
        Ok(Ran::Busy)
    }
}

#[async_trait]
impl Task for Backfiller {
    fn name(&self) -> String {
        format!("backfill/{}", self.intake.channel)
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let connector = Arc::clone(&self.intake.connector);
        let Some(source) = connector.source() else { return Ok(Ran::Idle) };
        let now = self.intake.clock.now();
        let fetching = match self.current.take().filter(|fetching| now < fetching.claimed_until) {
            Some(fetching) => fetching,
            None => match self.next().await? {
                Some(fetching) => fetching,
                None => return Ok(Ran::Idle),
            },
        };
        self.pages(source, fetching, round).await
    }
}

fn parse_subject(subject: &str) -> Option<(Dataset, Window)> {
    let mut words = subject.split(' ');
    let (dataset, start, end) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let (start, end): (Timestamp, Timestamp) = (start.parse().ok()?, end.parse().ok()?);
    (start < end).then_some((dataset.parse().ok()?, Window::new(start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_dataset_and_window() {
        let (dataset, window) =
            parse_subject("completion 2026-11-23T00:00:00+08:00 2026-11-23T01:00:00+08:00").unwrap();
        assert_eq!(dataset, Dataset::Completion);
        assert_eq!(window.end.duration_since(window.start).as_secs(), 3_600);
        for senseless in
            ["", "completion", "completion a b", "completion 2026-11-23T01:00:00Z 2026-11-23T00:00:00Z", "x y z a"]
        {
            assert!(parse_subject(senseless).is_none(), "{senseless}");
        }
    }
}
