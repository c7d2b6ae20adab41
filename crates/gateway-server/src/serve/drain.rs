//! Works off what stands on the bus, and does nothing else: no poll, no push, no delivery.

use super::installation::Installation;
use super::tasks::{self, Defences};
use crate::Failure;
use crate::config::GatewayConfig;
use crate::role::Roles;
use gateway_bus::TopicName;
use gateway_model::SystemClock;
use gateway_pipeline::{Pipeline, PipelineConfig};
use gateway_runtime::{Round, Task};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A round waits for records no longer than this, in milliseconds.
const WAIT_MS: u64 = 100;
/// So many rounds in a row that come no further mean that something else is wrong.
const MOST_IDLE: u32 = 100;

/// Runs the pipeline over what stands on the bus of a directory until nothing is left. The caller holds the directory's lock. `tell` hears how many
/// records are left. Returns how many there were.
///
/// # Errors
/// Whatever keeps a gateway from starting, or the pipeline from its work; what was worked off stays so.
pub async fn drain(dir: &Path, config: &GatewayConfig, tell: &mut (dyn FnMut(u64) + Send)) -> Result<u64, Failure> {
    let installation = Installation::open(dir, config, Arc::new(SystemClock), Roles::all()).await?;
    let drained = work_off(&installation, config, tell).await;
    installation.bus.close().await;
    installation.store.close().await;
    drained
}

async fn work_off(
    installation: &Installation,
    config: &GatewayConfig,
    tell: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, Failure> {
    let Installation { bus, store, clock, .. } = installation;
    let decider = Arc::new(tasks::decider(installation, config, Defences::default())?);
    let pace = PipelineConfig { fetch_wait_ms: config.pipeline.fetch_wait_ms.min(WAIT_MS), ..config.pipeline.clone() };
    let channels = installation.channel_ids();
    let mut pipeline = Pipeline::new(bus.clone(), store.clone(), decider, clock.clone(), &pace, &channels);
    let round = Round { stopping: CancellationToken::new() };
    let all = left(installation).await?;
    let (mut before, mut idle) = (all, 0);
    while before > 0 {
        tell(before);
        pipeline.run(&round).await.map_err(|error| Failure(format!("the bus can't be worked off: {error}")))?;
        let now = left(installation).await?;
        idle = if now < before { 0 } else { idle + 1 };
        if idle > MOST_IDLE {
            return Err(Failure(format!("{now} record(s) stay on the bus whatever is done: see the log of `serve`")));
        }
        before = now;
    }
    Ok(all)
}

/// Records on the bus that no book accounts for.
async fn left(installation: &Installation) -> Result<u64, Failure> {
    let positions = installation.store.flow_positions().await?;
    let mut left = 0;
    for channel in installation.channel_ids() {
        for topic in [TopicName::raw(&channel), TopicName::raw_backfill(&channel)] {
            for end in installation.bus.end_positions(&topic).await? {
                let known =
                    |one: &&gateway_store::FlowPosition| one.topic == topic.as_str() && one.partition == end.partition;
                let done = positions.iter().find(known).map_or(0, |one| one.next_offset);
                left += end.offset.saturating_sub(done);
            }
        }
    }
    Ok(left)
}
