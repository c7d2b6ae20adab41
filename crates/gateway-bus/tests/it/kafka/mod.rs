//! The engine on Apache Kafka, against a real broker.

mod broker;
mod faults;
mod kill;
mod members;
mod mock;
mod options;
mod secure;
mod suite;
mod support;
mod topics;
