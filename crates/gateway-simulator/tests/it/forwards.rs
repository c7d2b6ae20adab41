//! The judge of forwarding: balanced when the province's book holds what the municipal one says, and not when one thing is wrong.

use std::sync::Arc;

use gateway_simulator::digest::Dataset;
use gateway_simulator::record::Order;
use gateway_simulator::{ControlPoint, ForwardOptions, JudgeOptions, PlatformHandle, Verdict, judge, start_platform};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::data::fixture;
use crate::mini_gateway::MiniGateway;
use crate::province::provincial;
use crate::support::{ACCEPTANCE, Peer, STATE, number_there, options, pick};

struct World {
    _dir: TempDir,
    _platforms: [PlatformHandle; 2],
    gateway: Arc<MiniGateway>,
    municipal: Peer,
    province: Peer,
    judge: JudgeOptions,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let mut municipal = options(&dir.path().join("municipal"), 12);
        municipal.data = Some(fixture("complaints.jsonl"));
        let municipal = start_platform(municipal).await.expect("platform");
        let province = start_platform(provincial(&dir.path().join("province"), 2)).await.expect("province");
        let peers = [&municipal, &province].map(Peer::of);
        let (gateway, url, token) = MiniGateway::start(peers[0].clone()).await;
        let at = |handle: &PlatformHandle| ControlPoint { url: handle.url(), token: handle.token.clone() };
        let judge = JudgeOptions {
            gateway_url: url,
            token,
            platform: at(&municipal),
            desk: None,
            fronts: Vec::new(),
            bureau: None,
            channel: "municipal-12345".to_owned(),
            dress: gateway_simulator::Dress::Default,
            attachments: None,
            verification: None,
            forwards: Some(ForwardOptions {
                channel: "provincial-12328".to_owned(),
                platform: at(&province),
                datasets: Dataset::ALL.to_vec(),
                dress: gateway_simulator::Dress::Default,
            }),
        };
        let [municipal_peer, province_peer] = peers;
        municipal_peer.lived().await;
        province_peer.lived().await;
        Self {
            _dir: dir,
            _platforms: [municipal, province],
            gateway,
            municipal: municipal_peer,
            province: province_peer,
            judge,
        }
    }

    async fn forward(&self, order: &Order, key: &str, without_events: bool) {
        let record = serde_json::to_value(order).expect("json");
        let number = number_there(order);
        let mut acceptance = pick(&record, &ACCEPTANCE);
        acceptance["orderType"] = match order.order_type.as_str() {
            "01" | "02" => "1",
            "03" | "04" => "2",
            "05" | "06" => "3",
            _ => "9",
        }
        .into();
        let upload = async |kind: &str, nth: usize, body: Value| {
            let (code, _) =
                self.province.operate(&number, &format!("upload_{kind}"), &format!("{key}-{kind}-{nth}"), body).await;
            assert_eq!(code, 0, "{kind}");
        };
        upload("acceptance", 0, acceptance).await;
        upload("state", 0, pick(&record, &STATE)).await;
        for (nth, event) in order.events.iter().enumerate().filter(|_| !without_events) {
            upload("event", nth, json!({"eventId": event.event_id, "kind": event.kind, "time": event.time})).await;
        }
    }

    async fn verdict(&self) -> Verdict {
        judge(self.judge.clone()).await.expect("verdict")
    }

    /// The mismatches of forwarding; what a gateway holds of the province is another matter.
    async fn wrong(&self) -> Vec<(String, String)> {
        let verdict = self.verdict().await;
        let of_forwarding = verdict.mismatches.into_iter().filter(|mismatch| mismatch.kind.starts_with("forward_"));
        of_forwarding.map(|mismatch| (mismatch.dataset, mismatch.kind)).collect()
    }
}

fn one(dataset: &str, kind: &str) -> Vec<(String, String)> {
    vec![(dataset.to_owned(), kind.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_thing_wrong_in_the_provinces_book_is_seen() {
    let world = World::start().await;
    let orders: Vec<Order> = world
        .municipal
        .listing(50)
        .await
        .into_iter()
        .map(|record| serde_json::from_value(record).expect("record"))
        .collect();
    assert_eq!(world.wrong().await.len(), 36, "of twelve orders acceptance, state and dispatch");
    for order in &orders[1..] {
        world.forward(order, &order.order_no, false).await;
    }
    world.forward(&orders[0], "x", true).await;
    assert_eq!(world.wrong().await, one("handling", "forward_missing"), "the event of one order");

    // Excused only by a named exit of its newest delivery; a rejection counts when the province says that it refused.
    let delivery = |id: u64, state: &str| {
        json!({"id": id, "destination": "provincial-12328", "dataset": "handling", "state": state,
            "part": format!("e:{}", orders[0].events[0].event_id), "idempotency_key": "nobody-refused-this"})
    };
    for (deliveries, excused) in [
        (vec![delivery(1, "waived")], true),
        (vec![delivery(1, "dead_lettered")], true),
        (vec![delivery(1, "rejected")], false),
        (vec![delivery(1, "waived"), delivery(2, "acknowledged")], false),
    ] {
        *world.gateway.deliveries.lock().expect("lock") = deliveries;
        assert_eq!(world.wrong().await.is_empty(), excused);
    }
    world.gateway.deliveries.lock().expect("lock").clear();

    world.forward(&orders[0], "y", false).await;
    assert_eq!(world.wrong().await, [], "the books agree");
    let verdict = world.verdict().await;
    let balance = verdict.forwards.expect("a balance");
    assert_eq!((balance.orders, balance.items, balance.excused), (12, 36, 0));

    let mut other = orders[0].clone();
    other.title.push('※');
    world.forward(&other, "z", false).await;
    assert_eq!(world.wrong().await, one("acceptance", "forward_differs"));
    world.forward(&orders[0], "again", false).await;
    let number = number_there(&orders[0]);
    let event = json!({"eventId": "stray", "kind": "urge", "time": "2026-11-23 10:00:00"});
    assert_eq!(world.province.operate(&number, "upload_event", "stray", event).await.0, 0);
    assert_eq!(world.wrong().await, one("handling", "forward_extra"));
    let person = json!({"createTime": "2026-11-23", "orderType": "1", "callerName": "李某"});
    assert_eq!(world.province.operate("of-nobody", "upload_acceptance", "p", person).await.0, 0);
    let wrong = world.wrong().await;
    assert!(wrong.contains(&("acceptance".to_owned(), "forward_person".to_owned())), "{wrong:?}");
    assert!(wrong.contains(&(String::new(), "forward_extra".to_owned())), "{wrong:?}");
    assert!(
        world
            .verdict()
            .await
            .mismatches
            .iter()
            .any(|one| one.kind == "order_missing" && one.channel == "provincial-12328")
    );
}
