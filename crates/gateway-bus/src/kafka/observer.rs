//! A client that looks and belongs to no group of readers: which topics there are, where they begin and end, what groups committed.

use super::client::{Context, Trouble, answer, apart, bus_error, common, locked};
use super::options::KafkaOptions;
use super::parting::Parting;
use crate::{BusError, TopicName};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The pause before a question that failed is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// The offset that asks for the first one that is left, in the protocol's words for times.
const FIRST: Offset = Offset::Beginning;
/// The offset that asks for the end.
const END: Offset = Offset::End;

/// A partition as the brokers describe it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartitionState {
    /// Whether a broker leads it.
    pub led: bool,
    /// How many brokers have all of it.
    pub in_sync: usize,
    /// On how many brokers it is kept.
    pub replicas: usize,
}

/// Looks.
pub(super) struct Observer {
    /// Reads the tails of topics for guards, by assignment.
    pub consumer: Parting<BaseConsumer<Context>>,
    /// Asks. A broker answers what came over one connection in its order: a question behind a waiting read would wait as long.
    asker: Parting<BaseConsumer<Context>>,
    /// Told when there is something to read.
    pub wake: Arc<Notify>,
    options: Arc<KafkaOptions>,
    trouble: Arc<Trouble>,
    groups: Mutex<HashMap<String, Parting<BaseConsumer<Context>>>>,
}

/// Offsets of partitions by number.
pub(super) type Offsets = HashMap<i32, u64>;

impl Observer {
    /// Makes the client; nothing is asked yet.
    pub fn new(options: &Arc<KafkaOptions>, trouble: &Arc<Trouble>) -> Result<Self, BusError> {
        let mut config = common(options)?;
        config
            .set("group.id", format!("{}observer", options.prefix))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.queue.backoff.ms", "50")
            .set("queued.max.messages.kbytes", (options.read_ahead_bytes >> 10).to_string());
        let mut consumer: BaseConsumer<Context> = config
            .create_with_context(Context::new(trouble, None))
            .map_err(|error| bus_error(trouble, "a client for the brokers", &error))?;
        let asker: BaseConsumer<Context> = config
            .create_with_context(Context::new(trouble, None))
            .map_err(|error| bus_error(trouble, "a client for the brokers", &error))?;
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        consumer.set_nonempty_callback(move || waker.notify_one());
        let (options, trouble) = (Arc::clone(options), Arc::clone(trouble));
        let (consumer, asker) = (Parting::new(consumer, |_| {}), Parting::new(asker, |_| {}));
        Ok(Self { consumer, asker, wake, options, trouble, groups: Mutex::default() })
    }

    /// The name of a topic on the brokers.
    pub fn topic_name(&self, topic: &TopicName) -> String {
        format!("{}{topic}", self.options.prefix)
    }

    /// The name of a group on the brokers.
    pub fn group_name(&self, group: &str) -> String {
        format!("{}{group}", self.options.prefix)
    }

    fn patience(&self) -> Timeout {
        Timeout::After(Duration::from_millis(self.options.request_timeout_ms.into()))
    }

    /// Asks until there is an answer, an error that does not pass by itself, or the time is over.
    async fn ask<T: Send + 'static>(
        &self,
        passes: fn(&KafkaError) -> bool,
        question: impl Fn(Timeout) -> KafkaResult<T> + Clone + Send + 'static,
    ) -> Result<KafkaResult<T>, BusError> {
        let deadline = Instant::now() + Duration::from_millis(self.options.request_timeout_ms.into());
        loop {
            let (patience, question) = (self.patience(), question.clone());
            match answer(apart(move || question(patience))).await? {
                Ok(found) => {
                    self.trouble.clear();
                    return Ok(Ok(found));
                }
                Err(error) if passes(&error) && Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// The partitions of a topic, in order.
    pub async fn partitions(&self, topic: &TopicName) -> Result<Vec<PartitionState>, BusError> {
        let (consumer, name) = (self.asker.share(), self.topic_name(topic));
        match self.ask(leader_moves, move |patience| describe(&consumer, &name, patience)).await? {
            Ok(partitions) => Ok(partitions),
            Err(error) if is_unknown(&error) => Err(BusError::UnknownTopic(topic.clone())),
            Err(error) => Err(bus_error(&self.trouble, &format!("looking for topic {topic}"), &error)),
        }
    }

    /// How many brokers there are.
    pub async fn brokers(&self) -> Result<usize, BusError> {
        let consumer = self.asker.share();
        let asked = self.ask(|_| false, move |patience| Ok(consumer.fetch_metadata(None, patience)?.brokers().len()));
        asked.await?.map_err(|error| bus_error(&self.trouble, "asking the brokers", &error))
    }

    /// The first offset that is left and the end of these partitions.
    pub fn ask_range(
        &self,
        name: &str,
        partitions: Vec<i32>,
    ) -> tokio::sync::oneshot::Receiver<KafkaResult<Vec<(i32, u64, u64)>>> {
        let (consumer, name, patience) = (self.asker.share(), name.to_owned(), self.patience());
        apart(move || {
            let first = offsets_at(&consumer, &name, &partitions, FIRST, patience)?;
            let end = offsets_at(&consumer, &name, &partitions, END, patience)?;
            let both = |partition: &i32| Some((*partition, *first.get(partition)?, *end.get(partition)?));
            Ok(partitions.iter().filter_map(both).collect())
        })
    }

    /// The end of each of these partitions.
    pub async fn ends(&self, topic: &TopicName, partitions: Vec<i32>) -> Result<Offsets, BusError> {
        self.at(topic, partitions, END).await
    }

    /// The first offset of each of these partitions whose message was appended at this time or later; the end where there is none.
    pub async fn since(&self, topic: &TopicName, partitions: Vec<i32>, millisecond: i64) -> Result<Offsets, BusError> {
        self.at(topic, partitions, Offset::Offset(millisecond.max(0))).await
    }

    async fn at(&self, topic: &TopicName, partitions: Vec<i32>, what: Offset) -> Result<Offsets, BusError> {
        let (consumer, name) = (self.asker.share(), self.topic_name(topic));
        let wanted = partitions.len();
        // The caller has seen the topic: a leader that does not know it will soon.
        let passes = |error: &KafkaError| leader_moves(error) || is_unknown(error);
        match self.ask(passes, move |patience| offsets_at(&consumer, &name, &partitions, what, patience)).await? {
            Ok(offsets) if offsets.len() == wanted => Ok(offsets),
            Ok(_) => Err(BusError::Unavailable(format!("not all partitions of {topic} answer").into())),
            Err(error) => Err(bus_error(&self.trouble, &format!("offsets of {topic}"), &error)),
        }
    }

    /// What a group committed of these partitions; one without a commit is missing.
    pub async fn committed(&self, group: &str, topic: &TopicName, partitions: Vec<i32>) -> Result<Offsets, BusError> {
        let consumer = self.of_group(group)?;
        let name = self.topic_name(topic);
        let question = move |patience| {
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for partition in &partitions {
                list.add_partition(&name, *partition);
            }
            let mut offsets = Offsets::new();
            for (_, partition, offset) in committed_offsets(&consumer, list, patience)? {
                if let Some(offset) = offset {
                    offsets.insert(partition, offset);
                }
            }
            serve(&consumer);
            Ok(offsets)
        };
        let asked = self.ask(coordinator_moves, question).await?;
        asked.map_err(|error| bus_error(&self.trouble, &format!("positions of {group} in {topic}"), &error))
    }

    /// A client that may ask for a group's positions, and never joins it.
    fn of_group(&self, group: &str) -> Result<Arc<BaseConsumer<Context>>, BusError> {
        let mut groups = locked(&self.groups);
        if let Some(consumer) = groups.get(group) {
            return Ok(consumer.share());
        }
        let mut config = common(&self.options)?;
        config
            .set("group.id", self.group_name(group))
            .set("enable.auto.commit", "false")
            .remove("statistics.interval.ms");
        let consumer: BaseConsumer<Context> = config
            .create_with_context(Context::new(&self.trouble, Some(group)))
            .map_err(|error| bus_error(&self.trouble, "a client for the brokers", &error))?;
        let consumer = Parting::new(consumer, |_| {});
        let shared = consumer.share();
        groups.insert(group.to_owned(), consumer);
        Ok(shared)
    }
}

/// Takes what a client that reads nothing has to tell.
fn serve(consumer: &BaseConsumer<Context>) {
    while consumer.poll(Duration::ZERO).is_some() || consumer.context().take_told() {}
}

fn describe(consumer: &BaseConsumer<Context>, name: &str, patience: Timeout) -> KafkaResult<Vec<PartitionState>> {
    serve(consumer);
    let metadata = consumer.fetch_metadata(Some(name), patience)?;
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
    };
    if let Some(error) = topic.error() {
        return Err(KafkaError::MetadataFetch(error.into()));
    }
    let mut partitions: Vec<_> = topic
        .partitions()
        .iter()
        .map(|one| {
            let state =
                PartitionState { led: one.leader() >= 0, in_sync: one.isr().len(), replicas: one.replicas().len() };
            (one.id(), state)
        })
        .collect();
    partitions.sort_unstable_by_key(|(id, _)| *id);
    Ok(partitions.into_iter().map(|(_, state)| state).collect())
}

/// Whether the brokers say that there is no such topic.
pub(super) fn is_unknown(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

/// Whether a question to a partition's leader is worth another try.
fn leader_moves(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::ReplicaNotAvailable
                | Code::KafkaStorageError
                | Code::BrokerTransportFailure
        )
    )
}

/// Whether a question to a group's broker is worth another try.
pub(super) fn coordinator_moves(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::WaitingForCoordinator
                | Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::RequestTimedOut
                | Code::BrokerTransportFailure
        )
    )
}

/// Offsets by time, in one question to each leader; `END` and `FIRST` are times of the protocol too.
fn offsets_at(
    consumer: &BaseConsumer<Context>,
    name: &str,
    partitions: &[i32],
    what: Offset,
    patience: Timeout,
) -> KafkaResult<Offsets> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition_offset(name, *partition, what)?;
    }
    serve(consumer);
    let mut offsets = Offsets::new();
    let mut without = Vec::new();
    let found = consumer.offsets_for_times(list, patience)?;
    for one in found.elements() {
        one.error()?;
        match one.offset() {
            Offset::Offset(offset) => {
                offsets.insert(one.partition(), offset.unsigned_abs());
            }
            _ => without.push(one.partition()),
        }
    }
    if !without.is_empty() && what != END {
        // Nothing was appended since.
        offsets.extend(offsets_at(consumer, name, &without, END, patience)?);
    }
    Ok(offsets)
}

/// Positions that a group committed.
pub(super) fn committed_offsets<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: TopicPartitionList,
    patience: Timeout,
) -> KafkaResult<Vec<(String, i32, Option<u64>)>> {
    let found = consumer.committed_offsets(list, patience)?;
    let mut committed = Vec::with_capacity(found.count());
    for one in found.elements() {
        one.error()?;
        let offset = match one.offset() {
            Offset::Offset(offset) => Some(offset.unsigned_abs()),
            _ => None,
        };
        committed.push((one.topic().to_owned(), one.partition(), offset));
    }
    Ok(committed)
}
