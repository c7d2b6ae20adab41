//! Arguments of `gaps`.

use super::QueryOptions;
use clap::{Args, Subcommand};

/// Options of `gaps`.
#[derive(Debug, Clone, Args)]
pub struct GapsOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: GapsAction,
}

/// What to do with gaps.
#[derive(Debug, Clone, Subcommand)]
pub enum GapsAction {
    /// List gaps by the outage that they belong to; one by one with --all, --group or --state.
    List {
        /// One by one, only those in this state.
        #[arg(long, value_parser = ["suspected", "open", "repairing", "closed", "waived"])]
        state: Option<String>,
        /// The gaps of this group, one by one.
        #[arg(long)]
        group: Option<i64>,
        /// Every gap, one by one.
        #[arg(long)]
        all: bool,
        /// Groups that are over, too.
        #[arg(long, conflicts_with_all = ["state", "group", "all"])]
        finished: bool,
        /// Only those of this channel.
        #[arg(long)]
        channel: Option<String>,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Show a gap.
    Show {
        /// Its id.
        id: i64,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Repair a gap now, the unfinished gaps of a group, or all; a group as fast as live traffic allows.
    Repair {
        /// The gap.
        #[arg(required_unless_present_any = ["group", "all"], conflicts_with_all = ["group", "all"])]
        id: Option<i64>,
        /// The group.
        #[arg(long, conflicts_with = "all")]
        group: Option<i64>,
        /// Every unfinished gap.
        #[arg(long)]
        all: bool,
        /// Tell what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Settle a gap without repair.
    Waive {
        /// Its id.
        id: i64,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Who decides.
        #[arg(long)]
        by: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Let the repair of a dataset go on that was stopped because so much of it differs.
    Approve {
        /// The channel.
        #[arg(long)]
        channel: String,
        /// The dataset.
        #[arg(long, value_parser = ["acceptance", "handling", "completion", "evaluation", "knowledge"])]
        dataset: String,
        /// Who approves.
        #[arg(long)]
        by: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// The list of unfinished gaps to send to the other side; no personal data. 导出差异清单
    Export {
        /// Of this group.
        #[arg(long)]
        group: Option<i64>,
        /// Of this channel.
        #[arg(long)]
        channel: Option<String>,
        /// csv (for Excel), which is the default, or json.
        #[arg(long, value_enum, conflicts_with = "json")]
        format: Option<ExportFormat>,
        /// Where to ask; --json is --format json.
        #[command(flatten)]
        query: QueryOptions,
    },
}

/// The dress of a list that leaves the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated, UTF-8 with a byte order mark, Chinese heads.
    Csv,
    /// One line of JSON.
    Json,
}
