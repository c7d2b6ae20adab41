//! Command line of `simulate 12345`, `12328`, `taxi-qr`, `web-12328`, `taxi-wechat`, `bureau`, `desk` and `operating-data`. Secrets only by file; addresses of others by value or by file, since a
//! process that is started again may have another one.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::clock::SimClock;
use crate::control::{parent_gone, read_secret};
use crate::desk::{DeskOptions, start_desk};
use crate::dress::Dress;
use crate::error::SimError;
use crate::faults::FaultPlan;
use crate::invent::car::FLEET;
use crate::operating_data::{CarFaultShare, OperatingDataOptions, start_operating_data};
use crate::platform::{BoxFault, LIE_LASTS, PlatformEnd, PlatformKind, PlatformOptions, start_platform};
use crate::sign::SignatureMethod;

/// Exit code with which a platform asks its supervisor to start it again (`EX_TEMPFAIL`).
pub const EXIT_RESTART: u8 = 75;

/// `simulate …`
#[derive(Debug, Subcommand)]
pub enum SimulateCommand {
    /// A municipal 12345 platform with a durable book of its own.
    #[command(name = "12345")]
    Municipal(SimulatePlatform),
    /// The province's 12328 centre with a durable book of its own; takes what cities upload, pushes nothing.
    #[command(name = "12328")]
    Provincial(SimulatePlatform),
    /// The taxi QR-code platform, with a durable book of its own; takes progress and results back.
    #[command(name = "taxi-qr")]
    TaxiQr(SimulatePlatform),
    /// 12328 WeChat or website, with a durable book of its own; takes progress and results back.
    #[command(name = "web-12328")]
    Web(SimulatePlatform),
    /// 出租微信, with a durable book of its own; its orders name a car; takes progress and results back.
    #[command(name = "taxi-wechat")]
    TaxiWechat(SimulatePlatform),
    /// The bureau's own handling system with a durable book of its own; takes the orders that are dispatched to it.
    Bureau(SimulatePlatform),
    /// The bureau's handling desk.
    Desk(SimulateDesk),
    /// The operating-data service, with a book of cars of its own.
    OperatingData(SimulateOperatingData),
}

/// `simulate 12345`, `simulate 12328`, `simulate taxi-qr`, `simulate web-12328`, `simulate taxi-wechat`, `simulate bureau`
#[derive(Debug, Args)]
pub struct SimulatePlatform {
    /// Directory of the platform: book, address, control token.
    #[arg(long)]
    pub dir: PathBuf,
    /// Listening address; port 0 takes a free one. The address taken is written to DIR/address.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Base address of the gateway, for pushes.
    #[arg(long)]
    pub gateway_url: Option<String>,
    /// File with the gateway's address, read again before each push.
    #[arg(long)]
    pub gateway_address_file: Option<PathBuf>,
    /// Name of the channel at the gateway; as the platform's kind where absent.
    #[arg(long)]
    pub channel: Option<String>,
    /// X-App-Id of both directions.
    #[arg(long, default_value = "transport-bureau")]
    pub app_id: String,
    /// The dress that it speaks in: default, or, of `simulate 12345`, one of the invented cities; `simulate 12328` has yunjing besides.
    #[arg(long, value_enum, default_value = "default")]
    pub dress: Dress,
    /// MAC of both directions, in the default dress.
    #[arg(long, value_enum, default_value = "hmac-sha256")]
    pub signature: SignatureMethod,
    /// File with the secret of calls that come in.
    #[arg(long)]
    pub api_secret_file: PathBuf,
    /// File with the secret of pushes that go out.
    #[arg(long)]
    pub webhook_secret_file: PathBuf,
    /// Seed of everything invented.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Orders created per second (default 20, with --data 60).
    #[arg(long)]
    pub rate: Option<f64>,
    /// Life ends after so many seconds.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Life ends after so many orders.
    #[arg(long)]
    pub orders: Option<u64>,
    /// Name of this life: started again with the same name, the platform continues it.
    #[arg(long)]
    pub life: Option<String>,
    /// none, default, heavy, or a comma-separated list of kinds, or of kind:percent.
    #[arg(long, default_value = "none")]
    pub faults: FaultPlan,
    /// Data file to play instead of inventing orders.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Mapping of the data file; chosen by its name when absent.
    #[arg(long)]
    pub mapping: Option<PathBuf>,
    /// Overlap of the gateway's polling in seconds; faults that polling must not repair lie outside it.
    #[arg(long, default_value_t = 15)]
    pub overlap_seconds: u64,
    /// How long the gateway waits for an answer, in milliseconds; hangs last longer.
    #[arg(long, default_value_t = 5_000)]
    pub client_timeout_ms: u64,
    /// Directory of the front-end box that the province shares with the city.
    #[arg(long)]
    pub front_box: Option<PathBuf>,
    /// What goes wrong at the box first, in this order: half, digest, torn, columns, name, reject, twice (receipts), damaged (a data file on its way).
    #[arg(long, value_delimiter = ',')]
    pub box_faults: Vec<BoxFault>,
    /// End when standard input ends.
    #[arg(long)]
    pub exit_with_parent: bool,
}

impl SimulatePlatform {
    /// The options, secrets read.
    ///
    /// # Errors
    /// When a secret can't be read.
    pub fn options(&self, kind: PlatformKind) -> Result<PlatformOptions, SimError> {
        let default_rate = if self.data.is_some() { 60.0 } else { 20.0 };
        Ok(PlatformOptions {
            kind,
            dir: self.dir.clone(),
            listen: self.listen.clone(),
            gateway_url: self.gateway_url.clone(),
            gateway_address_file: self.gateway_address_file.clone(),
            channel: self.channel.clone().unwrap_or_else(|| kind.channel().to_owned()),
            app_id: self.app_id.clone(),
            dress: self.dress,
            signature: self.signature,
            api_secret: read_secret(&self.api_secret_file)?,
            webhook_secret: read_secret(&self.webhook_secret_file)?,
            seed: self.seed,
            rate: self.rate.unwrap_or(default_rate),
            seconds: self.seconds,
            orders: self.orders,
            life: self.life.clone(),
            faults: self.faults.clone(),
            data: self.data.clone(),
            mapping: self.mapping.clone(),
            overlap: Duration::from_secs(self.overlap_seconds),
            client_timeout: Duration::from_millis(self.client_timeout_ms),
            lie_lasts: LIE_LASTS,
            clock: SimClock::default(),
            stepped: false,
            pace: None,
            durable: true,
            front_box: self.front_box.clone(),
            box_faults: self.box_faults.clone(),
        })
    }
}

/// `simulate desk`
#[derive(Debug, Args)]
pub struct SimulateDesk {
    /// Directory of the desk: book, address, control token.
    #[arg(long)]
    pub dir: PathBuf,
    /// Listening address of the control surface; port 0 takes a free one. The address taken is written to DIR/address.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Base address of the gateway's API.
    #[arg(long)]
    pub gateway_url: Option<String>,
    /// File with the address of the gateway's API, read again before each call.
    #[arg(long)]
    pub gateway_address_file: Option<PathBuf>,
    /// File with the token of role desk.
    #[arg(long)]
    pub token_file: PathBuf,
    /// Whose orders the desk handles.
    #[arg(long, default_value = "municipal-12345")]
    pub channel: String,
    /// Seed of decisions and texts.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Data file that holds the replies.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Mapping of the data file; chosen by its name when absent.
    #[arg(long)]
    pub mapping: Option<PathBuf>,
    /// Commands in flight at the same time.
    #[arg(long, default_value_t = 8)]
    pub parallel: usize,
    /// End when standard input ends.
    #[arg(long)]
    pub exit_with_parent: bool,
}

impl SimulateDesk {
    /// The options, the token read.
    ///
    /// # Errors
    /// When the token can't be read.
    pub fn options(&self) -> Result<DeskOptions, SimError> {
        Ok(DeskOptions {
            dir: self.dir.clone(),
            listen: self.listen.clone(),
            gateway_url: self.gateway_url.clone(),
            gateway_address_file: self.gateway_address_file.clone(),
            token: read_secret(&self.token_file)?,
            channel: self.channel.clone(),
            seed: self.seed,
            data: self.data.clone(),
            mapping: self.mapping.clone(),
            parallel: self.parallel,
            clock: SimClock::default(),
            stepped: false,
            pace: None,
            durable: true,
        })
    }
}

/// `simulate operating-data`
#[derive(Debug, Args)]
pub struct SimulateOperatingData {
    /// Directory of the service: book of cars, address, control token.
    #[arg(long)]
    pub dir: PathBuf,
    /// Listening address; port 0 takes a free one. The address taken is written to DIR/address.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// X-App-Id of who asks.
    #[arg(long, default_value = "transport-bureau")]
    pub app_id: String,
    /// MAC of what is asked.
    #[arg(long, value_enum, default_value = "hmac-sha256")]
    pub signature: SignatureMethod,
    /// File with the secret of what is asked.
    #[arg(long)]
    pub api_secret_file: PathBuf,
    /// Seed of the invented cars and of what goes wrong.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// So many cars of the fleet in which the scans of the same seed are made, where DIR/cars.json is not there yet.
    #[arg(long, default_value_t = FLEET)]
    pub cars: usize,
    /// What goes wrong, each with its percent: slow, unavailable, throttled, refused, unknown, other, torn; as slow:5,unavailable:20.
    #[arg(long, value_delimiter = ',')]
    pub faults: Vec<CarFaultShare>,
    /// How long a slow answer takes, in milliseconds.
    #[arg(long, default_value_t = 30_000)]
    pub slow_ms: u64,
    /// End when standard input ends.
    #[arg(long)]
    pub exit_with_parent: bool,
}

impl SimulateOperatingData {
    /// The options, the secret read.
    ///
    /// # Errors
    /// When the secret can't be read.
    pub fn options(&self) -> Result<OperatingDataOptions, SimError> {
        Ok(OperatingDataOptions {
            dir: self.dir.clone(),
            listen: self.listen.clone(),
            app_id: self.app_id.clone(),
            signature: self.signature,
            api_secret: read_secret(&self.api_secret_file)?,
            seed: self.seed,
            cars: self.cars,
            faults: self.faults.clone(),
            slow: Duration::from_millis(self.slow_ms),
            clock: SimClock::default(),
        })
    }
}

impl SimulateCommand {
    /// Runs the simulator to its end and returns the process's exit code.
    ///
    /// # Errors
    /// When it can't start or its journal can't be written any more.
    pub async fn run(self) -> Result<u8, SimError> {
        match self {
            Self::Municipal(arguments) => run_platform(&arguments, PlatformKind::Municipal).await,
            Self::Provincial(arguments) => run_platform(&arguments, PlatformKind::Province).await,
            Self::TaxiQr(arguments) => run_platform(&arguments, PlatformKind::TaxiQr).await,
            Self::Web(arguments) => run_platform(&arguments, PlatformKind::Web).await,
            Self::TaxiWechat(arguments) => run_platform(&arguments, PlatformKind::TaxiWechat).await,
            Self::Bureau(arguments) => run_platform(&arguments, PlatformKind::Bureau).await,
            Self::OperatingData(arguments) => {
                let handle = start_operating_data(arguments.options()?).await?;
                end_with_parent(arguments.exit_with_parent, handle.shutdown());
                handle.ended().await?;
                Ok(0)
            }
            Self::Desk(arguments) => {
                let handle = start_desk(arguments.options()?).await?;
                end_with_parent(arguments.exit_with_parent, handle.shutdown());
                handle.ended().await?;
                Ok(0)
            }
        }
    }
}

async fn run_platform(arguments: &SimulatePlatform, kind: PlatformKind) -> Result<u8, SimError> {
    let handle = start_platform(arguments.options(kind)?).await?;
    end_with_parent(arguments.exit_with_parent, handle.shutdown());
    Ok(if handle.ended().await? == PlatformEnd::RestartWanted { EXIT_RESTART } else { 0 })
}

fn end_with_parent(wanted: bool, shutdown: tokio_util::sync::CancellationToken) {
    if wanted {
        tokio::spawn(async move {
            parent_gone().await;
            shutdown.cancel();
        });
    }
}
