//! Pushes: what they carry, and how they are answered. Signatures are the conformance suite's matter.

use crate::fake::Fake;
use crate::fixture;
use gateway_connector::conformance::ChannelUnderTest;
use gateway_connector::{IntakeOutcome, VerifyError};

#[tokio::test]
async fn records_keep_their_bytes() {
    let fake = Fake::start().await;
    let receiver = fake.connector().receiver().unwrap();
    let (plain, broken) = (fixture("plain"), "[1,  2]");
    let body = format!(r#"{{"pushId":"p","kind":"order","records":[{plain},{broken}, {{"orderNo": 7}} ]}}"#);
    let records = receiver.accept(&fake.push(0, fake.now(), "n", body.as_bytes())).unwrap();
    let seen: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record.number.as_ref().map(|number| number.as_str()),
                record.undecodable.is_some(),
                record.updated_at.is_some(),
            )
        })
        .collect();
    assert_eq!(seen, [(Some("QR20261123000001"), false, true), (None, true, false), (Some("7"), false, false)]);
    assert_eq!(&records[0].body[..], plain.trim_end().as_bytes());
    assert_eq!(&records[1].body[..], broken.as_bytes());
}

#[tokio::test]
async fn a_partial_push_is_one_record() {
    let fake = Fake::start().await;
    let receiver = fake.connector().receiver().unwrap();
    let body = fixture("partial_event");
    let records = receiver.accept(&fake.push(0, fake.now(), "n", body.as_bytes())).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].number.as_ref().map(|number| number.as_str()), Some("QR20261123000001"));
    assert_eq!(&records[0].body[..], body.as_bytes());
    let changes = fake.connector().normalizer().normalize(&records[0].body, fake.now()).unwrap();
    assert_eq!((changes.len(), changes[0].day, changes[0].revision), (1, None, None));
}

#[tokio::test]
async fn what_is_no_push_is_undecodable() {
    let fake = Fake::start().await;
    let receiver = fake.connector().receiver().unwrap();
    for body in
        ["", "[]", "{}", r#"{"kind":"order"}"#, r#"{"kind":"order","records":{}}"#, r#"{"kind":"hello","records":[]}"#]
    {
        let error = receiver.accept(&fake.push(0, fake.now(), "n", body.as_bytes())).unwrap_err();
        assert_eq!(error.code(), "undecodable", "{body}");
    }
}

#[tokio::test]
async fn answers_wear_the_peers_dress() {
    let fake = Fake::start().await;
    let receiver = fake.connector().receiver().unwrap();
    let told = |outcome: IntakeOutcome| {
        let reply = receiver.reply(&outcome);
        (reply.status, String::from_utf8(reply.body).unwrap(), reply.retry_after_s)
    };
    let ok = (200, r#"{"code":0,"message":"ok"}"#.to_owned(), None);
    assert_eq!(told(IntakeOutcome::Accepted), ok);
    assert_eq!(told(IntakeOutcome::Repeated), ok);
    assert_eq!(told(IntakeOutcome::NonceConflict).0, 409);
    assert!(told(IntakeOutcome::NonceConflict).1.starts_with(r#"{"code":1001,"#));
    assert_eq!(told(IntakeOutcome::Undecodable).0, 400);
    assert!(told(IntakeOutcome::Undecodable).1.starts_with(r#"{"code":1004,"#));
    assert_eq!(told(IntakeOutcome::TooLarge).0, 413);
    assert_eq!(
        told(IntakeOutcome::Refused(VerifyError::BadSignature)).1,
        r#"{"code":401,"message":"signature refused"}"#
    );
    assert!(told(IntakeOutcome::Refused(VerifyError::ClockSkew { offset_ms: -600_000 })).1.contains("-600000 ms"));
    let (status, _, retry_after) = told(IntakeOutcome::Unavailable { retry_after_s: 5 });
    assert_eq!((status, retry_after), (503, Some(5)));
    assert_eq!(receiver.body_limit(), 1_048_576);
}
