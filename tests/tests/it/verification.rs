//! Scans from a taxi: a known car, one that differs, one that nobody knows, from the push to the verdict that people see.

use crate::gateway::{Gateway, Push, REQUEST_SECRET, record};
use crate::program::{program, run, wait_for};
use gateway_simulator::operating_data::{Car, CarFault, Driver, OperatingDataHandle};
use gateway_simulator::{OperatingDataOptions, start_operating_data};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TAXI: &str = r#"
[[channel]]
id = "taxi-qr"
kind = "taxi-qr"
base_url = "http://127.0.0.1:9"
app_id = "transport-bureau"
request_secret_file = "secrets/request.secret"
webhook_secret_files = ["secrets/webhook.secret"]
verification = true
"#;

fn scan(number: &str, plate: &str, company: &str) -> Value {
    let mut record = record(number);
    record["plateNo"] = plate.into();
    record["companyName"] = company.into();
    record["driverName"] = "测试乙".into();
    record["driverLicence"] = "0000000000000000001".into();
    record
}

async fn verdict(gateway: &Gateway, number: &str, expected: &str) -> Value {
    wait_for(&format!("{number} {expected}"), Duration::from_secs(60), async || {
        let orders = gateway.api("/api/v1/orders").await;
        let orders = orders["orders"].as_array()?;
        let id = orders.iter().find(|order| order["numbers"][0]["number"] == number)?["id"].as_str()?.to_owned();
        let order = gateway.api(&format!("/api/v1/orders/{id}")).await;
        let verification = order["verifications"][0].clone();
        (verification["verdict"] == expected).then_some(verification)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_is_followed_to_its_verdict() {
    let mut gateway = Gateway::prepare(TAXI).await;
    let file = gateway.scratch("vehicles.csv");
    let path = file.to_str().expect("a path in UTF-8").to_owned();
    std::fs::write(&file, "车牌号,经营企业\n粤Ａ·D12345,甲公司\n没有,甲公司\n粤A1,乙公司\n").expect("written");
    let import: &[&str] = &["import", "registry", &path, "--kind", "vehicles"];
    // All mistakes at once, and nothing half done; without a running gateway too.
    let (code, out, err) = gateway.command(import);
    assert_ne!(code, 0, "{out}{err}");
    assert!(out.contains("\n3 ") && out.contains("\n4 "), "{out}{err}");
    std::fs::write(&file, "车牌号,经营企业\n粤Ａ·D12345,甲公司\n").expect("written");
    assert_eq!(gateway.json(import)["added"], 1);
    assert_eq!(gateway.json(import)["unchanged"], 1);

    gateway.launch(std::process::Command::new(crate::program::program())).await;
    let scans = [
        scan("QR1", "粤a•d12345", "甲公司"),
        scan("QR2", "粤AD12345", "丙公司"),
        scan("QR3", "粤A99999", "甲公司"),
        scan("QR4", "没看清", "甲公司"),
    ];
    let answer = gateway.push_to("taxi-qr", &Push::records("p1", &scans)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    verdict(&gateway, "QR1", "match").await;
    let wrong = verdict(&gateway, "QR2", "mismatch").await;
    assert_eq!(wrong["mismatches"], json!([{"field": "operator_company", "stated": "丙公司", "registered": "甲公司"}]));
    let unknown = verdict(&gateway, "QR3", "not_found").await;
    assert_eq!(unknown["unregistered"], json!(["plate"]));
    verdict(&gateway, "QR4", "not_checkable").await;

    // A registry that knows more judges the open order again.
    std::fs::write(&file, "plate,company\n粤A99999,甲公司\n").expect("written");
    assert_eq!(gateway.json(import)["added"], 1);
    verdict(&gateway, "QR3", "match").await;

    let (code, shown, err) = gateway.command(&["order", "show", "QR2"]);
    assert_eq!(code, 0, "{err}");
    assert!(shown.contains("核查 verification") && shown.contains("不一致 mismatch"), "{shown}");
    assert!(!shown.contains("测试乙") && !shown.contains("0000000000000000001"), "{shown}");
    let (code, trace, err) = gateway.command(&["trace", "QR2"]);
    assert_eq!(code, 0, "{err}");
    assert!(trace.contains("核查 taxi-qr 不一致"), "{trace}");
    gateway.stop().await;
}

/// The service of a directory, at the address that it has had there before.
async fn service(dir: &Path) -> OperatingDataHandle {
    let options = OperatingDataOptions { cars: 0, ..OperatingDataOptions::new(dir, REQUEST_SECRET) };
    let service = start_operating_data(options).await.expect("the service starts");
    service.put(Car {
        plate_no: "粤AD12345".to_owned(),
        plate_color: "94".to_owned(),
        company_name: "甲公司".to_owned(),
        drivers: vec![Driver { driver_licence: "0000000000000000001".to_owned(), driver_name: "测试乙".to_owned() }],
        trips: Vec::new(),
    });
    service
}

async fn end(service: OperatingDataHandle) {
    service.shutdown().cancel();
    service.ended().await.expect("a clean end");
}

/// How a scan's question stands, once it says what is waited for.
async fn asked(gateway: &Gateway, number: &str, what: &str, says: impl Fn(&Value) -> bool) -> Value {
    wait_for(&format!("{number} {what}"), Duration::from_secs(60), async || {
        let verification = verification(gateway, number).await?;
        says(&verification["looked_up"]).then_some(verification)
    })
    .await
}

async fn verification(gateway: &Gateway, number: &str) -> Option<Value> {
    let orders = gateway.api("/api/v1/orders").await;
    let orders = orders["orders"].as_array()?.clone();
    let id = orders.iter().find(|order| order["numbers"][0]["number"] == number)?["id"].as_str()?.to_owned();
    let order = gateway.api(&format!("/api/v1/orders/{id}")).await;
    Some(order["verifications"].as_array()?.first()?.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_is_verified_by_the_operating_data_service_whatever_befalls_it() {
    let scratch = crate::program::Scratch::new();
    let at = scratch.path("operating-data");
    let first = service(&at).await;
    let url = first.url();
    let config = format!(
        r#"{TAXI}
[operating_data]
base_url = "{url}"
app_id = "transport-bureau"
profile = "operating-data.toml"
request_secret_file = "secrets/request.secret"
retry = {{ min_ms = 50, max_ms = 400, factor = 2.0, jitter = false }}
"#
    );
    let mut gateway = Gateway::prepare_in(scratch, &config).await;
    // Impatient, so that a service that hangs is found to hang soon.
    let shipped = shipped_profile().replace("request_timeout_ms = 5000", "request_timeout_ms = 500");
    std::fs::write(gateway.dir.join("operating-data.toml"), shipped).expect("written");
    let secret = gateway.dir.join("secrets/request.secret");
    let (profile, secret) = (gateway.dir.join("operating-data.toml"), secret.to_str().expect("UTF-8").to_owned());
    let profile = profile.to_str().expect("UTF-8").to_owned();
    let tried = |plate: &'static str| {
        let mut command = Command::new(program());
        command.args(["profile", "try", &profile, "--base-url", &url, "--app-id", "transport-bureau"]);
        let output = command.args(["--secret-file", &secret, "--plate", plate, "--json"]).output().expect("it runs");
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.success(), said)
    };
    let (well, said) = tried("粤A·D12345");
    assert!(well && said["ok"] == true, "{said}");
    assert!(said["steps"][1]["text"].as_str().is_some_and(|text| text.contains("甲公司")), "{said}");
    let (well, said) = tried("粤A99999");
    assert!(!well, "{said}");
    let (code, out, err) = run(&["profile", "check", &profile]);
    assert!(code == 0 && out.contains("operating-data default"), "{out}{err}");

    // Nobody is there: the scans are taken at once, and wait with their reason.
    end(first).await;
    gateway.launch(Command::new(program())).await;
    let scans = [scan("QR1", "粤a•d12345", "甲公司"), scan("QR2", "粤AD12345", "丙公司")];
    let answer = gateway.push_to("taxi-qr", &Push::records("p1", &scans)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let waits = asked(&gateway, "QR1", "was asked about in vain", |asked| asked["error"] == "unavailable").await;
    assert_eq!((&waits["verdict"], &waits["compared"]), (&json!("pending"), &json!([])));
    assert!(waits["looked_up"]["next_at"].is_string(), "{waits}");
    let registry = gateway.api("/api/v1/registry").await;
    assert_eq!(registry["pending"][0]["orders"], 2, "{registry}");
    let (code, trace, err) = gateway.command(&["trace", "QR1"]);
    assert!(code == 0 && trace.contains("尚未核查") && trace.contains("unavailable"), "{trace}{err}");

    // What is owed survives the end of the process.
    gateway.kill();
    gateway.launch(Command::new(program())).await;
    verdict(&gateway, "QR1", "pending").await;
    let back = service(&at).await;
    assert_eq!(back.url(), url, "it is where it was");
    let found = verdict(&gateway, "QR1", "match").await;
    assert_eq!(found["looked_up"]["kinds"], json!(["vehicles", "drivers"]));
    assert!(found["compared"].as_array().is_some_and(|compared| compared.contains(&json!("driver_name"))), "{found}");
    let wrong = verdict(&gateway, "QR2", "mismatch").await;
    assert_eq!(
        wrong["mismatches"][0],
        json!({"field": "operator_company", "stated": "丙公司", "registered": "甲公司"})
    );
    assert!(!found.to_string().contains("测试乙") && !gateway.log().contains("0000000000000000001"));

    // A car that it does not know is an answer; answers that are none are asked for again, and settle once it is well.
    let unknown = [scan("QR3", "粤A99999", "甲公司")];
    gateway.push_to("taxi-qr", &Push::records("p2", &unknown)).await;
    verdict(&gateway, "QR3", "not_found").await;
    let faults = [
        (CarFault::Slow, "unavailable"),
        (CarFault::Unavailable, "unavailable"),
        (CarFault::Throttled, "throttled"),
        (CarFault::Refused, "unauthorized"),
        (CarFault::Other, "undecodable"),
        (CarFault::Torn, "undecodable"),
    ];
    for (nth, (fault, code)) in faults.into_iter().enumerate() {
        back.force(Some(fault));
        let number = format!("QR1{nth}");
        let push = Push::records(&format!("f{nth}"), &[scan(&number, "粤AD12345", "甲公司")]);
        let answer = gateway.push_to("taxi-qr", &push).await;
        assert_eq!(answer.status, 200, "{fault:?} {answer:?}");
        let waits = asked(&gateway, &number, code, |asked| asked["error"] == code).await;
        assert_eq!(waits["verdict"], "pending", "{fault:?}");
        back.force(None);
        verdict(&gateway, &number, "match").await;
    }

    // An import goes before the service.
    let file = gateway.scratch("vehicles.csv");
    std::fs::write(&file, "plate,company\n粤AD12345,丙公司\n").expect("written");
    let path = file.to_str().expect("a path in UTF-8").to_owned();
    assert_eq!(gateway.json(&["import", "registry", &path, "--kind", "vehicles"])["added"], 1);
    let judged = verdict(&gateway, "QR1", "mismatch").await;
    assert_eq!(judged["mismatches"][0]["registered"], "丙公司");

    let before = back.questions();
    assert_eq!(before.unsigned, 0, "{before:?}");
    gateway.stop().await;
    end(back).await;
}

/// The profile that is shipped, as text.
fn shipped_profile() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/gateway-connector/profiles/operating-data.toml");
    std::fs::read_to_string(file).expect("the shipped profile")
}
