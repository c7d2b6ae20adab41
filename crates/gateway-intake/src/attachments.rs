//! Fetching the files that a channel's records refer to 附件.
//!
//! What is owed stands in the store, so it survives a restart, and several processes share it: who takes some has them for a while, and whose process dies
//! gives them back by that. The bytes are durable in the attachment directory before the store says that they are kept. A file that is not there is asked
//! for again with growing waits, since citizens' pictures are often uploaded after their order; after some days it is called missing, and only a person asks
//! again. While the channel does not answer at all, or refuses our credentials, nothing is given up.
//!
//! What a file is, its own bytes tell: a page or a message in place of a picture is never kept, whatever it calls itself.
//!
//! Refused: fetching inside the pipeline's transaction (a slow picture would stop intake), and trusting the channel's content type.

use crate::config::FetchConfig;
use crate::{ChannelIntake, failure};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_connector::{AttachmentError, Connector, RequestError};
use gateway_model::{AttachmentState, Digest, Timestamp};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{AttachmentDir, AttachmentRow, AttachmentStore};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Fetches the attachments of one channel. Several may run: an attachment is claimed by one at a time.
pub struct AttachmentFetcher {
    intake: ChannelIntake,
    store: Arc<dyn AttachmentStore>,
    dir: AttachmentDir,
    config: Arc<FetchConfig>,
}

/// What came of asking for one.
enum Fetched {
    Kept {
        digest: Digest,
        size_bytes: u64,
        media_type: &'static str,
    },
    /// Asked for again later; `given_up` = where it stays so for long, it is called missing.
    Again {
        code: &'static str,
        retry_after: Option<Duration>,
        given_up: bool,
    },
    Refused {
        code: &'static str,
    },
}

impl AttachmentFetcher {
    /// A fetcher of a channel; `None` when its files can't be fetched.
    #[must_use]
    pub fn new(
        intake: ChannelIntake,
        store: Arc<dyn AttachmentStore>,
        dir: AttachmentDir,
        config: FetchConfig,
    ) -> Option<Self> {
        intake.connector.attachments()?;
        Some(Self { intake, store, dir, config: Arc::new(config) })
    }

    /// What a row becomes.
    fn settle(&self, row: AttachmentRow, fetched: Fetched) -> AttachmentRow {
        let now = self.intake.clock.now();
        let row = AttachmentRow { attempts: row.attempts.saturating_add(1), ..row };
        match fetched {
            Fetched::Kept { digest, size_bytes, media_type } => AttachmentRow {
                state: AttachmentState::Kept,
                digest: Some(digest),
                size_bytes,
                media_type: Some(media_type.to_owned()),
                error: None,
                fetched_at: Some(now),
                fetch_at: None,
                ..row
            },
            Fetched::Refused { code } => {
                AttachmentRow { state: AttachmentState::Refused, error: Some(code.to_owned()), fetch_at: None, ..row }
            }
            Fetched::Again { code, given_up: true, .. } if self.is_over(row.owed_at, now) => {
                AttachmentRow { state: AttachmentState::Missing, error: Some(code.to_owned()), fetch_at: None, ..row }
            }
            Fetched::Again { code, retry_after, .. } => {
                let wait = self.config.retry.wait_after(row.attempts, retry_after);
                let fetch_at = now.saturating_add(wait).unwrap_or(now);
                AttachmentRow { error: Some(code.to_owned()), fetch_at: Some(fetch_at), ..row }
            }
        }
    }

    fn is_over(&self, owed_at: Timestamp, now: Timestamp) -> bool {
        let patience = Duration::from_secs(self.config.give_up_after_s);
        owed_at.saturating_add(patience).is_ok_and(|end| now >= end)
    }

    fn count(&self, row: &AttachmentRow) {
        let outcome = row.state.as_str();
        let code = row.error.clone().unwrap_or_default();
        let channel = self.intake.channel.to_string();
        metrics::counter!("gateway_attachment_fetches_total", "channel" => channel.clone(), "outcome" => outcome, "code" => code)
            .increment(1);
        if row.state == AttachmentState::Kept {
            metrics::counter!("gateway_attachment_bytes_total", "channel" => channel).increment(row.size_bytes);
        }
    }
}

/// Asks for one, and keeps it.
async fn fetch(
    connector: Arc<dyn Connector>,
    dir: AttachmentDir,
    config: Arc<FetchConfig>,
    reference: String,
) -> Fetched {
    let Some(source) = connector.attachments() else { return Fetched::Refused { code: "attachment_not_fetched" } };
    let bytes = match source.fetch(&reference, config.largest_bytes).await {
        Ok(bytes) => bytes,
        Err(error) => return not_fetched(&error),
    };
    let kind = match media_type(&bytes) {
        Some(kind) if config.types.iter().any(|kept| kept == kind) => kind,
        Some(_) => return Fetched::Refused { code: "attachment_type" },
        // A page or a message, perhaps of a trouble that passes.
        None => return Fetched::Again { code: "attachment_no_file", retry_after: None, given_up: true },
    };
    let size_bytes = bytes.len() as u64;
    match tokio::task::spawn_blocking(move || dir.keep(&bytes)).await {
        Ok(Ok(digest)) => Fetched::Kept { digest, size_bytes, media_type: kind },
        Ok(Err(error)) => {
            tracing::error!(%error, "a file can't be written into the attachment directory");
            Fetched::Again { code: "attachment_not_written", retry_after: None, given_up: false }
        }
        Err(error) => {
            tracing::error!(%error, "writing into the attachment directory broke off");
            Fetched::Again { code: "attachment_not_written", retry_after: None, given_up: false }
        }
    }
}

fn not_fetched(error: &AttachmentError) -> Fetched {
    let code = error.code();
    if error.is_final() {
        return Fetched::Refused { code };
    }
    // What it says of this file, it says of this file; else it is the channel that is in trouble.
    let given_up = match error {
        AttachmentError::Request(request) => {
            matches!(request, RequestError::Business { .. } | RequestError::Undecodable { .. })
        }
        _ => true,
    };
    Fetched::Again { code, retry_after: error.retry_after(), given_up }
}

/// What bytes are; `None` = nothing that is known, or text.
fn media_type(bytes: &Bytes) -> Option<&'static str> {
    let kind = infer::get(bytes)?;
    (kind.matcher_type() != infer::MatcherType::Text).then(|| kind.mime_type())
}

#[async_trait]
impl Task for AttachmentFetcher {
    fn name(&self) -> String {
        format!("attachments/{}", self.intake.channel)
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let failed = |error| failure::store(&error);
        let now = self.intake.clock.now();
        let until = now.saturating_add(Duration::from_millis(self.config.claim_ms)).unwrap_or(now);
        let limit = self.config.at_once;
        let claimed = self.store.claim_attachments(&self.intake.channel, now, until, limit).await.map_err(failed)?;
        if claimed.is_empty() {
            return Ok(Ran::Idle);
        }
        let ran = if claimed.len() < limit as usize { Ran::Idle } else { Ran::Busy };
        let mut waiting: BTreeMap<_, _> = claimed.into_iter().map(|row| (row.id, row)).collect();
        let mut asking = JoinSet::new();
        for row in waiting.values() {
            let (connector, dir, config) = (self.intake.connector.clone(), self.dir.clone(), self.config.clone());
            let (id, reference) = (row.id, row.reference.clone());
            asking.spawn(async move { (id, fetch(connector, dir, config, reference).await) });
        }
        loop {
            let asked = tokio::select! {
                asked = asking.join_next() => asked,
                () = round.stopping.cancelled() => {
                    asking.abort_all();
                    break;
                }
            };
            let (id, fetched) = match asked {
                None => break,
                Some(Ok(asked)) => asked,
                // Its row is asked for again below.
                Some(Err(error)) => {
                    tracing::error!(channel = %self.intake.channel, %error, "fetching an attachment broke off");
                    continue;
                }
            };
            let Some(row) = waiting.remove(&id) else { continue };
            let row = self.settle(row, fetched);
            self.count(&row);
            if matches!(row.state, AttachmentState::Missing | AttachmentState::Refused) {
                let code = row.error.as_deref().unwrap_or_default();
                tracing::warn!(channel = %self.intake.channel, attachment = %row.id, code, "an attachment is not kept");
            }
            // One by one: the first of a round need not wait for the slowest.
            self.store.write_attachments(&[row]).await.map_err(failed)?;
        }
        // Not asked to the end: whoever comes next asks at once.
        let rest: Vec<_> = waiting
            .into_values()
            .map(|row| AttachmentRow { attempts: row.attempts.saturating_add(1), fetch_at: Some(now), ..row })
            .collect();
        if !rest.is_empty() {
            self.store.write_attachments(&rest).await.map_err(failed)?;
        }
        Ok(ran)
    }
}
