//! The arguments of `order`.

use super::QueryOptions;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Options of `order`.
#[derive(Debug, Clone, Args)]
pub struct OrderOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: OrderAction,
}

/// What to do with orders.
#[derive(Debug, Clone, Subcommand)]
pub enum OrderAction {
    /// Show an order: facets, events, extensions and appeals, states, duplicates, verification, attachments, timeline, records, deliveries, attempts, receipts.
    Show {
        /// Any side's number, or the gateway's id.
        number: String,
        /// The channel whose number it is.
        #[arg(long)]
        channel: Option<String>,
        /// Show person fields, and the records' bytes, too.
        #[arg(long)]
        person: bool,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Show the files that an order's records refer to, save those that are kept, or ask for the others again. 附件
    Attachments {
        /// Any side's number, or the gateway's id.
        number: String,
        /// The channel whose number it is.
        #[arg(long)]
        channel: Option<String>,
        /// Save the files that are kept into this directory, each under its id.
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
        /// Ask the source again, at once, for what is not kept or was lost since.
        #[arg(long, conflicts_with = "save")]
        again: bool,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Ask the platform whose order it is for a later deadline, before this one has passed. 申请延期
    Extend {
        /// Why.
        #[arg(long)]
        reason: String,
        /// How many days more.
        #[arg(long, required_unless_present = "until", conflicts_with = "until")]
        days: Option<u32>,
        /// The deadline asked for: a day as 2026-12-31, or a time as 2026-12-31T18:00:00+08:00.
        #[arg(long)]
        until: Option<String>,
        /// Of which order, and who asks.
        #[command(flatten)]
        request: RequestOptions,
    },
    /// Appeal to the platform whose order it is against a bad rating, or against its being counted as overdue. 申诉
    Appeal {
        /// Against what.
        #[arg(long, value_enum)]
        ground: Ground,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Of which order, and who asks.
        #[command(flatten)]
        request: RequestOptions,
    },
    /// Dispatch the order to a further unit at the bureau's own system. 加派
    Assign {
        /// The unit.
        #[arg(long)]
        unit: String,
        /// What it is to be.
        #[arg(long, value_enum, default_value_t)]
        role: UnitRole,
        /// What it is told.
        #[arg(long)]
        note: Option<String>,
        /// Which order, and who asks.
        #[command(flatten)]
        request: RequestOptions,
    },
}

/// What every request of a person on an order has.
#[derive(Debug, Clone, Args)]
pub struct RequestOptions {
    /// Any side's number, or the gateway's id.
    pub number: String,
    /// The channel whose number it is.
    #[arg(long)]
    pub channel: Option<String>,
    /// The round that it speaks of; the one that the order is in where absent.
    #[arg(long)]
    pub round: Option<u32>,
    /// Who asks; the user's name where absent.
    #[arg(long)]
    pub operator: Option<String>,
    /// A name of the request: sent again under the same key and time it is still one request.
    #[arg(long, requires = "at")]
    pub key: Option<String>,
    /// When it was asked, as 2026-11-26T09:00:00+08:00; now where absent.
    #[arg(long)]
    pub at: Option<String>,
    /// Where to ask.
    #[command(flatten)]
    pub query: QueryOptions,
}

/// Against what an appeal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ground {
    /// 差评.
    BadRating,
    /// 超期.
    Overdue,
}

impl Ground {
    /// The canonical code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRating => "bad_rating",
            Self::Overdue => "overdue",
        }
    }
}

/// What a unit is to an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum UnitRole {
    /// 主办.
    Main,
    /// 协办.
    #[default]
    Assisting,
}

impl UnitRole {
    /// The canonical code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Assisting => "assisting",
        }
    }
}
