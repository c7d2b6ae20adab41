//! The gateway on a driven clock, in the caller's process: the same wiring as `serve`, without waiting.
//!
//! For simulations of weeks: whoever holds it sets the clock and calls [`SteppedGateway::step`]. Listeners answer in real time, as they do in `serve`.

use super::installation::Installation;
use super::status::GatewayStatus;
use super::tasks::{self, Defences};
use crate::role::Roles;
use crate::{Failure, config};
use gateway_model::Clock;
use gateway_runtime::{Stepper, TaskError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A gateway that does its work when it is told to.
pub struct SteppedGateway {
    /// Where pushes arrive.
    pub public_url: String,
    /// Where the API is.
    pub admin_url: String,
    installation: Installation,
    stepper: Stepper,
    closing: CancellationToken,
}

impl SteppedGateway {
    /// Opens the installation in `dir` with the configuration of `file`; listens on free ports of the loopback.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    pub async fn open(dir: &Path, file: &Path, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let config = config::load(dir, Some(file))
            .map_err(|mistakes| Failure(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
        let installation = Installation::open(dir, &config, clock.clone(), Roles::all()).await?;
        let stepper = Stepper::new();
        let tasks = tasks::start(&installation, &config, &stepper, Defences::default())?;
        let status = Arc::new(GatewayStatus::stepped(tasks.last_look.clone(), config.alert.language, clock.clone()));
        let state = installation.api_state(&config, status, Arc::new(tasks.waker), Arc::new(String::new))?;
        let closing = CancellationToken::new();
        let public = TcpListener::bind(("127.0.0.1", 0)).await?;
        let admin = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (public_url, admin_url) =
            (format!("http://{}", public.local_addr()?), format!("http://{}", admin.local_addr()?));
        let public_router = gateway_api::public_router(tasks.gate, clock, &state.config);
        let admin_router = gateway_api::admin_router(state);
        for (listener, router) in [(public, public_router), (admin, admin_router)] {
            let (api, closing) = (config.api.clone(), closing.clone());
            tokio::spawn(async move { gateway_api::serve(listener, router, &api, closing).await });
        }
        Ok(Self { public_url, admin_url, installation, stepper, closing })
    }

    /// Does everything that is due at the clock's present. Returns what failed; it is tried again when its back-off is over.
    pub async fn step(&mut self) -> Vec<(String, TaskError)> {
        let now = self.installation.clock.now().as_millisecond();
        self.stepper.run_due(Duration::from_millis(now.unsigned_abs())).await
    }

    /// Ends it: the listeners first, then the engines.
    pub async fn close(self) {
        self.closing.cancel();
        drop(self.stepper);
        self.installation.bus.close().await;
        self.installation.store.close().await;
    }
}
