//! The commands that ask a gateway something. They talk to a running `serve` over its API; where none runs, to the same API opened over the
//! locked directory for the length of the command. One road, so a command shows the same either way.

mod alert;
mod archive;
mod attachments;
mod check;
mod client;
mod columns;
mod deliveries;
mod duplicates;
mod export;
mod gaps;
mod import;
mod letters;
mod nodes;
mod ops;
mod order;
mod print;
mod profile;
mod report;
mod request;
mod routes;
mod said;

pub use alert::alert;
pub use archive::archive;
pub use check::{check_config, migrate};
pub use client::ApiClient;
pub use deliveries::deliveries;
pub use duplicates::duplicates;
pub use export::export;
pub use gaps::gaps;
pub use import::import;
pub use letters::dead_letters;
pub use nodes::nodes;
pub use ops::{backfill, reconcile, status};
pub use order::order;
pub use print::{say, table};
pub use profile::{map, profile};
pub use report::{balance, report, trace};
pub use routes::routes;

use crate::Failure;
use std::process::ExitCode;

/// Runs a simulated counterparty.
///
/// # Errors
/// Whatever ended it.
pub async fn simulate(command: gateway_simulator::SimulateCommand) -> Result<ExitCode, Failure> {
    crate::serve::start_logging(&crate::config::TelemetryConfig::default())?;
    Ok(ExitCode::from(command.run().await?))
}
