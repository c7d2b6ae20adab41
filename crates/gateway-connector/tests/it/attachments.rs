//! Fetching files over real sockets: what comes, what does not, and what is never asked.

use crate::peer::{Peer, Piece, answer, chunk, chunked, nobody};
use gateway_connector::wire::{Kind, ProfileSource, connect};
use gateway_connector::{AttachmentError, Connector, Credentials, Profile, ProfileErrors, RequestError, Secret};
use gateway_model::{ChannelId, ManualClock, Timestamp};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TAXI: Kind =
    Kind { name: "taxi-qr", default_profile: include_str!("../../../../connectors/taxi-qr/profiles/default.toml") };
const YUNJING: &str = include_str!("../../../../connectors/municipal-12345/profiles/yunjing.toml");
const LARGEST: usize = 1 << 20;
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 a picture \xff\xd9";

fn profile(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(TAXI.default_profile.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

fn try_connect(kind: Kind, base: &str, profile: String) -> Result<Arc<dyn Connector>, ProfileErrors> {
    let credentials = Credentials {
        app_id: "gateway".to_owned(),
        request_secret: Secret::new("ask"),
        webhook_secrets: vec![Secret::new("hook")],
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_millisecond(1_795_396_361_000).unwrap()));
    connect(kind, ChannelId::new("taxi-qr").unwrap(), &ProfileSource::Text(profile), base, credentials, clock)
}

fn linked(base: &str, changes: &[(&str, &str)]) -> Arc<dyn Connector> {
    try_connect(TAXI, base, profile(changes)).unwrap()
}

async fn fetch(connector: &Arc<dyn Connector>, reference: &str, largest: usize) -> Result<Vec<u8>, AttachmentError> {
    connector.attachments().unwrap().fetch(reference, largest).await.map(|bytes| bytes.to_vec())
}

/// One file of a peer that answers everything alike.
async fn of(pieces: Vec<Piece>) -> Result<Vec<u8>, AttachmentError> {
    let peer = Peer::start(move |_| pieces.clone());
    fetch(&linked(&format!("http://{}", peer.host), &[]), "p/1.jpg", LARGEST).await
}

#[tokio::test]
async fn a_file_comes_as_it_is_and_its_address_is_signed() {
    let peer = Peer::start(|_| answer(200, "content-type: image/jpeg\r\n", PICTURE));
    let whole = format!("http://{}/api/gateway/files/p/2.jpg?v=3", peer.host);
    for base in [format!("http://{}/api", peer.host), format!("http://{}/api/", peer.host)] {
        let connector = linked(&base, &[]);
        for reference in ["照片/违停 1.jpg", whole.as_str()] {
            assert_eq!(fetch(&connector, reference, LARGEST).await.unwrap(), PICTURE);
        }
    }
    let targets =
        ["/api/gateway/files/%E7%85%A7%E7%89%87/%E8%BF%9D%E5%81%9C%201.jpg", "/api/gateway/files/p/2.jpg?v=3"];
    assert_eq!(peer.targets(), [targets, targets].concat());
    for head in peer.heads() {
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("{name} in {head}")).to_owned()
        };
        let target = head.split(' ').nth(1).unwrap();
        let message =
            format!("GET\n{target}\n1795396361000\n{}\n{}", header("x-nonce"), hex::encode(Sha256::digest(b"")));
        let scheme = gateway_connector::profile::MacScheme::HmacSha256;
        let mac = gateway_connector::sign::mac_hex(scheme, &Secret::new("ask"), message.as_bytes());
        assert_eq!((header("x-app-id"), header("x-sign")), ("gateway".to_owned(), mac));
    }
}

#[tokio::test]
async fn a_signature_in_the_address_is_put_behind_its_query() {
    let peer = Peer::start(|_| answer(200, "", PICTURE));
    let base = format!("http://{}", peer.host);
    let canghai = include_str!("../../../../connectors/municipal-12345/profiles/canghai.toml");
    let profile = format!("{canghai}\n[attachments]\npath = \"/files/{{reference}}\"\n");
    let kind = Kind { name: "municipal-12345", default_profile: "" };
    let connector = try_connect(kind, &base, profile).unwrap();
    for reference in [format!("{base}/files/1.jpg?v=3"), "1.jpg".to_owned()] {
        assert_eq!(fetch(&connector, &reference, LARGEST).await.unwrap(), PICTURE);
    }
    let targets = peer.targets();
    assert!(targets[0].starts_with("/files/1.jpg?v=3&") && targets[1].starts_with("/files/1.jpg?"), "{targets:?}");
    assert!(targets.iter().all(|target| target.matches('?').count() == 1), "{targets:?}");
}

#[tokio::test]
async fn what_is_no_file_is_told_by_its_name_and_never_kept() {
    for (status, body, told) in [
        (404, "", "attachment_not_there http_404"),
        (410, "gone", "attachment_not_there http_410"),
        (204, "", "attachment_not_there http_204"),
        (206, "half", "attachment_not_there http_206"),
        (200, "", "attachment_not_there empty"),
        (200, r#"{"code":1404,"message":"还没有","data":null}"#, "attachment_not_there 1404"),
        (200, "\u{feff}\n {\"code\":1404,\"message\":\"还没有\"}", "attachment_not_there 1404"),
        (200, r#"{"code":1003,"message":"不允许"}"#, "business 1003"),
        (200, r#"{"code":"1404","message":"","data":null}"#, "attachment_not_there 1404"),
        (200, r#"{"code":401,"message":"no"}"#, "unauthorized"),
        (200, r#"{"code":429,"message":"slow down"}"#, "throttled"),
        (200, r#"{"code":0,"message":"ok","data":{"url":"p/1.jpg"}}"#, "undecodable"),
        (200, r#"{"error":"down"}"#, "undecodable"),
        (200, r#"{"code":14"#, "undecodable"),
        (200, "<!DOCTYPE html><html><body>login</body></html>", "undecodable"),
        (200, "\r\n<HTML><head>", "undecodable"),
        (302, "", "business http_302"),
        (400, r#"{"code":1404}"#, "business http_400"),
        (401, "", "unauthorized"),
        (403, "", "unauthorized"),
        (429, "", "throttled"),
        (503, "", "unavailable"),
        (500, "", "unavailable"),
    ] {
        let error = of(answer(status, "", body.as_bytes())).await.unwrap_err();
        let code = match &error {
            AttachmentError::NotThere { code } | AttachmentError::Request(RequestError::Business { code, .. }) => {
                format!("{} {code}", error.code())
            }
            _ => error.code().to_owned(),
        };
        assert_eq!(code, told, "HTTP {status} {body}");
        assert!(!error.is_final(), "it may come yet");
    }
    let patient = of(answer(503, "retry-after: 7\r\n", b"")).await.unwrap_err();
    assert_eq!((patient.code(), patient.retry_after()), ("throttled", Some(Duration::from_secs(7))));
    // What only looks like it is a file.
    for body in [&b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"[..], b"%PDF-1.7 {\"code\":1404}", b"\0{"] {
        assert_eq!(of(answer(200, "content-type: text/html\r\n", body)).await.unwrap(), body);
    }
}

#[tokio::test]
async fn codes_and_statuses_that_mean_absent_are_the_profiles() {
    let peer = Peer::start(|target| {
        if target.ends_with("2.jpg") {
            answer(400, "", b"")
        } else {
            answer(200, "", br#"{"code":"E-7","message":""}"#)
        }
    });
    let connector =
        linked(&format!("http://{}", peer.host), &[("absent = [1404]", "absent = [\"E-7\", \"http_400\"]")]);
    for reference in ["1.jpg", "2.jpg"] {
        let error = fetch(&connector, reference, LARGEST).await.unwrap_err();
        assert!(matches!(error, AttachmentError::NotThere { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusal_in_another_language_is_known_too() {
    let dressed = |success: u8, code: &str| {
        let inner =
            format!("<Response success=\"{success}\"><Code>{code}</Code><Message>无此文件</Message></Response>");
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"GB18030\"?><soap:Envelope xmlns:soap=\"x\"><soap:Body><![CDATA[{inner}]]></soap:Body></soap:Envelope>"
        );
        encoding_rs::GB18030.encode(&text).0.to_vec()
    };
    let svg = b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec();
    let bodies = [dressed(0, "-404"), dressed(0, "-103"), dressed(1, ""), svg.clone()];
    let peer = Peer::start(move |target| {
        let at: usize = target.rsplit('/').next().unwrap().parse().unwrap();
        answer(200, "", &bodies[at])
    });
    let profile = format!("{YUNJING}\n[attachments]\npath = \"/files/{{reference}}\"\nabsent = [-404]\n");
    let kind = Kind { name: "municipal-12345", default_profile: "" };
    let connector = try_connect(kind, &format!("http://{}", peer.host), profile).unwrap();
    let error = fetch(&connector, "0", LARGEST).await.unwrap_err();
    assert!(matches!(&error, AttachmentError::NotThere { code } if code == "-404"), "{error:?}");
    let error = fetch(&connector, "1", LARGEST).await.unwrap_err();
    assert!(
        matches!(&error, AttachmentError::Request(RequestError::Business { code, message }) if code == "-103" && message == "无此文件"),
        "{error:?}"
    );
    assert_eq!(fetch(&connector, "2", LARGEST).await.unwrap_err().code(), "undecodable");
    assert_eq!(fetch(&connector, "3", LARGEST).await.unwrap(), svg);
}

#[tokio::test]
async fn a_file_is_bounded_by_what_is_asked_and_not_by_what_answers_may_have() {
    let file = vec![7; 40_000];
    let (told, untold) = (file.clone(), file.clone());
    let peer = Peer::start(move |target| match target.rsplit('/').next() {
        Some("told") => answer(200, "", &told),
        Some("untold") => vec![chunked(), chunk(&untold[..9]), chunk(&untold[9..]), chunk(b"")],
        _ => std::iter::once(chunked()).chain(std::iter::repeat_n(chunk(&[7; 4_000]), 25_000)).collect(),
    });
    let connector = linked(&format!("http://{}", peer.host), &[("answer_bytes = 33554432", "answer_bytes = 4096")]);
    for name in ["told", "untold"] {
        assert_eq!(fetch(&connector, name, file.len()).await.unwrap(), file, "{name}");
        let error = fetch(&connector, name, file.len() - 1).await.unwrap_err();
        assert!(
            matches!(error, AttachmentError::TooLarge { largest: 39_999 }) && error.is_final(),
            "{name}: {error:?}"
        );
    }
    let before = peer.sent();
    let error = fetch(&connector, "endless", 100_000).await.unwrap_err();
    assert!(matches!(error, AttachmentError::TooLarge { largest: 100_000 }), "{error:?}");
    let read = peer.sent() - before;
    assert!(read < 50_000_000, "reading stops: {read} bytes were sent of 100 MB");
    // Other answers keep their own bound.
    let error = connector.check_connectivity().await.unwrap_err();
    assert!(matches!(error, RequestError::Undecodable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_length_over_the_bound_is_believed_without_reading() {
    let peer = Peer::start(|_| {
        vec![Piece::Send(b"HTTP/1.1 200 X\r\ncontent-length: 99999999999\r\n\r\n".to_vec()), Piece::Hold]
    });
    let error = fetch(&linked(&format!("http://{}", peer.host), &[]), "1.jpg", LARGEST).await.unwrap_err();
    assert!(matches!(error, AttachmentError::TooLarge { largest: LARGEST }), "{error:?}");
}

#[tokio::test]
async fn what_breaks_off_is_no_file() {
    let head = b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 100\r\n\r\n";
    for pieces in [
        vec![Piece::Send([&head[..], PICTURE].concat())],
        vec![chunked(), chunk(PICTURE)],
        vec![chunked(), Piece::Send([b"ff\r\n", PICTURE].concat())],
        vec![Piece::Send(head[..30].to_vec())],
        Vec::new(),
    ] {
        let error = of(pieces).await.unwrap_err();
        assert!(
            matches!(error, AttachmentError::Request(RequestError::Unavailable { not_sent: false, .. })),
            "{error:?}"
        );
    }
    let error = fetch(&linked(&format!("http://{}", nobody()), &[]), "1.jpg", LARGEST).await.unwrap_err();
    assert!(matches!(error, AttachmentError::Request(RequestError::Unavailable { not_sent: true, .. })), "{error:?}");
}

const FAST: (&str, &str) = ("request_timeout_ms = 10000", "request_timeout_ms = 3000");

#[tokio::test]
async fn a_slow_line_has_longer_than_an_answer_but_must_keep_coming() {
    let (piece, pause) = ([7; 1_000], Piece::Wait(Duration::from_millis(700)));
    let slow = move |_: &str| {
        let steady = std::iter::repeat_n([pause.clone(), chunk(&piece)], 5).flatten();
        std::iter::once(chunked()).chain(steady).chain([chunk(b"")]).collect::<Vec<_>>()
    };
    let peer = Peer::start(slow);
    let connector = linked(&format!("http://{}", peer.host), &[FAST]);
    assert_eq!(fetch(&connector, "1.jpg", LARGEST).await.unwrap().len(), 5_000, "it took longer than an answer may");

    let head = b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n".to_vec();
    for stuck in [vec![Piece::Hold], vec![Piece::Send(head), Piece::Hold], vec![chunked(), chunk(b"x"), Piece::Hold]] {
        let peer = Peer::start(move |_| stuck.clone());
        let hasty = ("request_timeout_ms = 10000", "request_timeout_ms = 200");
        let (connector, began) = (linked(&format!("http://{}", peer.host), &[hasty]), Instant::now());
        let error = fetch(&connector, "1.jpg", LARGEST).await.unwrap_err();
        assert!(
            matches!(&error, AttachmentError::Request(RequestError::Unavailable { what, .. }) if what == "timeout"),
            "{error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(60), "it did not wait for the whole time of a file");
    }

    // Drop by drop, for ever.
    let drops = std::iter::repeat_n([Piece::Wait(Duration::from_millis(50)), chunk(b"x")], 5_000).flatten();
    let pieces: Vec<_> = std::iter::once(chunked()).chain(drops).collect();
    let peer = Peer::start(move |_| pieces.clone());
    let connector = linked(&format!("http://{}", peer.host), &[("timeout_ms = 180000", "timeout_ms = 3500"), FAST]);
    let error = fetch(&connector, "1.jpg", LARGEST).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error:?}");
}

#[tokio::test]
async fn files_leave_turns_for_everything_else() {
    let peer = Peer::start(|target| {
        if target.contains("/files/") {
            return vec![Piece::Hold];
        }
        answer(200, "", br#"{"code":0,"message":"ok","data":{"total":0,"records":[]}}"#)
    });
    let connector = linked(&format!("http://{}", peer.host), &[("concurrency = 4", "concurrency = 2")]);
    let files: Vec<_> = ["1.jpg", "2.jpg", "3.jpg"]
        .map(|name| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move { fetch(&connector, name, LARGEST).await })
        })
        .into();
    while peer.heads().is_empty() {
        tokio::task::yield_now().await;
    }
    connector.check_connectivity().await.unwrap();
    let asked = peer.targets().into_iter().filter(|target| target.contains("/files/")).count();
    assert_eq!(asked, 1, "one of two turns is for files");
    assert!(files.iter().all(|file| !file.is_finished()));
    files.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let inside = Peer::start(|_| answer(200, "", PICTURE));
    let location = format!("location: http://{}/secret\r\n", inside.host);
    for status in [301, 302, 303, 307, 308] {
        let error = of(answer(status, &location, b"")).await.unwrap_err();
        assert!(
            matches!(&error, AttachmentError::Request(RequestError::Business { code, .. }) if *code == format!("http_{status}")),
            "{error:?}"
        );
    }
    assert_eq!(inside.heads(), [""; 0]);
}

#[tokio::test]
async fn what_leads_elsewhere_is_not_asked() {
    let (peer, inside) = (Peer::start(|_| answer(200, "", PICTURE)), Peer::start(|_| answer(200, "", PICTURE)));
    let connector = linked(&format!("http://{}", peer.host), &[("hosts = []", "hosts = [\"pictures.example\"]")]);
    let port = peer.host.rsplit(':').next().unwrap();
    for reference in [
        format!("http://{}/gateway/files/1.jpg", inside.host),
        format!("http://{}/gateway/orders?page=1", peer.host),
        format!("http://{}@{}/gateway/files/1.jpg", peer.host, inside.host),
        format!("http://localhost:{port}/gateway/files/1.jpg"),
        format!("//{}/1.jpg", inside.host),
        "https://pictures.example@evil.example/1.jpg".to_owned(),
        "http://pictures.example/1.jpg".to_owned(),
        "../orders".to_owned(),
        "..%2forders".to_owned(),
    ] {
        let error = fetch(&connector, &reference, LARGEST).await.unwrap_err();
        assert_eq!(error.code(), "attachment_address", "{reference}: {error:?}");
        assert!(!error.to_string().contains("orders") && !error.to_string().contains(port), "{error}");
    }
    assert_eq!([peer.heads(), inside.heads()].concat(), [""; 0]);
}

/// Run by the next one in a process of its own, since trusted authorities are found by environment.
#[tokio::test]
async fn over_tls_when_told_to() {
    let Ok(trusted) = std::env::var("GATEWAY_TEST_TRUSTED") else { return };
    let pictures = Peer::start_tls(|target| match target {
        "/1.jpg?Signature=a%2Bb" => answer(200, "", PICTURE),
        "/forbidden.jpg" => answer(403, "", b"<Error><Code>AccessDenied</Code></Error>"),
        "/refused.jpg" => answer(200, "", br#"{"code":1404,"message":""}"#),
        _ => answer(404, "", b""),
    });
    let peer = Peer::start(|_| answer(500, "", b""));
    let hosts = format!("hosts = [\"pictures.example\", \"{}\"]", pictures.host);
    let connector = linked(&format!("http://{}", peer.host), &[("hosts = []", &hosts)]);
    let named = |path: &str| format!("https://{}/{path}", pictures.host);
    let first = fetch(&connector, &named("1.jpg?Signature=a%2Bb"), LARGEST).await;
    if trusted == "no" {
        let error = first.unwrap_err();
        assert!(
            matches!(error, AttachmentError::Request(RequestError::Unavailable { not_sent: true, .. })),
            "{error:?}"
        );
        return;
    }
    assert_eq!(first.unwrap(), PICTURE);
    for (path, told) in [
        ("missing.jpg", "attachment_not_there"),
        ("forbidden.jpg", "business"),
        ("refused.jpg", "attachment_not_there"),
    ] {
        assert_eq!(fetch(&connector, &named(path), LARGEST).await.unwrap_err().code(), told, "{path}");
    }
    assert_eq!(
        fetch(&connector, &named("1.jpg").replace("https", "http"), LARGEST).await.unwrap_err().code(),
        "attachment_address"
    );
    for head in pictures.heads() {
        let names: Vec<_> =
            head.lines().skip(1).filter_map(|line| line.split(':').next()).filter(|name| !name.is_empty()).collect();
        assert!(names.iter().all(|name| ["host", "accept"].contains(name)), "nothing of ours goes there: {names:?}");
    }
    assert_eq!(peer.heads(), [""; 0], "and the counterparty is not asked");
}

#[test]
fn a_named_host_is_asked_over_tls_without_our_signature() {
    let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
    for (trusted, authorities) in [("yes", "ca.pem"), ("no", "another-ca.pem")] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "attachments::over_tls_when_told_to"])
            .env("SSL_CERT_FILE", format!("{tls}/{authorities}"))
            .env("SSL_CERT_DIR", "/nonexistent")
            .env("GATEWAY_TEST_TRUSTED", trusted)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "trusted {trusted}: {told}");
    }
}

#[test]
fn every_mistake_of_the_section_is_told_at_once() {
    let mistakes = |section: &str| {
        let shipped = TAXI.default_profile;
        let (before, rest) = shipped.split_once("\n[attachments]\n").unwrap();
        let (_, after) = rest.split_once("\n[inquiry]\n").unwrap();
        match Profile::parse(&format!("{before}\n[attachments]\n{section}\n[inquiry]\n{after}")) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.0.into_iter().map(|mistake| format!("{}: {}", mistake.path, mistake.what)).collect(),
        }
    };
    assert_eq!(mistakes("path = \"/f/{reference}\""), [""; 0]);
    assert_eq!(
        mistakes(
            "path = \"/f/{reference}/content\"\nhosts = [\"a.example\", \"10.1.2.3:8443\"]\nabsent = [1404, \"x\"]"
        ),
        [""; 0]
    );
    let told = mistakes(
        "path = \"/f\"\nhosts = [\"*.a.example\", \"ok.example\", \"B.example\", \"https://c.example\", \"d.example:443\", \"e.example/x\", \"me@f.example\", \"[::1]\", \"\"]\nabsent = 7\ntimeout_ms = 0\nhost = \"x\"",
    );
    let keys: Vec<_> = told.iter().map(|mistake| mistake.split(':').next().unwrap()).collect();
    let hosts = ["attachments.hosts"; 8];
    assert_eq!(
        keys,
        [&["attachments.absent", "attachments.host"][..], &hosts, &["attachments.path", "attachments.timeout_ms"]]
            .concat()
    );
    for path in [
        "/f/{reference}.jpg",
        "/f/x{reference}",
        "/{reference}/{reference}",
        "f/{reference}",
        "/f?x={reference}",
        "/f/{reference}?x",
    ] {
        assert!(!mistakes(&format!("path = \"{path}\"")).is_empty(), "{path}");
    }
    assert_eq!(mistakes("hosts = []"), ["attachments.path: is missing"]);
}

#[test]
fn without_the_section_nothing_is_fetched() {
    let municipal = include_str!("../../../../connectors/municipal-12345/profiles/default.toml");
    let kind = Kind { name: "municipal-12345", default_profile: "" };
    assert!(try_connect(kind, "http://127.0.0.1:1", municipal.to_owned()).unwrap().attachments().is_none());
}
