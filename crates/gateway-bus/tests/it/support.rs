//! The embedded engine as the suite sees it.

use async_trait::async_trait;
use gateway_bus::conformance::BusUnderTest;
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Bus, TopicName};
use gateway_model::{Clock, ManualClock, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// An engine in a directory of its own, on a clock that the test moves.
pub struct Embedded {
    pub options: EmbeddedOptions,
    pub clock: Arc<ManualClock>,
    _dir: TempDir,
}

impl Embedded {
    /// Segments are small, so that every test crosses their borders.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions {
            segment_bytes: 64 << 10,
            queue_bytes: 256 << 10,
            ..EmbeddedOptions::in_dir(dir.path().join("bus"))
        };
        Self { options, clock: Arc::new(ManualClock::new("2026-11-23T01:00:00Z".parse().unwrap())), _dir: dir }
    }

    pub async fn open_embedded(&self) -> EmbeddedBus {
        EmbeddedBus::open(self.options.clone(), self.clock.clone()).await.unwrap()
    }
}

#[async_trait]
impl BusUnderTest for Embedded {
    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(self.open_embedded().await)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass_time(&self, time: Duration) {
        self.clock.advance_to(self.clock.now().checked_add(time).unwrap());
    }

    async fn expire(&self, bus: &dyn Bus, _topic: &TopicName) {
        self.pass_time(gateway_bus::conformance::RETENTION).await;
        bus.drop_expired().await.unwrap();
    }
}
