//! The arguments of `deliveries`.

use super::QueryOptions;
use clap::{Args, Subcommand};

/// Options of `deliveries`.
#[derive(Debug, Clone, Args)]
pub struct DeliveriesOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: DeliveriesAction,
}

/// What to do with deliveries.
#[derive(Debug, Clone, Subcommand)]
pub enum DeliveriesAction {
    /// List those that wait for a person: held, rejected, dead-lettered.
    List {
        /// Only those to this channel.
        #[arg(long)]
        channel: Option<String>,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Show a delivery with its attempts.
    Show {
        /// Its id.
        id: i64,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Send it again, as a new generation.
    Redeliver {
        /// Its id.
        id: i64,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Settle it without that.
    Waive {
        /// Its id.
        id: i64,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
}
