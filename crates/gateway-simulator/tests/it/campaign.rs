//! Campaigns: every kind in the number asked for, and a log that says exactly by what the books differ.

use std::collections::{BTreeMap, BTreeSet};

use gateway_simulator::digest::{Dataset, ItemKey};
use gateway_simulator::faults::expectation;
use gateway_simulator::faults::injected::Heals;
use gateway_simulator::{Expected, FaultKind, FaultPlan, Injected, PlatformHandle, PlatformOptions, start_platform};
use tempfile::TempDir;

use crate::crude::{Crude, OVERLAP};
use crate::pushes::Webhook;
use crate::stepping::{DAY, Driven, HOUR, MINUTE, stepped};

/// Kinds that sleep on the machine's clock, or end the process: not for a driven clock.
const REAL_TIME: [FaultKind; 3] = [FaultKind::Hang, FaultKind::LateAnswer, FaultKind::PlatformRestart];

/// Every kind that a municipal platform on a driven clock can have.
fn municipal() -> impl Iterator<Item = FaultKind> {
    FaultKind::ALL
        .iter()
        .copied()
        .filter(|kind| !REAL_TIME.contains(kind) && !kind.befalls_uploads() && !kind.befalls_files())
}

struct World {
    _dir: TempDir,
    driven: Driven,
    platform: PlatformHandle,
    crude: Crude,
    options: PlatformOptions,
}

impl World {
    async fn start(plan: BTreeMap<FaultKind, u32>, seed: u64, per_day: f64, days: i64) -> Self {
        let (webhook, url) = Webhook::start().await;
        let dir = tempfile::tempdir().expect("dir");
        let driven = Driven::start();
        *webhook.clock.lock().expect("lock") = driven.clock();
        let mut options = stepped(&dir, &driven, per_day);
        options.gateway_url = Some(url);
        options.seed = seed;
        options.overlap = OVERLAP;
        options.seconds = Some((days * DAY / 1000) as u64);
        options.faults = FaultPlan::Campaign { per_kind: plan };
        let platform = start_platform(options.clone()).await.expect("platform");
        let crude = Crude::of(&platform, webhook).await;
        Self { _dir: dir, driven, platform, crude, options }
    }

    async fn pass(&self, ms: i64) {
        let end = self.driven.now() + ms;
        let mut turn = 0;
        while self.driven.now() < end {
            self.driven.advance(20 * MINUTE);
            self.platform.step().await.expect("step");
            self.crude.read().await;
            turn += 1;
            if turn % 3 == 0 {
                self.crude.work(40).await;
                let dataset = Dataset::ALL[turn / 3 % 4].as_str();
                for grain in ["total", "day", "ids"] {
                    self.crude.ask(dataset, grain, "2026-11-01 00:00:00", "2026-12-01 00:00:00").await;
                }
            }
        }
    }
}

fn each(kinds: impl IntoIterator<Item = FaultKind>, count: u32) -> BTreeMap<FaultKind, u32> {
    kinds.into_iter().map(|kind| (kind, count)).collect()
}

fn groups(injected: &[Injected], kind: FaultKind) -> usize {
    injected.iter().filter(|one| one.kind == kind && one.group == one.id).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_weeks_bring_every_kind_in_its_number_and_the_log_explains_every_difference() {
    // A clock that runs behind hides changes from a poll by update time; by design no line of the log names each of them.
    let plan: BTreeMap<FaultKind, u32> = each(municipal().filter(|kind| *kind != FaultKind::ClockSkew), 6);
    let world = World::start(plan.clone(), 7, 120.0, 14).await;
    world.pass(14 * DAY).await;
    world.platform.stop_life();
    // What is late shows.
    world.pass(18 * HOUR).await;

    let injected = world.platform.injected();
    for (kind, wanted) in &plan {
        let got = groups(&injected, *kind);
        assert_eq!(got + world.platform.to_come(*kind), *wanted as usize, "{}", kind.as_str());
        assert!(got >= 5, "{}: {got} of {wanted}", kind.as_str());
    }

    let ours = world.crude.items();
    let theirs: BTreeMap<ItemKey, _> =
        world.platform.items().into_iter().map(|item| (item.key.clone(), item)).collect();
    let keys: BTreeSet<&ItemKey> = ours.keys().chain(theirs.keys()).collect();
    let differs: BTreeSet<&ItemKey> = keys.into_iter().filter(|key| ours.get(key) != theirs.get(key)).collect();
    let in_place = || injected.iter().filter(|one| one.expected.lasts() && one.is_in_place());
    let explained: BTreeSet<&ItemKey> = in_place().flat_map(|one| &one.items).collect();
    for key in &differs {
        let on_order: Vec<_> = injected.iter().filter(|one| one.number.as_ref() == Some(&key.number)).collect();
        let (held, at_source) = (world.crude.record(key), world.platform.orders());
        let at_source = at_source.iter().find(|order| order.order_no == key.number);
        assert!(
            explained.contains(key),
            "nothing explains {key:?}: {on_order:#?}, held {held:#?}, at source {at_source:#?}"
        );
    }
    // And what the log says to be in place is: each such fault is seen in one of its items.
    let mut seen = BTreeMap::new();
    // What we sent is not among what the crude gateway keeps.
    let sent = |one: &&Injected| one.heals == Heals::Redone || one.kind == FaultKind::LostEvent;
    for one in in_place().filter(|one| one.expected != Expected::Unobservable && !sent(one)) {
        assert!(one.items.iter().any(|key| differs.contains(key)), "no difference of {one:#?}");
        *seen.entry(one.kind).or_insert(0) += 1;
    }
    for kind in [FaultKind::MissedRecord, FaultKind::SilentEdit, FaultKind::Deletion, FaultKind::SwapInBucket] {
        assert!(seen.contains_key(&kind), "{seen:?}");
    }

    // The oracle: before a silent edit the platform held what we hold, from then on something else.
    let edit =
        injected.iter().find(|one| one.kind == FaultKind::SilentEdit && one.is_in_place()).expect("one in place");
    let (key, platform) = (&edit.items[0], &world.platform);
    let at = |ms: i64| platform.held_at(key.dataset, &key.number, &key.day, &key.part, ms).expect("held").0;
    assert_eq!(at(edit.at_ms - 1), hex::encode(ours[key].digest));
    assert_ne!(at(edit.at_ms), at(edit.at_ms - 1));
    let gone = injected.iter().find(|one| one.kind == FaultKind::Deletion && one.variant == "order").expect("one");
    let key = &gone.items[0];
    assert!(platform.held_at(key.dataset, &key.number, &key.day, &key.part, gone.at_ms - 1).is_some());
    assert!(platform.held_at(key.dataset, &key.number, &key.day, &key.part, gone.at_ms).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_brings_the_same_faults_and_another_one_others() {
    let mut logs = Vec::new();
    for seed in [3, 3, 4] {
        let plan = each(municipal(), 2);
        let world = World::start(plan, seed, 60.0, 3).await;
        world.pass(3 * DAY).await;
        logs.push(world.platform.injected());

        // The journal adds up to the same book, restored backups and all.
        let World { platform, options, _dir, .. } = world;
        let (injected, items, orders) = (platform.injected(), platform.items(), platform.orders());
        platform.shutdown().cancel();
        platform.ended().await.expect("ended");
        let again = start_platform(options).await.expect("again");
        assert_eq!(again.injected(), injected);
        assert_eq!(again.items(), items);
        assert_eq!(again.orders(), orders);
    }
    assert!(logs[0].len() > 60, "{}", logs[0].len());
    assert_eq!(logs[0], logs[1]);
    assert_ne!(logs[0], logs[2]);
}

#[test]
fn the_table_has_a_line_for_every_kind_and_says_what_is_expected() {
    for kind in FaultKind::ALL.iter().filter(|kind| !kind.befalls_uploads()) {
        assert!(
            expectation::rule_of(*kind, "").is_some()
                || *kind == FaultKind::SwapInBucket
                || *kind == FaultKind::ReusedNumber,
            "{}",
            kind.as_str()
        );
    }
    let kinds = |kind, variant| match expectation::expected(kind, variant) {
        Expected::Gap { kinds, repairable: true } => kinds,
        other => panic!("{other:?}"),
    };
    assert_eq!(kinds(FaultKind::SilentEdit, "acceptance.title")[0], "differing");
    assert_eq!(expectation::expected(FaultKind::PersonEdit, ""), Expected::Unobservable);
    assert_eq!(expectation::expected(FaultKind::ManifestTwice, "lasting"), Expected::ManifestUnreliable);
    assert!(expectation::table().lines().count() > FaultKind::ALL.len());
}
