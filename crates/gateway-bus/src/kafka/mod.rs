//! The engine on Apache Kafka, by librdkafka: for several replicas and what outgrows one machine.
//!
//! ```text
//! append ──► guards (nonces) ──► one idempotent producer ──► brokers: all in sync hold it, then it is acknowledged
//! fetch  ◄── shelf (what is read ahead, by topic) ◄── a member of the group ◄── brokers
//! look   ──► one client that belongs to no group: topics, ends, positions, tails of guarded topics
//! ```
//!
//! Nothing of the log is kept here: topics, messages, positions and nonces are the brokers'. What a topic must be is in `topics`, how partitions
//! move in `reader`. No transactions of Kafka: a position is committed when the caller's own transaction is.
//!
//! Without the feature `kafka` there are only the options, so that a configuration is read the same by every build.
//!
//! The brokers drop what is expired by themselves, so `drop_expired` finds nothing to do.

#[cfg(feature = "kafka")]
mod bus;
#[cfg(feature = "kafka")]
mod client;
#[cfg(feature = "kafka")]
mod guard;
#[cfg(feature = "kafka")]
mod member;
#[cfg(feature = "kafka")]
mod message;
#[cfg(feature = "kafka")]
mod observer;
mod options;
#[cfg(feature = "kafka")]
mod parting;
#[cfg(feature = "kafka")]
mod producer;
#[cfg(feature = "kafka")]
mod reader;
#[cfg(feature = "kafka")]
mod shelf;
#[cfg(feature = "kafka")]
mod tail;
#[cfg(feature = "kafka")]
mod topics;

#[cfg(feature = "kafka")]
pub use bus::KafkaBus;
pub use options::{Compression, KafkaOptions, SaslMechanism, Security};
