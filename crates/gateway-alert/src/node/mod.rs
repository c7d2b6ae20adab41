//! Several processes, one picture: each tells of itself, and whoever watches sees all.
//!
//! What only a process can see (its disk, its doors, its tasks, its spool) it looks at itself and writes into its row of the store, with the time
//! ([`NodeTeller`]). Who watches reads all rows ([`nodes_check`]): what the others found is found, a process that fell silent is found, and so is a
//! part of the work that nobody does. Nobody asks anybody over the network, so that no port has to be open between them.
//!
//! Refused: a membership protocol. Work is shared by the bus's groups and by leases; a row is only what people and checks read.

mod check;
mod config;
mod stored;
mod teller;

pub use check::nodes_check;
pub use config::NodeConfig;
pub use teller::{NodeSelf, NodeTeller, SpoolReading};
