//! Attachments 附件 from end to end: pictures that citizens added to their orders, fetched from simulated platforms with books of their own, kept by their
//! bytes, passed on by address to whom a rule grants them, and told as a gap where the platform lost them; whatever befalls the way, and the process.

use crate::gateway::{APP, Gateway, REQUEST_SECRET, WEBHOOK_SECRET};
use crate::program::{Scratch, program, together, wait_for};
use gateway_simulator::faults::FaultKind;
use gateway_simulator::picture::{digest, references};
use gateway_simulator::{
    AttachmentOptions, ControlPoint, FaultPlan, JudgeOptions, Party, PlatformHandle, PlatformKind, PlatformOptions,
    Verdict, http, judge_details, start_platform,
};
use reqwest::Client;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
/// What befalls files, each at least once.
const FAULTS: [FaultKind; 6] = [
    FaultKind::LateFile,
    FaultKind::LostFile,
    FaultKind::FileError,
    FaultKind::TornFile,
    FaultKind::DeniedFile,
    FaultKind::PageForFile,
];

/// A gateway between two platforms where citizens write, and the bureau, which is granted the pictures of the first.
struct World {
    gateway: Gateway,
    public: String,
    scans: PlatformHandle,
    website: PlatformHandle,
    bureau: PlatformHandle,
    client: Client,
}

async fn platform(scratch: &Scratch, name: &str, change: impl FnOnce(&mut PlatformOptions)) -> PlatformHandle {
    let mut options = PlatformOptions::new(scratch.path(name), REQUEST_SECRET, WEBHOOK_SECRET);
    options.seconds = Some(0);
    change(&mut options);
    start_platform(options).await.expect("the platform starts")
}

impl World {
    async fn start() -> Self {
        let scratch = Scratch::new();
        let dir = scratch.path("gateway");
        let bureau = platform(&scratch, "bureau", |options| options.kind = PlatformKind::Bureau).await;
        let scans = platform(&scratch, "taxi-qr", |options| {
            options.kind = PlatformKind::TaxiQr;
            options.channel = "taxi-qr".to_owned();
            options.gateway_address_file = Some(dir.join("public.address"));
            options.faults = FaultPlan::Kinds(FAULTS.to_vec());
            (options.seconds, options.orders, options.rate) = (None, Some(100), 5.0);
        })
        .await;
        let website = platform(&scratch, "website", |options| {
            options.kind = PlatformKind::Web;
            options.channel = "website".to_owned();
            (options.seconds, options.orders, options.rate) = (None, Some(10), 5.0);
        })
        .await;
        // Asked for now, so that the addresses given out are right from the first.
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("an address");
        let (scans_url, website_url, bureau_url) = (scans.url(), website.url(), bureau.url());
        let more = format!(
            r#"
reconcile.policy.audit_every_ms = 500
reconcile.policy.attachment_allowance_ms = 4000
[attachments]
public_url = "http://{free}"
[attachments.fetch]
every_ms = 100
claim_ms = 3000
give_up_after_s = 3600
retry = {{ min_ms = 100, max_ms = 1000 }}
[delivery]
every_ms = 200
retry = {{ min_ms = 50, max_ms = 500 }}
[[channel]]
id = "taxi-qr"
kind = "taxi-qr"
base_url = "{scans_url}"
app_id = "{APP}"
request_secret_file = "secrets/request.secret"
webhook_secret_files = ["secrets/webhook.secret"]
[[channel]]
id = "website"
kind = "web-12328"
profile = "website"
base_url = "{website_url}"
app_id = "{APP}"
request_secret_file = "secrets/request.secret"
webhook_secret_files = ["secrets/webhook.secret"]
[[channel]]
id = "bureau"
kind = "bureau"
base_url = "{bureau_url}"
app_id = "{APP}"
request_secret_file = "secrets/request.secret"
webhook_secret_files = ["secrets/webhook.secret"]
[[route]]
from = "taxi-qr"
datasets = ["acceptance", "handling"]
to = "bureau"
person_fields = ["pictures"]
[[route]]
from = "website"
datasets = ["acceptance", "handling"]
to = "bureau"
"#
        );
        let gateway = Gateway::prepare_in(scratch, &more).await;
        let client = http::client(Duration::from_secs(20)).expect("a client");
        let mut world = Self { gateway, public: free.to_string(), scans, website, bureau, client };
        world.launch().await;
        world
    }

    async fn launch(&mut self) {
        let mut command = Command::new(program());
        command.env("GATEWAY_RECONCILE__ENABLED", "true").env("GATEWAY_API__PUBLIC_ADDRESS", &self.public);
        self.gateway.launch(command).await;
    }

    fn admin(&self) -> (String, String) {
        let read = |name: &str| std::fs::read_to_string(self.gateway.dir.join(name)).expect(name).trim().to_owned();
        (format!("http://{}", read("admin.address")), read("tokens/admin.token"))
    }

    /// The judge's word on every attachment, by the books of platforms and bureau.
    async fn verdict(&self) -> Option<Verdict> {
        let at = |handle: &PlatformHandle| ControlPoint { url: handle.url(), token: handle.token.clone() };
        let (gateway_url, token) = self.admin();
        let options = JudgeOptions {
            gateway_url,
            token,
            platform: at(&self.scans),
            desk: None,
            channel: "taxi-qr".to_owned(),
            fronts: vec![Party { channel: "website".to_owned(), platform: at(&self.website) }],
            bureau: Some(Party { channel: "bureau".to_owned(), platform: at(&self.bureau) }),
            forwards: None,
            attachments: Some(AttachmentOptions {
                channels: vec!["taxi-qr".to_owned(), "website".to_owned()],
                granted: vec!["taxi-qr".to_owned()],
            }),
            verification: None,
            dress: gateway_simulator::Dress::Default,
        };
        judge_details(options).await.ok()
    }

    async fn balanced(&self) -> Verdict {
        let mut last = String::new();
        let look = async || {
            let verdict = self.verdict().await?;
            let seen = format!("{:?}", verdict.mismatches.iter().take(5).collect::<Vec<_>>());
            if seen != last {
                println!("{} mismatches: {seen}", verdict.mismatch_count);
                last = seen;
            }
            verdict.balanced.then_some(verdict)
        };
        wait_for("every attachment kept, passed on or told", PATIENCE, look).await
    }

    /// The front's book of files by reference.
    async fn files(&self) -> BTreeMap<String, Value> {
        let book = http::get(&self.client, &self.scans.url(), "/sim/files", &self.scans.token).await.expect("its book");
        let files = book["files"].as_array().expect("files").iter();
        files.map(|file| (file["reference"].as_str().expect("a text").to_owned(), file.clone())).collect()
    }

    /// How often files were given out whole.
    async fn given_out(&self) -> u64 {
        self.files().await.values().filter_map(|file| file["answers"]["whole"].as_u64()).sum()
    }

    async fn get(&self, address: &str) -> (u16, Vec<u8>) {
        http::send_for_bytes("attachment", self.client.get(address)).await.expect("an answer")
    }
}

/// Each file in the attachment directory has the digest that is its name; how many there are.
fn whole_files(dir: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() {
            count += whole_files(&path);
        } else if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.len() == 64) {
            let bytes = std::fs::read(&path).expect("its bytes");
            let hex: String = digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(hex.as_str()));
            count += 1;
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn every_picture_is_kept_passed_on_or_told_whatever_befalls_it_and_the_process() {
    let _machine = together().await;
    let mut world = World::start().await;
    // Killed with files on their way, twice.
    for least in [5, 40] {
        wait_for("some pictures", PATIENCE, async || (world.given_out().await >= least).then_some(())).await;
        world.gateway.kill();
        world.launch().await;
    }
    wait_for("the end of life", PATIENCE, async || (world.scans.orders().len() == 100).then_some(())).await;
    let verdict = world.balanced().await;
    let injected =
        http::get(&world.client, &world.scans.url(), "/sim/faults", &world.scans.token).await.expect("faults");
    for kind in FAULTS {
        assert!(injected["injected"][kind.as_str()].as_u64() >= Some(1), "{}: {injected}", kind.as_str());
    }
    let scans = &verdict.attachments["taxi-qr"];
    assert!(scans.lost >= 1 && scans.kept >= 90, "{scans:?}");
    assert_eq!(scans.references, scans.kept + scans.lost);
    assert!(scans.passed_on >= 60, "{scans:?}");
    let website = &verdict.attachments["website"];
    assert_eq!((website.kept, website.passed_on), (website.references, 0), "nobody granted its pictures: {website:?}");
    assert!(website.references >= 10, "two an order");
    let gaps = world.gateway.api("/api/v1/gaps?limit=500").await;
    let open = gaps["gaps"].as_array().into_iter().flatten().filter(|gap| gap["kind"] == "attachment_missing");
    let open = open.filter(|gap| gap["state"] == "open").count() as u64;
    assert_eq!(open, scans.lost, "{gaps:#}");

    // Nobody got a picture of whoever wants to stay unknown, and there was one.
    let orders = world.scans.orders();
    let (hidden, shown): (Vec<_>, Vec<_>) =
        orders.iter().partition(|order| order.is_secret == "1" || order.is_anonymous == "1");
    let given: BTreeMap<String, String> =
        world.bureau.orders().into_iter().map(|order| (order.order_no.clone(), order.given_pictures)).collect();
    let given =
        |number: &str| given.iter().find(|(there, _)| there.ends_with(number)).map(|(_, pictures)| pictures.clone());
    assert!(!hidden.is_empty());
    assert!(hidden.iter().all(|order| given(&order.order_no).as_deref() == Some("")));

    // An address opens what it says, for whom it says, and nothing else.
    let files = world.files().await;
    let order =
        shown.iter().find(|order| files[references(&order.pictures)[0]]["state"] == "there").expect("a picture");
    let address = given(&order.order_no).expect("the bureau has it");
    let (status, bytes) = world.get(&address).await;
    let sha256: String = digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((status, &files[&order.pictures]["sha256"]), (200, &Value::from(sha256)));
    let id = address.split(['/', '?']).find(|part| part.len() == 32).expect("an id").to_owned();
    let other = orders.iter().find(|order| hidden.iter().any(|one| one.order_no == order.order_no)).expect("hidden");
    let secret = world.gateway.api(&format!("/api/v1/orders/{}?channel=taxi-qr&person=true", other.order_no)).await;
    let secret = secret["attachments"][0]["id"].as_str().expect("its attachment").to_owned();
    for wrong in [
        address.replace("to=bureau", "to=website"),
        address.replace(&id, &secret),
        address.replace("mac=", "mac=0"),
        address.replace("until=1", "until=2"),
    ] {
        assert_ne!(wrong, address);
        assert_eq!(world.get(&wrong).await.0, 403, "{wrong}");
    }

    // Kept is kept: started once more, nothing is fetched again, and everything is still there.
    let before = world.given_out().await;
    let kept = whole_files(&world.gateway.dir.join("attachments"));
    assert!(kept >= 90, "{kept}");
    world.gateway.stop().await;
    world.launch().await;
    world.balanced().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.given_out().await, before);
    assert_eq!(whole_files(&world.gateway.dir.join("attachments")), kept);
    assert_eq!(world.get(&address).await, (200, bytes));
    world.gateway.stop().await;
}
