//! What is invented is of one piece: texts speak of one car, and scans are made in the fleet that the operating-data service knows.

use gateway_simulator::invent;
use gateway_simulator::{OperatingDataOptions, start_operating_data};
use serde_json::Value;

const NOW_MS: i64 = 1_795_000_000_000;

fn plates(text: &str) -> Vec<String> {
    let plate =
        |at: usize| text[at..].chars().take_while(|sign| *sign == '粤' || sign.is_ascii_alphanumeric()).collect();
    text.match_indices('粤').map(|(at, _)| plate(at)).collect()
}

#[test]
fn a_text_does_not_contradict_itself() {
    let mut told = 0;
    for nth in 0..500 {
        let orders = [
            invent::order(7, format!("GZ{nth}"), NOW_MS),
            invent::letter(7, format!("WX{nth}"), NOW_MS),
            invent::scan(7, format!("QR{nth}"), NOW_MS),
            invent::taxi_letter(7, format!("TW{nth}"), NOW_MS),
        ];
        for order in orders {
            let mut named = plates(&format!("{} {}", order.title, order.content));
            named.extend((!order.plate_no.is_empty()).then(|| order.plate_no.replace('·', "")));
            told += usize::from(named.len() > 1);
            named.dedup();
            assert!(named.len() <= 1, "{} {} {}", order.title, order.content, order.plate_no);
            let lines =
                |text: &str| text.split("路公交车").next().map(str::to_owned).filter(|_| text.contains("路公交车"));
            if let (Some(title), true) = (lines(&order.title), order.title.contains("甩站")) {
                assert!(order.content.contains(&format!("{title}路公交车")), "{} {}", order.title, order.content);
            }
        }
    }
    assert!(told > 500, "{told}");
}

#[tokio::test]
async fn nearly_every_scan_is_in_a_car_of_the_service() {
    let dir = tempfile::tempdir().expect("dir");
    let options = OperatingDataOptions { seed: 11, ..OperatingDataOptions::new(dir.path(), "secret") };
    let service = start_operating_data(options).await.expect("service");
    let client = gateway_simulator::http::client(std::time::Duration::from_secs(10)).expect("client");
    let cars = gateway_simulator::http::get(&client, &service.url(), "/sim/cars", &service.token).await.expect("cars");
    let cars = cars["cars"].as_array().expect("cars").clone();
    assert_eq!(cars.len(), invent::car::FLEET, "no plate twice");
    let (mut match_, mut mismatch, mut not_found) = (0, 0, 0);
    for nth in 0..600 {
        let scan = invent::scan(11, format!("QR{nth:06}"), NOW_MS);
        let plate = scan.plate_no.replace('·', "");
        let company = |car: &Value| car["companyName"] == scan.company_name.as_str();
        match cars.iter().find(|car| car["plateNo"] == plate.as_str()) {
            Some(car) if company(car) => match_ += 1,
            Some(_) => mismatch += 1,
            None => not_found += 1,
        }
    }
    assert!(match_ > 450 && mismatch > 10 && not_found > 10, "{match_} {mismatch} {not_found}");
    // Another seed has another fleet.
    assert_ne!(invent::car::car(11, 5), invent::car::car(12, 5));
}
