//! The arguments of `archive`.

use super::QueryOptions;
use clap::{Args, Subcommand};

/// Options of `archive`.
#[derive(Debug, Clone, Args)]
pub struct ArchiveOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: ArchiveAction,
}

/// What to do with months.
#[derive(Debug, Clone, Subcommand)]
pub enum ArchiveAction {
    /// List the months: where each is, how large it is, what holds it back. 各月位置、大小与不能归档的原因
    List {
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Take a month out, unless something holds it back. 归档一个月
    Take {
        /// The month, as 2025-01.
        month: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Bring a month back, with what came late beside it. 取回一个月
    Return {
        /// The month, as 2025-01.
        month: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
}
