//! Arguments of the commands that work on a wire profile.

use super::InstallationOptions;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Options of `profile`.
#[derive(Debug, Clone, Args)]
pub struct ProfileOptions {
    /// What to do.
    #[command(subcommand)]
    pub command: ProfileCommand,
}

/// What `profile` does.
#[derive(Debug, Clone, Subcommand)]
pub enum ProfileCommand {
    /// Tell every mistake of a wire profile at once, each with its key. 检查
    Check(ProfileCheckOptions),
    /// Walk the read-only operations of a profile against a live endpoint; nothing is ever written. 试连（只读）
    Try(ProfileTryOptions),
}

/// Options of `profile check`.
#[derive(Debug, Clone, Args)]
pub struct ProfileCheckOptions {
    /// The profile.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `profile try`.
#[derive(Debug, Clone, Args)]
pub struct ProfileTryOptions {
    /// The profile.
    pub file: PathBuf,
    /// The counterparty's base address, as `https://12345.example.gov.cn`.
    #[arg(long)]
    pub base_url: String,
    /// The application id agreed on.
    #[arg(long)]
    pub app_id: String,
    /// File with the secret that our requests are signed with.
    #[arg(long)]
    pub secret_file: PathBuf,
    /// How many days back is looked.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// Records a page; small, so that paging is tried too.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub page_size: u32,
    /// An order that the counterparty has; found in the listing by default. May be given several times.
    #[arg(long)]
    pub number: Vec<String>,
    /// A plate that an operating-data service knows.
    #[arg(long)]
    pub plate: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `map`.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["channel", "profile"]))]
pub struct MapOptions {
    /// One record as the counterparty sends it, or `-` for standard input.
    pub sample: PathBuf,
    /// The channel of the installation whose profile reads it.
    #[arg(long)]
    pub channel: Option<String>,
    /// A profile's file instead; no installation is needed.
    #[arg(long)]
    pub profile: Option<PathBuf>,
    /// Which installation.
    #[command(flatten)]
    pub installation: InstallationOptions,
    /// Show what is said of persons, and the values of unknown fields, whole.
    #[arg(long)]
    pub person: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
