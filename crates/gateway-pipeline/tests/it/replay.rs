//! A batch that comes again after a crash changes nothing, wherever the crash was.

use crate::convergence::{keys, run, sizes};
use crate::history::{arrange, held, pushed, said, wire};
use crate::peer::{ms, partial, whole};
use crate::world::{Record, World, command, decider, peer};
use async_trait::async_trait;
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Appended, Bus, BusError, Consumer, Envelope, Fetched, NewMessage, Position, TopicName, TopicSpec};
use gateway_model::{ManualClock, Operation, Origin};
use gateway_pipeline::{Defences, Pipeline, PipelineConfig};
use gateway_runtime::{Round, Task};
use gateway_store::{DeadLetterFilter, DeadLetterStore, FlowOutcome, IngestStore, Loaded, OrderReader};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Everything that a replay must not change, gateway-assigned columns too.
async fn all(world: &World, order: &str) -> String {
    let mut feed = world.store.orders_after(0, 100, true).await.unwrap();
    feed.orders.sort_by_key(|view| view.aggregate.order.feed_seq);
    let timeline = world.store.timeline(world.id(order).await).await.unwrap();
    format!(
        "{feed:?}\n{timeline:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        world.book().await,
        world.store.flow_tallies().await.unwrap(),
        world.store.flow_positions().await.unwrap(),
        world.store.anomalies().await.unwrap(),
        world.store.parked_changes().await.unwrap()
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A crash after the transaction and before the commit on the bus: the batch comes again, alone or with what follows.
    #[test]
    fn a_batch_that_comes_again_changes_nothing(
        versions in prop::collection::vec((1i64..4, said()), 1..6),
        order in keys(16),
        sizes in sizes(),
        overlaps in prop::collection::vec(0usize..6, 1..5),
    ) {
        run(async {
            let mut records: Vec<Record> =
                versions.iter().map(|(revision, said)| Record::poll(1, &wire("N1", *revision, said))).collect();
            records.push(Record::push(1, &pushed("N1")));
            let arrival = arrange(records, &order);
            let (mut once, mut again) = (World::new().await, World::new().await);
            let all_of = once.batch(&arrival);
            again.batch(&arrival);
            let (mut at, mut turn) = (0, 0);
            while at < all_of.len() {
                let end = (at + sizes[turn % sizes.len()]).min(all_of.len());
                once.now += 1;
                again.now += 1;
                once.ingest(&all_of[at..end]).await;
                // It comes with some of what was accounted for before, and then once more.
                let from = at.saturating_sub(overlaps[turn % overlaps.len()]);
                again.ingest(&all_of[from..end]).await;
                if again.store.order_count().await.unwrap() > 0 {
                    let before = all(&again, "N1").await;
                    again.now += 7;
                    again.ingest(&all_of[from..end]).await;
                    again.now -= 7;
                    assert_eq!(all(&again, "N1").await, before);
                }
                (at, turn) = (end, turn + 1);
            }
            assert_eq!(held(&again, "N1").await, held(&once, "N1").await);
            assert_eq!(again.store.flow_tallies().await.unwrap(), once.store.flow_tallies().await.unwrap());
            assert_eq!(again.store.flow_positions().await.unwrap(), once.store.flow_positions().await.unwrap());
        });
    }

    /// The process is gone in the middle of a transaction, at any moment of it; the next one opens the same file.
    #[test]
    fn a_process_that_dies_in_a_transaction_leaves_it_whole_or_undone(
        versions in prop::collection::vec(said(), 2..8),
        moments in prop::collection::vec(0u64..4_000, 1..4),
    ) {
        run(async {
            let mut world = World::new().await;
            let records: Vec<Record> = versions
                .iter()
                .enumerate()
                .map(|(at, said)| Record::poll(1, &wire("N1", at as i64 + 1, said)))
                .collect();
            let mut calm = World::new().await;
            calm.feed(&records).await;
            let batch = world.batch(&records);
            for micros in moments {
                let died = world.ingest(&batch);
                let _ = tokio::time::timeout(Duration::from_micros(micros), died).await;
                world.reopen().await;
            }
            world.ingest(&batch).await;
            assert_eq!(held(&world, "N1").await, held(&calm, "N1").await);
            assert_eq!(world.captured().await, calm.captured().await);
        });
    }
}

#[tokio::test]
async fn a_transaction_that_is_repeated_decides_anew() {
    let mut world = World::new().await;
    let batch = world.batch(&[Record::poll(1, &whole("N1", 1, &[("acceptance/c0", "a")]))]);
    let decider = world.decider.clone();
    // An engine may call the decision more than once; nothing of an earlier call is left in it.
    let twice = |loaded: Loaded| {
        let _ = decider.decide(loaded.clone(), &batch, ms(1));
        decider.decide(loaded, &batch, ms(1))
    };
    world.store.ingest(world.decider.request(&batch), &twice).await.unwrap();
    assert_eq!((world.captured().await, world.store.order_count().await.unwrap()), (1, 1));
}

/// A bus whose readers die before their commit, a number of times.
struct Mortal {
    bus: Arc<dyn Bus>,
    deaths: Arc<AtomicU32>,
}

struct Reader {
    inner: Box<dyn Consumer>,
    deaths: Arc<AtomicU32>,
}

#[async_trait]
impl Bus for Mortal {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        self.bus.ensure_topic(spec).await
    }
    async fn append(&self, topic: &TopicName, messages: Vec<NewMessage>) -> Result<Vec<Appended>, BusError> {
        self.bus.append(topic, messages).await
    }
    async fn subscribe(&self, group: &str, topics: &[TopicName]) -> Result<Box<dyn Consumer>, BusError> {
        let inner = self.bus.subscribe(group, topics).await?;
        Ok(Box::new(Reader { inner, deaths: self.deaths.clone() }))
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

#[async_trait]
impl Consumer for Reader {
    async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Fetched, BusError> {
        self.inner.fetch(max, wait).await
    }
    async fn commit(&mut self, positions: &[Position]) -> Result<(), BusError> {
        let alive = self.deaths.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err();
        if alive { self.inner.commit(positions).await } else { Err(BusError::Closed) }
    }
    async fn rewind(&mut self) -> Result<(), BusError> {
        self.inner.rewind().await
    }
}

/// From the bus to the store and back: every shape of record, with a death before each of the first commits.
#[tokio::test]
async fn the_pipeline_reads_the_bus_to_its_end_and_nothing_twice() {
    let mut world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(ms(100)));
    let bus: Arc<dyn Bus> =
        Arc::new(EmbeddedBus::open(EmbeddedOptions::in_dir(dir.path().join("bus")), clock.clone()).await.unwrap());
    let channels = [peer(), crate::world::desk()];
    for channel in &channels {
        for name in [TopicName::raw(channel), TopicName::raw_backfill(channel), TopicName::outbound(channel)] {
            let spec = TopicSpec { name, partitions: 2, retention: Duration::from_secs(86_400) };
            bus.ensure_topic(&spec).await.unwrap();
        }
    }
    let envelope = |origin, body: &[u8], number: Option<&str>, undecodable: Option<&str>| {
        Envelope {
            channel: peer(),
            origin,
            number: number.map(crate::peer::number),
            received_at: ms(1),
            read_at: ms(1),
            undecodable: undecodable.map(str::to_owned),
            payload: body.to_vec(),
        }
        .into_message(None)
    };
    let wire = whole("N1", 1, &[("acceptance/c0", "a"), ("handling/c0", "signed 0")]);
    let raw = TopicName::raw(&peer());
    let mut nameless = envelope(Origin::Poll, b"whatever", None, None);
    nameless.headers.clear();
    let live = vec![
        envelope(Origin::Webhook, &partial("N1", "handling/e:1", "urge").bytes(), Some("N1"), None),
        envelope(Origin::Poll, &wire.bytes(), Some("N1"), None),
        envelope(Origin::Poll, b"\xff\xfe", None, Some("not JSON")),
        nameless,
    ];
    bus.append(&raw, live).await.unwrap();
    let old = envelope(Origin::Backfill, &whole("N2", 1, &[("acceptance/c0", "old")]).bytes(), Some("N2"), None);
    bus.append(&TopicName::raw_backfill(&peer()), vec![old]).await.unwrap();

    let mortal = Arc::new(Mortal { bus: bus.clone(), deaths: Arc::new(AtomicU32::new(2)) });
    let config = PipelineConfig { batch_records: 2, ..PipelineConfig::default() };
    let decider = decider(Defences::default());
    let mut pipeline = Pipeline::new(mortal, world.store.clone(), decider, clock, &config, &channels);
    let round = Round { stopping: CancellationToken::new() };
    let mut deaths = 0;
    while at_end(&*bus, &channels).await.is_none() {
        deaths += u32::from(pipeline.run(&round).await.is_err());
    }
    assert_eq!(deaths, 2);
    assert_eq!((world.captured().await, world.in_flight().await), (6, 0));
    let letters = world.store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    let mut codes: Vec<_> = letters.iter().map(|letter| letter.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["envelope", "undecodable"]);
    assert!(world.store.raw(letters[0].raw_id).await.unwrap().unwrap().body.is_some());

    // A command of the desk, and the wake of the delivery worker.
    let order = world.id("N1").await;
    let reply = command(1, order, Operation::Reply, 50, "已修复");
    let body = serde_json::to_vec(&reply).unwrap();
    let message = Envelope {
        channel: crate::world::desk(),
        origin: Origin::Command,
        number: Some(crate::peer::number(&order.to_string())),
        received_at: ms(50),
        read_at: ms(50),
        undecodable: None,
        payload: body,
    };
    bus.append(&TopicName::raw(&crate::world::desk()), vec![message.into_message(None)]).await.unwrap();
    while at_end(&*bus, &channels).await.is_none() {
        pipeline.run(&round).await.unwrap();
    }
    assert_eq!(world.deliveries("N1").await.len(), 1);
    let woken = bus.end_positions(&TopicName::outbound(&peer())).await.unwrap();
    assert_eq!(woken.iter().map(|position| position.offset).sum::<u64>(), 1);
    assert_eq!(world.tally(FlowOutcome::DeadLettered).await, 2);
    world.now = 1;
}

async fn at_end(bus: &dyn Bus, channels: &[gateway_model::ChannelId]) -> Option<()> {
    for channel in channels {
        for topic in [TopicName::raw(channel), TopicName::raw_backfill(channel)] {
            let (mut ends, mut done) =
                (bus.end_positions(&topic).await.unwrap(), bus.committed("pipeline", &topic).await.unwrap());
            ends.sort_by_key(|position| position.partition);
            done.sort_by_key(|position| position.partition);
            if ends != done {
                return None;
            }
        }
    }
    Some(())
}
