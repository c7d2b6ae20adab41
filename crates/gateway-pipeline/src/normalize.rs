//! From an envelope to statements: everything that can be done outside the transaction.

use crate::decide::identity;
use gateway_connector::{Connector, NormalizeError, Sink};
use gateway_model::{Change, ChannelId, Command, Field, Origin, SourceNumber, Timestamp};
use gateway_store::RawMeta;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The normalizer of each channel, as its connector has it.
#[derive(Clone, Default)]
pub struct Normalizers(BTreeMap<ChannelId, Arc<dyn Connector>>);

impl Normalizers {
    /// The normalizers of these channels.
    #[must_use]
    pub fn new(by_channel: impl IntoIterator<Item = (ChannelId, Arc<dyn Connector>)>) -> Self {
        Self(by_channel.into_iter().collect())
    }

    /// Whether a channel has a connector; one without speaks in commands only, and has no book.
    #[must_use]
    pub fn has(&self, channel: &ChannelId) -> bool {
        self.0.contains_key(channel)
    }

    /// What a channel takes from us; `None` = it takes nothing.
    #[must_use]
    pub fn sink(&self, channel: &ChannelId) -> Option<&dyn Sink> {
        self.0.get(channel)?.sink()
    }

    /// The projection version of a channel's digests.
    #[must_use]
    pub fn projection_version(&self, channel: &ChannelId) -> u32 {
        self.0.get(channel).map_or(0, |connector| connector.normalizer().projection_version())
    }

    /// Whether a record of a channel states everything that the channel holds of its order.
    #[must_use]
    pub fn record_is_whole(&self, channel: &ChannelId) -> bool {
        self.0.get(channel).is_some_and(|connector| connector.normalizer().record_is_whole())
    }

    /// Whether the files that a channel's records refer to can be fetched.
    #[must_use]
    pub fn has_attachments(&self, channel: &ChannelId) -> bool {
        self.0.get(channel).is_some_and(|connector| connector.attachments().is_some())
    }

    /// Whether a channel handles orders of others: what it says of its own work is asked of the platform whose order it is.
    #[must_use]
    pub fn handles_orders(&self, channel: &ChannelId) -> bool {
        self.0.get(channel).is_some_and(|connector| connector.normalizer().handles_orders())
    }

    /// What a body states.
    ///
    /// # Errors
    /// [`NormalizeError`], also for a channel that nobody configured.
    pub fn normalize(
        &self,
        channel: &ChannelId,
        body: &[u8],
        received_at: Timestamp,
    ) -> Result<Vec<Change>, NormalizeError> {
        let connector = self
            .0
            .get(channel)
            .ok_or_else(|| NormalizeError::Undecodable(format!("channel {channel} is not configured")))?;
        connector.normalizer().normalize(body, received_at)
    }
}

/// What a record states.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// Changes of a channel.
    Changes(Vec<Change>),
    /// Changes under a nonce that was used before for another body: not to be applied, their orders are read again.
    Conflicting(Vec<Change>),
    /// The channel, asked by this number, shows no order under it beside those that it gave in the same answer.
    Absent(SourceNumber),
    /// A command of the bureau.
    Command(Command),
    /// Nothing that can be understood.
    Dead {
        /// A stable code.
        code: String,
        /// A sentence.
        reason: String,
    },
}

/// A record with what it states.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalized {
    /// The envelope.
    pub meta: RawMeta,
    /// The bytes.
    pub body: Vec<u8>,
    /// What they state.
    pub statement: Statement,
}

impl Normalized {
    /// Reads a record. `undecodable` is the reason why intake could not decode it.
    #[must_use]
    pub fn read(normalizers: &Normalizers, meta: RawMeta, body: Vec<u8>, undecodable: Option<String>) -> Self {
        let statement = match undecodable {
            Some(reason) => dead("undecodable", reason),
            None if meta.origin == Origin::Absent => match &meta.number {
                Some(number) => Statement::Absent(number.clone()),
                None => dead("undecodable", "an absence without a number".into()),
            },
            None if is_command(normalizers, &meta) => match serde_json::from_slice(&body) {
                Ok(command) => Statement::Command(command),
                // The cause may show what the record says; its place is enough.
                Err(error) => dead(
                    "undecodable",
                    format!("the record is no command (line {}, column {})", error.line(), error.column()),
                ),
            },
            None => match normalizers.normalize(&meta.channel, &body, meta.received_at) {
                // Every record ends in an account, also one that says nothing.
                Ok(changes) if changes.is_empty() => {
                    dead("says_nothing", "the record states nothing about any order".into())
                }
                Ok(changes) if meta.origin == Origin::WebhookConflict => Statement::Conflicting(changes),
                Ok(changes) => Statement::Changes(changes),
                Err(error) => dead(error.code(), error.to_string()),
            },
        };
        Self { meta, body, statement }
    }

    /// Numbers of other channels that it names.
    pub fn related(&self) -> impl Iterator<Item = SourceNumber> + '_ {
        let changes: &[Change] = match &self.statement {
            Statement::Changes(changes) => changes,
            _ => &[],
        };
        changes.iter().filter_map(|change| {
            identity::named(change.dataset, &change.part, change.fields.text(Field::RelatedNumber))
        })
    }

    /// The numbers of the orders that it speaks of.
    pub fn numbers(&self) -> impl Iterator<Item = &SourceNumber> {
        let (changes, absent): (&[Change], _) = match &self.statement {
            Statement::Changes(changes) | Statement::Conflicting(changes) => (changes, None),
            Statement::Absent(number) => (&[], Some(number)),
            Statement::Command(_) | Statement::Dead { .. } => (&[], None),
        };
        changes.iter().map(|change| &change.number).chain(absent)
    }
}

/// A corrected command comes back as a resubmission of a channel that has nothing but commands.
fn is_command(normalizers: &Normalizers, meta: &RawMeta) -> bool {
    meta.origin == Origin::Command || (meta.origin == Origin::Resubmitted && !normalizers.has(&meta.channel))
}

fn dead(code: &str, reason: String) -> Statement {
    Statement::Dead { code: code.to_owned(), reason }
}
