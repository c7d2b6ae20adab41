//! The spool before a bus that fails: the suite over both, and what only a spool has to keep.

use crate::support::Embedded;
use async_trait::async_trait;
use gateway_bus::conformance::{BusUnderTest, PATIENCE, fetch_messages, guarded, message, new_topic};
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::spool::{BehindSpool, ConflictRule, SpooledBus};
use gateway_bus::{Appended, Bus, BusError, Consumer, NewMessage, Position, TopicName, TopicSpec};
use gateway_model::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the far bus behaves now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Up,
    /// Nothing is taken.
    Down,
    /// What comes is taken, and the answer is that it was not.
    Lying,
    /// What comes is taken, and there is no answer.
    Silent,
    /// Nothing is taken, and there is no answer.
    Gone,
}

const MOODS: [Mood; 5] = [Mood::Up, Mood::Down, Mood::Lying, Mood::Silent, Mood::Gone];

/// A far bus with moods.
struct Moody {
    inner: EmbeddedBus,
    mood: AtomicU8,
}

impl Moody {
    fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Release);
    }

    fn mood(&self) -> Mood {
        MOODS[usize::from(self.mood.load(Ordering::Acquire))]
    }

    async fn answer<T>(&self, answer: Result<T, BusError>) -> Result<T, BusError> {
        match self.mood() {
            Mood::Up => answer,
            Mood::Down | Mood::Lying => Err(BusError::Unavailable("away".into())),
            Mood::Silent | Mood::Gone => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Bus for Moody {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        match self.mood() {
            Mood::Up => self.inner.ensure_topic(spec).await,
            _ => Err(BusError::Unavailable("away".into())),
        }
    }

    async fn append(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError> {
        let taken = match self.mood() {
            Mood::Up | Mood::Lying | Mood::Silent => self.inner.append(topic, messages).await,
            Mood::Down | Mood::Gone => Ok(Vec::new()),
        };
        self.answer(taken).await
    }

    async fn subscribe(&self, group: &str, topics: &[TopicName]) -> Result<Box<dyn Consumer>, BusError> {
        self.inner.subscribe(group, topics).await
    }

    /// What the drain asks first: answered also by a bus that then takes nothing.
    async fn end_positions(&self, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        match self.mood() {
            Mood::Down => Err(BusError::Unavailable("away".into())),
            _ => self.inner.end_positions(topic).await,
        }
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Vec<Position>, BusError> {
        self.inner.committed(group, topic).await
    }

    async fn drop_expired(&self) -> Result<u64, BusError> {
        self.inner.drop_expired().await
    }

    async fn check(&self) -> Result<(), BusError> {
        let checked = self.inner.check().await;
        self.answer(checked).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// As the gate for pushes has it: the parts of a request are `<nonce>#<i>`, a conflict is kept under `<nonce>!<digest>`.
struct Rule;

impl ConflictRule for Rule {
    fn request_of<'a>(&self, nonce: &'a str) -> &'a str {
        nonce.split('#').next().unwrap()
    }

    fn resolve(&self, mut message: NewMessage) -> NewMessage {
        message.headers.insert("origin".into(), "conflict".into());
        let guard = message.guard.as_mut().unwrap();
        guard.nonce = format!("{}!{:02x}", guard.nonce, guard.digest[0]);
        message
    }
}

/// A spool before a moody bus, in directories of their own.
struct Spooled {
    far: Embedded,
    spool: EmbeddedOptions,
}

impl Spooled {
    fn new() -> Self {
        let far = Embedded::new();
        let spool = EmbeddedOptions {
            segment_bytes: 16 << 10,
            ..EmbeddedOptions::in_dir(far.options.dir.parent().unwrap().join("spool"))
        };
        Self { far, spool }
    }

    async fn open_far(&self) -> Arc<Moody> {
        Arc::new(Moody { inner: self.far.open_embedded().await, mood: AtomicU8::new(Mood::Up as u8) })
    }

    async fn open_before(&self, far: &Arc<Moody>, patience: Duration) -> Arc<SpooledBus> {
        let (far, clock) = (Arc::clone(far), self.far.clock.clone());
        Arc::new(SpooledBus::open(far, self.spool.clone(), patience, Arc::new(Rule), clock).await.unwrap())
    }
}

#[async_trait]
impl BusUnderTest for Spooled {
    async fn open(&self) -> Arc<dyn Bus> {
        self.open_before(&self.open_far().await, PATIENCE).await
    }

    fn now(&self) -> Timestamp {
        self.far.now()
    }

    async fn pass_time(&self, time: Duration) {
        self.far.pass_time(time).await;
    }

    async fn expire(&self, bus: &dyn Bus, topic: &TopicName) {
        self.far.expire(bus, topic).await;
    }
}

/// While the far bus is well, the two are one bus like any other.
mod conformance {
    use super::Spooled;

    crate::suite::cases!(Spooled::new());
}

const SHORT: Duration = Duration::from_millis(20);

fn waiting(bus: &SpooledBus) -> u64 {
    bus.depths().iter().map(|depth| depth.messages).sum()
}

async fn drain_all(bus: &SpooledBus) {
    bus.drain().await.unwrap();
    while waiting(bus) > 0 {
        bus.drain().await.unwrap();
    }
}

async fn all_of(bus: &dyn Bus, topic: &TopicName) -> Vec<gateway_bus::Message> {
    let count = bus.end_positions(topic).await.unwrap().iter().map(|end| end.offset).sum::<u64>();
    let mut consumer = bus.subscribe("all", std::slice::from_ref(topic)).await.unwrap();
    fetch_messages(&mut *consumer, usize::try_from(count).unwrap()).await
}

#[tokio::test]
async fn an_outage_is_bridged_and_what_comes_later_joins() {
    let spooled = Spooled::new();
    let far = spooled.open_far().await;
    let bus = spooled.open_before(&far, SHORT).await;
    let topic = new_topic(&*bus, "bridged", 3).await;
    let behind = BehindSpool(Arc::clone(&bus));
    far.set(Mood::Gone);
    bus.append(&topic, vec![message("a", "1"), message("b", "1")]).await.unwrap();
    let oldest = spooled.now();
    spooled.pass_time(Duration::from_secs(60)).await;
    assert!(matches!(bus.check().await, Err(BusError::Unavailable(why)) if why.to_string().contains("(2 in it)")));
    far.set(Mood::Up);
    bus.append(&topic, vec![message("a", "2")]).await.unwrap();
    let depth = bus.depths().into_iter().find(|depth| depth.topic == topic).unwrap();
    assert_eq!(
        (depth.messages, depth.oldest_at),
        (3, Some(oldest)),
        "what comes while the spool holds something joins it"
    );
    let late = behind.append(&topic, vec![message("a", "3")]).await;
    assert!(matches!(late, Err(BusError::Unavailable(_))), "what can be asked for again waits: {late:?}");
    assert!(all_of(&*far, &topic).await.is_empty());

    let drained = bus.drain().await.unwrap();
    assert_eq!((drained.messages, drained.more), (3, false));
    behind.append(&topic, vec![message("a", "3")]).await.unwrap();
    bus.append(&topic, vec![message("a", "4")]).await.unwrap();
    bus.check().await.unwrap();
    assert_eq!(bus.depths()[0].oldest_at, None);
    let read = all_of(&*bus, &topic).await;
    let of_a: Vec<_> = read.iter().filter(|read| read.key == "a").map(|read| read.payload[0]).collect();
    assert_eq!((of_a, read.len()), (b"1234".to_vec(), 5));
    assert!(read.iter().all(|read| read.headers.is_empty()), "nothing of the way shows");
}

#[tokio::test]
async fn it_starts_without_the_far_bus() {
    let spooled = Spooled::new();
    let far = spooled.open_far().await;
    far.set(Mood::Down);
    let bus = spooled.open_before(&far, SHORT).await;
    let topic = new_topic(&*bus, "away", 2).await;
    let other = new_topic(&*bus, "away-other", 2).await;
    bus.append(&topic, vec![message("a", "1")]).await.unwrap();
    assert!(bus.drain().await.is_err());
    far.set(Mood::Up);
    assert!(bus.check().await.is_err(), "not before the topics are there");
    let why = BehindSpool(Arc::clone(&bus)).append(&other, vec![message("a", "1")]).await;
    assert!(matches!(why, Err(BusError::Unavailable(_))), "{why:?}");
    assert_eq!(bus.drain().await.unwrap().messages, 1);
    bus.check().await.unwrap();
    assert_eq!(all_of(&*far, &topic).await.len(), 1);
    assert_eq!(far.end_positions(&other).await.unwrap().len(), 2);
}

#[tokio::test]
async fn killed_between_acknowledgement_and_commit_it_repeats() {
    let spooled = Spooled::new();
    let far = spooled.open_far().await;
    let bus = spooled.open_before(&far, SHORT).await;
    let topic = new_topic(&*bus, "killed", 1).await;
    far.set(Mood::Down);
    let batch = vec![guarded(spooled.now(), "n", 1), message("key", "plain"), guarded(spooled.now(), "m", 2)];
    bus.append(&topic, batch).await.unwrap();
    far.set(Mood::Silent);
    // The far bus has everything, and we never hear of it.
    assert!(tokio::time::timeout(SHORT, bus.drain()).await.is_err());
    drop(bus);
    let bus = spooled.open_before(&far, SHORT).await;
    far.set(Mood::Up);
    let depth = bus.depths().remove(0);
    assert_eq!((depth.messages, depth.oldest_at), (3, Some(spooled.now())), "a start knows what was left");
    assert_eq!(bus.drain().await.unwrap().messages, 3);
    let payloads: Vec<_> = all_of(&*far, &topic).await.into_iter().map(|read| read.payload).collect();
    assert_eq!(payloads, [vec![1], b"plain".to_vec(), vec![2], b"plain".to_vec()], "a guard makes it once");
    for (nonce, digest, expected) in [("n", 1, Appended::Repeated), ("m", 1, Appended::Conflict)] {
        let appended = bus.append(&topic, vec![guarded(spooled.now(), nonce, digest)]).await.unwrap();
        assert_eq!(appended, [expected], "the far bus has the nonces");
    }
}

#[tokio::test]
async fn guards_work_in_the_spool_and_a_conflict_behind_it_is_kept() {
    let spooled = Spooled::new();
    let far = spooled.open_far().await;
    let bus = spooled.open_before(&far, SHORT).await;
    let topic = new_topic(&*bus, "conflict", 1).await;
    let now = spooled.now();
    // Another node took this nonce, and this body.
    far.append(&topic, vec![guarded(now, "n", 1), guarded(now, "same", 5)]).await.unwrap();
    far.set(Mood::Down);
    let first = bus.append(&topic, vec![guarded(now, "n", 2)]).await.unwrap();
    assert!(matches!(first[..], [Appended::At { .. }]), "nobody knows better here: {first:?}");
    let again =
        bus.append(&topic, vec![guarded(now, "n", 2), guarded(now, "n", 3), guarded(now, "same", 5)]).await.unwrap();
    assert_eq!(again[..2], [Appended::Repeated, Appended::Conflict]);
    // The other records of the request, whose nonces the other node never saw, and a request of its own.
    bus.append(&topic, vec![guarded(now, "n#1", 2), guarded(now, "n#2", 2), guarded(now, "o", 4)]).await.unwrap();
    far.set(Mood::Up);
    let drained = bus.drain().await.unwrap();
    assert_eq!((drained.messages, drained.conflicts), (5, 3));
    let read = all_of(&*far, &topic).await;
    let seen: Vec<_> = read.iter().map(|read| (read.payload[0], read.headers.contains_key("origin"))).collect();
    assert_eq!(seen, [(1, false), (5, false), (2, true), (2, true), (2, true), (4, false)]);
    assert_eq!(bus.append(&topic, vec![guarded(now, "n!02", 2)]).await.unwrap(), [Appended::Repeated]);
}

#[tokio::test]
async fn what_is_drained_leaves_the_disk_and_the_nonces_stay() {
    let spooled = Spooled::new();
    let far = spooled.open_far().await;
    let bus = spooled.open_before(&far, SHORT).await;
    let topic = new_topic(&*bus, "disk", 2).await;
    far.set(Mood::Down);
    let now = spooled.now();
    for number in 0..40 {
        let large = NewMessage { payload: vec![b'x'; 4_000], ..guarded(now, &format!("n{number}"), 1) };
        bus.append(&topic, vec![large]).await.unwrap();
    }
    // No outage is too long.
    spooled.pass_time(Duration::from_secs(100 * 86_400)).await;
    let holds = || {
        let files = std::fs::read_dir(&spooled.spool.dir).unwrap();
        let names = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        names.filter(|bytes| bytes.windows(64).any(|part| part == [b'x'; 64])).count()
    };
    assert!(holds() > 1);
    far.set(Mood::Up);
    drain_all(&bus).await;
    assert_eq!(holds(), 0, "records hold personal data");
    assert_eq!(all_of(&*far, &topic).await.len(), 40);
    let now = spooled.now();
    far.set(Mood::Down);
    bus.append(&topic, vec![guarded(now, "late", 1)]).await.unwrap();
    far.set(Mood::Up);
    drain_all(&bus).await;
    far.set(Mood::Down);
    assert_eq!(bus.append(&topic, vec![guarded(now, "late", 1)]).await.unwrap(), [Appended::Repeated]);
}

/// One step of the property.
#[derive(Debug, Clone)]
enum Step {
    Append { key: u8, guarded: bool },
    Mood(Mood),
    Drain,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mood = proptest::sample::select(&MOODS[..]).prop_map(Step::Mood);
    let append = (0..3_u8, any::<bool>()).prop_map(|(key, guarded)| Step::Append { key, guarded });
    proptest::collection::vec(
        prop_oneof![8 => append, 3 => mood, 3 => Just(Step::Drain), 1 => Just(Step::Reopen)],
        1..60,
    )
}

async fn nothing_is_lost(steps: Vec<Step>) {
    let spooled = Spooled::new();
    let far = spooled.open_far().await;
    let mut bus = spooled.open_before(&far, SHORT).await;
    let topic = new_topic(&*bus, "property", 3).await;
    let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let guarded_ones: Mutex<BTreeSet<String>> = Mutex::default();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Append { key, guarded: with_guard } => {
                let (key, text) = (format!("key-{key}"), number.to_string());
                let mut new = message(&key, text.clone());
                if with_guard {
                    new.guard = guarded(spooled.now(), &text, 1).guard;
                    guarded_ones.lock().unwrap().insert(text.clone());
                }
                let appended = bus.append(&topic, vec![new]).await.unwrap();
                assert!(matches!(appended[..], [Appended::At { .. }]), "whatever the far bus does: {appended:?}");
                given.entry(key).or_default().push(text);
            }
            Step::Mood(mood) => far.set(mood),
            Step::Drain => {
                // It may fail, and it may be given up at any moment.
                let _ = tokio::time::timeout(SHORT, bus.drain()).await;
            }
            Step::Reopen => {
                drop(bus);
                bus = spooled.open_before(&far, SHORT).await;
                // As every start does; with the far bus away it is owed.
                let retention = gateway_bus::conformance::RETENTION;
                bus.ensure_topic(&TopicSpec { name: topic.clone(), partitions: 3, retention }).await.unwrap();
            }
        }
    }
    far.set(Mood::Up);
    drain_all(&bus).await;
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for read in all_of(&*far, &topic).await {
        let text = String::from_utf8(read.payload).unwrap();
        let of_key = seen.entry(read.key.clone()).or_default();
        if !of_key.contains(&text) {
            of_key.push(text.clone());
        }
        *counts.entry(text.clone()).or_default() += 1;
        last.insert(read.key, text);
    }
    assert_eq!(seen, given, "nothing is lost, and the first of each comes in order");
    for text in guarded_ones.lock().unwrap().iter() {
        assert_eq!(counts[text], 1, "a guarded message is there once");
    }
    for (key, texts) in given {
        if !texts.iter().any(|text| guarded_ones.lock().unwrap().contains(text)) {
            assert_eq!(last[&key], *texts.last().unwrap(), "what is repeated is repeated in order");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_whatever_the_far_bus_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(nothing_is_lost(steps));
    }
}
