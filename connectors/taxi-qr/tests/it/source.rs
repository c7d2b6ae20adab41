//! Reading over HTTP: what is asked, what comes back, and what damage does. Completeness under drift is the conformance suite's matter.

use crate::fake::{Fake, at};
use connector_taxi_qr::KIND;
use gateway_connector::Connector;
use gateway_connector::conformance::ChannelUnderTest;
use gateway_connector::wire::ProfileSource;
use gateway_model::{Dataset, Window};

#[tokio::test]
async fn polling_asks_in_the_wire_format() {
    let fake = Fake::start().await;
    fake.fill(2, 1);
    let source = fake.connector().source().unwrap();
    let page = source.poll(Some(at("2026-11-23T08:00:00.900+08:00")), None, 5_000).await.unwrap();
    assert_eq!((page.records.len(), page.next), (2, None));
    assert_eq!(page.read_at, fake.now());
    assert_eq!(page.datasets.len(), 4);
    let target = fake.book().requests[0].1.clone();
    assert_eq!(target, "/gateway/orders?updatedFrom=2026-11-23%2008%3A00%3A00&page=1&pageSize=200");
}

#[tokio::test]
async fn windows_are_asked_wide_enough() {
    let fake = Fake::start().await;
    fake.fill(450, 1);
    let source = fake.connector().source().unwrap();
    let window = Window::new(at("2026-11-23T08:00:00.500+08:00"), at("2026-11-23T09:00:00.500+08:00"));
    let (mut count, mut cursor) = (0, None);
    loop {
        let page = source.fetch_window(Dataset::Completion, window, cursor.as_ref()).await.unwrap();
        count += page.records.len();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((count, fake.book().requests.len()), (450, 3));
    let target = fake.book().requests[1].1.clone();
    assert_eq!(
        target,
        "/gateway/orders?dataset=completion&eventFrom=2026-11-23%2008%3A00%3A00&eventTo=2026-11-23%2009%3A00%3A01&page=2&pageSize=200"
    );
    assert!(source.fetch_window(Dataset::Knowledge, window, None).await.is_err_and(|error| !error.is_transient()));
}

#[tokio::test]
async fn one_bad_record_does_not_spoil_the_page() {
    let fake = Fake::start().await;
    let records = r#"[{"orderNo":"G1","updateTime":"2026-11-23 08:00:00"}, "kaputt", {"updateTime":"?"}]"#;
    fake.book().canned = Some(format!(r#"{{"code":0,"data":{{"total":3,"records":{records}}}}}"#).into_bytes());
    let page = fake.connector().source().unwrap().poll(None, None, 200).await.unwrap();
    let bodies: Vec<_> = page.records.iter().map(|record| std::str::from_utf8(&record.body).unwrap()).collect();
    assert_eq!(
        bodies,
        [r#"{"orderNo":"G1","updateTime":"2026-11-23 08:00:00"}"#, "\"kaputt\"", r#"{"updateTime":"?"}"#]
    );
    assert_eq!(page.records.iter().filter(|record| record.undecodable.is_some()).count(), 1);
}

#[tokio::test]
async fn what_is_no_answer_is_undecodable() {
    let fake = Fake::start().await;
    for body in ["", "<html>", "{}", r#"{"code":0}"#, r#"{"code":0,"data":{"records":{}}}"#, r#"{"code":0,"data":{}}"#]
    {
        fake.book().canned = Some(body.as_bytes().to_vec());
        let error = fake.connector().source().unwrap().poll(None, None, 200).await.unwrap_err();
        assert_eq!(error.code(), "undecodable", "{body}");
    }
}

#[tokio::test]
async fn business_codes_inside_200_are_errors() {
    let fake = Fake::start().await;
    for (code, class) in
        [("1004", "business"), ("429", "throttled"), ("401", "unauthorized"), ("\"0\"", "business"), ("7", "business")]
    {
        fake.book().canned = Some(format!(r#"{{"code":{code},"message":"x","data":{{"records":[]}}}}"#).into_bytes());
        let error = fake.connector().source().unwrap().poll(None, None, 200).await.unwrap_err();
        assert_eq!(error.code(), class, "{code}");
    }
}

#[tokio::test]
async fn an_sm3_platform_is_another_profile() {
    let text = KIND.default_profile.replace("\"hmac-sha256\"", "\"hmac-sm3\"");
    let fake = Fake::start_with(ProfileSource::Text(text)).await;
    assert!(fake.connector.check_connectivity().await.is_ok());
    let connector: &dyn Connector = fake.connector.as_ref();
    assert_eq!(connector.descriptor().kind, "taxi-qr");
}
