//! What a stranger may let us ask: a table of what is followed and what is not, and that no text at all leads anywhere else.

use super::address::{Addresses, Place};
use crate::Profile;
use proptest::prelude::*;
use reqwest::Url;

const PROFILE: &str = include_str!("../../../../../connectors/taxi-qr/profiles/default.toml");
const PLAIN: &str = "https://platform.example";
const BELOW: &str = "http://10.1.2.3:8443/api/v2";

fn addresses(base: &str, section: &str) -> Addresses {
    let shipped = &PROFILE[PROFILE.find("\n[attachments]\n").unwrap()..PROFILE.find("\n[inquiry]\n").unwrap()];
    let profile = PROFILE.replace(shipped, &format!("\n[attachments]\n{section}\n"));
    let rule = Profile::parse(&profile).unwrap().attachments.unwrap();
    Addresses::new(base, rule).unwrap()
}

fn usual(base: &str) -> Addresses {
    addresses(base, "path = \"/gateway/files/{reference}\"\nhosts = [\"pictures.example\", \"oss.example:9443\"]")
}

fn own(base: &str, reference: &str) -> String {
    match usual(base).place(reference) {
        Ok(Place::Own(path)) => path,
        other => panic!("{reference}: {other:?}"),
    }
}

fn why_not(base: &str, reference: &str) -> String {
    match usual(base).place(reference) {
        Err(error) => {
            assert_eq!(error.code(), "attachment_address");
            assert!(error.is_final());
            error.to_string()
        }
        Ok(place) => panic!("{reference}: {place:?}"),
    }
}

#[test]
fn a_name_is_a_file_below_the_path() {
    for (reference, path) in [
        ("p/2026/11/1.jpg", "p/2026/11/1.jpg"),
        ("1.jpg", "1.jpg"),
        ("/p/1.jpg", "p/1.jpg"),
        ("照片/违停 1.jpg", "%E7%85%A7%E7%89%87/%E8%BF%9D%E5%81%9C%201.jpg"),
        ("a b+c&d=e.jpg", "a%20b%2Bc%26d%3De.jpg"),
        ("1.jpg?size=big#top", "1.jpg%3Fsize%3Dbig%23top"),
        ("100%.jpg", "100%25.jpg"),
        ("a%20b.jpg", "a%2520b.jpg"),
        ("a%2Fb.jpg", "a%252Fb.jpg"),
        ("12:30.jpg", "12%3A30.jpg"),
        ("车牌:1.jpg", "%E8%BD%A6%E7%89%8C%3A1.jpg"),
        ("...jpg", "...jpg"),
        ("a..b/..jpg", "a..b/..jpg"),
        ("me@home/1.jpg", "me%40home/1.jpg"),
        ("127.0.0.1:80/x", "127.0.0.1%3A80/x"),
        ("evil.example/x.jpg", "evil.example/x.jpg"),
    ] {
        for base in [PLAIN, BELOW] {
            assert_eq!(own(base, reference), format!("/gateway/files/{path}"), "{reference} of {base}");
        }
    }
    let wrapped = addresses(PLAIN, "path = \"/files/{reference}/content\"");
    assert_eq!(wrapped.place("a/1.jpg").unwrap(), Place::Own("/files/a/1.jpg/content".to_owned()));
}

#[test]
fn a_whole_address_of_the_counterparty_is_its_file() {
    for (base, reference, path) in [
        (PLAIN, "https://platform.example/gateway/files/p/1.jpg", "p/1.jpg"),
        (PLAIN, "HTTPS://Platform.Example:443/gateway/files/p/1.jpg", "p/1.jpg"),
        (PLAIN, "https://platform.example/gateway/files/a%20b.jpg", "a%20b.jpg"),
        (PLAIN, "https://platform.example/gateway/files/%E7%85%A7.jpg", "%E7%85%A7.jpg"),
        (PLAIN, "https://platform.example/gateway/files/照.jpg", "%E7%85%A7.jpg"),
        (PLAIN, "https://platform.example/gateway/files/1.jpg?v=2&w=3", "1.jpg?v=2&w=3"),
        (BELOW, "http://10.1.2.3:8443/api/v2/gateway/files/p/1.jpg", "p/1.jpg"),
        ("http://[::1]:8443", "http://[::1]:8443/gateway/files/p/1.jpg", "p/1.jpg"),
        ("http://[::1]:8443/", "http://[0:0::1]:8443/gateway/files/p/1.jpg", "p/1.jpg"),
    ] {
        assert_eq!(own(base, reference), format!("/gateway/files/{path}"), "{reference}");
    }
    let wrapped = addresses(BELOW, "path = \"/files/{reference}/content\"");
    let whole = |path: &str| wrapped.place(&format!("{BELOW}/files/{path}"));
    assert_eq!(whole("a/1.jpg/content").unwrap(), Place::Own("/files/a/1.jpg/content".to_owned()));
    assert!(whole("a/1.jpg").is_err());
}

#[test]
fn of_the_counterpartys_host_nothing_else_is_asked() {
    for (base, path) in [
        (PLAIN, "/gateway/orders?page=1"),
        (PLAIN, "/gateway/files"),
        (PLAIN, "/gateway/filesystem/1.jpg"),
        (PLAIN, "/1.jpg"),
        (PLAIN, "/GATEWAY/files/1.jpg"),
        (BELOW, "/gateway/files/p/1.jpg"),
        (BELOW, "/api/v22/gateway/files/p/1.jpg"),
    ] {
        let origin = if base == PLAIN { PLAIN } else { "http://10.1.2.3:8443" };
        assert!(why_not(base, &format!("{origin}{path}")).contains("not below"), "{path}");
    }
    // Who wants it unsigned says so.
    let named = addresses(PLAIN, "path = \"/gateway/files/{reference}\"\nhosts = [\"platform.example\"]");
    let upload = named.place(&format!("{PLAIN}/upload/1.jpg")).unwrap();
    assert_eq!(upload, Place::Named { host: 0, path: "/upload/1.jpg".to_owned() });
    assert!(matches!(named.place(&format!("{PLAIN}/gateway/files/1.jpg")).unwrap(), Place::Own(_)));
}

#[test]
fn a_named_host_is_followed_by_its_exact_name_over_https() {
    let usual = usual(PLAIN);
    for (reference, host, path) in [
        ("https://pictures.example/a/1.jpg", 0, "/a/1.jpg"),
        ("https://PICTURES.example:443/a/1.jpg?Expires=1&Signature=x%2B", 0, "/a/1.jpg?Expires=1&Signature=x%2B"),
        ("https://oss.example:9443/1.jpg", 1, "/1.jpg"),
    ] {
        assert_eq!(usual.place(reference).unwrap(), Place::Named { host, path: path.to_owned() });
    }
    for reference in [
        "https://oss.example/1.jpg",
        "https://pictures.example:9443/1.jpg",
        "https://pictures.example./1.jpg",
        "https://www.pictures.example/1.jpg",
        "https://pictures.example.evil.example/1.jpg",
        "https://evil-pictures.example/1.jpg",
    ] {
        assert!(why_not(PLAIN, reference).contains("host that is not followed"), "{reference}");
    }
    assert!(why_not(PLAIN, "http://oss.example:9443/1.jpg").contains("is not https"));
}

#[test]
fn nothing_else_is_followed() {
    let long = "a/".repeat(1_024) + "b";
    for reference in [
        // Other hosts, ports and schemes.
        "http://evil.example/1.jpg",
        "https://evil.example/gateway/files/1.jpg",
        "http://platform.example/gateway/files/1.jpg",
        "https://platform.example:8443/gateway/files/1.jpg",
        "https://platform.example:0/gateway/files/1.jpg",
        "http://169.254.169.254/latest/meta-data/1",
        "http://127.0.0.1/gateway/files/1.jpg",
        "http://2130706433/gateway/files/1.jpg",
        "http://0x7f.1/gateway/files/1.jpg",
        "http://[::1]/gateway/files/1.jpg",
        "http://[::ffff:127.0.0.1]/gateway/files/1.jpg",
        "http://localhost/gateway/files/1.jpg",
        "ftp://platform.example/gateway/files/1.jpg",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "gopher://platform.example/1",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "C:/1.jpg",
        // Addresses that two parsers read in two ways.
        "//evil.example/1.jpg",
        "///evil.example/1.jpg",
        "https:evil.example/1.jpg",
        "https:/evil.example/1.jpg",
        "https:///evil.example/1.jpg",
        "https:\\\\evil.example\\1.jpg",
        "https://platform.example@evil.example/gateway/files/1.jpg",
        "https://user:pass@platform.example/gateway/files/1.jpg",
        "https://@platform.example/gateway/files/1.jpg",
        "https://platform.example:443@evil.example/gateway/files/1.jpg",
        "https://evil.example\\@platform.example/gateway/files/1.jpg",
        "https://evil.example#@platform.example/gateway/files/1.jpg",
        "https://evil.example?@platform.example/gateway/files/1.jpg",
        "https://plat%66orm.example/gateway/files/1.jpg",
        "https://ｐlatform.example/gateway/files/1.jpg",
        "https://platform.example。evil.example/gateway/files/1.jpg",
        "https://platform.example /gateway/files/1.jpg",
        "https://platform.example\t/gateway/files/1.jpg",
        "ht\ntps://evil.example/1.jpg",
        " https://evil.example/1.jpg",
        "https://platform.example/gateway/files/1.jpg#top",
        "https://",
        "https://platform.example",
        "https://platform.example/",
        "https://platform.example?x=1",
        "https://[::1/1.jpg",
        // Ways up and nowhere.
        "",
        "/",
        "//",
        ".",
        "..",
        "./1.jpg",
        "../1.jpg",
        "a/../1.jpg",
        "a/./1.jpg",
        "a/..",
        "a/",
        "a//b",
        "/../1.jpg",
        "a/... /b",
        "a/.. /b",
        "a/..;x=1/b",
        "a/;/b",
        "..\\1.jpg",
        "a\\..\\1.jpg",
        "a\0b",
        "a\r\nHost: evil",
        "a\u{85}b",
        // The same, written otherwise.
        "%2e%2e/1.jpg",
        "a/.%2E/1.jpg",
        "a/%2e%2e%2f1.jpg",
        "..%2f1.jpg",
        "..%5c1.jpg",
        "a%5cb",
        "a%00b",
        "a%0d%0ab",
        "a%2f%2fb",
        "%2fetc",
        "%252e%252e/1.jpg",
        "%25252e%25252e%25252f1.jpg",
        "a/%c0%ae%c0%ae/b",
        "a%c0%afb",
        "a%ff",
        "%2525252525252e",
        "https://platform.example/gateway/files/../orders",
        "https://platform.example/gateway/files/%2e%2e/orders",
        "https://platform.example/gateway/files/%252e%252e/orders",
        "https://platform.example/gateway/files/a%2f..%2f..%2forders",
        "https://platform.example/gateway/files/a//b.jpg",
        "https://platform.example//gateway/files/b.jpg",
        "https://platform.example/./gateway/files/b.jpg",
        "https://platform.example/gateway/files/",
        "https://pictures.example/../1.jpg",
        "https://pictures.example/",
        long.as_str(),
    ] {
        let told = why_not(PLAIN, reference);
        assert!(!told.contains("evil") && !told.contains("etc"), "it tells nothing of the reference: {told}");
    }
}

#[test]
fn the_longest_reference_is_2048_bytes() {
    assert_eq!(own(PLAIN, &"a".repeat(2_048)).len(), "/gateway/files/".len() + 2_048);
    assert!(why_not(PLAIN, &"a".repeat(2_049)).contains("2048"));
}

/// Texts made of what attacks are made of.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => prop::sample::select(vec![
            "/", "//", ".", "..", "\\", "%", "%2e", "%2E%2e", "%252e", "%2f", "%5c", "%00", "%c0%ae", ":", "@", "?", "#", ";", "&", "[", "]", " ", "\t", "\n", "\0",
            "http:", "https:", "HTTPS://", "https://", "http://", "file://", "platform.example", "10.1.2.3", ":8443", ":443", ":80", "evil.example", "pictures.example",
            "oss.example", ":9443", "[::1]", "127.0.0.1", "user:pass@", "gateway", "/gateway/files/", "/api/v2/gateway/files/", "files", "p/1.jpg", "照片", "．．", "／", "。", "é",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-z]{1,4}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_leads_to_a_file_or_nowhere(reference in texts(), below in any::<bool>()) {
        let base = if below { BELOW } else { PLAIN };
        match usual(base).place(&reference) {
            Err(_) => {}
            Ok(Place::Own(path)) => {
                let (home, url) = (Url::parse(base).unwrap(), Url::parse(&format!("{base}{path}")).unwrap());
                prop_assert_eq!(url.origin(), home.origin());
                prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
                let files = format!("{}/gateway/files/", home.path().trim_end_matches('/'));
                prop_assert!(url.path().len() > files.len() && url.path().starts_with(&files), "{}", url);
                // What is signed is what was judged.
                prop_assert!(url.as_str().ends_with(&path), "{} of {}", url, path);
            }
            Ok(Place::Named { host, path }) => {
                let name = ["pictures.example", "oss.example:9443"][host];
                let url = Url::parse(&format!("https://{name}{path}")).unwrap();
                prop_assert_eq!(url.as_str(), format!("https://{name}{path}"));
            }
        }
    }

    #[test]
    fn what_the_server_reads_is_what_the_record_says(segments in prop::collection::vec("[^/\\\\%;:.\\p{Cc} ][^/\\\\%;:\\p{Cc}]{0,8}", 1..5)) {
        let reference = segments.join("/");
        let path = own(PLAIN, &reference);
        let sent = path.strip_prefix("/gateway/files/").unwrap();
        let mut read = Vec::new();
        let mut bytes = sent.bytes();
        while let Some(byte) = bytes.next() {
            read.push(if byte == b'%' {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            } else {
                byte
            });
        }
        prop_assert_eq!(String::from_utf8(read).unwrap(), reference);
        let url = Url::parse(&format!("{PLAIN}{path}")).unwrap();
        prop_assert_eq!(url.path(), path);
    }
}
