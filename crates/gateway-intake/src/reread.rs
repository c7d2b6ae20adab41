//! Reading orders again by number: the answer to a tie, a conflicting push, a gap, an attempt without an answer.
//!
//! A job is finished only when the channel's word is durable on the bus; until then it fails and comes again. A number that the channel does not
//! know is finished and counted: asking for ever would not make it known. Where a confirmed account had denied the order before, that it does not
//! know it is a word like any other, and goes the way of records; otherwise an empty answer to a mere question is not believed. What comes back is authoritative, and marked with the time at
//! which the request was sent: what happened at the channel after it is not in it.

use crate::channel::number_of;
use crate::{ChannelIntake, RereadConfig, failure};
use async_trait::async_trait;
use gateway_bus::{Envelope, TopicName};
use gateway_connector::{RequestError, Source};
use gateway_model::{JobId, Origin, SourceNumber, Timestamp};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{Job, JobKind, JobStore};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Why an order is read again whose absence is believed: a confirmed account denied it, or an earlier word had taken it away.
const DENIED: [&str; 5] =
    ["gap_denied_by_source", "gap_not_held_by_destination", "gap_differing", "read_together", "came_back"];

/// Does one channel's [`JobKind::Reread`] jobs. Several may run: a job is claimed by one at a time.
pub struct Rereader {
    intake: ChannelIntake,
    jobs: Arc<dyn JobStore>,
    config: RereadConfig,
    topic: TopicName,
}

impl Rereader {
    /// A rereader of a channel; `None` when the channel has nothing to pull.
    #[must_use]
    pub fn new(intake: ChannelIntake, jobs: Arc<dyn JobStore>, config: RereadConfig) -> Option<Self> {
        intake.connector.source()?;
        let topic = TopicName::raw(&intake.channel);
        Some(Self { intake, jobs, config, topic })
    }

    /// Reads the numbers of these jobs; the jobs are finished, or given back with the error's code.
    async fn read(&self, source: &dyn Source, jobs: &[(Job, SourceNumber)]) -> Result<(), TaskError> {
        let numbers: Vec<SourceNumber> = jobs.iter().map(|(_, number)| number.clone()).collect();
        match source.fetch_ids(&numbers).await {
            Ok(page) => {
                let damaged = page.records.iter().any(|record| record.undecodable.is_some());
                let known: HashSet<SourceNumber> = page
                    .records
                    .iter()
                    .filter(|record| record.undecodable.is_none())
                    .filter_map(|record| record.number.clone())
                    .collect();
                let absent = if damaged { Vec::new() } else { self.absent(source, jobs, &known, page.read_at) };
                // The absences come last: of a number that was used again they take away the days that the records do not show.
                let envelopes = page
                    .records
                    .into_iter()
                    .map(|record| self.intake.envelope(record, Origin::Reread, page.read_at))
                    .chain(absent)
                    .collect();
                self.intake.append(&self.topic, envelopes).await?;
                self.settle(jobs, &known, damaged).await
            }
            Err(error) => {
                let patience = match &error {
                    RequestError::Throttled { retry_after } => *retry_after,
                    _ => None,
                };
                for (job, _) in jobs {
                    self.give_back(job, error.code(), patience).await?;
                }
                // A passing trouble is the channel's and slows the whole task down; another one is about these numbers only.
                if error.is_transient() { Err(failure::request(&error)) } else { Ok(()) }
            }
        }
    }

    /// What an undamaged answer does not have, of what was denied before.
    fn absent(
        &self,
        source: &dyn Source,
        jobs: &[(Job, SourceNumber)],
        known: &HashSet<SourceNumber>,
        read_at: Timestamp,
    ) -> Vec<Envelope> {
        let denied = jobs.iter().filter(|(job, _)| DENIED.contains(&job.reason.as_str()));
        let absent = denied.filter(|(_, number)| !known.contains(number) || source.ids_tell_every_day());
        absent.map(|(_, number)| self.intake.absence(number.clone(), read_at)).collect()
    }

    async fn settle(
        &self,
        jobs: &[(Job, SourceNumber)],
        known: &HashSet<SourceNumber>,
        damaged: bool,
    ) -> Result<(), TaskError> {
        let mut done: Vec<(JobId, u64)> = Vec::with_capacity(jobs.len());
        let mut unknown = 0;
        for (job, number) in jobs {
            if known.contains(number) {
                done.push((job.id, job.requested));
            } else if damaged {
                // The record may be among those that came damaged.
                self.give_back(job, "undecodable", None).await?;
            } else {
                unknown += 1;
                done.push((job.id, job.requested));
            }
        }
        self.count("gateway_reread_unknown_numbers_total", unknown);
        self.count("gateway_reread_orders_total", known.len() as u64);
        self.finish(&done).await
    }

    async fn give_back(&self, job: &Job, code: &str, patience: Option<Duration>) -> Result<(), TaskError> {
        let wait = self.config.retry.wait_after(job.failures.saturating_add(1), patience);
        let now = self.intake.clock.now();
        let run_at = now.saturating_add(wait).unwrap_or(now);
        failure::gone_is_fine(self.jobs.fail_job(job.id, code, run_at).await)
    }

    /// What was claimed and not asked for: it must not wait until the claim runs out.
    async fn give_back_all(&self, jobs: &[(Job, SourceNumber)], code: &str) -> Result<(), TaskError> {
        for (job, _) in jobs {
            self.give_back(job, code, None).await?;
        }
        Ok(())
    }

    async fn finish(&self, done: &[(JobId, u64)]) -> Result<(), TaskError> {
        if done.is_empty() {
            return Ok(());
        }
        self.jobs.finish_jobs(done).await.map_err(|error| failure::store(&error))
    }

    fn count(&self, name: &'static str, by: u64) {
        metrics::counter!(name, "channel" => self.intake.channel.to_string()).increment(by);
    }

    async fn claim(&self, limit: u32) -> Result<Vec<Job>, TaskError> {
        let now = self.intake.clock.now();
        let until = now.saturating_add(Duration::from_millis(self.config.claim_ms)).unwrap_or(now);
        let claimed = self.jobs.claim_jobs(JobKind::Reread, &self.intake.channel, now, until, limit).await;
        claimed.map_err(|error| failure::store(&error))
    }
}

#[async_trait]
impl Task for Rereader {
    fn name(&self) -> String {
        format!("reread/{}", self.intake.channel)
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let connector = Arc::clone(&self.intake.connector);
        let Some(source) = connector.source() else { return Ok(Ran::Idle) };
        let limit = u32::try_from(source.ids_per_fetch().max(1)).unwrap_or(u32::MAX);
        let claimed = self.claim(limit).await?;
        if claimed.is_empty() {
            return Ok(Ran::Idle);
        }
        let full = claimed.len() == limit as usize;
        let mut batch = Vec::with_capacity(claimed.len());
        let mut senseless = Vec::new();
        let mut again = false;
        for job in claimed {
            match number_of(&job.subject) {
                Some(number) => {
                    again |= job.failures > 0;
                    batch.push((job, number));
                }
                None => senseless.push((job.id, job.requested)),
            }
        }
        if !senseless.is_empty() {
            tracing::warn!(channel = %self.intake.channel, jobs = senseless.len(), "re-read jobs without a usable number are dropped");
            self.count("gateway_reread_senseless_jobs_total", senseless.len() as u64);
            self.finish(&senseless).await?;
        }
        // Numbers that failed before are asked for one by one, so that one that the channel chokes on does not keep the others from being read.
        let step = if again { 1 } else { batch.len().max(1) };
        let mut rest = &batch[..];
        while !rest.is_empty() {
            let (jobs, after) = rest.split_at(step.min(rest.len()));
            let read = tokio::select! {
                () = round.stopping.cancelled() => {
                    self.give_back_all(rest, "stopping").await?;
                    return Ok(Ran::Idle);
                }
                read = self.read(source, jobs) => read,
            };
            if read.is_err() {
                self.give_back_all(after, "not_reached").await?;
            }
            read?;
            rest = after;
        }
        Ok(if full { Ran::Busy } else { Ran::Idle })
    }
}
