//! The same bus for those who append what can be asked for again.

use super::{GROUP, SpooledBus};
use crate::{Appended, Bus, BusError, Consumer, NewMessage, Position, TopicName, TopicSpec};
use async_trait::async_trait;
use std::sync::Arc;

/// A bus whose appends wait, by an error that passes, while the topic's spool holds what comes first. Nothing of theirs is spooled.
pub struct BehindSpool(pub Arc<SpooledBus>);

#[async_trait]
impl Bus for BehindSpool {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        self.0.ensure_topic(spec).await
    }

    async fn append(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError> {
        let unread = self.0.spool.unread(GROUP, topic).unwrap_or(0);
        if let Some(why) = self.0.before(topic, unread) {
            return Err(BusError::Unavailable(why.into()));
        }
        self.0.far.append(topic, messages).await
    }

    async fn subscribe(&self, group: &str, topics: &[TopicName]) -> Result<Box<dyn Consumer>, BusError> {
        self.0.subscribe(group, topics).await
    }

    async fn end_positions(&self, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        self.0.end_positions(topic).await
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        self.0.committed(group, topic).await
    }

    async fn drop_expired(&self) -> Result<u64, BusError> {
        self.0.drop_expired().await
    }

    async fn check(&self) -> Result<(), BusError> {
        self.0.check().await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
