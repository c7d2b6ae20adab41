//! Accounts that lie, each in its own way and for its time only, and platforms that are out or whose clock is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_simulator::clock::wire_time;
use gateway_simulator::{FaultKind, FaultPlan, Injected, PlatformHandle, start_platform};
use serde_json::Value;
use tempfile::TempDir;

use crate::stepping::{DAY, Driven, HOUR, stepped};
use crate::support::Peer;

struct World {
    _dir: TempDir,
    driven: Driven,
    platform: PlatformHandle,
    peer: Peer,
}

impl World {
    /// Lives on until the only fault has its moment behind it; an account lies when it is asked.
    async fn due(kind: FaultKind, seed: u64) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let driven = Driven::start();
        let mut options = stepped(&dir, &driven, 300.0);
        options.seed = seed;
        options.seconds = Some(4 * 86_400);
        options.lie_lasts = Duration::from_secs(4 * 3_600);
        options.faults = FaultPlan::Campaign { per_kind: BTreeMap::from([(kind, 1)]) };
        let platform = start_platform(options).await.expect("platform");
        let peer = Peer::of(&platform);
        let world = Self { _dir: dir, driven, platform, peer };
        for _ in 0..7 {
            world.pass(12 * HOUR).await;
        }
        world
    }

    async fn pass(&self, ms: i64) {
        self.driven.advance(ms);
        self.platform.step().await.expect("step");
    }

    /// The account of handling over the life so far.
    async fn ask(&self, grain: &str) -> Value {
        let to = wire_time(self.driven.now() + DAY).replace(' ', "%20");
        let target = format!("/gateway/manifest?dataset=handling&from=2026-11-02%2000:00:00&to={to}&grain={grain}");
        self.peer.read(&target).await
    }

    async fn buckets(&self, grain: &str) -> (u64, Vec<Value>) {
        let buckets = self.ask(grain).await["buckets"].as_array().expect("buckets").clone();
        (buckets.iter().map(|bucket| bucket["count"].as_u64().expect("count")).sum(), buckets)
    }

    async fn names(&self) -> Vec<String> {
        let ids = self.ask("ids").await["items"].as_array().expect("items").clone();
        ids.iter().map(|item| format!("{} {}", item["orderNo"], item["part"])).collect()
    }
}

/// A world whose lie, just begun, has this form.
async fn lasting(kind: FaultKind, form: &str) -> World {
    for seed in 1..20 {
        let world = World::due(kind, seed).await;
        world.ask("total").await;
        if world.platform.injected().first().is_some_and(|lie| lie.variant == form) {
            return world;
        }
    }
    panic!("no seed brings {form}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lasting_lie_is_told_at_every_grain_and_ends_in_time() {
    for kind in [FaultKind::ManifestCountLie, FaultKind::ManifestTwice, FaultKind::ManifestTruncated] {
        let world = lasting(kind, "lasting").await;
        let ((total, _), (by_day, _), names) =
            (world.buckets("total").await, world.buckets("day").await, world.names().await);
        let distinct = names.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
        match kind {
            FaultKind::ManifestCountLie => assert!(total == distinct + 1 && names.len() as u64 == distinct),
            FaultKind::ManifestTwice => assert!(total == distinct + 1 && names.len() as u64 == total),
            _ => assert!(distinct < total && by_day < total, "{distinct} {by_day} {total}"),
        }
        world.pass(5 * HOUR).await;
        let honest =
            world.platform.tally(gateway_simulator::digest::Dataset::Handling, "2026-11-02", "2026-12-01", None);
        assert_eq!(world.buckets("total").await.0, honest as u64);
        assert_eq!(world.buckets("day").await.0, honest as u64);
        assert_eq!(world.names().await.len(), honest);
    }
    let world = lasting(FaultKind::ManifestOtherWindow, "lasting").await;
    assert_eq!(world.buckets("total").await.1[0]["start"], "2026-11-01 00:00:00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_account_says_so_or_does_not_and_a_lie_told_once_is_over_when_asked_again() {
    for (form, says_so) in [("old_as_of_lasting", true), ("fresh_as_of_lasting", false)] {
        let world = lasting(FaultKind::ManifestStale, form).await;
        let account = world.ask("total").await;
        let fresh = wire_time(world.driven.now());
        assert_eq!(account["asOf"].as_str().expect("time") < fresh.as_str(), says_so);
        let now = world.platform.tally(gateway_simulator::digest::Dataset::Handling, "2026-11-02", "2026-12-01", None);
        assert!(account["buckets"][0]["count"].as_u64().expect("count") < now as u64);
    }
    let world = lasting(FaultKind::ManifestCountLie, "once").await;
    assert_eq!(world.buckets("total").await.0, world.names().await.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_refuses_everything_and_a_clock_far_off_refuses_signatures() {
    let list = "/gateway/orders?updatedFrom=2026-11-02%2000:00:00&page=1&pageSize=10";
    for kind in [FaultKind::Outage, FaultKind::ClockSkew] {
        let dir = tempfile::tempdir().expect("dir");
        let driven = Driven::start();
        let mut options = stepped(&dir, &driven, 100.0);
        options.seconds = Some(20 * 86_400);
        options.faults = FaultPlan::Campaign { per_kind: BTreeMap::from([(kind, 12)]) };
        let platform = start_platform(options).await.expect("platform");
        let peer = Peer::of(&platform);
        let (mut refused, mut forms) = (0, std::collections::BTreeSet::new());
        while platform.injected().len() < 12 {
            driven.advance(HOUR / 4);
            platform.step().await.expect("step");
            let now = driven.now();
            let current = |one: &Injected| one.window.is_some_and(|(from, until)| from <= now && now < until);
            let Some(fault) = platform.injected().into_iter().find(current) else { continue };
            forms.insert(fault.variant.clone());
            let answer = peer.send("GET", list, "", vec![]).await;
            let good = matches!(answer, Ok((200, _)));
            assert_eq!(good, kind == FaultKind::ClockSkew && !fault.variant.ends_with("_far"), "{fault:?}: {answer:?}");
            refused += usize::from(!good);
        }
        assert!(refused > 0 && forms.len() >= 2, "{forms:?}");
        driven.advance(DAY);
        platform.step().await.expect("step");
        assert!(matches!(peer.send("GET", list, "", vec![]).await, Ok((200, _))), "over");
    }
}
