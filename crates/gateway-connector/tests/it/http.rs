//! The HTTP client over a real socket.

use crate::PROFILE;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use gateway_connector::http::{HttpClient, HttpRequest, HttpSetupError};
use gateway_connector::{Credentials, Profile, RequestError, Secret};
use gateway_model::{ManualClock, Timestamp};
use std::sync::{Arc, Mutex};

fn credentials() -> Credentials {
    Credentials { app_id: "app".to_owned(), request_secret: Secret::new("s"), webhook_secrets: Vec::new() }
}

fn client(base: &str, profile: &str) -> Result<HttpClient, HttpSetupError> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millisecond(1_795_396_361_000).unwrap()));
    HttpClient::new(base, Arc::new(Profile::parse(profile).unwrap()), credentials(), clock)
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn what_is_signed_is_what_is_sent() {
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let router = Router::new().fallback(move |request: Request| async move {
        let headers = request.headers();
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!((header("x-app-id"), header("x-timestamp")), ("app".to_owned(), "1795396361000".to_owned()));
        let (nonce, sign) = (header("x-nonce"), header("x-sign"));
        let target = request.uri().path_and_query().unwrap().as_str().to_owned();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let message = format!("GET\n{target}\n1795396361000\n{nonce}\n{empty}");
        let mac = gateway_connector::sign::mac_hex(
            gateway_connector::profile::MacScheme::HmacSha256,
            &Secret::new("s"),
            message.as_bytes(),
        );
        assert_eq!(mac, sign);
        noted.lock().unwrap().push((target, nonce));
        "ok"
    });
    let base = serve(router).await;
    let client = client(&format!("{base}/prefix/"), PROFILE).unwrap();
    let query = vec![("from".to_owned(), "2026-11-23 09:00:01".to_owned()), ("号".to_owned(), "a&b=c+d'".to_owned())];
    for _ in 0..2 {
        let answer = client.send(HttpRequest::get("/orders/%E7%A9%97", query.clone())).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0, "/prefix/orders/%E7%A9%97?from=2026-11-23%2009%3A00%3A01&%E5%8F%B7=a%26b%3Dc%2Bd%27");
    assert_ne!(seen[0].1, seen[1].1, "a nonce is used once");
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let router = Router::new().fallback(|| async { "x".repeat(5_000) });
    let base = serve(router).await;
    let small = PROFILE.replace("answer_bytes = 33554432", "answer_bytes = 4096");
    let error = client(&base, &small).unwrap().send(HttpRequest::get("/", Vec::new())).await.unwrap_err();
    assert!(matches!(error, RequestError::Undecodable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_time_out_may_have_had_its_effect() {
    let router = Router::new().fallback(|| async {
        std::future::pending::<()>().await;
        "never"
    });
    let base = serve(router).await;
    let hasty = PROFILE.replace("request_timeout_ms = 10000", "request_timeout_ms = 50");
    let error = client(&base, &hasty).unwrap().send(HttpRequest::get("/", Vec::new())).await.unwrap_err();
    assert!(
        matches!(&error, RequestError::Unavailable { what, not_sent: false, .. } if what == "timeout"),
        "{error:?}"
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let redirect = || async {
        Response::builder().status(302).header("location", "http://127.0.0.1:1/").body(Body::empty()).unwrap()
    };
    let base = serve(Router::new().fallback(redirect)).await;
    let answer = client(&base, PROFILE).unwrap().send(HttpRequest::get("/", Vec::new())).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(matches!(answer.ok(), Err(RequestError::Business { code, .. }) if code == "http_302"));
}

#[tokio::test]
async fn a_closed_port_was_not_sent_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&base, PROFILE).unwrap().send(HttpRequest::get("/?a=secret", Vec::new())).await.unwrap_err();
    assert!(matches!(error, RequestError::Unavailable { not_sent: true, .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("secret"), "the address stays out of errors: {error:?}");
}

#[test]
fn a_base_address_is_absolute_and_bare() {
    for base in
        ["", "127.0.0.1", "ftp://host/", "http://", "http://host/?a=1", "http://user:pass@host/", "http://host/#x"]
    {
        assert!(matches!(client(base, PROFILE), Err(HttpSetupError::BaseUrl)), "{base}");
    }
}

#[test]
fn plain_http_needs_no_root_certificates() {
    // In a process of its own, since the roots are found by environment.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "http::redirects_are_not_followed"])
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
