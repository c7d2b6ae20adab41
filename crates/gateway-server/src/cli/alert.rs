//! Arguments of `alert`.

use super::QueryOptions;
use clap::{Args, Subcommand};

/// Options of `alert`.
#[derive(Debug, Clone, Args)]
pub struct AlertOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: AlertAction,
}

/// What to do with incidents.
#[derive(Debug, Clone, Subcommand)]
pub enum AlertAction {
    /// List incidents; open ones unless told otherwise. 告警列表
    List {
        /// Those in this state.
        #[arg(long, value_parser = ["suspected", "open", "resolved", "all"], default_value = "open")]
        state: String,
        /// Only those of this channel.
        #[arg(long)]
        channel: Option<String>,
        /// Only those with this code.
        #[arg(long)]
        code: Option<String>,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Show an incident: what is wrong, what to do, and who was told when. 告警详情
    Show {
        /// Its id.
        id: i64,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Say that you care for it: it is not escalated and rarely repeated. 确认告警
    Acknowledge {
        /// Its id.
        id: i64,
        /// Who; the name of the user by default.
        #[arg(long)]
        by: Option<String>,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Make, list and end silences. 静默
    Silence {
        /// What to do.
        #[command(subcommand)]
        action: SilenceAction,
    },
    /// Tell how the notifiers fare. 通知渠道状态
    Notifiers(QueryOptions),
    /// Send a test notice through every notifier and tell what came of it; works without a running gateway. 测试通知
    Test {
        /// Only through this one.
        #[arg(long)]
        notifier: Option<String>,
        /// Which installation.
        #[command(flatten)]
        query: QueryOptions,
    },
}

/// What to do with silences.
#[derive(Debug, Clone, Subcommand)]
pub enum SilenceAction {
    /// Be told nothing of matching incidents for a while. 新建静默
    Add {
        /// Incidents of this channel.
        #[arg(long)]
        channel: Option<String>,
        /// Incidents with this code.
        #[arg(long)]
        code: Option<String>,
        /// Incidents with this subject.
        #[arg(long)]
        subject: Option<String>,
        /// From when, as 2026-11-25T22:00:00+08:00; from now on by default.
        #[arg(long)]
        from: Option<String>,
        /// Until when, as 2026-11-26T06:00:00+08:00.
        #[arg(long, required_unless_present = "lasting", conflicts_with = "lasting")]
        until: Option<String>,
        /// For how long, as 30m, 8h or 2d.
        #[arg(long = "for", id = "lasting")]
        lasting: Option<String>,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Who; the name of the user by default.
        #[arg(long)]
        by: Option<String>,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// List silences. 静默列表
    List {
        /// Those that are over too.
        #[arg(long)]
        all: bool,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// End a silence now. 结束静默
    End {
        /// Its id.
        id: i64,
        /// Who; the name of the user by default.
        #[arg(long)]
        by: Option<String>,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
}
