//! The files that records refer to: what is served is what the book says, and every fault is seen in it.

use std::collections::BTreeMap;
use std::path::Path;

use gateway_simulator::faults::FaultKind;
use gateway_simulator::picture::{digest, picture, references};
use gateway_simulator::{FaultPlan, PlatformHandle, PlatformKind, PlatformOptions, http, start_platform};
use serde_json::{Value, json};

use crate::support::{Peer, eventually, options};

async fn front(dir: &Path, orders: u64, faults: FaultPlan) -> (PlatformHandle, Peer) {
    let mut options = PlatformOptions { kind: PlatformKind::TaxiQr, faults, ..options(dir, orders) };
    options.channel = "taxi-qr".to_owned();
    options.rate = 60.0;
    let platform = start_platform(options).await.expect("platform");
    let peer = Peer::of(&platform);
    (platform, peer)
}

/// What is answered: status and body; `None` where the connection broke.
pub async fn fetch(peer: &Peer, reference: &str) -> Option<(u16, Vec<u8>)> {
    let path: Vec<String> = reference.split('/').map(http::escape).collect();
    let target = format!("/gateway/files/{}", path.join("/"));
    let timestamp = peer.clock.now_ms().to_string();
    let sign = peer.signer.sign("GET", &target, &timestamp, "n-file", b"");
    let request = peer.client.get(format!("{}{target}", peer.url)).header("x-app-id", "transport-bureau");
    let request = request.header("x-timestamp", timestamp).header("x-nonce", "n-file").header("x-sign", sign);
    http::send_for_bytes("file", request).await.ok()
}

/// The book of files by reference.
pub async fn book(peer: &Peer) -> BTreeMap<String, Value> {
    let files = peer.sim("/sim/files").await["files"].as_array().expect("files").clone();
    files.into_iter().map(|file| (file["reference"].as_str().expect("text").to_owned(), file)).collect()
}

#[tokio::test]
async fn every_reference_of_the_book_is_served_and_nothing_else() {
    let dir = tempfile::tempdir().expect("dir");
    let (platform, peer) = front(dir.path(), 60, FaultPlan::None).await;
    peer.lived().await;
    let told: Vec<String> = platform.orders().iter().map(|order| order.pictures.clone()).collect();
    let files = book(&peer).await;
    assert!(told.iter().flat_map(|text| references(text)).all(|reference| files.contains_key(reference)));
    assert!(files.len() > 40, "{}", files.len());
    assert!(files.keys().any(|reference| reference.contains('场')), "some need escaping");
    for (reference, file) in &files {
        let (status, bytes) = fetch(&peer, reference).await.expect("an answer");
        assert_eq!((status, json!(hex::encode(digest(&bytes)))), (200, file["sha256"].clone()), "{reference}");
        assert_eq!(json!(bytes.len()), file["size"]);
        assert_eq!(bytes, picture("taxi-qr", reference));
    }
    assert_eq!(fetch(&peer, "p/of-nobody.jpg").await.map(|(status, _)| status), Some(404));
    let mut stranger = peer.clone();
    stranger.signer = gateway_simulator::sign::Signer::new(
        "transport-bureau",
        gateway_simulator::sign::SignatureMethod::HmacSha256,
        "another secret",
    );
    let first = files.keys().next().expect("a file");
    assert_eq!(fetch(&stranger, first).await.map(|(status, _)| status), Some(401), "only whom it knows");
    let answers = book(&peer).await;
    assert!(answers.values().all(|file| file["answers"] == json!({"whole": 1})), "{answers:?}");
}

#[tokio::test]
async fn each_fault_of_a_file_is_what_the_book_says_and_ends() {
    let cases = [
        (FaultKind::FileError, "error"),
        (FaultKind::TornFile, "torn"),
        (FaultKind::DeniedFile, "denied"),
        (FaultKind::PageForFile, "page"),
        (FaultKind::LateFile, "absent"),
        (FaultKind::LostFile, "absent"),
    ];
    for (kind, word) in cases {
        let dir = tempfile::tempdir().expect("dir");
        // Life goes on slowly, so that faults do.
        let (platform, peer) = front(dir.path(), 1_000_000, FaultPlan::Rates(vec![(kind, 100)])).await;
        eventually("orders", || async { platform.orders().len() >= 10 }).await;
        let wanted: Vec<String> = platform.orders()[..10]
            .iter()
            .flat_map(|order| references(&order.pictures).into_iter().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        for reference in &wanted {
            let answer = fetch(&peer, reference).await;
            let whole = picture("taxi-qr", reference);
            let right = match (kind, &answer) {
                (FaultKind::TornFile, None) => true,
                (FaultKind::FileError, Some((500, _))) => true,
                (FaultKind::PageForFile, Some((200, body))) => body.starts_with(b"<!DOCTYPE html"),
                (FaultKind::LateFile | FaultKind::LostFile, Some((404, _))) => true,
                (FaultKind::DeniedFile | FaultKind::LateFile | FaultKind::LostFile, Some((200, body))) => {
                    serde_json::from_slice::<Value>(body).is_ok_and(|said| said["code"] == 1404)
                }
                _ => false,
            };
            assert!(right && answer.is_none_or(|(_, body)| body != whole), "{kind:?} {reference}");
        }
        peer.stop_life().await;
        let files = book(&peer).await;
        for reference in &wanted {
            assert!(files[reference]["answers"][word].as_u64() >= Some(1), "{kind:?} {}", files[reference]);
            let state = files[reference]["state"].as_str().expect("a word");
            match kind {
                FaultKind::LateFile => assert!(state != "lost", "{state}"),
                FaultKind::LostFile => assert_eq!(state, "lost"),
                _ => assert_eq!(state, "there"),
            }
        }
        assert!(peer.sim("/sim/faults").await["injected"][kind.as_str()].as_u64() >= Some(1));
        // What is lost stays lost, also for a process that comes after; everything else is there in the end.
        platform.shutdown().cancel();
        platform.ended().await.expect("ended");
        let (_platform, peer) = front(dir.path(), 1, FaultPlan::None).await;
        for reference in &wanted {
            eventually("its end", || async {
                let answer = fetch(&peer, reference).await;
                let whole = answer == Some((200, picture("taxi-qr", reference)));
                whole != (kind == FaultKind::LostFile)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn where_no_citizen_writes_there_are_no_files() {
    let dir = tempfile::tempdir().expect("dir");
    let platform = start_platform(options(dir.path(), 3)).await.expect("platform");
    let peer = Peer::of(&platform);
    assert_eq!(fetch(&peer, "p/1.jpg").await.map(|(status, _)| status), Some(404));
}

#[tokio::test]
async fn a_bureau_keeps_the_addresses_that_it_was_given_and_they_are_part_of_no_item() {
    let dir = tempfile::tempdir().expect("dir");
    let options = PlatformOptions { kind: PlatformKind::Bureau, stepped: true, ..options(dir.path(), 0) };
    let bureau = start_platform(options).await.expect("bureau");
    let peer = Peer::of(&bureau);
    let mut told = json!({"createTime": "2026-11-23 09:00:00", "orderType": "03", "pictures": "http://gateway/1"});
    assert_eq!(peer.operate("taxi-qr-20261123-QR1", "dispatch", "k1", told.clone()).await.0, 0);
    let given = || bureau.orders()[0].given_pictures.clone();
    assert_eq!(given(), "http://gateway/1");
    assert_eq!(peer.listing(10).await[0]["pictures"], "http://gateway/1");
    let with_them = bureau.items();
    // Told again without them, it has them no more.
    told.as_object_mut().expect("an object").remove("pictures");
    assert_eq!(peer.operate("taxi-qr-20261123-QR1", "dispatch", "k2", told.clone()).await.0, 0);
    assert_eq!(given(), "");
    assert_eq!(bureau.items(), with_them);
    told["pictures"] = json!(["http://gateway/1"]);
    assert_eq!(peer.operate("taxi-qr-20261123-QR1", "dispatch", "k3", told).await.0, 1004);
}

#[test]
fn an_order_in_the_place_of_another_has_its_own_files() {
    use gateway_simulator::book::Book;
    use gateway_simulator::book::entry::{Edit, Entry, Push};
    let order = |nth: &str| gateway_simulator::invent::scan(1, format!("QR{nth}"), 1_795_000_000_000);
    let (first, other) = (order("1"), order("2"));
    let mut book = Book::with_backup(gateway_simulator::Dress::Default, 0);
    let no = first.order_no.clone();
    book.apply(&Entry::Create { at: 1, order: Box::new(first.clone()), hidden: false, push: Push::None });
    let edits = vec![Edit::Whole(Box::new(other.clone()))];
    book.apply(&Entry::Change { at: 2, no, update: None, edits, operation: None, push: Push::None });
    for order in [first, other] {
        assert!(references(&order.pictures).iter().all(|reference| book.references.contains(*reference)));
    }
}
