//! The desk against a tiny gateway, and the judge: balanced when everything is right, not balanced when one thing is wrong.

use std::sync::Arc;

use gateway_simulator::clock::{api_time, now_ms, wire_time};
use gateway_simulator::{
    ControlPoint, DeskHandle, DeskOptions, JudgeOptions, PlatformHandle, Verdict, http, judge, start_desk,
    start_platform,
};
use serde_json::json;
use tempfile::TempDir;

use crate::data::fixture;
use crate::mini_gateway::{MiniGateway, Wrong};
use crate::support::{Peer, eventually, options};

struct World {
    dir: TempDir,
    platform: PlatformHandle,
    gateway: Arc<MiniGateway>,
    desk: DeskHandle,
    desk_options: DeskOptions,
    judge: JudgeOptions,
}

impl World {
    /// A platform (playing a fixture, or inventing), a gateway and a desk; returns when all is settled.
    async fn settled(data: Option<&str>, wrong: Option<Wrong>) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let mut options = options(&dir.path().join("platform"), 40);
        options.data = data.map(fixture);
        if data.is_none() {
            options.orders = Some(200);
            options.rate = 80.0;
        }
        let platform = start_platform(options).await.expect("platform");
        let peer = Peer::of(&platform);
        let (gateway, url, token) = MiniGateway::start(peer).await;
        *gateway.wrong.lock().expect("lock") = wrong;
        let mut desk_options = DeskOptions::new(dir.path().join("desk"), &url, &token);
        desk_options.data = data.map(fixture);
        let desk = start_desk(desk_options.clone()).await.expect("desk");
        let judge = JudgeOptions {
            forwards: None,
            attachments: None,
            verification: None,
            fronts: Vec::new(),
            bureau: None,
            gateway_url: url,
            token,
            platform: ControlPoint { url: platform.url(), token: platform.token.clone() },
            desk: Some(ControlPoint { url: desk.url(), token: desk.token.clone() }),
            channel: "municipal-12345".to_owned(),
            dress: gateway_simulator::Dress::Default,
        };
        let world = Self { dir, platform, gateway, desk, desk_options, judge };
        world.settle().await;
        world
    }

    async fn settle(&self) {
        let client = http::client(std::time::Duration::from_secs(2)).expect("client");
        eventually("settled", || {
            let client = client.clone();
            async move {
                let life =
                    async |url: String, token: &str| http::get(&client, &url, "/sim/life", token).await.expect("life");
                let platform = life(self.platform.url(), &self.platform.token).await;
                let desk = life(self.desk.url(), &self.desk.token).await;
                platform["settled"] == true && desk["settled"] == true && desk["orders"] == platform["orders"]
            }
        })
        .await;
    }

    async fn verdict(&self) -> Verdict {
        judge(self.judge.clone()).await.expect("verdict")
    }

    /// Judges until balanced: the gateway and the desk may have something on its way still.
    async fn balanced(&self) -> Verdict {
        eventually("balanced", || async {
            self.settle().await;
            self.verdict().await.balanced
        })
        .await;
        self.verdict().await
    }
}

fn kinds(verdict: &Verdict) -> Vec<&str> {
    let mut kinds: Vec<&str> = verdict.mismatches.iter().map(|mismatch| mismatch.kind.as_str()).collect();
    kinds.dedup();
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn played_data_goes_round_and_is_balanced() {
    for (file, replies) in [("complaints.jsonl", 40), ("sf311-small.csv", 36)] {
        let world = World::settled(Some(file), None).await;
        let verdict = world.balanced().await;
        assert_eq!(verdict.inbound[0]["at_source"], 40);
        assert_eq!(verdict.inbound[2]["at_source"], replies, "{file}: completions");
        assert_eq!(verdict.manifest, json!({"calls": 3, "bytes": 99}));
        let line = serde_json::to_value(&verdict).expect("json");
        assert_eq!(line["gaps"]["false"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_lives_are_balanced_and_a_killed_desk_goes_on() {
    let mut world = World::settled(None, None).await;
    world.balanced().await;
    let commands = || async {
        http::get(&Peer::of(&world.platform).client, &world.desk.url(), "/sim/book/commands", &world.desk.token).await
    };
    let before = commands().await.expect("book");
    assert!(before["next"].as_u64() > Some(200), "{}", before["next"]);
    world.desk.shutdown().cancel();
    let old = std::mem::replace(
        &mut world.desk,
        start_desk(DeskOptions { dir: world.dir.path().join("other"), ..world.desk_options.clone() })
            .await
            .expect("desk"),
    );
    old.ended().await.expect("ended");
    let spare = std::mem::replace(&mut world.desk, start_desk(world.desk_options.clone()).await.expect("desk"));
    spare.shutdown().cancel();
    spare.ended().await.expect("ended");
    world.judge.desk = Some(ControlPoint { url: world.desk.url(), token: world.desk.token.clone() });
    world.balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_thing_wrong_in_the_answers_of_the_gateway_is_seen() {
    let world = World::settled(Some("complaints.jsonl"), None).await;
    world.balanced().await;
    for (wrong, kind) in [
        (Wrong::Field, "field:content"),
        (Wrong::Person, "person:requester_name"),
        (Wrong::Digest, "digest"),
        (Wrong::DateOnlyTime, "event_time"),
        (Wrong::MissingItem, "item_missing"),
        (Wrong::ExtraItem, "item_extra"),
        (Wrong::MissingOrder, "order_missing"),
        (Wrong::ExtraOrder, "order_extra"),
        (Wrong::InFlight, "in_flight"),
        (Wrong::Sum, "captured_does_not_add_up"),
        (Wrong::OpenDeadLetter, "dead_letter_open"),
    ] {
        *world.gateway.wrong.lock().expect("lock") = Some(wrong);
        let verdict = world.verdict().await;
        assert!(!verdict.balanced);
        assert_eq!(kinds(&verdict), [kind], "{wrong:?}");
        let line = serde_json::to_string(&verdict).expect("json");
        assert!(!line.contains("U000"), "no citizen's data in a verdict");
    }
    *world.gateway.wrong.lock().expect("lock") = None;
    world.balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_or_altered_reply_is_seen() {
    for wrong in [Wrong::SwallowedReply, Wrong::AlteredReply] {
        let world = World::settled(Some("complaints.jsonl"), Some(wrong)).await;
        eventually("every reply is missed, and nothing else", || async {
            world.settle().await;
            let verdict = world.verdict().await;
            verdict.mismatch_count == 40 && kinds(&verdict) == ["reply_missing"] && !verdict.balanced
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_of_the_platforms_book_is_seen() {
    let world = World::settled(Some("complaints.jsonl"), None).await;
    world.balanced().await;
    // The tiny gateway mirrors the platform at every call; frozen, it keeps what it has.
    *world.gateway.wrong.lock().expect("lock") = Some(Wrong::Frozen);
    assert!(world.verdict().await.balanced);
    let client = Peer::of(&world.platform).client;
    let request =
        client.post(format!("{}/sim/book/corrupt", world.platform.url())).bearer_auth(&world.platform.token).body("{}");
    let (status, answer) = http::send("corrupt", request).await.expect("corrupt");
    assert_eq!(status, 200);
    assert!(answer["corrupted"].is_string());
    let verdict = world.verdict().await;
    assert!(!verdict.balanced);
    assert_eq!(kinds(&verdict), ["digest", "field:title"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_are_counted_and_a_false_one_is_seen() {
    let world = World::settled(Some("complaints.jsonl"), None).await;
    world.balanced().await;
    let peer = Peer::of(&world.platform);
    let row = peer.sim("/sim/book/orders?limit=1").await["orders"][0].clone();
    let digest = &row["items"][0]["digest"];
    let now = api_time(&wire_time(now_ms())).replace("+08:00", ".500+08:00");
    let gap = |id: &str, state: &str, ours: serde_json::Value| {
        json!({"id": id, "channel": "municipal-12345", "dataset": "acceptance", "kind": "stale", "number": row["record"]["orderNo"],
            "part": "c0", "state": state, "opened_at": now, "evidence": {"theirs": digest, "ours": ours, "as_of": now, "compared_at": now}})
    };
    let suspected =
        json!({"id": "0", "channel": "municipal-12345", "kind": "stale", "state": "suspected", "opened_at": null});
    *world.gateway.gaps.lock().expect("lock") =
        vec![suspected, gap("1", "closed", json!("ab")), gap("2", "waived", json!(null))];
    let verdict = world.verdict().await;
    assert!(verdict.balanced, "{:?}", verdict.mismatches);
    assert_eq!(
        (verdict.gaps.opened, verdict.gaps.repaired, verdict.gaps.waived, verdict.gaps.false_gaps),
        (2, 1, 1, 0)
    );
    *world.gateway.gaps.lock().expect("lock") = vec![gap("1", "closed", digest.clone())];
    let verdict = world.verdict().await;
    assert_eq!((kinds(&verdict), verdict.gaps.false_gaps), (vec!["gap_false"], 1));
    *world.gateway.gaps.lock().expect("lock") = vec![gap("1", "repairing", json!("ab"))];
    assert_eq!(kinds(&world.verdict().await), ["gap_open"]);
}
