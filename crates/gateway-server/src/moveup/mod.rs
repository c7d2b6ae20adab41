//! `migrate-to`: an embedded installation moves up to PostgreSQL, and to Kafka.
//!
//! 1. Both configurations are read and held against each other; the directory is locked.
//! 2. The target is looked at, so that what is wrong with it is said before anything is done.
//! 3. Where the bus moves, what still stands on the old one is worked off into the old store, by the old configuration.
//! 4. The old book is added up. The directory is marked; from here on its embedded engines refuse to run.
//! 5. The store is carried and verified (`gateway_store::carry`), the target is opened for use, and the mark says so.
//!
//! Each step can be repeated: killed at any moment, the same command goes on.
//!
//! Refused: appending what stands on the old bus to the new one. A kill would append it twice, offsets of the old bus would end in no book, and the
//! pipeline does the same work with an account of it. docs/adr/0011-moving-up.md has the rest.

mod mark;
#[cfg(feature = "postgres")]
mod run;
#[cfg(feature = "postgres")]
mod tell;

pub use mark::{Mark, Stage, refuse_what_was_left};

use crate::Failure;
use crate::cli::MigrateToOptions;
use std::process::ExitCode;

/// Moves an installation.
///
/// # Errors
/// When it can't; with what to do.
#[cfg(feature = "postgres")]
pub async fn migrate_to(options: MigrateToOptions) -> Result<ExitCode, Failure> {
    run::run(options).await
}

/// Moves an installation.
///
/// # Errors
/// Always: there is nothing to move to.
#[cfg(not(feature = "postgres"))]
pub async fn migrate_to(_: MigrateToOptions) -> Result<ExitCode, Failure> {
    Err(Failure::told(
        "本程序未包含 PostgreSQL：请用 --features postgres 构建",
        "this program was built without PostgreSQL: build it with --features postgres",
    ))
}
