//! The public listener.

use crate::gateway::{ADMIN, Gateway, PUSH_LIMIT, at, send};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_push_arrives_as_it_was_sent_and_is_answered_in_the_peers_dress() {
    let gateway = Gateway::start().await;
    let target = "/webhooks/municipal-12345?b=%E4%BD%A0&a=1%2f2&empty=";
    let push = gateway.push(target).header("X-Nonce", "N1").header("x-binary", b"\xff".as_slice()).body("{\"a\":\t1}");
    let answer = send(push).await;
    assert_eq!(*answer.ok(200), json!({"code": 0}));
    let taken = gateway.intake.taken.lock().unwrap();
    let request = &taken[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", target));
    assert_eq!((request.header("x-nonce"), request.header("x-binary")), (Some("N1"), None));
    assert_eq!((request.body.as_ref(), request.received_at), (b"{\"a\":\t1}".as_slice(), at(3600)));
}

#[tokio::test]
async fn a_push_over_the_limit_is_not_taken() {
    let gateway = Gateway::start().await;
    let target = "/webhooks/municipal-12345";
    send(gateway.push(target).body(vec![b'x'; PUSH_LIMIT])).await.ok(200);
    for size in [PUSH_LIMIT + 1, 700_000] {
        let answer = send(gateway.push(target).body(vec![b'x'; size])).await;
        assert_eq!((answer.status, &answer.body), (413, &json!({"code": 4})));
    }
    // Without a length told before, too.
    let mut stream = TcpStream::connect(gateway.public.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!("POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(format!("{:x}\r\n{}\r\n", PUSH_LIMIT / 2, "x".repeat(PUSH_LIMIT / 2)).as_bytes())
            .await
            .unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("{\"code\":4}"), "{answer}");
    assert_eq!(gateway.intake.taken.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_can_not_be_made_durable_is_asked_for_again() {
    let gateway = Gateway::start().await;
    let answer = send(gateway.push("/webhooks/municipal-12345").header("x-full", "1").body("{}")).await;
    assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("7")));
}

#[tokio::test]
async fn the_outside_reaches_nothing_else() {
    let gateway = Gateway::start().await;
    for path in ["/webhooks/nobody", "/webhooks/%0A", "/webhooks/desk"] {
        send(gateway.push(path).body("{}")).await.problem(404, "unknown_channel");
    }
    for path in ["/api/v1/orders", "/healthz", "/readyz", "/metrics", "/webhooks", "/webhooks/a/b"] {
        let url = format!("{}{path}", gateway.public);
        send(reqwest::Client::builder().no_proxy().build().unwrap().get(url).bearer_auth(ADMIN))
            .await
            .problem(404, "no_such_path");
    }
    let get = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(format!("{}/webhooks/municipal-12345", gateway.public));
    send(get).await.problem(405, "method_not_allowed");
}
