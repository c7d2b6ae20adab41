//! Asking an operating-data service over a real socket: its answers as fixtures, what is refused, and what a person's number may not do.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Response;
use gateway_connector::profile::OperatingDataProfile;
use gateway_connector::wire::{DriverAsked, OperatingData};
use gateway_connector::{Credentials, RequestError, Secret};
use gateway_model::{
    Field, PersonKey, RegistryEntry, RegistryFacts, RegistryKind, RegistryLookup, SystemClock, parse_moment,
};
use std::sync::{Arc, Mutex};

/// An XML dress with other names, words for colours, and a list of one.
const XML: &str = include_str!("../data/operating-data-xml.toml");

fn key() -> PersonKey {
    PersonKey::of_installation(&[7; 32])
}

fn credentials() -> Credentials {
    Credentials { app_id: "app".to_owned(), request_secret: Secret::new("s"), webhook_secrets: Vec::new() }
}

fn service(base: &str, profile: &str) -> OperatingData {
    OperatingData::new(profile, base, credentials(), Arc::new(SystemClock)).unwrap()
}

fn ms(text: &str) -> i64 {
    parse_moment(text).unwrap().start().as_millisecond()
}

fn driver(licence: &str) -> DriverAsked {
    DriverAsked { licence: licence.to_owned(), hash: key().hash(Field::DriverLicence, licence).unwrap() }
}

fn lookup(kind: RegistryKind, key: &str) -> RegistryLookup {
    RegistryLookup { kind, key: key.to_owned(), from_ms: 0, until_ms: 0 }
}

type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Answers everything alike; the targets and bodies of the questions are kept.
async fn answering(status: u16, body: &'static str) -> (String, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let router = Router::new().fallback(move |request: Request| async move {
        let target = request.uri().path_and_query().unwrap().as_str().to_owned();
        let asked = to_bytes(request.into_body(), 1 << 20).await.unwrap();
        noted.lock().unwrap().push((target, String::from_utf8(asked.to_vec()).unwrap()));
        Response::builder().status(status).body(Body::from(body)).unwrap()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), seen)
}

async fn vehicle(status: u16, body: &'static str) -> Result<Option<RegistryEntry>, RequestError> {
    let (base, _) = answering(status, body).await;
    service(&base, OperatingDataProfile::DEFAULT).vehicle("粤AD12345").await
}

fn car(colour: Option<&str>, company: Option<&str>) -> RegistryEntry {
    let facts = RegistryFacts {
        plate_colour: colour.map(ToOwned::to_owned),
        company: company.map(ToOwned::to_owned),
        ..RegistryFacts::default()
    };
    RegistryEntry { kind: RegistryKind::Vehicles, key: "粤AD12345".to_owned(), from_ms: 0, until_ms: 0, facts }
}

#[tokio::test]
async fn a_car_is_what_the_answer_says() {
    let (base, seen) = answering(200, include_str!("../data/operating-vehicle.json")).await;
    let found = service(&base, OperatingDataProfile::DEFAULT).vehicle("粤AD12345").await.unwrap();
    assert_eq!(found, Some(car(Some("gradient_green"), Some("甲出租汽车有限公司"))));
    assert_eq!(seen.lock().unwrap()[0].0, "/operating/vehicles?plateNo=%E7%B2%A4AD12345");
    // A colour that the profile does not know is not compared.
    let unknown = r#"{"code":0,"data":[{"plateNo":"粤ad·12345","plateColor":77,"companyName":" "}]}"#;
    assert_eq!(vehicle(200, unknown).await.unwrap(), Some(car(None, None)));
}

#[tokio::test]
async fn there_is_none_is_an_answer_and_trouble_is_not() {
    for body in [r#"{"code":1002,"message":"查无此车"}"#, r#"{"code":0,"data":null}"#, r#"{"code":0,"data":[]}"#] {
        assert_eq!(vehicle(200, body).await.unwrap(), None, "{body}");
    }
    assert_eq!(vehicle(404, "").await.unwrap(), None, "the profile names http_404");
    let code = |answer: Result<Option<RegistryEntry>, RequestError>| answer.unwrap_err().code();
    assert_eq!(code(vehicle(503, "").await), "unavailable");
    assert_eq!(code(vehicle(429, "").await), "throttled");
    assert_eq!(code(vehicle(401, "").await), "unauthorized");
    assert_eq!(code(vehicle(200, r#"{"code":401}"#).await), "unauthorized");
    assert_eq!(code(vehicle(200, r#"{"code":5000,"message":"busy"}"#).await), "business");
    for hostile in [
        "",
        "<html>",
        r#"{"code":0,"data":{"plateNo":"粤AD12346"}}"#,
        r#"{"code":0,"data":{"companyName":"甲"}}"#,
        r#"{"code":0,"data":{"plateNo":{"a":1}}}"#,
        r#"{"code":0,"data":[{"plateNo":"粤AD12345"},{"plateNo":"粤AD12345"}]}"#,
        r#"{"code":0,"data":"粤AD12345"}"#,
    ] {
        assert_eq!(code(vehicle(200, hostile).await), "undecodable", "{hostile}");
    }
    let long = format!(r#"{{"code":0,"data":{{"plateNo":"粤AD12345","companyName":"{}"}}}}"#, "x".repeat(513));
    assert_eq!(code(vehicle(200, long.leak()).await), "undecodable");
}

#[tokio::test]
async fn of_a_driver_only_hashes_come_back_and_the_number_is_in_no_address() {
    let (base, seen) = answering(200, include_str!("../data/operating-driver.json")).await;
    let service = service(&base, OperatingDataProfile::DEFAULT);
    let asked = driver("0000000000000000001");
    let lookup = lookup(RegistryKind::Drivers, asked.hash.as_str());
    let found = service.look_up(&lookup, Some(&asked), &key()).await.unwrap();
    assert_eq!(found[0].facts.driver_name, key().hash(Field::DriverName, "测试乙"));
    let kept = serde_json::to_string(&found).unwrap();
    assert!(!kept.contains("测试乙") && !kept.contains("0000000000000000001"), "{kept}");
    assert!(!format!("{asked:?}").contains("0000000000000000001"));
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].0, "/operating/drivers");
        assert!(seen[0].1.contains("0000000000000000001"), "{}", seen[0].1);
    }
    assert!(service.look_up(&lookup, None, &key()).await.unwrap().is_empty(), "nobody to ask for");
    let another = driver("0000000000000000002");
    let error = service.look_up(&lookup, Some(&another), &key()).await.unwrap_err();
    assert_eq!(error.code(), "undecodable", "it is about somebody else");
}

#[tokio::test]
async fn trips_are_kept_to_their_car_and_time() {
    let (base, seen) = answering(200, include_str!("../data/operating-trips.json")).await;
    let service = service(&base, OperatingDataProfile::DEFAULT);
    let lookup = RegistryLookup {
        from_ms: ms("2026-11-22T20:00:00+08:00"),
        until_ms: ms("2026-11-22T21:00:00+08:00"),
        ..lookup(RegistryKind::Trips, "粤AD12345")
    };
    let found = service.look_up(&lookup, None, &key()).await.unwrap();
    assert_eq!((found.len(), found[0].from_ms), (1, ms("2026-11-22T20:40:00+08:00")));
    assert_eq!(found[0].facts.driver_licence, key().hash(Field::DriverLicence, "0000000000000000001"));
    assert!(seen.lock().unwrap()[0].0.ends_with("from=2026-11-22%2020%3A00%3A00&to=2026-11-22%2021%3A00%3A00"));
    for hostile in [
        r#"{"code":0,"data":{}}"#,
        r#"{"code":0,"data":{"trips":[{"plateNo":"粤AD12346","tripFrom":"2026-11-22 20:40:00","tripTo":"2026-11-22 20:50:00"}]}}"#,
        r#"{"code":0,"data":{"trips":[{"plateNo":"粤AD12345","tripFrom":"gestern","tripTo":"2026-11-22 20:50:00"}]}}"#,
        r#"{"code":0,"data":{"trips":[{"plateNo":"粤AD12345","tripFrom":"2026-11-22 20:40:00","tripTo":"2026-11-22 20:30:00"}]}}"#,
    ] {
        let (base, _) = answering(200, hostile).await;
        let service = self::service(&base, OperatingDataProfile::DEFAULT);
        assert_eq!(service.look_up(&lookup, None, &key()).await.unwrap_err().code(), "undecodable", "{hostile}");
    }
}

#[tokio::test]
async fn another_dress_is_met_by_a_profile_alone() {
    let (base, seen) = answering(200, include_str!("../data/operating-vehicle.xml")).await;
    let service = service(&base, XML);
    assert_eq!(service.kinds().into_iter().collect::<Vec<_>>(), [RegistryKind::Vehicles]);
    let found = service.vehicle("粤AD12345").await.unwrap();
    assert_eq!(found, Some(car(Some("green"), Some("甲出租汽车有限公司"))));
    assert!(seen.lock().unwrap()[0].1.contains("<hphm>粤AD12345</hphm>"), "{seen:?}");
    assert!(service.look_up(&lookup(RegistryKind::Trips, "粤AD12345"), None, &key()).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_is_not_there_was_not_asked() {
    let service = service("http://127.0.0.1:9", OperatingDataProfile::DEFAULT);
    let error = service.check().await.unwrap_err();
    assert!(matches!(error, RequestError::Unavailable { not_sent: true, .. }), "{error:?}");
}

#[test]
fn all_mistakes_of_a_profile_are_told_at_once() {
    assert!(OperatingDataProfile::is_meant(OperatingDataProfile::DEFAULT));
    assert!(!OperatingDataProfile::is_meant(crate::PROFILE) && !OperatingDataProfile::is_meant("[identity"));
    let wrong = OperatingDataProfile::DEFAULT
        .replace("method = \"POST\"", "method = \"GET\"")
        .replace("94 = \"gradient_green\"", "94 = \"lila\"")
        .replace("plate = \"plateNo\"                   # needed", "plate = \"\" # needed")
        .replace("records = \"trips\"", "recods = \"trips\"");
    let errors = OperatingDataProfile::parse(&wrong).unwrap_err();
    let paths: Vec<_> = errors.0.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(paths, ["colours.94", "driver.parameters", "trips.recods", "vehicle.fields.plate"]);
    let credentials = Credentials { app_id: String::new(), ..credentials() };
    let errors = OperatingData::new(OperatingDataProfile::DEFAULT, "ftp://x", credentials, Arc::new(SystemClock));
    let paths: Vec<_> = errors.unwrap_err().0.into_iter().map(|mistake| mistake.path).collect();
    assert_eq!(paths, ["credentials.app_id", "base_url"]);
}
