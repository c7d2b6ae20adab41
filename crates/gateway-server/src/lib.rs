//! The composition root: configuration, the registry of channels, the wiring, and the commands. The only crate that names a channel.

pub mod cli;
pub mod commands;
pub mod config;
pub mod dead_ends;
pub mod demo;
pub mod lock;
pub mod moveup;
pub mod registry;
pub mod role;
pub mod secrets;
pub mod serve;
pub mod store;

use cli::{Command, Program};
use std::process::ExitCode;

/// Runs the program to its end.
#[must_use]
pub fn run(program: Program) -> ExitCode {
    gateway_connector::install_crypto();
    // Whatever is written holds personal data or secrets: its owner's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime can't be started: {error}")),
    };
    let ended = runtime.block_on(dispatch(program));
    // A blocking read of standard input never ends; it must not hold the process.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(failure) => fail(&failure.0),
    }
}

/// Why the program ends without success: what happened, and what to do about it, for a person.
#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    /// In both languages, the Chinese first: it is read by people at the bureau.
    #[must_use]
    pub fn told(zh: impl std::fmt::Display, en: impl std::fmt::Display) -> Self {
        Self(format!("{zh}\n  {en}"))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(gateway_model::with_causes(&error))
    }
}

async fn dispatch(program: Program) -> Result<ExitCode, Failure> {
    match program.command {
        Command::Serve(options) => serve::serve(options).await,
        Command::Demo(options) => demo::demo(options).await,
        Command::Simulate(options) => commands::simulate(options).await,
        Command::CheckConfig(options) => commands::check_config(options).await,
        Command::Profile(options) => commands::profile(options).await,
        Command::Map(options) => commands::map(&options),
        Command::Migrate(options) => commands::migrate(options).await,
        Command::MigrateTo(options) => moveup::migrate_to(options).await,
        Command::Status(options) => commands::status(options).await,
        Command::Order(options) => commands::order(options).await,
        Command::Gaps(options) => commands::gaps(options).await,
        Command::Reconcile(options) => commands::reconcile(options).await,
        Command::Routes(options) => commands::routes(options).await,
        Command::Backfill(options) => commands::backfill(options).await,
        Command::Export(options) => commands::export(options).await,
        Command::Import(options) => commands::import(options).await,
        Command::DeadLetters(options) => commands::dead_letters(options).await,
        Command::Deliveries(options) => commands::deliveries(options).await,
        Command::Archive(options) => commands::archive(options).await,
        Command::Report(options) => commands::report(options).await,
        Command::Balance(options) => commands::balance(options).await,
        Command::Trace(options) => commands::trace(options).await,
        Command::Alert(options) => commands::alert(options).await,
        Command::Duplicates(options) => commands::duplicates(options).await,
        Command::Nodes(options) => commands::nodes(options).await,
    }
}

fn fail(text: &str) -> ExitCode {
    eprintln!("hotline-gateway: {text}");
    ExitCode::FAILURE
}
