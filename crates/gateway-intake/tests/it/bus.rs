//! The embedded bus, with appends that can be made to fail.

use async_trait::async_trait;
use gateway_bus::embedded::EmbeddedBus;
use gateway_bus::{Appended, Bus, BusError, Consumer, NewMessage, Position, TopicName, TopicSpec};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

type Hook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

pub struct FaultyBus {
    bus: EmbeddedBus,
    /// Appends that still work.
    good: AtomicI64,
    before_append: Mutex<Option<Hook>>,
}

impl FaultyBus {
    pub fn new(bus: EmbeddedBus) -> Self {
        Self { bus, good: AtomicI64::new(i64::MAX), before_append: Mutex::new(None) }
    }

    /// Fails every append after the next `good` ones.
    pub fn fail_after(&self, good: i64) {
        self.good.store(good, Ordering::SeqCst);
    }

    pub fn recover(&self) {
        self.good.store(i64::MAX, Ordering::SeqCst);
    }

    /// Does something just before the next append.
    pub fn before_append<F: Future<Output = ()> + Send + 'static>(&self, hook: impl FnOnce() -> F + Send + 'static) {
        *self.before_append.lock().unwrap() = Some(Box::new(move || Box::pin(hook())));
    }
}

#[async_trait]
impl Bus for FaultyBus {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        self.bus.ensure_topic(spec).await
    }

    async fn append(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError> {
        let hook = self.before_append.lock().unwrap().take();
        if let Some(hook) = hook {
            hook().await;
        }
        if self.good.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(BusError::Unavailable("no space left on device".into()));
        }
        self.bus.append(topic, messages).await
    }

    async fn subscribe(&self, group: &str, topics: &[TopicName]) -> Result<Box<dyn Consumer>, BusError> {
        self.bus.subscribe(group, topics).await
    }

    async fn end_positions(&self, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        self.bus.end_positions(topic).await
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        self.bus.committed(group, topic).await
    }

    async fn drop_expired(&self) -> Result<u64, BusError> {
        self.bus.drop_expired().await
    }

    async fn check(&self) -> Result<(), BusError> {
        self.bus.check().await
    }

    async fn close(&self) {
        self.bus.close().await;
    }
}
