//! Several processes, one picture.

use crate::checks::world::{World, facts, task};
use crate::place::at;
use gateway_alert::checks::{ChecksConfig, all};
use gateway_alert::node::{NodeConfig, NodeSelf, NodeTeller, nodes_check};
use gateway_alert::{Check, Finding};
use gateway_model::{ManualClock, Severity};
use gateway_runtime::{Round, Task, TaskHealth};
use gateway_store::{NodeSpool, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// A process with its own checks and spool, all on one store.
struct Process {
    node: NodeSelf,
    teller: NodeTeller,
    clock: Arc<ManualClock>,
    spooled: Arc<AtomicU64>,
}

fn process(world: &World, name: &str, holder: &str, roles: &[&str], started: i64) -> Process {
    let clock = Arc::new(ManualClock::new(at(started)));
    let spooled = Arc::new(AtomicU64::new(0));
    let held = spooled.clone();
    let node = NodeSelf {
        name: name.into(),
        holder: holder.into(),
        roles: roles.iter().map(ToString::to_string).collect(),
        version: "0.1.0".into(),
        key_print: "a1b2".into(),
        started_at: at(started),
        spool: Arc::new(move || {
            let messages = held.load(Ordering::Acquire);
            let channel = gateway_model::ChannelId::new("municipal-12345").unwrap();
            Vec::from_iter((messages > 0).then(|| NodeSpool { channel, messages, oldest_at: Some(at(1)) }))
        }),
    };
    let checks = all(&world.deps, &ChecksConfig::default());
    let store = world.deps.store.clone();
    let teller =
        NodeTeller::new(node.clone(), checks.of_process, checks.last, store, clock.clone(), NodeConfig::default());
    Process { node, teller, clock, spooled }
}

impl Process {
    async fn tell(&mut self, second: i64) -> Result<(), gateway_runtime::TaskError> {
        self.clock.advance_to(at(second));
        self.teller.run(&Round { stopping: CancellationToken::new() }).await.map(drop)
    }
}

fn watch(store: &Arc<dyn Store>, roles: &[&str]) -> Box<dyn Check> {
    nodes_check(store.clone(), NodeConfig::default(), roles.iter().map(ToString::to_string).collect())
}

fn codes(found: &[Finding]) -> Vec<(&str, &str)> {
    found.iter().map(|finding| (finding.code, finding.subject.as_str())).collect()
}

#[tokio::test]
async fn what_one_process_sees_is_seen_by_who_watches() {
    let world = World::new().await;
    let mut one = process(&world, "gz-1", "a-1", &["intake"], 0);
    let mut watch = watch(&world.deps.store, &["intake"]);
    one.tell(1).await.unwrap();
    assert!(watch.look(at(2)).await.unwrap().is_empty());
    world.play(|played| played.tasks = vec![task("poll/municipal-12345", TaskHealth::Stalled, 90_000)]);
    one.tell(6).await.unwrap();
    let found = watch.look(at(7)).await.unwrap();
    assert_eq!(codes(&found), [("task_stalled", "poll/municipal-12345 @ gz-1")]);
    assert_eq!((facts(&found[0])["node"], facts(&found[0])["for_s"]), ("gz-1", "90"));
    world.play(|played| played.tasks.clear());
    one.tell(11).await.unwrap();
    assert!(watch.look(at(12)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_silent_process_is_missed_and_one_that_ended_is_not() {
    let world = World::new().await;
    let store = &world.deps.store;
    let (mut one, mut two) =
        (process(&world, "gz-1", "a-1", &["intake"], 0), process(&world, "gz-2", "b-1", &["intake"], 0));
    let mut watch = watch(store, &["intake", "deliver"]);
    one.tell(1).await.unwrap();
    two.tell(1).await.unwrap();
    // Nobody delivers; a start takes a moment.
    assert!(watch.look(at(2)).await.unwrap().is_empty());
    two.tell(40).await.unwrap();
    let found = watch.look(at(41)).await.unwrap();
    assert_eq!(codes(&found), [("role_absent", "deliver"), ("node_silent", "gz-1")]);
    assert_eq!((found[1].severity, found[1].since, facts(&found[1])["silent_s"]), (Severity::Warning, at(1), "40"));
    // It is back, with records that are not on the bus, and falls silent again.
    one.spooled.store(12, Ordering::Release);
    one.tell(42).await.unwrap();
    two.tell(80).await.unwrap();
    let found = watch.look(at(80)).await.unwrap();
    assert_eq!(codes(&found), [("role_absent", "deliver"), ("node_silent", "gz-1")]);
    assert_eq!((found[1].severity, found[1].count), (Severity::Critical, 12));
    // Ended in order, but what it holds is still on its disk alone.
    one.node.end(&**store, at(81)).await.unwrap();
    two.tell(120).await.unwrap();
    assert_eq!(codes(&watch.look(at(121)).await.unwrap()), [("role_absent", "deliver"), ("node_silent", "gz-1")]);
    one.spooled.store(0, Ordering::Release);
    one.node.end(&**store, at(122)).await.unwrap();
    two.tell(200).await.unwrap();
    assert_eq!(codes(&watch.look(at(201)).await.unwrap()), [("role_absent", "deliver")]);
}

#[tokio::test]
async fn who_ends_frees_its_leases_and_an_older_process_of_a_name_is_told() {
    let world = World::new().await;
    let store = &world.deps.store;
    let mut old = process(&world, "gz-1", "a-1", &["poll"], 0);
    old.tell(1).await.unwrap();
    store.acquire_lease("poll/municipal-12345", "a-1", at(1), at(31)).await.unwrap().unwrap();
    let mut new = process(&world, "gz-1", "a-2", &["poll"], 5);
    new.tell(6).await.unwrap();
    let refused = old.tell(7).await.unwrap_err();
    assert!(refused.text.contains("gz-1") && refused.text.contains("started later"), "{}", refused.text);
    assert_eq!(store.acquire_lease("poll/municipal-12345", "a-2", at(8), at(38)).await.unwrap(), None);
    store.release_leases("a-1", at(8)).await.unwrap();
    assert!(store.acquire_lease("poll/municipal-12345", "a-2", at(8), at(38)).await.unwrap().is_some());
    assert_eq!(store.nodes().await.unwrap()[0].holder, "a-2");
}
