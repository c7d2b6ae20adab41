//! What a member of a group of readers is told by the brokers.

use super::client::{Context, locked};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A partition by its topic's name on the brokers.
pub(super) type NamedPartition = (String, i32);

/// The group deals partitions anew. The protocol waits until it is answered.
#[derive(Debug, Clone)]
pub(super) enum Deal {
    /// These are given to this member.
    Given(Vec<NamedPartition>),
    /// These go to another.
    Taken(Vec<NamedPartition>),
}

/// Keeps deals until the member's next fetch answers them: only then is what it fetched before done with.
pub(super) struct MemberContext {
    base: Context,
    deals: Mutex<VecDeque<Deal>>,
    leaving: AtomicBool,
}

impl MemberContext {
    pub fn new(base: Context) -> Self {
        Self { base, deals: Mutex::default(), leaving: AtomicBool::new(false) }
    }

    pub fn take_told(&self) -> bool {
        self.base.take_told()
    }

    /// The deal to answer next.
    pub fn next_deal(&self) -> Option<Deal> {
        locked(&self.deals).front().cloned()
    }

    /// The next deal was answered.
    pub fn answered(&self) {
        locked(&self.deals).pop_front();
    }

    /// From now on deals are answered at once, so that the member can leave.
    pub fn leave(&self, consumer: &BaseConsumer<Self>) {
        self.leaving.store(true, Ordering::Release);
        let deals = std::mem::take(&mut *locked(&self.deals));
        for deal in deals {
            let answered = match &deal {
                Deal::Given(given) => {
                    list(given, Offset::Beginning).and_then(|list| consumer.incremental_assign(&list))
                }
                Deal::Taken(taken) => {
                    list(taken, Offset::Invalid).and_then(|list| consumer.incremental_unassign(&list))
                }
            };
            if let Err(error) = answered {
                tracing::debug!(%error, "a deal was not answered when the member left");
            }
        }
    }
}

/// Partitions as the client wants them.
pub(super) fn list(partitions: &[NamedPartition], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, *partition, offset)?;
    }
    Ok(list)
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, about: &str, text: &str) {
        self.base.log(level, about, text);
    }

    fn stats(&self, statistics: Statistics) {
        self.base.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.base.error(error, reason);
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        self.base.tell();
        let named = partitions.elements().iter().map(|one| (one.topic().to_owned(), one.partition())).collect();
        let deal = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Deal::Given(named),
            _ => Deal::Taken(named),
        };
        tracing::debug!(?deal, "the group deals partitions");
        locked(&self.deals).push_back(deal);
        if self.leaving.load(Ordering::Acquire) {
            self.leave(consumer);
        }
    }

    fn commit_callback(&self, _: KafkaResult<()>, _: &TopicPartitionList) {
        self.base.tell();
    }
}
