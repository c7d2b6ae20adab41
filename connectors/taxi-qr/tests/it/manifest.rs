//! The platform's account: whole, or an error.

use crate::fake::{Fake, at};
use gateway_connector::RequestError;
use gateway_connector::conformance::ChannelUnderTest;
use gateway_model::{Dataset, Grain, Manifest, ManifestBody, Window};

fn day() -> Window {
    Window::new(at("2026-11-23"), at("2026-11-24"))
}

async fn ask(fake: &Fake, grain: Grain, data: &str) -> Result<Manifest, RequestError> {
    fake.book().canned = Some(format!(r#"{{"code":0,"message":"ok","data":{data}}}"#).into_bytes());
    fake.connector().manifest_source().unwrap().manifest(Dataset::Handling, day(), grain).await
}

#[tokio::test]
async fn buckets_and_items_are_read() {
    let fake = Fake::start().await;
    let sum = "ab".repeat(32);
    let data = format!(
        r#"{{"asOf":"2026-11-23 09:59:58","buckets":[{{"start":"2026-11-23 09:10:00","count":2,"sum":"{sum}"}},{{"start":"2026-11-23 09:00:00","count":"1","sum":"{sum}"}}]}}"#
    );
    let manifest = ask(&fake, Grain::TenMinutes, &data).await.unwrap();
    assert_eq!(manifest.as_of, at("2026-11-23T09:59:58+08:00"));
    assert_eq!(manifest.bytes, data.len() as u64 + 33);
    let ManifestBody::Buckets(buckets) = manifest.body else { panic!("no buckets") };
    let seen: Vec<_> = buckets.iter().map(|bucket| (bucket.start, bucket.count)).collect();
    assert_eq!(seen, [(at("2026-11-23T09:00:00+08:00"), 1), (at("2026-11-23T09:10:00+08:00"), 2)]);
    assert_eq!(
        fake.book().requests[0].1,
        "/gateway/manifest?dataset=handling&from=2026-11-23%2000%3A00%3A00&to=2026-11-24%2000%3A00%3A00&grain=tenMinutes"
    );

    let item =
        format!(r#"{{"orderNo":"G1","day":"2026-11-23","part":"e:d1-1","eventTime":"2026-11-23","digest":"{sum}"}}"#);
    let manifest =
        ask(&fake, Grain::Ids, &format!(r#"{{"asOf":"2026-11-23 10:00:00","items":[{item}]}}"#)).await.unwrap();
    let ManifestBody::Items(items) = manifest.body else { panic!("no items") };
    assert_eq!(
        (items.len(), items[0].key.part.to_string(), items[0].event_time.is_date_only()),
        (1, "e:d1-1".to_owned(), true)
    );
}

#[tokio::test]
async fn counts_without_sums_are_counts() {
    let fake = Fake::start().await;
    let data = r#"{"asOf":"2026-11-23 10:00:00","buckets":[{"start":"2026-11-23 00:00:00","count":7}]}"#;
    assert_eq!(ask(&fake, Grain::Day, data).await.unwrap().body, ManifestBody::Count(7));
}

#[tokio::test]
async fn a_total_is_one_bucket_that_begins_where_the_window_does() {
    let fake = Fake::start().await;
    let sum = "ab".repeat(32);
    let data = format!(
        r#"{{"asOf":"2026-11-23 09:59:58","buckets":[{{"start":"2026-11-23 00:00:00","count":9,"sum":"{sum}"}}]}}"#
    );
    let manifest = ask(&fake, Grain::Total, &data).await.unwrap();
    let ManifestBody::Buckets(buckets) = manifest.body else { panic!("no buckets") };
    assert_eq!((buckets.len(), buckets[0].start, buckets[0].count), (1, at("2026-11-23"), 9));
    assert!(fake.book().requests[0].1.ends_with("&grain=total"));
    let nothing = ask(&fake, Grain::Total, r#"{"asOf":"2026-11-23 09:59:58","buckets":[]}"#).await.unwrap();
    assert_eq!(nothing.body, ManifestBody::Buckets(Vec::new()));
}

#[tokio::test]
async fn half_an_account_is_none() {
    let fake = Fake::start().await;
    let sum = "ab".repeat(32);
    let bucket = |start: &str| format!(r#"{{"start":"{start}","count":1,"sum":"{sum}"}}"#);
    let twice = bucket("2026-11-23 00:00:00");
    for data in [
        "{}".to_owned(),
        r#"{"asOf":"2026-11-23 10:00:00"}"#.to_owned(),
        r#"{"asOf":"soon","buckets":[]}"#.to_owned(),
        format!(r#"{{"asOf":"2026-11-23 10:00:00","buckets":[{twice},{twice}]}}"#),
        r#"{"asOf":"2026-11-23 10:00:00","buckets":[{"start":"2026-11-23 00:00:00","count":-1,"sum":"ab"}]}"#
            .to_owned(),
        r#"{"asOf":"2026-11-23 10:00:00","buckets":["x"]}"#.to_owned(),
    ] {
        let error = ask(&fake, Grain::Day, &data).await.unwrap_err();
        assert_eq!(error.code(), "undecodable", "{data}");
    }
    let item = r#"{"asOf":"2026-11-23 10:00:00","items":[{"orderNo":"G1","day":"2026-11-23","part":"x1","eventTime":"2026-11-23","digest":"00"}]}"#;
    assert_eq!(ask(&fake, Grain::Ids, item).await.unwrap_err().code(), "undecodable");
}

#[tokio::test]
async fn what_it_can_give_is_told() {
    let fake = Fake::start().await;
    let manifest = fake.connector().manifest_source().unwrap();
    assert_eq!(manifest.grains(), [Grain::Total, Grain::Month, Grain::Day, Grain::Hour, Grain::TenMinutes, Grain::Ids]);
    assert_eq!(manifest.since(), Some(at("2011-01-01")));
    let error = manifest.manifest(Dataset::Knowledge, day(), Grain::Day).await.unwrap_err();
    assert_eq!(error.code(), "business");
}
