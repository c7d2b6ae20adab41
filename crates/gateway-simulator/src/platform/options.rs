//! What a platform is to be.

use std::path::PathBuf;
use std::time::Duration;

use super::BoxFault;
use crate::clock::SimClock;
use crate::dress::Dress;
use crate::faults::FaultPlan;
use crate::pace::Pace;
use crate::sign::SignatureMethod;

/// So long an account lies where nothing else is said.
pub(crate) const LIE_LASTS: Duration = Duration::from_secs(6 * 3_600);

/// Whose platform it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlatformKind {
    /// A municipal 12345 platform: `docs/channels/municipal-12345.md`.
    #[default]
    Municipal,
    /// The province's 12328 centre: `docs/channels/provincial-12328.md`. It takes uploads and pushes nothing.
    Province,
    /// The bureau's own handling system: `docs/channels/bureau.md`. It takes orders of others, works on them and pushes what it did.
    Bureau,
    /// The taxi QR-code platform: `docs/channels/taxi-qr.md`. What the bureau does and answers goes back to it.
    TaxiQr,
    /// 12328 WeChat or website: `docs/channels/web-12328.md`. The same.
    Web,
    /// 出租微信, for taxis: `docs/channels/web-12328.md`. The same, and its orders name a car.
    TaxiWechat,
}

impl PlatformKind {
    /// Whether citizens write there themselves: no hotline stands behind it that would give an order back.
    pub fn is_front(self) -> bool {
        matches!(self, Self::TaxiQr | Self::Web | Self::TaxiWechat)
    }

    /// The usual name of its channel at the gateway.
    pub(crate) fn channel(self) -> &'static str {
        match self {
            Self::Municipal | Self::Province => "municipal-12345",
            Self::TaxiQr => "taxi-qr",
            Self::Web => "web-12328",
            Self::TaxiWechat => "taxi-wechat",
            Self::Bureau => "bureau",
        }
    }
}

/// What a platform is to be.
#[derive(Clone, Debug)]
pub struct PlatformOptions {
    /// Whose it is.
    pub kind: PlatformKind,
    /// Its directory: book, address, control token.
    pub dir: PathBuf,
    /// Listening address; port 0 takes a free one (and the same one again after a restart).
    pub listen: String,
    /// Where it pushes to; the gateway's base address. Without this and `gateway_address_file` nothing is pushed.
    pub gateway_url: Option<String>,
    /// A file that holds the gateway's `host:port`, read again before each push.
    pub gateway_address_file: Option<PathBuf>,
    /// Name of the channel in the webhook's path.
    pub channel: String,
    /// `X-App-Id` of both directions.
    pub app_id: String,
    /// How what it thinks goes over the wire.
    pub dress: Dress,
    /// The MAC of both directions, in the default dress.
    pub signature: SignatureMethod,
    /// Secret of calls that come in.
    pub api_secret: String,
    /// Secret of pushes that go out.
    pub webhook_secret: String,
    /// Seed of everything invented.
    pub seed: u64,
    /// Orders created per second.
    pub rate: f64,
    /// Life ends after so many seconds.
    pub seconds: Option<u64>,
    /// Life ends after so many orders.
    pub orders: Option<u64>,
    /// Name of this life: a process started again with the same name continues it. Absent = every start is a new life.
    pub life: Option<String>,
    /// Faults.
    pub faults: FaultPlan,
    /// Data file to play instead of inventing.
    pub data: Option<PathBuf>,
    /// Mapping of the data file.
    pub mapping: Option<PathBuf>,
    /// The overlap of the gateway's polling, so that faults can lie outside it.
    pub overlap: Duration,
    /// How long the gateway waits for an answer, so that hangs can be longer.
    pub client_timeout: Duration,
    /// The longest time for which a lasting lie of the account is told, by its clock.
    pub lie_lasts: Duration,
    /// Where it takes the time from.
    pub clock: SimClock,
    /// It does nothing of its own accord: [`PlatformHandle::step`](super::PlatformHandle::step) lets it live and push. Meant for a driven clock.
    pub stepped: bool,
    /// How it lives over days and weeks; without it `rate` counts, and every step takes a second or so.
    pub pace: Option<Pace>,
    /// Whether its journal is synced to disk before anything is answered. Only a campaign, whose platform is never killed, does without.
    pub durable: bool,
    /// The front-end box that it shares with a city; of a province only.
    pub front_box: Option<PathBuf>,
    /// The wrong receipts that it writes first, in this order.
    pub box_faults: Vec<BoxFault>,
}

impl PlatformOptions {
    /// A fault-free platform of a directory with 20 orders a second, for ever.
    pub fn new(dir: impl Into<PathBuf>, api_secret: impl Into<String>, webhook_secret: impl Into<String>) -> Self {
        Self {
            kind: PlatformKind::Municipal,
            dir: dir.into(),
            listen: "127.0.0.1:0".to_owned(),
            gateway_url: None,
            gateway_address_file: None,
            channel: "municipal-12345".to_owned(),
            app_id: "transport-bureau".to_owned(),
            dress: Dress::default(),
            signature: SignatureMethod::default(),
            api_secret: api_secret.into(),
            webhook_secret: webhook_secret.into(),
            seed: 1,
            rate: 20.0,
            seconds: None,
            orders: None,
            life: None,
            faults: FaultPlan::None,
            data: None,
            mapping: None,
            overlap: Duration::from_secs(15),
            client_timeout: Duration::from_secs(5),
            lie_lasts: LIE_LASTS,
            clock: SimClock::default(),
            stepped: false,
            pace: None,
            durable: true,
            front_box: None,
            box_faults: Vec::new(),
        }
    }
}
