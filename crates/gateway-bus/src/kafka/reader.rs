//! A member of a group that reads topics of the brokers.
//!
//! Everything that moves partitions happens within `fetch`: a deal of the group is answered there, after what was fetched before has been
//! committed, so that a hand-over in an orderly loop (fetch, work, commit) repeats nothing. Between two fetches the client's own threads keep
//! the membership alive for `max_poll_ms`.
//!
//! Where a partition is read from is always said here, never found by the client: what the group committed, or 0. When the log no longer has
//! that place the client stops and says so; then the range that is gone is told, and reading begins again at the first offset that is left.

use super::bus::{Departures, KafkaBus, Slot};
use super::client::{Trouble, apart, bus_error};
use super::member::{Deal, MemberContext, NamedPartition, list};
use super::message;
use super::observer::{Observer, committed_offsets, coordinator_moves};
use super::options::KafkaOptions;
use super::parting::Parting;
use super::shelf::{PartitionId, Shelf};
use super::tail::is_lost;
use super::topics::Topics;
use crate::{BusError, Consumer, Fetched, Position, TopicName};
use async_trait::async_trait;
use gateway_model::Clock;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

/// A look without being woken.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The pause before a question to the brokers that failed is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// Messages that one look takes from the client at most, so that the runtime has its turn.
const LOOK_MESSAGES: usize = 4_096;

/// The client of a member.
pub(super) type Native = BaseConsumer<MemberContext>;

/// What a group committed, by partition.
type Committed = KafkaResult<Vec<(String, i32, Option<u64>)>>;
/// Partitions of a topic with their first offset that is left and their end.
type Ranges = KafkaResult<Vec<(i32, u64, u64)>>;

/// A question to the brokers that is not answered yet. It outlives a fetch that is given up.
enum Question {
    /// What the group committed of partitions that were given to this member.
    Committed(oneshot::Receiver<Committed>),
    /// Where the partitions of a topic begin and end.
    Range(usize, oneshot::Receiver<Ranges>),
}

enum Reply {
    Committed(Committed),
    Range(usize, Ranges),
    Nobody,
}

/// Reads for a group.
pub(super) struct KafkaConsumer {
    native: Parting<Native>,
    group: String,
    options: Arc<KafkaOptions>,
    trouble: Arc<Trouble>,
    observer: Arc<Observer>,
    topics: Arc<Topics>,
    clock: Arc<dyn Clock>,
    departures: Arc<Departures>,
    shelf: Shelf,
    /// The place of each topic in the order of priority, by its name on the brokers.
    numbers: HashMap<String, usize>,
    names: Vec<String>,
    wake: Arc<Notify>,
    closed: watch::Receiver<bool>,
    question: Option<Question>,
    /// No question is asked before this.
    ask_at: Instant,
    /// Topics of which some partition stands where its log has nothing.
    astray: Vec<usize>,
    _slot: Option<Slot>,
}

/// What a reader is made of.
pub(super) struct Parts {
    pub native: Native,
    pub wake: Arc<Notify>,
    pub group: String,
    pub topics: Vec<TopicName>,
    pub slot: Option<Slot>,
}

impl KafkaConsumer {
    pub fn new(parts: Parts, bus: &KafkaBus) -> Self {
        let names: Vec<String> = parts.topics.iter().map(|topic| bus.observer.topic_name(topic)).collect();
        Self {
            native: Parting::new(parts.native, |native| native.context().leave(native)),
            group: parts.group,
            options: Arc::clone(&bus.options),
            trouble: Arc::clone(&bus.trouble),
            observer: Arc::clone(&bus.observer),
            topics: Arc::clone(&bus.topics),
            clock: Arc::clone(&bus.clock),
            departures: Arc::clone(&bus.departures),
            shelf: Shelf::new(parts.topics, bus.options.read_ahead_bytes.into()),
            numbers: names.iter().cloned().zip(0..).collect(),
            names,
            wake: parts.wake,
            closed: bus.closed.subscribe(),
            question: None,
            ask_at: Instant::now(),
            astray: Vec::new(),
            _slot: parts.slot,
        }
    }

    fn id(&self, name: &str, partition: i32) -> Option<PartitionId> {
        Some((*self.numbers.get(name)?, partition))
    }

    fn named(&self, ids: &[PartitionId]) -> Vec<NamedPartition> {
        ids.iter().map(|(topic, partition)| (self.names[*topic].clone(), *partition)).collect()
    }

    fn patience(&self) -> Timeout {
        Timeout::After(Duration::from_millis(self.options.request_timeout_ms.into()))
    }

    fn error(&self, doing: &str, error: &KafkaError) -> BusError {
        bus_error(&self.trouble, &format!("{doing}, group {}", self.group), error)
    }

    /// Takes what the client has, without waiting.
    fn take(&mut self) -> Result<(), BusError> {
        let native = self.native.share();
        for _ in 0..LOOK_MESSAGES {
            match native.poll(Duration::ZERO) {
                Some(Ok(borrowed)) => {
                    let Some(id) = self.id(borrowed.topic(), borrowed.partition()) else { continue };
                    let message = message::read(&borrowed, &self.shelf.topics()[id.0], self.clock.as_ref());
                    self.shelf.put(id, message);
                }
                Some(Err(error)) => self.note(&error)?,
                // Something else than a message was taken; there may be more behind it.
                None if native.context().take_told() => {}
                None => return Ok(()),
            }
        }
        self.wake.notify_one();
        Ok(())
    }

    /// An error that came in the place of a message.
    fn note(&mut self, error: &KafkaError) -> Result<(), BusError> {
        use RDKafkaErrorCode as Code;
        if is_lost(error) {
            // The client does not say which partition it is.
            self.astray = (0..self.names.len()).collect();
            return Ok(());
        }
        match error {
            // Its partitions may be another's already, and what was read ahead of them with them.
            _ if error.rdkafka_error_code() == Some(Code::PollExceeded) => {
                let what = format!(
                    "a reader of group {} did not fetch for {} ms and was put out of its group: what it did since its last commit comes again; \
                     if its work takes so long, raise max_poll_ms",
                    self.group, self.options.max_poll_ms
                );
                Err(BusError::Unavailable(what.into()))
            }
            KafkaError::MessageConsumptionFatal(_) => Err(self.error("this member was put out of its group", error)),
            _ => match error.rdkafka_error_code() {
                Some(
                    Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownTopic,
                ) => Err(self.error("reading", error)),
                // The rest passes, or comes back as a deal: brokers away, a leader that moves, a member that was too slow.
                _ => {
                    tracing::debug!(%error, group = self.group, "reading goes on after");
                    Ok(())
                }
            },
        }
    }

    /// Answers what the group deals, as far as nothing has to be asked for it.
    fn answer_deals(&mut self) -> Result<(), BusError> {
        while let Some(deal) = self.native.context().next_deal() {
            let answered = match &deal {
                Deal::Taken(taken) => {
                    for (name, partition) in taken {
                        if let Some(id) = self.id(name, *partition) {
                            self.shelf.remove(id);
                        }
                    }
                    list(taken, Offset::Invalid).and_then(|list| self.native.incremental_unassign(&list))
                }
                Deal::Given(given) if given.is_empty() => self.native.incremental_assign(&TopicPartitionList::new()),
                Deal::Given(given) => {
                    self.ask_committed(given);
                    return Ok(());
                }
            };
            self.native.context().answered();
            answered.map_err(|error| self.error("answering a deal", &error))?;
        }
        Ok(())
    }

    fn ask_committed(&mut self, given: &[NamedPartition]) {
        if self.question.is_some() || Instant::now() < self.ask_at {
            return;
        }
        let (native, given, patience) = (self.native.share(), given.to_vec(), self.patience());
        self.question = Some(Question::Committed(apart(move || {
            list(&given, Offset::Invalid).and_then(|list| committed_offsets(&native, list, patience))
        })));
    }

    /// Begins to read what was given to this member, at what the group committed.
    fn begin(&mut self, committed: Vec<(String, i32, Option<u64>)>) -> Result<(), BusError> {
        // The deal that the question was asked for may have been overtaken.
        let Some(Deal::Given(given)) = self.native.context().next_deal() else { return Ok(()) };
        let offsets: HashMap<NamedPartition, u64> =
            committed.into_iter().map(|(name, partition, offset)| ((name, partition), offset.unwrap_or(0))).collect();
        if !given.iter().all(|partition| offsets.contains_key(partition)) {
            return Ok(());
        }
        let mut assigned = TopicPartitionList::with_capacity(given.len());
        for partition in &given {
            let offset = offsets.get(partition).copied().unwrap_or(0);
            let at = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
            assigned
                .add_partition_offset(&partition.0, partition.1, at)
                .map_err(|error| self.error("beginning", &error))?;
            if let Some(id) = self.id(&partition.0, partition.1) {
                self.shelf.add(id, offset);
            }
        }
        self.native.context().answered();
        self.native.incremental_assign(&assigned).map_err(|error| self.error("beginning", &error))
    }

    /// Looks where the partitions of a topic that went astray begin now.
    fn ask_range(&mut self) {
        if self.question.is_some() || Instant::now() < self.ask_at {
            return;
        }
        let Some(topic) = self.astray.pop() else { return };
        let partitions: Vec<i32> = self.shelf.ids().into_iter().filter(|id| id.0 == topic).map(|id| id.1).collect();
        if !partitions.is_empty() {
            self.question = Some(Question::Range(topic, self.observer.ask_range(&self.names[topic], partitions)));
        }
    }

    /// Tells what is gone of a topic's partitions, and has their reading begin again.
    fn mend(&mut self, topic: usize, ranges: Vec<(i32, u64, u64)>) -> Result<(), BusError> {
        for (partition, first, end) in ranges {
            let id = (topic, partition);
            let Some(read) = self.shelf.place(id).map(|place| place.read) else { continue };
            if read > end {
                let what = format!(
                    "group {} stands at {read} of partition {partition} of {}, which ends at {end}: the topic was made anew or its log was cut; \
                     set the group's position with kafka-consumer-groups.sh --reset-offsets once it is known what is missing",
                    self.group, self.names[topic]
                );
                return Err(BusError::Damaged { what, source: None });
            }
            if self.shelf.begin_at(id, first) {
                tracing::warn!(topic = %self.shelf.topics()[topic], partition, from = read, to = first, group = self.group,
                    "offsets were dropped before they were read");
                metrics::counter!("gateway_bus_lost_messages_total", "topic" => self.shelf.topics()[topic].as_str().to_owned())
                    .increment(first - read);
            }
            if let Some(place) = self.shelf.place(id) {
                place.restart = true;
            }
        }
        Ok(())
    }

    /// Has reading begin again where that is due.
    fn restart(&mut self) -> Result<(), BusError> {
        let due = self.shelf.to_restart();
        // A deal that is not answered yet would take this for its answer.
        if due.is_empty() || self.native.context().next_deal().is_some() {
            return Ok(());
        }
        let mut again = TopicPartitionList::with_capacity(due.len());
        for ((topic, partition), offset) in &due {
            let at = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
            again
                .add_partition_offset(&self.names[*topic], *partition, at)
                .map_err(|error| self.error("reading again", &error))?;
        }
        self.native
            .incremental_unassign(&again)
            .and_then(|()| self.native.incremental_assign(&again))
            .map_err(|error| self.error("reading again", &error))?;
        for (id, _) in due {
            self.shelf.restarted(id);
        }
        Ok(())
    }

    /// Keeps what is read ahead within its bound.
    fn balance(&mut self) {
        let (pause, resume) = self.shelf.balance();
        for (ids, what) in [(pause, true), (resume, false)] {
            if ids.is_empty() {
                continue;
            }
            let partitions = self.named(&ids);
            let done = list(&partitions, Offset::Invalid)
                .and_then(|list| if what { self.native.pause(&list) } else { self.native.resume(&list) });
            if let Err(error) = done {
                tracing::warn!(%error, group = self.group, pause = what, "partitions could not be paused or resumed");
            }
        }
    }

    fn take_reply(&mut self, reply: Reply) -> Result<(), BusError> {
        let failed = match reply {
            Reply::Committed(Ok(committed)) => return self.begin(committed),
            Reply::Range(topic, Ok(ranges)) => return self.mend(topic, ranges),
            Reply::Committed(Err(error)) => self.error("asking what was committed", &error),
            Reply::Range(topic, Err(error)) => {
                self.astray.push(topic);
                self.error("asking where partitions begin", &error)
            }
            Reply::Nobody => BusError::Unavailable("a question to the brokers was not answered".into()),
        };
        tracing::debug!(error = %failed, group = self.group, "asked again soon");
        self.ask_at = Instant::now() + PAUSE;
        Ok(())
    }

    /// One look, without waiting.
    fn look(&mut self, max: usize) -> Result<Fetched, BusError> {
        if *self.closed.borrow() {
            return Err(BusError::Closed);
        }
        self.take()?;
        self.answer_deals()?;
        self.ask_range();
        self.restart()?;
        if let Some(((topic, partition), read)) = self.shelf.stuck() {
            let what = format!("partition {partition} of {} does not go on at {read}", self.names[topic]);
            return Err(BusError::Damaged { what, source: None });
        }
        let fetched = self.shelf.pick(max, self.options.fetch_bytes.max(1));
        self.balance();
        Ok(fetched)
    }

    /// Waits for something to look at, until `until`.
    async fn wait(&mut self, until: Instant) -> Option<Reply> {
        let question = &mut self.question;
        let reply = async {
            match question {
                Some(Question::Committed(asked)) => asked.await.map_or(Reply::Nobody, Reply::Committed),
                Some(Question::Range(topic, asked)) => {
                    asked.await.map_or(Reply::Nobody, |ranges| Reply::Range(*topic, ranges))
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            reply = reply => {
                self.question = None;
                Some(reply)
            }
            () = self.wake.notified() => None,
            _ = self.closed.changed() => None,
            () = tokio::time::sleep_until(until) => None,
        }
    }

    /// Positions to save: those that go beyond what is saved, after those that can't be were refused.
    async fn beyond_committed(&mut self, positions: &[Position]) -> Result<BTreeMap<PartitionId, u64>, BusError> {
        let mut due = BTreeMap::new();
        for position in positions {
            let name = self.observer.topic_name(&position.topic);
            let known = self.topics.find(&position.topic).await?;
            let number = i32::try_from(position.partition).unwrap_or(i32::MAX);
            let past = |end: u64| {
                let what = format!(
                    "position {} of partition {} of {} is past the end {end}",
                    position.offset, position.partition, position.topic
                );
                Err(BusError::Refused { what })
            };
            if position.partition >= known.partitions {
                return past(0);
            }
            let id = self.id(&name, number);
            let place = id.and_then(|id| self.shelf.place(id));
            if let (Some(place), Some(id)) = (place, id)
                && position.offset <= place.read
            {
                if position.offset > place.committed {
                    due.insert(id, position.offset);
                }
                continue;
            }
            let end = self.observer.ends(&position.topic, vec![number]).await?.get(&number).copied().unwrap_or(0);
            if position.offset > end {
                return past(end);
            }
            match id {
                Some(id) if self.shelf.holds(id) => {
                    due.insert(id, position.offset);
                }
                _ => self.check_given_away(position, number).await?,
            }
        }
        Ok(due)
    }

    /// A position of a partition that another member has by now: nothing to do where it is saved already.
    async fn check_given_away(&self, position: &Position, number: i32) -> Result<(), BusError> {
        let committed = self.observer.committed(&self.group, &position.topic, vec![number]).await?;
        if committed.get(&number).copied().unwrap_or(0) >= position.offset {
            return Ok(());
        }
        let what = format!(
            "partition {} of {} is another reader's now; what was done of it since its last commit comes again there",
            position.partition, position.topic
        );
        Err(BusError::Unavailable(what.into()))
    }

    async fn save(&self, due: &BTreeMap<PartitionId, u64>) -> Result<(), BusError> {
        let failed = |error: &KafkaError| self.error("saving positions", error);
        let deadline = Instant::now() + Duration::from_millis(self.options.request_timeout_ms.into());
        loop {
            // Until the loss is answered in a fetch, positions could undo those of the successor.
            if self.native.assignment_lost() {
                return Err(BusError::Unavailable(
                    "this member was put out of its group; what it did since its last commit comes again".into(),
                ));
            }
            let mut offsets = TopicPartitionList::with_capacity(due.len());
            for ((topic, partition), offset) in due {
                let at = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
                offsets.add_partition_offset(&self.names[*topic], *partition, at).map_err(|error| failed(&error))?;
            }
            let native = self.native.share();
            let asked = apart(move || native.commit(&offsets, CommitMode::Sync));
            let error = match tokio::time::timeout_at(deadline, asked).await {
                Ok(Ok(Ok(()))) => return Ok(()),
                Ok(Ok(Err(error))) => error,
                Ok(Err(_)) => return Err(BusError::Unavailable("a question to the brokers was not answered".into())),
                Err(_) => KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut),
            };
            if !passes(&error) || Instant::now() >= deadline {
                return Err(failed(&error));
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE / 4)).await;
        }
    }
}

/// Whether saving positions is worth another try: the group is being dealt anew, or its broker moves.
fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let dealt_anew = [Code::RebalanceInProgress, Code::IllegalGeneration, Code::OperationTimedOut];
    coordinator_moves(error) || error.rdkafka_error_code().is_some_and(|code| dealt_anew.contains(&code))
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Fetched, BusError> {
        let deadline = Instant::now() + wait;
        loop {
            let fetched = self.look(max)?;
            if !fetched.messages.is_empty() || !fetched.lost.is_empty() {
                return Ok(fetched);
            }
            let until = deadline.min(Instant::now() + LOOK_EVERY);
            if let Some(reply) = self.wait(until).await {
                self.take_reply(reply)?;
            } else if Instant::now() >= deadline {
                return Ok(Fetched::default());
            }
        }
    }

    async fn commit(&mut self, positions: &[Position]) -> Result<(), BusError> {
        if *self.closed.borrow() {
            return Err(BusError::Closed);
        }
        let due = self.beyond_committed(positions).await?;
        if due.is_empty() {
            return Ok(());
        }
        self.save(&due).await?;
        for (id, offset) in due {
            if let Some(place) = self.shelf.place(id) {
                place.committed = place.committed.max(offset);
            }
        }
        Ok(())
    }

    async fn rewind(&mut self) -> Result<(), BusError> {
        if *self.closed.borrow() {
            return Err(BusError::Closed);
        }
        self.shelf.rewind();
        Ok(())
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.native.after(self.departures.begin());
    }
}
