//! Wakes the worker of a destination when something is owed to it.
//!
//! It reads the destination's outbound topic and does nothing with what it reads: many messages make one wake, a lost one costs at most the
//! worker's interval. Of several processes only the one that delivers reads it; while that moves from one to another, the interval bounds the delay.

use crate::{DeliveryConfig, failure};
use async_trait::async_trait;
use gateway_bus::{Bus, Consumer, Position, TopicName};
use gateway_model::ChannelId;
use gateway_runtime::{Ran, Round, Task, TaskError, TaskHandle};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const GROUP: &str = "delivery";
const MOST: usize = 1_000;

/// Reads one destination's outbound topic.
pub struct OutboundWaker {
    channel: ChannelId,
    bus: Arc<dyn Bus>,
    worker: TaskHandle,
    leads: Arc<AtomicBool>,
    wait: Duration,
    consumer: Option<Box<dyn Consumer>>,
}

impl OutboundWaker {
    /// Wakes `worker`, which delivers to `channel`, while `leads` says that it does: of several processes only that one has to hear. The outbound
    /// topic exists.
    #[must_use]
    pub fn new(
        channel: ChannelId,
        bus: Arc<dyn Bus>,
        worker: TaskHandle,
        leads: Arc<AtomicBool>,
        config: &DeliveryConfig,
    ) -> Self {
        let wait = Duration::from_millis(config.wake_wait_ms);
        Self { channel, bus, worker, leads, wait, consumer: None }
    }

    async fn read(&mut self, consumer: &mut dyn Consumer) -> Result<Ran, TaskError> {
        let fetched = consumer.fetch(MOST, self.wait).await.map_err(|error| failure::bus(&error))?;
        let mut next: BTreeMap<(String, u32), Position> = BTreeMap::new();
        for message in fetched.messages {
            let key = (message.topic.to_string(), message.partition);
            let position = Position { topic: message.topic, partition: message.partition, offset: message.offset + 1 };
            next.insert(key, position);
        }
        for lost in fetched.lost {
            let position = Position { topic: lost.topic.clone(), partition: lost.partition, offset: lost.to };
            next.entry((lost.topic.to_string(), lost.partition)).or_insert(position);
        }
        if next.is_empty() {
            // The waiting is done by the fetch.
            return Ok(Ran::After(Duration::ZERO));
        }
        self.worker.wake();
        let positions: Vec<Position> = next.into_values().collect();
        consumer.commit(&positions).await.map_err(|error| failure::bus(&error))?;
        Ok(Ran::Busy)
    }
}

#[async_trait]
impl Task for OutboundWaker {
    fn name(&self) -> String {
        format!("wake-deliver/{}", self.channel)
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        if !self.leads.load(Ordering::Acquire) {
            self.consumer = None;
            return Ok(Ran::After(self.wait));
        }
        let mut consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => {
                let topics = [TopicName::outbound(&self.channel)];
                self.bus.subscribe(GROUP, &topics).await.map_err(|error| failure::bus(&error))?
            }
        };
        let ran = tokio::select! {
            () = round.stopping.cancelled() => return Ok(Ran::Idle),
            // After an error the consumer is dropped and a new one joins.
            read = self.read(consumer.as_mut()) => read?,
        };
        self.consumer = Some(consumer);
        Ok(ran)
    }
}
