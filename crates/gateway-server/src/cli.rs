//! The command line.

mod alert;
mod archive;
mod deliveries;
mod gaps;
mod order;
mod profile;

pub use alert::{AlertAction, AlertOptions, SilenceAction};
pub use archive::{ArchiveAction, ArchiveOptions};
pub use deliveries::{DeliveriesAction, DeliveriesOptions};
pub use gaps::{ExportFormat, GapsAction, GapsOptions};
pub use order::{Ground, OrderAction, OrderOptions, RequestOptions, UnitRole};
pub use profile::{MapOptions, ProfileCheckOptions, ProfileCommand, ProfileOptions, ProfileTryOptions};

use crate::role::NodeRole;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keeps hotline work orders (工单) in step between the channels of a transport bureau, and proves it.
#[derive(Debug, Parser)]
#[command(name = "hotline-gateway", version, propagate_version = true)]
pub struct Program {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway. 运行网关
    Serve(ServeOptions),
    /// Show it at work with simulated counterparties, and judge the result. 演示
    Demo(DemoOptions),
    /// Run a simulated counterparty. 模拟对端系统
    #[command(subcommand)]
    Simulate(gateway_simulator::SimulateCommand),
    /// Check the configuration, and with --connect the counterparties. 检查配置
    CheckConfig(CheckConfigOptions),
    /// Check a wire profile, or try it against a live endpoint without writing anything. 对接参数：检查、试连
    Profile(ProfileOptions),
    /// Show what a sample record becomes, and what of it the profile does not know. 样例映射
    Map(MapOptions),
    /// Bring the store's schema up to date. 升级数据库结构
    Migrate(InstallationOptions),
    /// Carry an embedded installation over to the engines that another configuration names. 迁移到 PostgreSQL 与 Kafka
    MigrateTo(MigrateToOptions),
    /// Tell how the gateway is. 运行状态
    Status(QueryOptions),
    /// Show work orders; ask for more time, appeal, dispatch to a further unit. 查看工单、申请延期、申诉、加派
    Order(OrderOptions),
    /// List, show and repair sync gaps. 同步缺口
    Gaps(GapsOptions),
    /// Compare a channel's account with ours now. 立即对账
    Reconcile(ReconcileOptions),
    /// Show the routing rules: what they owe to whom, and why an order's items were sent or not. 路由规则
    Routes(RoutesOptions),
    /// Read a channel's past again. 补采
    Backfill(BackfillOptions),
    /// Write a channel's files to its front-end box, or show how the last ones stand. 前置机文件导出
    Export(ExportOptions),
    /// Take operating data: cars, drivers, companies, trips. 导入登记数据
    Import(ImportOptions),
    /// List, show, retry and waive dead letters. 死信
    DeadLetters(DeadLettersOptions),
    /// List deliveries that wait for a person; show one, send it again, waive it. 待人工处理的投递
    Deliveries(DeliveriesOptions),
    /// List the months of records and timelines; take one out, bring one back. 按月归档
    Archive(ArchiveOptions),
    /// Make a daily or monthly transfer report. 传输监控日报、月报
    Report(ReportOptions),
    /// Show both books of a day, as they were then and as they are now. 账实核对
    Balance(BalanceOptions),
    /// Show every stage of one order in the order of time. 工单轨迹
    Trace(TraceOptions),
    /// List, show and acknowledge incidents, silence them, and try the notifiers. 告警
    Alert(AlertOptions),
    /// List and decide orders that may be one; join and separate orders. 疑似重复与归一
    Duplicates(DuplicatesOptions),
    /// Show the processes of a gateway that runs in several, and sign off one that will not come back. 节点
    Nodes(NodesOptions),
}

/// Which installation.
#[derive(Debug, Clone, Args)]
pub struct InstallationOptions {
    /// The data directory.
    #[arg(long, env = "GATEWAY_DIR", default_value = "gateway-data")]
    pub dir: PathBuf,
    /// The configuration file; `DIR/gateway.toml` where it exists.
    #[arg(long, env = "GATEWAY_CONFIG")]
    pub config: Option<PathBuf>,
}

impl InstallationOptions {
    /// The configuration file, if there is one.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| Some(self.dir.join("gateway.toml")).filter(|file| file.exists()))
    }
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeOptions {
    /// Which installation.
    #[command(flatten)]
    pub installation: InstallationOptions,
    /// Which parts of the work this process does, between commas; all where none is named. Needs the bus on Kafka and the store on PostgreSQL.
    /// 承担的角色
    #[arg(long = "role", env = "GATEWAY_ROLE", value_enum, value_delimiter = ',')]
    pub roles: Vec<NodeRole>,
    /// End when standard input ends, so that a supervisor never leaves the gateway behind.
    #[arg(long)]
    pub exit_with_parent: bool,
    /// Switch one defence off: overlap, second-look, reread-on-tie, echo. Test builds only.
    #[cfg(feature = "defence-switches")]
    #[arg(long)]
    pub without_defence: Option<String>,
}

/// Who handles the orders of a demo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DemoHandler {
    /// The bureau's own system 局业务系统, and every channel.
    #[default]
    Bureau,
    /// A handling desk in the gateway's API.
    Desk,
}

/// What a demo's gateway runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DemoEngines {
    /// One process, one directory.
    #[default]
    Embedded,
    /// Apache Kafka, PostgreSQL, several processes.
    Scaled,
}

/// Options of `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportOptions {
    /// What.
    #[command(subcommand)]
    pub action: ImportAction,
}

/// What is imported.
#[derive(Debug, Clone, Subcommand)]
pub enum ImportAction {
    /// Take a CSV file (UTF-8 or GB18030) of operating data; orders are verified against it. 车辆、驾驶员、企业、行程
    Registry {
        /// The file.
        file: PathBuf,
        /// What it lists.
        #[arg(long, value_enum)]
        kind: RegistryFileKind,
        /// The file is the whole registry of its kind: what it lacks is removed. 全量文件，以此为准
        #[arg(long)]
        whole: bool,
        /// How to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
}

/// What a registry file lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RegistryFileKind {
    /// Cars, by plate. 车辆
    Vehicles,
    /// Drivers, by permit number. 驾驶员
    Drivers,
    /// Companies. 企业
    Companies,
    /// Trips, by plate and start. 行程
    Trips,
}

/// Options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// The directory; a second demo in the same directory goes on where the first ended. A temporary one by default.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// The seed of everything that happens; a random one by default, printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Orders created per second; 20 by default, 60 with --data.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Life ends after so many seconds; 60 by default unless --orders or --data ends it.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Life ends after so many orders.
    #[arg(long)]
    pub orders: Option<u64>,
    /// Print the balance as one line of JSON, the last on standard output.
    #[arg(long)]
    pub json: bool,
    /// On which engines: embedded (one process), or scaled (Apache Kafka, PostgreSQL, three processes); scaled starts servers of its own by
    /// deploy/dev, so it is run in the source tree.
    #[arg(long, value_enum, default_value_t)]
    pub engines: DemoEngines,
    /// Who handles the orders: the bureau's own system, between all channels (taxi QR, WeChat, website and 出租微信 beside the platform and the
    /// province), or a desk in the gateway's API, between platform and province.
    #[arg(long, value_enum, default_value_t)]
    pub handler: DemoHandler,
    /// The dress that the platform speaks in: default, or one of two invented cities; the gateway meets each by a profile alone.
    #[arg(long, value_enum, default_value = "default")]
    pub dress: gateway_simulator::Dress,
    /// The dress that the province speaks in: default, or yunjing (SOAP, XML in CDATA, GB18030).
    #[arg(long, value_enum, default_value = "default")]
    pub province_dress: gateway_simulator::Dress,
    /// What goes wrong: none, default, heavy, or a comma-separated list of kinds.
    #[arg(long, default_value = "default")]
    pub faults: String,
    /// Play the rows of a file instead of inventing orders.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Which column of the file is what.
    #[arg(long)]
    pub mapping: Option<PathBuf>,
    /// How long everything may take to settle once life has ended.
    #[arg(long, hide = true, default_value_t = 120)]
    pub settle_seconds: u64,
    /// Run without comparing accounts, to see what the other defences do alone.
    #[arg(long, hide = true)]
    pub without_reconcile: bool,
    /// Switch one defence off. Test builds only.
    #[cfg(feature = "defence-switches")]
    #[arg(long)]
    pub without_defence: Option<String>,
}

/// Options of `check-config`.
#[derive(Debug, Clone, Args)]
pub struct CheckConfigOptions {
    /// Which installation.
    #[command(flatten)]
    pub installation: InstallationOptions,
    /// Make one harmless request to every counterparty.
    #[arg(long)]
    pub connect: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `migrate-to`.
#[derive(Debug, Clone, Args)]
pub struct MigrateToOptions {
    /// The data directory of the embedded installation.
    #[arg(long, env = "GATEWAY_DIR", default_value = "gateway-data")]
    pub dir: PathBuf,
    /// The configuration that it is to run with: `store.engine = "postgres"`, and where the bus moves too, `bus.engine = "kafka"`.
    #[arg(long)]
    pub config: PathBuf,
    /// The configuration that it has run with so far; `DIR/gateway.toml` where it exists.
    #[arg(long, env = "GATEWAY_CONFIG")]
    pub from: Option<PathBuf>,
    /// Print a line of JSON for each step.
    #[arg(long)]
    pub json: bool,
    /// Rows in one transaction.
    #[arg(long, hide = true)]
    pub page_rows: Option<u64>,
}

/// Options of a question to the gateway.
#[derive(Debug, Clone, Args)]
pub struct QueryOptions {
    /// Which installation.
    #[command(flatten)]
    pub installation: InstallationOptions,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The text of a time of day with its zone, as the API takes it.
fn instant(text: &str) -> Result<String, String> {
    match text.parse::<gateway_model::Timestamp>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a time is written as 2026-11-01T00:00:00+08:00 时间须写明日期、时刻与时区".to_owned()),
    }
}

/// Options of `reconcile`.
#[derive(Debug, Clone, Args)]
pub struct ReconcileOptions {
    /// The channel; all of them where absent.
    #[arg(long)]
    pub channel: Option<String>,
    /// Compare the recent past only.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub recent: bool,
    /// Compare only event times from here on, as 2026-11-01T00:00:00+08:00.
    #[arg(long, requires = "to", value_parser = instant)]
    pub from: Option<String>,
    /// Compare only event times before this, in the same form.
    #[arg(long, requires = "from", value_parser = instant)]
    pub to: Option<String>,
    /// Compare only this dataset, within --from and --to.
    #[arg(long, requires = "from", value_parser = ["acceptance", "handling", "completion", "evaluation", "knowledge"])]
    pub dataset: Option<String>,
    /// Compare nothing; show how it stands and the last comparisons.
    #[arg(long, conflicts_with_all = ["recent", "from", "to", "dataset"])]
    pub show: bool,
    /// Where to ask.
    #[command(flatten)]
    pub query: QueryOptions,
}

/// Options of `routes`.
#[derive(Debug, Clone, Args)]
pub struct RoutesOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: RoutesAction,
}

/// What to do with routing rules.
#[derive(Debug, Clone, Subcommand)]
pub enum RoutesAction {
    /// List the rules, and find circles and dead ends. 检查路由规则
    Check {
        /// Which installation.
        #[command(flatten)]
        installation: InstallationOptions,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say of each item of an order to whom it is owed, what became of it, and why it is owed to nobody. 解释工单去向
    Explain {
        /// Any side's number, or the gateway's id.
        number: String,
        /// The channel whose number it is.
        #[arg(long)]
        channel: Option<String>,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
}

/// Options of `backfill`.
#[derive(Debug, Clone, Args)]
pub struct BackfillOptions {
    /// The channel.
    #[arg(long)]
    pub channel: String,
    /// Only records with an item of this dataset in the window.
    #[arg(long, value_parser = ["acceptance", "handling", "completion", "evaluation", "knowledge"])]
    pub dataset: Option<String>,
    /// Event times from here on, as 2026-11-01T00:00:00+08:00.
    #[arg(long, value_parser = instant)]
    pub from: String,
    /// And before this, in the same form.
    #[arg(long, value_parser = instant)]
    pub to: String,
    /// Where to ask.
    #[command(flatten)]
    pub query: QueryOptions,
}

/// Options of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportOptions {
    /// The channel.
    #[arg(long)]
    pub channel: Option<String>,
    /// Everything; so also where no day is given.
    #[arg(long, conflicts_with = "day")]
    pub whole: bool,
    /// Only what was owed on this day, as 2026-11-26.
    #[arg(long)]
    pub day: Option<String>,
    /// Show the last batches and what receipts said of them.
    #[arg(long, conflicts_with_all = ["whole", "day"])]
    pub show: bool,
    /// Where to ask.
    #[command(flatten)]
    pub query: QueryOptions,
}

/// Options of `dead-letters`.
#[derive(Debug, Clone, Args)]
pub struct DeadLettersOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: DeadLettersAction,
}

/// What to do with dead letters.
#[derive(Debug, Clone, Subcommand)]
pub enum DeadLettersAction {
    /// List dead letters.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = ["open", "resubmitted", "waived"])]
        state: Option<String>,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Show a dead letter with its bytes.
    Show {
        /// Its id.
        id: i64,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Send it through the pipeline again, corrected if a file is given.
    Retry {
        /// Its id.
        id: i64,
        /// The corrected record.
        #[arg(long)]
        body: Option<PathBuf>,
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

/// Options of `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportOptions {
    /// Of what.
    #[command(subcommand)]
    pub action: ReportAction,
}

/// What a report is of.
#[derive(Debug, Clone, Subcommand)]
pub enum ReportAction {
    /// The report of a day. 日报
    Daily {
        /// The day, as 2026-11-24.
        date: String,
        /// How it is shown.
        #[command(flatten)]
        form: ReportForm,
    },
    /// The report of a month. 月报
    Monthly {
        /// The month, as 2026-11.
        month: String,
        /// How it is shown.
        #[command(flatten)]
        form: ReportForm,
    },
}

/// How a report is shown.
#[derive(Debug, Clone, Args)]
pub struct ReportForm {
    /// Text for the terminal, or a file's form; by the name of --out where absent.
    #[arg(long, value_parser = ["text", "json", "csv", "html", "xlsx"])]
    pub format: Option<String>,
    /// Write it there instead of to standard output, in the form that its name says: .html, .xlsx, .csv, .json, .txt.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// As it was at the end of this day; as it is now where absent.
    #[arg(long, value_name = "DAY")]
    pub as_of: Option<String>,
    /// The language.
    #[arg(long, value_parser = ["zh", "en"], default_value = "zh")]
    pub language: String,
    /// Where to ask; --json is --format json.
    #[command(flatten)]
    pub query: QueryOptions,
}

/// Options of `balance`.
#[derive(Debug, Clone, Args)]
pub struct BalanceOptions {
    /// The day, as 2026-11-24; yesterday where absent.
    #[arg(long)]
    pub day: Option<String>,
    /// Up to and with this day.
    #[arg(long)]
    pub to: Option<String>,
    /// "Then" is the end of this day; the end of the day itself where absent.
    #[arg(long, value_name = "DAY")]
    pub as_of: Option<String>,
    /// Only this channel.
    #[arg(long)]
    pub channel: Option<String>,
    /// Where to ask.
    #[command(flatten)]
    pub query: QueryOptions,
}

/// Options of `trace`.
#[derive(Debug, Clone, Args)]
pub struct TraceOptions {
    /// Any side's number, or the gateway's id.
    pub number: String,
    /// The channel whose number it is.
    #[arg(long)]
    pub channel: Option<String>,
    /// The language.
    #[arg(long, value_parser = ["zh", "en"], default_value = "zh")]
    pub language: String,
    /// Where to ask.
    #[command(flatten)]
    pub query: QueryOptions,
}

/// Options of `duplicates`.
#[derive(Debug, Clone, Args)]
pub struct DuplicatesOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: DuplicatesAction,
}

/// What to do with orders that may be one.
#[derive(Debug, Clone, Subcommand)]
pub enum DuplicatesAction {
    /// List pairs of orders. 列表
    List {
        /// Those in this state.
        #[arg(long, default_value = "candidate", value_parser = ["candidate", "joined", "rejected", "withdrawn"])]
        state: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Show a pair: in what its orders are alike, and who said what of it. 详情
    Show {
        /// Its id.
        id: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// The two orders are one: they are shown as one from now on. 确认为同一工单
    Confirm {
        /// The pair's id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// The two orders are two: joined ones are separated, and they are never offered again. 否认或拆分
    Reject {
        /// The pair's id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
    /// Two orders that nobody offered are one. 手工合并
    Join {
        /// Any side's number of the one, or its id.
        order: String,
        /// The other's.
        other: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
}

/// Options of `nodes`.
#[derive(Debug, Clone, Args)]
pub struct NodesOptions {
    /// What to do; list them where nothing is said.
    #[command(subcommand)]
    pub action: Option<NodesAction>,
    /// Where to ask.
    #[command(flatten)]
    pub query: QueryOptions,
}

/// What to do with nodes.
#[derive(Debug, Clone, Subcommand)]
pub enum NodesAction {
    /// Sign off a node that will not come back; its silence is told no more.
    Forget {
        /// Its name.
        name: String,
        /// Where to ask.
        #[command(flatten)]
        query: QueryOptions,
    },
}
