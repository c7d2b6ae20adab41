//! `serve`: the gateway itself, wired together.
//!
//! Order of starting: lock, configuration, engines, channels, tasks, listeners; of stopping the other way round, so that a push that was
//! answered is always on the bus and a record that was taken up is always finished or read again.

mod archiver;
mod background;
mod drain;
mod installation;
mod process;
mod status;
mod stepped;
mod tasks;

use crate::Failure;
use crate::cli::{InstallationOptions, ServeOptions};
use crate::config::{self, GatewayConfig, LogFormat, TelemetryConfig};
use crate::lock::DirectoryLock;
use crate::role::{NodeRole, Roles};
use background::Background;
pub use drain::drain;
use gateway_api::NoWaker;
use gateway_model::SystemClock;
use gateway_runtime::Driver;
use gateway_runtime::telemetry::{self, start_logs, start_metrics};
use installation::Installation;
use status::GatewayStatus;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
pub use stepped::SteppedGateway;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a starting gateway waits for one that is just ending.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);
/// How long the tasks may take to finish their rounds.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);
/// The files that tell a running gateway's addresses.
const ADMIN_ADDRESS: &str = "admin.address";
const PUBLIC_ADDRESS: &str = "public.address";

/// Runs the gateway until it is told to end.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn serve(options: ServeOptions) -> Result<ExitCode, Failure> {
    let dir = &options.installation.dir;
    let config = load(&options.installation)?;
    std::fs::create_dir_all(dir)?;
    let render = start_logging(&config.telemetry)?;
    let Some(_lock) = DirectoryLock::take_within(dir, LOCK_PATIENCE).await? else {
        return Err(Failure(format!("another gateway runs in {}: stop it first", dir.display())));
    };
    let stopping = stop_signal(options.exit_with_parent)?;
    let roles = Roles::of(&options.roles);
    let installation = Installation::open(dir, &config, Arc::new(SystemClock), roles).await?;
    let background = Background::start()?;
    let driver = Arc::new(Driver::on(background.handle()));
    #[cfg(feature = "defence-switches")]
    let defences = tasks::Defences::without(options.without_defence.as_deref())?;
    #[cfg(not(feature = "defence-switches"))]
    let defences = tasks::Defences::default();
    let tasks = tasks::start(&installation, &config, &*driver, defences)?;
    if config.alert.enabled && installation.roles.has(NodeRole::Monitor) {
        tasks::start_heartbeat(&installation, &driver);
    }
    let status = Arc::new(GatewayStatus::new(
        driver.clone(),
        tasks.last_look.clone(),
        config.alert.language,
        installation.clock.clone(),
    ));
    let state = installation.api_state(&config, status.clone(), Arc::new(tasks.waker), render)?;
    let closing = CancellationToken::new();
    let mut listeners = Vec::new();
    let mut open = |listener, router| {
        let (config, closing) = (config.api.clone(), closing.clone());
        listeners.push(tokio::spawn(async move { gateway_api::serve(listener, router, &config, closing).await }));
    };
    let public = if installation.roles.has(NodeRole::Intake) {
        let (listener, address) = listen(config.api.public_address, dir, PUBLIC_ADDRESS).await?;
        let pushes = gateway_api::public_router(tasks.gate.clone(), installation.clock.clone(), &state.config);
        let files = gateway_api::attachment_router(installation.attachment_desk(&config), &state.config);
        let questions = gateway_api::inquiry_router(installation.inquiries(), &state.config);
        open(listener, pushes.merge(questions).merge(files));
        address.to_string()
    } else {
        "-".to_owned()
    };
    let (listener, admin) = listen(config.api.admin_address, dir, ADMIN_ADDRESS).await?;
    let answers = installation.roles.has(NodeRole::Api);
    open(listener, if answers { gateway_api::admin_router(state) } else { gateway_api::node_router(state) });
    let roles = installation.roles.words().join(",");
    tracing::info!(%public, %admin, node = installation.node, roles, channels = installation.connectors.len(), "the gateway runs");
    stopping.cancelled().await;
    tracing::info!("the gateway is stopping");
    status.stop();
    remove_addresses(dir);
    let unfinished = driver.shutdown(DRAIN_PATIENCE).await;
    if !unfinished.is_empty() {
        tracing::warn!(
            tasks = unfinished.join(", "),
            "tasks did not end in time; their work is taken up at the next start"
        );
    }
    closing.cancel();
    for listener in listeners {
        if let Err(error) = listener.await {
            tracing::warn!(%error, "a listener failed");
        }
    }
    installation.bus.close().await;
    installation.leave().await;
    installation.store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Opens the API over a directory in which no gateway runs, for one command; the caller holds the directory's lock. Returns its base address.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn open_api_only(options: &InstallationOptions, stop: CancellationToken) -> Result<String, Failure> {
    let config = load(options)?;
    let installation = Installation::open(&options.dir, &config, Arc::new(SystemClock), Roles::all()).await?;
    let status = Arc::new(GatewayStatus::idle(installation.clock.clone()));
    let state = installation.api_state(&config, status, Arc::new(NoWaker), Arc::new(String::new))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let router = gateway_api::admin_router(state);
    tokio::spawn(async move { gateway_api::serve(listener, router, &config.api, stop).await });
    Ok(base)
}

fn load(options: &InstallationOptions) -> Result<GatewayConfig, Failure> {
    config::load(&options.dir, options.config_file().as_deref()).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
        Failure(format!("the configuration has {} mistake(s):\n{}", lines.len(), lines.join("\n")))
    })
}

/// Starts logging and measuring; returns what renders the metrics.
///
/// # Errors
/// When the filter can't be read.
pub fn start_logging(config: &TelemetryConfig) -> Result<Arc<dyn Fn() -> String + Send + Sync>, Failure> {
    let format = match config.format {
        LogFormat::Pretty => telemetry::LogFormat::Pretty,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    start_logs(format, &config.filter)?;
    let metrics = start_metrics()?;
    let kept = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(telemetry::MetricsHandle::UPKEEP).await;
            kept.upkeep();
        }
    });
    Ok(Arc::new(move || metrics.render()))
}

async fn listen(address: SocketAddr, dir: &Path, file: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure(format!("can't listen on {address}: {error}; choose another address in [api]")))?;
    let address = listener.local_addr()?;
    std::fs::write(dir.join(file), address.to_string())?;
    Ok((listener, address))
}

fn remove_addresses(dir: &Path) {
    for file in [ADMIN_ADDRESS, PUBLIC_ADDRESS] {
        // Best effort: the next start writes them anew.
        let _ = std::fs::remove_file(dir.join(file));
    }
}

/// Cancelled on SIGINT, SIGTERM, and where asked for, at the end of standard input.
///
/// # Errors
/// When signals can't be listened to.
pub fn stop_signal(with_parent: bool) -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let told = stop.clone();
    tokio::spawn(async move {
        let parent = async {
            if !with_parent {
                return std::future::pending().await;
            }
            let mut input = tokio::io::stdin();
            let mut bytes = [0; 256];
            while matches!(input.read(&mut bytes).await, Ok(1..)) {}
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = parent => {}
        }
        told.cancel();
    });
    Ok(stop)
}
