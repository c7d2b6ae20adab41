//! The judge of what single orders tell: balanced when each picture is kept and passed on as the books say and each car's verdict is right, and not when one
//! thing is wrong.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_simulator::faults::FaultKind;
use gateway_simulator::picture::references;
use gateway_simulator::record::Order;
use gateway_simulator::{
    AttachmentOptions, ControlPoint, FaultPlan, JudgeOptions, OperatingDataHandle, OperatingDataOptions, Party,
    PlatformHandle, PlatformKind, PlatformOptions, Verdict, VerificationOptions, judge_details, start_operating_data,
    start_platform,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mini_gateway::MiniGateway;
use crate::support::{Peer, eventually, number_there, options};

const CHANNEL: &str = "municipal-12345";

struct World {
    _dir: TempDir,
    front: PlatformHandle,
    _cars: OperatingDataHandle,
    bureau: PlatformHandle,
    there: Peer,
    gateway: Arc<MiniGateway>,
    gateway_url: String,
    judge: JudgeOptions,
    /// The front's files: bytes, and whether it lost them.
    files: HashMap<String, (Vec<u8>, bool)>,
}

impl World {
    /// A front with thirty orders and some lost pictures, a gateway that has and tells everything as it should, and a bureau that was given what is granted.
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let platform = options(&dir.path().join("front"), 1_000_000);
        let faults = FaultPlan::Rates(vec![(FaultKind::LostFile, 20)]);
        let platform = PlatformOptions { kind: PlatformKind::TaxiQr, faults, rate: 60.0, ..platform };
        let front = start_platform(platform).await.expect("front");
        let origin = Peer::of(&front);
        eventually("orders", || async { front.orders().len() >= 30 }).await;
        for order in front.orders() {
            for reference in references(&order.pictures) {
                crate::files::fetch(&origin, reference).await.expect("an answer");
            }
        }
        origin.stop_life().await;
        let bureau =
            PlatformOptions { kind: PlatformKind::Bureau, stepped: true, ..options(&dir.path().join("bureau"), 0) };
        let bureau = start_platform(bureau).await.expect("bureau");
        let cars = OperatingDataOptions::new(dir.path().join("cars"), "secret");
        let cars = start_operating_data(cars).await.expect("cars");
        let (gateway, gateway_url, token) = MiniGateway::start(origin.clone()).await;
        let at = |url: String, token: &str| ControlPoint { url, token: token.to_owned() };
        let judge = JudgeOptions {
            gateway_url: gateway_url.clone(),
            token,
            platform: at(front.url(), &front.token),
            desk: None,
            fronts: Vec::new(),
            bureau: Some(Party { channel: "bureau".to_owned(), platform: at(bureau.url(), &bureau.token) }),
            channel: CHANNEL.to_owned(),
            forwards: None,
            attachments: Some(AttachmentOptions {
                channels: vec![CHANNEL.to_owned()],
                granted: vec![CHANNEL.to_owned()],
            }),
            verification: Some(VerificationOptions {
                channels: vec![CHANNEL.to_owned()],
                service: at(cars.url(), &cars.token),
            }),
            dress: gateway_simulator::Dress::Default,
        };
        let files = crate::files::book(&origin).await.into_iter().map(|(reference, file)| {
            let bytes = gateway_simulator::picture::picture(CHANNEL, &reference);
            (reference, (bytes, file["state"] == "lost"))
        });
        let (files, there) = (files.collect(), Peer::of(&bureau));
        let world = Self { _dir: dir, front, _cars: cars, bureau, there, gateway, gateway_url, judge, files };
        for order in world.front.orders() {
            world.tell(&order);
            world.dispatch(&order, &format!("k-{}", order.order_no), world.addresses(&order)).await;
        }
        world
    }

    /// What the gateway rightly says of an order.
    fn tell(&self, order: &Order) {
        let attachment = |reference: &&str| {
            let (bytes, lost) = &self.files[*reference];
            let digest = hex_of(bytes);
            let kept = json!({"id": id_of(order, reference), "channel": CHANNEL, "reference": reference, "state": "kept", "sha256": digest});
            if *lost {
                json!({"id": id_of(order, reference), "channel": CHANNEL, "reference": reference, "state": "missing", "sha256": null})
            } else {
                kept
            }
        };
        let attachments: Vec<Value> = references(&order.pictures).iter().map(attachment).collect();
        for lost in attachments.iter().filter(|one| one["state"] == "missing") {
            let detail = format!("attachment {} of {} 2026-11-23", lost["id"].as_str().expect("an id"), order.order_no);
            let gap = json!({"id": order.order_no, "opened_at": "2026-11-23T10:00:00+08:00", "kind": "attachment_missing", "state": "open",
                "channel": CHANNEL, "dataset": "acceptance", "number": null, "detail": detail});
            self.gateway.gaps.lock().expect("lock").push(gap);
        }
        for reference in references(&order.pictures) {
            let (bytes, lost) = &self.files[reference];
            if !lost {
                self.gateway.files.lock().expect("lock").insert(name_of(reference), bytes.clone());
            }
        }
        let verdict = json!([{"channel": CHANNEL, "verdict": self.verdict_of(order)}]);
        let details = json!({"attachments": attachments, "verifications": verdict});
        self.gateway.details.lock().expect("lock").insert(order.order_no.clone(), details);
    }

    fn verdict_of(&self, order: &Order) -> &'static str {
        let fleet = (0..gateway_simulator::invent::car::FLEET).map(|nth| gateway_simulator::invent::car::car(1, nth));
        match fleet.into_iter().find(|car| car.plate_no == order.plate_no.replace('·', "")) {
            None => "not_found",
            Some(car) if car.company_name == order.company_name => "match",
            Some(_) => "mismatch",
        }
    }

    fn addresses(&self, order: &Order) -> String {
        if order.is_secret == "1" || order.is_anonymous == "1" {
            return String::new();
        }
        let address = |reference: &str| format!("{}/attachments/{}", self.gateway_url, name_of(reference));
        references(&order.pictures).into_iter().map(address).collect::<Vec<_>>().join(",")
    }

    async fn dispatch(&self, order: &Order, key: &str, pictures: String) {
        let mut told = json!({"createTime": order.create_time, "orderType": "03"});
        if !pictures.is_empty() {
            told["pictures"] = pictures.into();
        }
        assert_eq!(self.there.operate(&number_there(order), "dispatch", key, told).await.0, 0);
    }

    async fn verdict(&self) -> Verdict {
        judge_details(self.judge.clone()).await.expect("a verdict")
    }

    async fn wrong(&self) -> Vec<(String, String)> {
        self.verdict().await.mismatches.into_iter().map(|one| (one.number, one.kind)).collect()
    }

    /// Changes what is said of an order, looks, and takes it back.
    async fn with(&self, order: &Order, change: impl FnOnce(&mut Value)) -> Vec<(String, String)> {
        let number = order.order_no.clone();
        let right = self.gateway.details.lock().expect("lock")[&number].clone();
        let mut wrong = right.clone();
        change(&mut wrong);
        self.gateway.details.lock().expect("lock").insert(number.clone(), wrong);
        let seen = self.wrong().await;
        self.gateway.details.lock().expect("lock").insert(number, right);
        seen
    }
}

fn hex_of(bytes: &[u8]) -> String {
    gateway_simulator::picture::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An attachment's id; one as good as another.
fn id_of(order: &Order, reference: &str) -> String {
    hex_of(format!("{} {reference}", order.order_no).as_bytes())[..32].to_owned()
}

/// A name in an address, without signs that need escaping.
fn name_of(reference: &str) -> String {
    hex_of(reference.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_thing_wrong_with_pictures_or_cars_is_seen() {
    let world = World::start().await;
    let verdict = world.verdict().await;
    assert!(verdict.balanced, "{:?}", verdict.mismatches);
    let balance = &verdict.attachments[CHANNEL];
    let orders = world.front.orders();
    assert!(balance.kept > 10 && balance.lost > 0, "{balance:?}");
    assert_eq!(balance.references, balance.kept + balance.lost);
    assert!(balance.passed_on > 10, "{balance:?}");
    assert_eq!(verdict.verified.values().sum::<u64>(), orders.len() as u64);

    let lost = |order: &&Order| references(&order.pictures).iter().any(|reference| world.files[*reference].1);
    let hidden = |order: &&Order| order.is_secret == "1" || order.is_anonymous == "1";
    let whole = orders.iter().find(|order| !lost(order) && !hidden(order)).expect("an order with its picture");
    let torn = orders.iter().find(lost).expect("an order without its picture");
    let one = |order: &Order, kind: &str| vec![(order.order_no.clone(), kind.to_owned())];

    let other = hex_of(b"other bytes");
    assert_eq!(
        world.with(whole, |said| said["attachments"][0]["sha256"] = other.into()).await,
        one(whole, "attachment_differs")
    );
    assert_eq!(
        world.with(whole, |said| said["attachments"][0]["state"] = "owed".into()).await,
        one(whole, "attachment_not_kept")
    );
    assert_eq!(world.with(whole, |said| said["attachments"] = json!([])).await, one(whole, "attachment_not_known"));
    let further = json!({"channel": CHANNEL, "reference": "p/of-nobody.jpg", "state": "kept"});
    let more = |said: &mut Value| said["attachments"].as_array_mut().expect("a list").push(further);
    assert_eq!(world.with(whole, more).await, one(whole, "attachment_extra"));
    assert_eq!(
        world.with(torn, |said| said["attachments"][0]["state"] = "kept".into()).await,
        one(torn, "attachment_of_nothing")
    );
    let expected = format!("verdict_not_{}", world.verdict_of(whole));
    assert_eq!(
        world.with(whole, |said| said["verifications"][0]["verdict"] = "pending".into()).await,
        one(whole, &expected)
    );

    // Gaps: one that says of a kept picture that it is missing, and one that is not there.
    let right = world.gateway.gaps.lock().expect("lock").clone();
    let mut false_gap = right[0].clone();
    false_gap["id"] = json!("false");
    false_gap["detail"] = json!(format!("attachment {}", id_of(whole, references(&whole.pictures)[0])));
    world.gateway.gaps.lock().expect("lock").push(false_gap);
    assert_eq!(world.wrong().await, one(whole, "gap_open"));
    world.gateway.gaps.lock().expect("lock").retain(|gap| gap["id"] != "false" && gap["id"] != torn.order_no.as_str());
    assert_eq!(world.wrong().await, one(torn, "attachment_missing_not_told"));
    *world.gateway.gaps.lock().expect("lock") = right;

    // Addresses: other bytes, none, not whole, too few, and of an order whose pictures nobody may have.
    let name = name_of(references(&whole.pictures)[0]);
    let bytes =
        world.gateway.files.lock().expect("lock").insert(name.clone(), b"other bytes".to_vec()).expect("its bytes");
    let wrong = world.wrong().await;
    assert!(wrong.contains(&(whole.order_no.clone(), "address_gives_other_bytes".to_owned())), "{wrong:?}");
    world.gateway.files.lock().expect("lock").remove(&name);
    let wrong = world.wrong().await;
    assert!(wrong.contains(&(whole.order_no.clone(), "address_gives_nothing".to_owned())), "{wrong:?}");
    world.gateway.files.lock().expect("lock").insert(name, bytes);
    world.dispatch(whole, "a1", "/attachments/1".to_owned()).await;
    assert!(world.wrong().await.contains(&(whole.order_no.clone(), "address_not_whole".to_owned())));
    world.dispatch(whole, "a2", String::new()).await;
    assert_eq!(world.wrong().await, one(whole, "pictures_not_given"));
    world.dispatch(whole, "a3", world.addresses(whole)).await;
    assert_eq!(world.wrong().await, []);
    if let Some(order) = orders.iter().find(hidden) {
        world.dispatch(order, "a4", format!("{}/attachments/1", world.gateway_url)).await;
        assert_eq!(world.wrong().await, one(order, "pictures_not_granted"));
        world.dispatch(order, "a5", String::new()).await;
    }
    let mut without = world.judge.clone();
    without.attachments.as_mut().expect("options").granted.clear();
    let verdict = judge_details(without).await.expect("a verdict");
    assert!(verdict.mismatches.iter().all(|one| one.kind == "pictures_not_granted"), "{:?}", verdict.mismatches);
    assert!(!verdict.balanced && world.bureau.orders().len() == orders.len());
}
