//! Drains the spool, and says what becomes of a push whose nonce was taken by another body on another node meanwhile.

use crate::channel::short_hex;
use crate::failure;
use async_trait::async_trait;
use gateway_bus::NewMessage;
use gateway_bus::spool::{ConflictRule, SpooledBus};
use gateway_model::Origin;
use gateway_runtime::{Ran, Round, Schedule, Task, TaskError};
use std::sync::Arc;
use std::time::Duration;

/// How long the spool stays undrained after the bus is back, at most about.
const EVERY: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// The gate's rule, for a conflict that is found out after the push was answered: its records are kept as of origin `webhook_conflict` under
/// `<nonce>!<digest>`, so that the pipeline reads their orders again and believes neither body. A command keeps its origin: it is checked in the
/// pipeline as every command is.
pub struct PushConflicts;

/// A push's nonce, and `#<i>` where the record is not its first.
fn parts(nonce: &str) -> (&str, &str) {
    let at = nonce.rfind('#').filter(|at| {
        let index = &nonce[at + 1..];
        !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit())
    });
    nonce.split_at(at.unwrap_or(nonce.len()))
}

/// The nonce under which the records of a push are kept whose own nonce was used for another body.
pub(crate) fn conflict_nonce(nonce: &str, digest: &[u8; 32]) -> String {
    format!("{nonce}!{}", short_hex(digest))
}

impl ConflictRule for PushConflicts {
    fn request_of<'a>(&self, nonce: &'a str) -> &'a str {
        parts(nonce).0
    }

    fn resolve(&self, mut message: NewMessage) -> NewMessage {
        if message.origin() == Some(Origin::Webhook) {
            message.set_origin(Origin::WebhookConflict);
        }
        if let Some(guard) = &mut message.guard {
            let (nonce, index) = parts(&guard.nonce);
            guard.nonce = format!("{}{index}", conflict_nonce(nonce, &guard.digest));
        }
        message
    }
}

/// The task that drains a spool.
pub struct SpoolDrainer(Arc<SpooledBus>);

impl SpoolDrainer {
    /// For this spool.
    #[must_use]
    pub fn new(spool: Arc<SpooledBus>) -> Self {
        Self(spool)
    }

    /// When it is due.
    #[must_use]
    pub fn schedule() -> Schedule {
        Schedule::every(EVERY).backoff_max(LONGEST_BACKOFF)
    }
}

#[async_trait]
impl Task for SpoolDrainer {
    fn name(&self) -> String {
        "spool".into()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let drained = tokio::select! {
            // What was sent and not committed is sent again after the next start.
            () = round.stopping.cancelled() => return Ok(Ran::Idle),
            drained = self.0.drain() => drained.map_err(|error| failure::bus(&error))?,
        };
        if drained.messages > 0 {
            let (messages, conflicts) = (drained.messages, drained.conflicts);
            tracing::info!(messages, conflicts, more = drained.more, "spooled messages are on the bus");
        }
        Ok(if drained.more { Ran::Busy } else { Ran::Idle })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_bus::{Envelope, Guard};
    use gateway_model::{ChannelId, Timestamp};

    fn message(origin: Origin, nonce: &str) -> NewMessage {
        let at = Timestamp::UNIX_EPOCH;
        let envelope = Envelope {
            channel: ChannelId::new("municipal-12345").unwrap(),
            origin,
            number: None,
            received_at: at,
            read_at: at,
            undecodable: None,
            payload: b"{}".to_vec(),
        };
        envelope.into_message(Some(Guard { nonce: nonce.into(), digest: [0xab; 32], until: at }))
    }

    #[test]
    fn a_late_conflict_is_kept_as_the_gate_would_have() {
        for (nonce, request, kept) in [
            ("n", "n", "n!abababababababab"),
            ("n#2", "n", "n!abababababababab#2"),
            ("n#", "n#", "n#!abababababababab"),
            ("a#b", "a#b", "a#b!abababababababab"),
        ] {
            assert_eq!(PushConflicts.request_of(nonce), request);
            let resolved = PushConflicts.resolve(message(Origin::Webhook, nonce));
            assert_eq!(
                (resolved.guard.as_ref().unwrap().nonce.as_str(), resolved.origin()),
                (kept, Some(Origin::WebhookConflict))
            );
        }
        assert_eq!(PushConflicts.resolve(message(Origin::Command, "c")).origin(), Some(Origin::Command));
    }
}
