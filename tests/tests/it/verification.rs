//! Scans from a taxi: a known car, one that differs, one that nobody knows, from the push to the verdict that people see.

use crate::gateway::{Gateway, Push, record};
use crate::program::wait_for;
use serde_json::{Value, json};
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
    assert!(shown.contains("verification 核查") && shown.contains("mismatch"), "{shown}");
    assert!(!shown.contains("测试乙") && !shown.contains("0000000000000000001"), "{shown}");
    let (code, trace, err) = gateway.command(&["trace", "QR2"]);
    assert_eq!(code, 0, "{err}");
    assert!(trace.contains("核查 taxi-qr 不一致"), "{trace}");
    gateway.stop().await;
}
