//! What every connector must hold, run against the connector and a fake of its channel. Feature `conformance`; for tests only.
//!
//! A connector's test implements [`ChannelUnderTest`] and calls [`run`]. Each check is a function of its own, named for what it demands, and panics
//! with the reason. The suite knows no dress: whatever is particular to a channel comes from its fake.

#![allow(clippy::unwrap_used)]

mod account;
pub mod platform;

use crate::{
    AttachmentError, Connector, Cursor, OutboundDelivery, Outcome, Page, RequestError, VerifyError, WebhookRequest,
};
use async_trait::async_trait;
use gateway_model::{AskBy, BookItem, BucketSum, Grain, ManifestBody, SourceNumber, Timestamp, Window};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::time::Duration;

/// Larger than any file or answer of a fake.
const LARGEST: usize = 1 << 20;

/// What the fake does to the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It answers with this HTTP status and nothing else.
    Status(u16),
    /// It asks for patience for so many seconds.
    Throttle(u32),
    /// Its answer is cut in the middle, with a length to match.
    Truncated,
    /// It refuses our credentials.
    Unauthorized,
    /// It does what is asked and hangs up without an answer.
    HangUp,
}

/// A connector together with a fake of its channel. The fake listens on a real socket.
#[async_trait]
pub trait ChannelUnderTest: Send + Sync {
    /// The connector, connected to the fake.
    fn connector(&self) -> &dyn Connector;
    /// The same kind of connector, connected to an address where nobody listens.
    fn unreachable(&self) -> &dyn Connector;
    /// What the connector's clock shows.
    fn now(&self) -> Timestamp;
    /// Well-formed records as the channel writes them, at least one of each shape.
    fn records(&self) -> Vec<Vec<u8>>;
    /// The body of a well-formed push with at least one record; `None` = the channel pushes nothing.
    fn push_body(&self) -> Option<Vec<u8>>;
    /// How many secrets are live.
    fn secrets(&self) -> usize;
    /// A push with this body, signed with the live secret of this index (beyond the last: with a secret that is not live) at this time; received now.
    fn push(&self, secret: usize, at: Timestamp, nonce: &str, body: &[u8]) -> WebhookRequest;
    /// The lower-case names of the headers that a push must have.
    fn required_headers(&self) -> Vec<String>;
    /// How far a push's time may be from ours.
    fn skew(&self) -> Duration;
    /// Deliveries of each operation, all of which the fake takes.
    fn deliveries(&self) -> Vec<OutboundDelivery>;
    /// The record that the channel shows once it has done what the delivery asks.
    fn record_after(&self, delivery: &OutboundDelivery) -> Vec<u8>;
    /// Lets the fake hold exactly `count` orders, `together` of them (and never more) updated in one same second.
    fn fill(&self, count: usize, together: usize) -> Vec<SourceNumber>;
    /// Lets the order that was given out first and has not moved yet move to the end of the listing, as an edit does.
    fn drift(&self);
    /// Lets the fake spoil the next request.
    fn fail_next(&self, fault: Fault);
    /// The reference of a file that the fake has, and its bytes, at least two; `None` = the channel's files are not fetched.
    fn attachment(&self) -> Option<(String, Vec<u8>)> {
        None
    }
    /// How many requests the fake was sent; needed where there are files.
    fn requests(&self) -> usize {
        0
    }
}

/// Everything.
pub async fn run(channel: &dyn ChannelUnderTest) {
    descriptor_is_consistent_with_parts(channel);
    normalizing_is_deterministic(channel);
    normalizing_never_panics(channel);
    receiver_refuses_what_is_not_signed(channel);
    receiver_takes_every_live_secret(channel);
    receiver_survives_any_body(channel);
    polling_is_complete(channel).await;
    polling_survives_drift(channel).await;
    fetching_ids_gives_only_what_is_there(channel).await;
    accounts_of_every_grain_agree(channel).await;
    a_total_begins_where_it_was_asked_to(channel).await;
    failures_are_told_truthfully(channel).await;
    preparing_is_pure(channel);
    the_echo_is_what_was_prepared(channel);
    outcomes_are_told_truthfully(channel).await;
    attachments_are_fetched_whole_or_not_at_all(channel).await;
    references_lead_nowhere_else(channel).await;
}

/// The descriptor says what the parts say.
pub fn descriptor_is_consistent_with_parts(channel: &dyn ChannelUnderTest) {
    let connector = channel.connector();
    let descriptor = connector.descriptor();
    assert!(!descriptor.kind.is_empty() && !descriptor.datasets.is_empty(), "a channel has a kind and datasets");
    match connector.manifest_source() {
        None => assert!(descriptor.manifest_grains.is_empty(), "grains without an account"),
        Some(manifest) => {
            assert!(manifest.datasets().iter().all(|dataset| descriptor.datasets.contains(dataset)));
            assert!(manifest.grains().windows(2).all(|pair| pair[0] < pair[1]), "grains go from coarse to fine");
            let mut grains: Vec<Grain> = manifest.grains().to_vec();
            grains.reverse();
            assert_eq!(descriptor.manifest_grains, grains, "the descriptor's grains go from fine to coarse");
        }
    }
    if let Some(source) = connector.source() {
        assert!(source.ids_per_fetch() > 0);
    }
    assert!(connector.normalizer().projection_version() > 0);
}

/// The same bytes give the same changes, and the time of receipt decides nothing but oddities.
pub fn normalizing_is_deterministic(channel: &dyn ChannelUnderTest) {
    let normalizer = channel.connector().normalizer();
    for record in channel.records() {
        let first = normalizer.normalize(&record, channel.now()).expect("a well-formed record is readable");
        assert!(!first.is_empty(), "a well-formed record states something");
        assert_eq!(Ok(&first), normalizer.normalize(&record, channel.now()).as_ref());
        let mut later = normalizer.normalize(&record, Timestamp::MAX).unwrap();
        let mut first = first;
        for change in later.iter_mut().chain(first.iter_mut()) {
            change.oddities.clear();
            assert!(change.fields.iter().all(|(field, _)| !field.is_person()), "person fields are kept apart");
        }
        assert_eq!(first, later, "the time of receipt decides only oddities");
        let keys: BTreeSet<_> = first.iter().map(|change| (change.dataset, change.part.clone())).collect();
        assert_eq!(keys.len(), first.len(), "one change for each item");
        assert!(first.iter().all(|change| channel.connector().descriptor().datasets.contains(&change.dataset)));
    }
}

/// Neither arbitrary bytes nor damaged records make it panic.
pub fn normalizing_never_panics(channel: &dyn ChannelUnderTest) {
    let normalizer = channel.connector().normalizer();
    let now = channel.now();
    let records = channel.records();
    let damaged = (0..records.len(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    let mut runner = TestRunner::deterministic();
    runner
        .run(&prop::collection::vec(any::<u8>(), 0..512), |bytes| {
            let _ = normalizer.normalize(&bytes, now);
            Ok(())
        })
        .unwrap();
    runner
        .run(&damaged, |(which, at, byte, cut)| {
            let mut record = records[which].clone();
            let at = at.index(record.len());
            if cut {
                record.truncate(at);
            } else {
                record[at] = byte;
            }
            let _ = normalizer.normalize(&record, now);
            Ok(())
        })
        .unwrap();
}

/// A push without a header, with a false signature, a changed body or a stale time is refused, each by its name.
pub fn receiver_refuses_what_is_not_signed(channel: &dyn ChannelUnderTest) {
    let (Some(receiver), Some(body)) = (channel.connector().receiver(), channel.push_body()) else { return };
    let now = channel.now();
    let good = channel.push(0, now, "nonce-1", &body);
    assert_eq!(receiver.verify(&good), Ok(()));
    assert!(!receiver.accept(&good).expect("a well-formed push is readable").is_empty());
    assert_eq!(receiver.nonce(&good), "nonce-1");
    let again = channel.push(0, now, "nonce-1", &body);
    assert_eq!(receiver.nonce(&good), receiver.nonce(&again), "the nonce is the request's");
    for header in channel.required_headers() {
        let mut request = good.clone();
        request.headers.retain(|(name, _)| *name != header);
        assert!(matches!(receiver.verify(&request), Err(VerifyError::MissingHeader(_))), "without {header}");
        let mut request = good.clone();
        let twice = request.headers.iter().find(|(name, _)| *name == header).cloned().unwrap();
        request.headers.push(twice);
        assert!(matches!(receiver.verify(&request), Err(VerifyError::MissingHeader(_))), "{header} twice");
    }
    let forged = channel.push(channel.secrets(), now, "nonce-1", &body);
    assert_eq!(receiver.verify(&forged), Err(VerifyError::BadSignature));
    let mut changed = good.clone();
    changed.body = [&body[..], b" "].concat().into();
    assert_eq!(receiver.verify(&changed), Err(VerifyError::BadSignature));
    let mut moved = good.clone();
    moved.target.push_str("?x=1");
    assert_eq!(receiver.verify(&moved), Err(VerifyError::BadSignature));
    let skew = channel.skew();
    for (at, fits) in [(now - skew, true), (now + skew, true), (now - skew * 2, false), (now + skew * 2, false)] {
        let verdict = receiver.verify(&channel.push(0, at, "nonce-1", &body));
        let offset_ms = at.as_millisecond() - now.as_millisecond();
        assert_eq!(verdict, if fits { Ok(()) } else { Err(VerifyError::ClockSkew { offset_ms }) });
    }
    let stale_forgery = channel.push(channel.secrets(), now - skew * 2, "nonce-1", &body);
    assert_eq!(
        receiver.verify(&stale_forgery),
        Err(VerifyError::BadSignature),
        "the signature is judged before the time"
    );
    assert!(receiver.nonce_window() >= skew * 2, "a nonce must outlive the freshness of its request");
}

/// While a secret is replaced, both are good.
pub fn receiver_takes_every_live_secret(channel: &dyn ChannelUnderTest) {
    let (Some(receiver), Some(body)) = (channel.connector().receiver(), channel.push_body()) else { return };
    assert!(channel.secrets() >= 2, "the test must have two live secrets");
    for secret in 0..channel.secrets() {
        assert_eq!(receiver.verify(&channel.push(secret, channel.now(), "n", &body)), Ok(()), "secret {secret}");
    }
}

/// No body makes taking panic, and the body comes back whole in the records or as an error.
pub fn receiver_survives_any_body(channel: &dyn ChannelUnderTest) {
    let (Some(receiver), Some(body)) = (channel.connector().receiver(), channel.push_body()) else { return };
    let mut runner = TestRunner::deterministic();
    runner
        .run(&prop::collection::vec(any::<u8>(), 0..256), |bytes| {
            let _ = receiver.accept(&channel.push(0, channel.now(), "n", &bytes));
            Ok(())
        })
        .unwrap();
    for end in 0..body.len() {
        let verdict = receiver.accept(&channel.push(0, channel.now(), "n", &body[..end]));
        assert!(verdict.is_err(), "a body cut at {end} is no push");
    }
}

async fn poll_all(
    channel: &dyn ChannelUnderTest,
    limit: u32,
    mut after_page: impl FnMut(),
) -> (Vec<SourceNumber>, usize) {
    let source = channel.connector().source().unwrap();
    let (mut numbers, mut pages) = (Vec::new(), 0);
    let mut cursor: Option<Cursor> = None;
    loop {
        let page: Page = source.poll(None, cursor.as_ref(), limit).await.expect("the fake answers");
        pages += 1;
        assert!(pages < 500, "polling does not end");
        assert!(page.records.iter().all(|record| record.updated_at.is_some() && record.undecodable.is_none()));
        numbers.extend(page.records.into_iter().filter_map(|record| record.number));
        after_page();
        match page.next {
            Some(next) => cursor = Some(next),
            None => return (numbers, pages),
        }
    }
}

fn assert_holds(all: &[SourceNumber], read: &[SourceNumber]) {
    let read: BTreeSet<_> = read.iter().collect();
    let lost: Vec<_> = all.iter().filter(|number| !read.contains(number)).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
}

/// Every record is read, also where several share a second.
pub async fn polling_is_complete(channel: &dyn ChannelUnderTest) {
    if channel.connector().source().is_none() {
        return;
    }
    for (count, together) in [(0, 0), (1, 1), (7, 1), (40, 1), (40, 7), (40, 20), (21, 21)] {
        let all = channel.fill(count, together);
        let (read, _) = poll_all(channel, 7, || {}).await;
        assert_holds(&all, &read);
    }
}

/// Records that move while pages are read hide no other.
pub async fn polling_survives_drift(channel: &dyn ChannelUnderTest) {
    if channel.connector().source().is_none() {
        return;
    }
    // The last: one second that fills several pages and loses records while they are read.
    for (count, together) in [(40, 1), (40, 20), (20, 20)] {
        let all = channel.fill(count, together);
        let mut moves = 0;
        let (read, _) = poll_all(channel, 7, || {
            if moves < 4 {
                channel.drift();
                moves += 1;
            }
        })
        .await;
        assert_holds(&all, &read);
    }
}

/// What is asked by number comes, what is unknown does not, and too many are refused without a request.
pub async fn fetching_ids_gives_only_what_is_there(channel: &dyn ChannelUnderTest) {
    let Some(source) = channel.connector().source() else { return };
    let mut numbers = channel.fill(3, 1);
    numbers.push(SourceNumber::new("no-such-order").unwrap());
    let page = source.fetch_ids(&numbers).await.unwrap();
    let read: BTreeSet<_> = page.records.into_iter().filter_map(|record| record.number).collect();
    assert_eq!(read, numbers[..3].iter().cloned().collect());
    let many = vec![numbers[0].clone(); source.ids_per_fetch() + 1];
    assert!(source.fetch_ids(&many).await.is_err_and(|error| !error.is_transient()));
}

/// Whatever grain it is asked by, an account is of the same items. The window is whole months around now, in which the fake's orders lie.
pub async fn accounts_of_every_grain_agree(channel: &dyn ChannelUnderTest) {
    let Some(source) = channel.connector().manifest_source() else { return };
    if !source.grains().contains(&Grain::Ids) {
        return;
    }
    let window = Grain::Month.bucket(channel.now());
    for count in [0, 40] {
        channel.fill(count, 7);
        let mut seen = 0;
        for dataset in source.datasets() {
            let ids = source.manifest(*dataset, window, Grain::Ids).await.expect("the fake answers");
            let ManifestBody::Items(items) = ids.body else { panic!("{dataset} by ids is a list") };
            assert!(items.iter().all(|item| item.key.dataset == *dataset && window.contains(item.event_time.start())));
            seen += items.len();
            for grain in source.grains().iter().copied().filter(|grain| *grain != Grain::Ids) {
                let account = source.manifest(*dataset, window, grain).await.expect("the fake answers");
                assert_eq!((account.dataset, account.window, account.grain), (*dataset, window, grain));
                let counted = items.iter().filter(|item| grain.bucket_start(item.event_time).is_some());
                match account.body {
                    ManifestBody::Count(theirs) => assert_eq!(theirs, counted.count() as u64, "{dataset} by {grain}"),
                    ManifestBody::Items(_) => panic!("{dataset} by {grain} is a list"),
                    ManifestBody::Buckets(buckets) => {
                        for bucket in &buckets {
                            let place = if grain == Grain::Total { window } else { grain.bucket(bucket.start) };
                            assert_eq!(bucket.start, place.start, "{dataset} by {grain} begins where buckets do");
                        }
                        let theirs = buckets
                            .iter()
                            .fold((0, BucketSum::ZERO), |sum, bucket| (sum.0 + bucket.count, sum.1.plus(bucket.sum)));
                        let ours =
                            counted.fold((0, BucketSum::ZERO), |sum, item| (sum.0 + 1, sum.1.plus(item.element())));
                        assert_eq!(theirs, ours, "{dataset} by {grain}");
                        assert!(grain != Grain::Total || buckets.len() <= 1, "a total is one bucket");
                    }
                }
            }
        }
        assert!(seen >= count, "every order is in its account");
    }
}

/// A total's bucket begins where its window does, also where no month begins there.
pub async fn a_total_begins_where_it_was_asked_to(channel: &dyn ChannelUnderTest) {
    let Some(source) = channel.connector().manifest_source() else { return };
    if !source.grains().contains(&Grain::Total) {
        return;
    }
    channel.fill(5, 1);
    let day = Grain::Day.bucket(channel.now());
    for window in [day, Window::new(day.start, Grain::Month.bucket(day.start).end)] {
        for dataset in source.datasets() {
            let account = source.manifest(*dataset, window, Grain::Total).await.expect("the fake answers");
            let ManifestBody::Buckets(buckets) = account.body else { continue };
            assert!(buckets.iter().all(|bucket| bucket.start == window.start), "{buckets:?} in {window}");
        }
    }
}

/// Each failure of a read is named, and only what may pass by itself is transient.
pub async fn failures_are_told_truthfully(channel: &dyn ChannelUnderTest) {
    let Some(source) = channel.connector().source() else { return };
    channel.fill(3, 1);
    for (fault, code, transient) in [
        (Fault::Status(500), "unavailable", true),
        (Fault::Status(502), "unavailable", true),
        (Fault::Status(404), "business", false),
        (Fault::Throttle(7), "throttled", true),
        (Fault::Truncated, "undecodable", true),
        (Fault::Unauthorized, "unauthorized", false),
        (Fault::HangUp, "unavailable", true),
    ] {
        channel.fail_next(fault);
        let error = source.poll(None, None, 10).await.expect_err("the fake fails");
        assert_eq!((error.code(), error.is_transient()), (code, transient), "{fault:?}: {error}");
        if let (Fault::Throttle(seconds), RequestError::Throttled { retry_after }) = (fault, &error) {
            assert_eq!(*retry_after, Some(Duration::from_secs(u64::from(seconds))));
        }
        let sent = !matches!(error, RequestError::Unavailable { not_sent: true, .. });
        assert!(sent, "{fault:?}: it was sent");
    }
    let error = channel.unreachable().source().unwrap().poll(None, None, 10).await.expect_err("nobody listens");
    assert!(matches!(error, RequestError::Unavailable { not_sent: true, .. }), "{error:?}");
    assert!(channel.unreachable().check_connectivity().await.is_err());
    assert!(channel.connector().check_connectivity().await.is_ok());
}

/// Preparing says the same each time, and asks nobody.
pub fn preparing_is_pure(channel: &dyn ChannelUnderTest) {
    for (sink, other) in channel.connector().sink().into_iter().zip(channel.unreachable().sink()) {
        for delivery in channel.deliveries() {
            let prepared = sink.prepare(&delivery);
            assert!(prepared.is_ok(), "{prepared:?}");
            assert_eq!(prepared, sink.prepare(&delivery));
            assert_eq!(prepared, other.prepare(&delivery));
        }
    }
}

/// What the platform says back is, item for item, what was prepared.
pub fn the_echo_is_what_was_prepared(channel: &dyn ChannelUnderTest) {
    let Some(sink) = channel.connector().sink() else { return };
    for delivery in channel.deliveries() {
        let prepared = sink.prepare(&delivery).unwrap();
        let record = channel.record_after(&delivery);
        let changes = channel.connector().normalizer().normalize(&record, channel.now()).unwrap();
        let items: Vec<BookItem> = changes.iter().filter_map(|change| Some(change.book_item(change.day?))).collect();
        assert!(
            items.contains(&prepared.item),
            "{:?}: {:?} is not among {items:#?}",
            delivery.operation,
            prepared.item
        );
    }
}

/// An attempt is acknowledged only on the peer's word, and whatever may have arrived is ambiguous.
pub async fn outcomes_are_told_truthfully(channel: &dyn ChannelUnderTest) {
    let Some(sink) = channel.connector().sink() else { return };
    for delivery in channel.deliveries() {
        let outcome = channel.unreachable().sink().unwrap().deliver(&delivery).await;
        assert!(matches!(outcome, Outcome::NotTaken { not_before: None, .. }), "{outcome:?}");

        channel.fail_next(Fault::Throttle(9));
        match sink.deliver(&delivery).await {
            Outcome::NotTaken { not_before: Some(at), .. } => assert_eq!(at, channel.now() + Duration::from_secs(9)),
            other => panic!("throttled: {other:?}"),
        }
        channel.fail_next(Fault::Truncated);
        let outcome = sink.deliver(&delivery).await;
        assert!(matches!(outcome, Outcome::Ambiguous(_)), "truncated: {outcome:?}");
        channel.fail_next(Fault::HangUp);
        let outcome = sink.deliver(&delivery).await;
        assert!(matches!(outcome, Outcome::Ambiguous(_)), "hung up: {outcome:?}");
        if sink.prepare(&delivery).unwrap().ask_by == AskBy::Receipt {
            // Both spoilt attempts were taken; the peer knows it by our key.
            assert!(sink.find_outcome(&delivery).await.unwrap().is_some());
            let outcome = sink.deliver(&delivery).await;
            assert!(matches!(outcome, Outcome::Acknowledged(_)), "repeated: {outcome:?}");
            let stranger = OutboundDelivery { idempotency_key: "never-sent".to_owned(), ..delivery };
            assert_eq!(sink.find_outcome(&stranger).await.unwrap(), None);
        }
    }
}

/// A file comes whole, and what came of an attempt without one is named.
pub async fn attachments_are_fetched_whole_or_not_at_all(channel: &dyn ChannelUnderTest) {
    let Some(files) = channel.connector().attachments() else {
        assert_eq!(channel.attachment(), None, "a file of a channel that fetches none");
        return;
    };
    let (reference, bytes) = channel.attachment().expect("the test must have a file");
    for _ in 0..2 {
        assert_eq!(files.fetch(&reference, bytes.len()).await.expect("the fake has it"), bytes);
    }
    let error = files.fetch(&reference, bytes.len() - 1).await.expect_err("one byte too many");
    assert!(matches!(error, AttachmentError::TooLarge { largest } if largest + 1 == bytes.len()), "{error:?}");
    let error = files.fetch("no-such-file", LARGEST).await.expect_err("there is no such file");
    assert!(matches!(error, AttachmentError::NotThere { .. }), "{error:?}");
    for (fault, code) in [
        (Fault::Status(500), "unavailable"),
        (Fault::Status(404), "attachment_not_there"),
        (Fault::Status(410), "attachment_not_there"),
        (Fault::Status(302), "business"),
        (Fault::Throttle(7), "throttled"),
        (Fault::Unauthorized, "unauthorized"),
        (Fault::HangUp, "unavailable"),
    ] {
        channel.fail_next(fault);
        let error = files.fetch(&reference, LARGEST).await.expect_err("the fake fails");
        assert_eq!((error.code(), error.is_final()), (code, false), "{fault:?}: {error}");
        if let Fault::Throttle(seconds) = fault {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(u64::from(seconds))));
        }
    }
    assert_eq!(files.fetch(&reference, bytes.len()).await.expect("the fake has it still"), bytes);
    let unreachable = channel.unreachable().attachments().expect("the same kind of connector");
    let error = unreachable.fetch(&reference, LARGEST).await.expect_err("nobody listens");
    assert!(matches!(error, AttachmentError::Request(RequestError::Unavailable { not_sent: true, .. })), "{error:?}");
}

/// What a citizen may write in the place of a reference lets nobody be asked for anything else.
pub async fn references_lead_nowhere_else(channel: &dyn ChannelUnderTest) {
    let Some(files) = channel.connector().attachments() else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inside = listener.local_addr().unwrap();
    let before = channel.requests();
    for reference in [
        format!("http://{inside}/1.jpg"),
        format!("https://{inside}/1.jpg"),
        format!("//{inside}/1.jpg"),
        format!("http://user@{inside}/1.jpg"),
        "file:///etc/hostname".to_owned(),
        "../1.jpg".to_owned(),
        "a/../../1.jpg".to_owned(),
        "a/%2e%2e/%2e%2e/1.jpg".to_owned(),
        "a/%252e%252e/1.jpg".to_owned(),
        "a\\..\\1.jpg".to_owned(),
        "a\r\nX-Header: 1".to_owned(),
        String::new(),
        "a".repeat(100_000),
    ] {
        let error = files.fetch(&reference, LARGEST).await.expect_err("it leads elsewhere");
        assert!(matches!(error, AttachmentError::Address { .. }), "{reference:?}: {error:?}");
        assert!(!error.to_string().contains(&inside.port().to_string()), "the reference stays out of errors");
    }
    assert_eq!(channel.requests(), before, "the channel was asked");
    let nobody = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(nobody.is_err(), "somebody inside was asked");
}
