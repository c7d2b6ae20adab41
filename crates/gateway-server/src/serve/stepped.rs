//! The gateway on a driven clock, in the caller's process: the same wiring as `serve`, without waiting.
//!
//! For simulations of weeks: whoever holds it sets the clock and calls [`SteppedGateway::step`]. Listeners answer in real time, as they do in `serve`.

use super::installation::Installation;
use super::status::GatewayStatus;
use super::tasks::{self, Defences};
use crate::role::Roles;
use crate::{Failure, config};
use gateway_bus::TopicName;
use gateway_model::Clock;
use gateway_runtime::{Stepper, TaskError};
use gateway_store::FlowPosition;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long a broker may take to hand over what it holds, before time goes on all the same.
const HAND_OVER: Duration = Duration::from_secs(10);

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
        let public_router = public_router.merge(gateway_api::inquiry_router(installation.inquiries(), &state.config));
        let files = gateway_api::attachment_router(installation.attachment_desk(&config), &state.config);
        let public_router = public_router.merge(files);
        let admin_router = gateway_api::admin_router(state);
        for (listener, router) in [(public, public_router), (admin, admin_router)] {
            let (api, closing) = (config.api.clone(), closing.clone());
            tokio::spawn(async move { gateway_api::serve(listener, router, &api, closing).await });
        }
        Ok(Self { public_url, admin_url, installation, stepper, closing })
    }

    /// Does everything that is due at the clock's present. Returns what failed; it is tried again when its back-off is over.
    ///
    /// # Errors
    /// When it can't be told whether the bus has given everything.
    pub async fn step(&mut self) -> Result<Vec<(String, TaskError)>, Failure> {
        let now = Duration::from_millis(self.installation.clock.now().as_millisecond().unsigned_abs());
        let mut failures = self.stepper.run_due(now).await;
        // A broker takes real time to hand over what was appended; the driven clock must not run away meanwhile.
        let until = Instant::now() + HAND_OVER;
        while self.installation.shared && !self.has_caught_up().await? && Instant::now() < until {
            failures.extend(self.stepper.run_due(now).await);
        }
        Ok(failures)
    }

    /// Whether every record on the bus has been taken in.
    async fn has_caught_up(&self) -> Result<bool, Failure> {
        let Installation { bus, store, .. } = &self.installation;
        let taken = store.flow_positions().await?;
        for channel in self.installation.channel_ids() {
            for topic in [TopicName::raw(&channel), TopicName::raw_backfill(&channel)] {
                for end in bus.end_positions(&topic).await? {
                    let is_it = |at: &&FlowPosition| at.topic == topic.as_str() && at.partition == end.partition;
                    if taken.iter().find(is_it).map_or(0, |at| at.next_offset) < end.offset {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Ends it: the listeners first, then the engines.
    pub async fn close(self) {
        self.closing.cancel();
        drop(self.stepper);
        self.installation.bus.close().await;
        self.installation.store.close().await;
    }
}
