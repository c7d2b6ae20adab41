//! The judge of dispatching: balanced when the bureau's book holds what the municipal one says and what the bureau did is there, and not when one thing
//! is wrong.

use std::sync::Arc;

use gateway_simulator::record::Order;
use gateway_simulator::{
    ControlPoint, JudgeOptions, Party, PlatformHandle, PlatformKind, PlatformOptions, judge, start_platform,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::data::fixture;
use crate::mini_gateway::MiniGateway;
use crate::support::{ACCEPTANCE, Peer, STATE, eventually, number_there, options, pick};

struct World {
    _dir: TempDir,
    _municipal: PlatformHandle,
    bureau: PlatformHandle,
    gateway: Arc<MiniGateway>,
    origin: Peer,
    there: Peer,
    judge: JudgeOptions,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let mut municipal = options(&dir.path().join("municipal"), 12);
        municipal.data = Some(fixture("complaints.jsonl"));
        let municipal = start_platform(municipal).await.expect("platform");
        // It works only when it is told to.
        let bureau = options(&dir.path().join("bureau"), 0);
        let bureau = PlatformOptions { kind: PlatformKind::Bureau, stepped: true, ..bureau };
        let bureau = start_platform(bureau).await.expect("bureau");
        let (origin, there) = (Peer::of(&municipal), Peer::of(&bureau));
        let (gateway, gateway_url, token) = MiniGateway::start(origin.clone()).await;
        let at = |handle: &PlatformHandle| ControlPoint { url: handle.url(), token: handle.token.clone() };
        let judge = JudgeOptions {
            gateway_url,
            token,
            platform: at(&municipal),
            desk: None,
            fronts: Vec::new(),
            bureau: Some(Party { channel: "bureau".to_owned(), platform: at(&bureau) }),
            channel: "municipal-12345".to_owned(),
            dress: gateway_simulator::Dress::Default,
            forwards: None,
            attachments: None,
            verification: None,
        };
        origin.lived().await;
        Self { _dir: dir, _municipal: municipal, bureau, gateway, origin, there, judge }
    }

    async fn orders(&self) -> Vec<Order> {
        let records = self.origin.listing(50).await;
        records.into_iter().map(|record| serde_json::from_value(record).expect("record")).collect()
    }

    async fn tell(&self, number: &str, operation: &str, key: &str, body: Value) {
        assert_eq!(self.there.operate(number, operation, key, body).await.0, 0, "{operation}");
    }

    async fn dispatch(&self, order: &Order, key: &str) {
        let record = serde_json::to_value(order).expect("json");
        let number = number_there(order);
        let mut acceptance = pick(&record, &ACCEPTANCE);
        acceptance["orderType"] = record["orderType"].clone();
        self.tell(&number, "dispatch", &format!("{key}-dispatch"), acceptance).await;
        let mut state = pick(&record, &STATE);
        state["time"] = record["createTime"].clone();
        self.tell(&number, "upstream", &format!("{key}-upstream"), state).await;
    }

    async fn dispatch_events(&self, order: &Order, key: &str) {
        for (nth, event) in order.events.iter().enumerate() {
            let body = json!({"eventId": event.event_id, "kind": event.kind, "time": event.time});
            self.tell(&number_there(order), "event", &format!("{key}-event-{nth}"), body).await;
        }
    }

    /// The mismatches between the two books; what a gateway holds of the bureau is another matter.
    async fn wrong(&self) -> Vec<(String, String)> {
        let verdict = judge(self.judge.clone()).await.expect("verdict");
        let ours = ["dispatch_", "sign_", "reply_missing"];
        let between = verdict.mismatches.into_iter().filter(|one| ours.iter().any(|word| one.kind.starts_with(word)));
        between.map(|one| (one.dataset, one.kind)).collect()
    }
}

fn one(dataset: &str, kind: &str) -> Vec<(String, String)> {
    vec![(dataset.to_owned(), kind.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_thing_wrong_in_the_bureaus_book_is_seen() {
    let world = World::start().await;
    let orders = world.orders().await;
    assert_eq!(world.wrong().await.len(), 12, "no order is there");
    for order in &orders {
        world.dispatch(order, &order.order_no).await;
    }
    for order in &orders[1..] {
        world.dispatch_events(order, &order.order_no).await;
    }
    assert_eq!(world.wrong().await, one("handling", "dispatch_missing"), "the event of one order");
    world.dispatch_events(&orders[0], "x").await;
    assert_eq!(world.wrong().await, [], "the books agree");
    let verdict = judge(world.judge.clone()).await.expect("verdict");
    assert_eq!(verdict.bureau.expect("a balance").orders["municipal-12345"], 12);

    let mut other = orders[0].clone();
    other.title.push('※');
    world.dispatch(&other, "other").await;
    assert_eq!(world.wrong().await, one("acceptance", "dispatch_differs"));
    world.dispatch(&orders[0], "again").await;
    assert_eq!(world.wrong().await, []);

    let number = number_there(&orders[0]);
    let stray = json!({"eventId": "stray", "kind": "urge", "time": "2026-11-23 10:00:00"});
    world.tell(&number, "event", "stray", stray).await;
    assert_eq!(world.wrong().await, one("handling", "dispatch_extra"));
    let person = json!({"createTime": "2026-11-23", "orderType": "01", "callerName": "李某"});
    world.tell("of-nobody", "dispatch", "person", person).await;
    let wrong = world.wrong().await;
    assert!(wrong.contains(&("acceptance".to_owned(), "dispatch_person".to_owned())), "{wrong:?}");
    assert!(wrong.contains(&(String::new(), "dispatch_extra".to_owned())), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bureau_did_is_at_the_origin_or_has_a_named_exit() {
    let world = World::start().await;
    let orders = world.orders().await;
    for order in &orders {
        world.dispatch(order, &order.order_no).await;
        world.dispatch_events(order, &order.order_no).await;
    }
    let done = |order: &Order| order.events.iter().any(|event| event.kind == "sign" && event.round == Some(0));
    eventually("a sign of the bureau", || async {
        world.bureau.step().await.expect("a step");
        world.bureau.orders().iter().any(done)
    })
    .await;
    let signed: Vec<Order> = world.bureau.orders().into_iter().filter(done).collect();
    assert_eq!(world.wrong().await, vec![one("handling", "sign_missing"); signed.len()].concat());
    let delivery = |state: &str, round: u32| json!({"operation": "sign", "destination": "municipal-12345", "round": round, "state": state});
    for (deliveries, excused) in [
        (vec![delivery("rejected", 0)], true),
        (vec![delivery("waived", 0), delivery("superseded", 0)], true),
        (vec![delivery("acknowledged", 0)], false),
        (vec![delivery("rejected", 1)], false),
    ] {
        *world.gateway.deliveries.lock().expect("lock") = deliveries;
        assert_eq!(world.wrong().await.is_empty(), excused);
    }
    world.gateway.deliveries.lock().expect("lock").clear();

    // Done at the origin too, as the bureau said it, and then by nobody.
    for order in &signed {
        let sign = order.events.iter().find(|event| event.kind == "sign").expect("a sign");
        let number = order.order_no.rsplit('-').next().expect("a number").to_owned();
        let number =
            orders.iter().find(|order| order.order_no.ends_with(&number)).expect("its origin").order_no.clone();
        assert_eq!(
            world.origin.operate(&number, "sign", &format!("k-{number}"), json!({"signTime": sign.time})).await.0,
            0
        );
    }
    let missing = ("handling".to_owned(), "sign_missing".to_owned());
    assert!(!world.wrong().await.contains(&missing));
    let unsigned = orders.iter().find(|order| !signed.iter().any(|one| number_there(order) == one.order_no));
    if let Some(order) = unsigned {
        let body = json!({"signTime": "2026-11-23 10:00:00"});
        assert_eq!(world.origin.operate(&order.order_no, "sign", "nobody", body).await.0, 0);
        assert!(world.wrong().await.contains(&("handling".to_owned(), "sign_not_ours".to_owned())));
    }
}
