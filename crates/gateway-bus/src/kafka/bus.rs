//! The bus itself: what is asked of it, and who does it.

use super::client::{Context, Trouble, bus_error, common, locked};
use super::guard::{Claim, Guards, Mark};
use super::member::MemberContext;
use super::observer;
use super::observer::Observer;
use super::options::KafkaOptions;
use super::producer::Producer;
use super::reader::{KafkaConsumer, Native, Parts};
use super::tail::Tail;
use super::topics::Topics;
use crate::{Appended, Bus, BusError, Consumer, NewMessage, Position, TopicName, TopicSpec};
use async_trait::async_trait;
use gateway_model::{Clock, Timestamp};
use rdkafka::consumer::Consumer as _;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// A bus on a cluster of Apache Kafka brokers.
pub struct KafkaBus {
    pub(super) options: Arc<KafkaOptions>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Arc<Observer>,
    pub(super) topics: Arc<Topics>,
    producer: Producer,
    guards: Arc<Guards>,
    tail: Arc<Tail>,
    pub(super) closed: watch::Sender<bool>,
    pub(super) departures: Arc<Departures>,
    slots: Arc<Slots>,
}

impl KafkaBus {
    /// Connects to the brokers. Needs a Tokio runtime. `clock` tells when nonces expire; when messages were appended is told by the brokers.
    ///
    /// # Errors
    /// [`BusError::Refused`] with all mistakes of the options; [`BusError::Unavailable`] when no broker answers in time, or none lets us in.
    pub async fn open(options: KafkaOptions, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        let bus = Self::open_unasked(options, clock)?;
        bus.observer.brokers().await?;
        Ok(bus)
    }

    /// The same without asking the brokers whether they are there: for whoever can wait until they are. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`BusError::Refused`] with all mistakes of the options, or what a client can't be made of.
    pub fn open_unasked(options: KafkaOptions, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        let mistakes = options.mistakes();
        if !mistakes.is_empty() {
            let lines: Vec<String> = mistakes.into_iter().map(|(key, text)| format!("{key}: {text}")).collect();
            return Err(BusError::Refused { what: lines.join("; ") });
        }
        let options = Arc::new(options);
        let trouble = Arc::new(Trouble::default());
        let observer = Arc::new(Observer::new(&options, &trouble)?);
        let topics = Arc::new(Topics::new(&options, &trouble, &observer)?);
        let producer = Producer::new(&options, &trouble)?;
        let guards = Arc::new(Guards::default());
        let tail = Arc::new(Tail::new(&observer, &guards, &clock, options.guard_seconds));
        let closed = watch::Sender::new(false);
        tokio::spawn(Arc::clone(&tail).run(closed.subscribe()));
        let (departures, slots) = (Arc::default(), Arc::default());
        Ok(Self { options, trouble, clock, observer, topics, producer, guards, tail, closed, departures, slots })
    }

    fn check_open(&self) -> Result<(), BusError> {
        if *self.closed.borrow() { Err(BusError::Closed) } else { Ok(()) }
    }

    /// The nonces of these messages; refused where one would have to be remembered for longer than is looked back at a start.
    fn marks(&self, topic: &TopicName, messages: &[NewMessage], now: Timestamp) -> Result<Vec<Option<Mark>>, BusError> {
        let seconds = i64::try_from(self.options.guard_seconds).unwrap_or(i64::MAX);
        let last = now.as_second().saturating_add(seconds);
        let mut marks = Vec::with_capacity(messages.len());
        for message in messages {
            if let Some(guard) = &message.guard
                && guard.until.as_second() > last
            {
                let what =
                    format!("a nonce to be remembered until {}; guard_seconds = {seconds} is the longest", guard.until);
                return Err(BusError::Refused { what });
            }
            marks.push(message.guard.as_ref().map(|guard| Mark::new(topic, guard)));
        }
        Ok(marks)
    }

    async fn append_marked(
        &self,
        topic: &TopicName,
        messages: Vec<NewMessage>,
        marks: Vec<Option<Mark>>,
        bytes: u64,
    ) -> Result<Vec<Appended>, BusError> {
        let name = self.observer.topic_name(topic);
        let at = |(partition, offset)| Appended::At { partition, offset };
        if marks.iter().all(Option::is_none) {
            let all: Vec<_> = messages.into_iter().zip(marks).collect();
            return Ok(self.producer.append(topic, &name, &all, bytes).await?.into_iter().map(at).collect());
        }
        self.tail.ready(topic, Duration::from_millis(self.options.append_timeout_ms.into())).await?;
        let (claims, claimed) = self.guards.claim(&marks, self.clock.now().as_microsecond()).await;
        let new: Vec<_> = messages
            .into_iter()
            .zip(marks)
            .zip(&claims)
            .filter(|(_, claim)| **claim == Claim::New)
            .map(|(new, _)| new)
            .collect();
        let mut places = self.producer.append(topic, &name, &new, bytes).await?.into_iter();
        claimed.done();
        let outcome = |claim| match claim {
            Claim::Same => Some(Appended::Repeated),
            Claim::Other => Some(Appended::Conflict),
            Claim::New => places.next().map(at),
        };
        claims.into_iter().map(outcome).collect::<Option<_>>().ok_or_else(|| BusError::Damaged {
            what: "the brokers acknowledged fewer messages than were sent".into(),
            source: None,
        })
    }

    fn member(&self, group: &str, topics: &[TopicName]) -> Result<(Native, Arc<Notify>, Option<Slot>), BusError> {
        let options = &self.options;
        let mut config = common(options)?;
        config
            .set("group.id", self.observer.group_name(group))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("session.timeout.ms", options.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", options.heartbeat_ms.to_string())
            .set("max.poll.interval.ms", options.max_poll_ms.to_string())
            .set("fetch.wait.max.ms", "500")
            .set("fetch.error.backoff.ms", "100")
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", (options.read_ahead_bytes >> 10).to_string());
        let slot = options.instance.as_ref().map(|_| self.slots.take(group));
        if let (Some(instance), Some(slot)) = (&options.instance, &slot) {
            config.set("group.instance.id", format!("{instance}-{}", slot.number));
        }
        let context = MemberContext::new(Context::new(&self.trouble, Some(group)));
        let failed = |error| bus_error(&self.trouble, &format!("joining group {group}"), &error);
        let mut native: Native = config.create_with_context(context).map_err(failed)?;
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        native.set_nonempty_callback(move || waker.notify_one());
        let names: Vec<String> = topics.iter().map(|topic| self.observer.topic_name(topic)).collect();
        native.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>()).map_err(failed)?;
        Ok((native, wake, slot))
    }

    fn positions(topic: &TopicName, partitions: u32, offsets: &observer::Offsets) -> Vec<Position> {
        let offset =
            |partition| i32::try_from(partition).ok().and_then(|number| offsets.get(&number)).copied().unwrap_or(0);
        (0..partitions)
            .map(|partition| Position { topic: topic.clone(), partition, offset: offset(partition) })
            .collect()
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        self.check_open()?;
        self.topics.ensure(spec).await
    }

    async fn append(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError> {
        self.check_open()?;
        self.topics.find(topic).await?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = self.producer.weigh(&messages)?;
        let marks = self.marks(topic, &messages, self.clock.now())?;
        self.append_marked(topic, messages, marks, bytes).await
    }

    async fn subscribe(&self, group: &str, topics: &[TopicName]) -> Result<Box<dyn Consumer>, BusError> {
        self.check_open()?;
        let mut read: Vec<TopicName> = Vec::with_capacity(topics.len());
        for topic in topics {
            self.topics.find(topic).await?;
            if !read.contains(topic) {
                read.push(topic.clone());
            }
        }
        let (native, wake, slot) = self.member(group, &read)?;
        let parts = Parts { native, wake, group: group.to_owned(), topics: read, slot };
        Ok(Box::new(KafkaConsumer::new(parts, self)))
    }

    async fn end_positions(&self, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        let (known, _) = self.topics.look(topic).await?;
        let ends = self.observer.ends(topic, numbers(known.partitions)).await?;
        Ok(Self::positions(topic, known.partitions, &ends))
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        let (known, _) = self.topics.look(topic).await?;
        let committed = self.observer.committed(group, topic, numbers(known.partitions)).await?;
        Ok(Self::positions(topic, known.partitions, &committed))
    }

    async fn drop_expired(&self) -> Result<u64, BusError> {
        self.check_open()?;
        Ok(0)
    }

    async fn check(&self) -> Result<(), BusError> {
        self.check_open()?;
        self.producer.check()?;
        let topics = self.topics.all();
        if topics.is_empty() {
            self.observer.brokers().await?;
        }
        for topic in topics {
            let (_, states) = self.topics.look(&topic).await?;
            for (partition, state) in states.iter().enumerate() {
                if !state.led || state.in_sync < usize::from(self.options.min_insync) {
                    let what = format!(
                        "partition {partition} of {topic} is held by {} broker(s) now, and min_insync = {}: an append would wait",
                        if state.led { state.in_sync } else { 0 },
                        self.options.min_insync
                    );
                    return Err(BusError::Unavailable(what.into()));
                }
            }
        }
        Ok(())
    }

    async fn close(&self) {
        self.closed.send_replace(true);
        self.producer.close().await;
        // Who leaves a group without a word keeps its partitions from the others until its session is over.
        let patience = Duration::from_millis(self.options.request_timeout_ms.into());
        tokio::time::timeout(patience, self.departures.ended()).await.ok();
    }
}

impl Drop for KafkaBus {
    fn drop(&mut self) {
        self.closed.send_replace(true);
    }
}

fn numbers(partitions: u32) -> Vec<i32> {
    (0..i32::try_from(partitions).unwrap_or(i32::MAX)).collect()
}

/// Members that are leaving their groups.
#[derive(Debug)]
pub(super) struct Departures(watch::Sender<usize>);

impl Default for Departures {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Departures {
    pub(super) fn begin(self: &Arc<Self>) -> Departure {
        self.0.send_modify(|count| *count += 1);
        Departure(Arc::clone(self))
    }

    async fn ended(&self) {
        self.0.subscribe().wait_for(|count| *count == 0).await.ok();
    }
}

/// A member that is leaving.
pub(super) struct Departure(Arc<Departures>);

impl Drop for Departure {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The numbers of this replica's members in each group: a member that comes in the place of one that went gets its number, and so its partitions.
#[derive(Debug, Default)]
struct Slots(Mutex<HashMap<String, BTreeSet<u32>>>);

impl Slots {
    fn take(self: &Arc<Self>, group: &str) -> Slot {
        let mut taken = locked(&self.0);
        let numbers = taken.entry(group.to_owned()).or_default();
        let number = (0..).find(|number| !numbers.contains(number)).unwrap_or(u32::MAX);
        numbers.insert(number);
        Slot { slots: Arc::clone(self), group: group.to_owned(), number }
    }
}

/// A number that is taken.
pub(super) struct Slot {
    slots: Arc<Slots>,
    group: String,
    number: u32,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(numbers) = locked(&self.slots.0).get_mut(&self.group) {
            numbers.remove(&self.number);
        }
    }
}
