//! Stopping, and clients that behave badly.

use crate::gateway::{Gateway, send};
use axum::Router;
use axum::routing::get;
use gateway_api::ApiConfig;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_request_under_way_ends_before_the_gateway_does() {
    let mut gateway = Gateway::start().await;
    gateway.intake.closed.store(true, Ordering::SeqCst);
    let push = tokio::spawn(send(gateway.push("/webhooks/municipal-12345").body("{}")));
    gateway.intake.waiting.acquire().await.unwrap().forget();
    gateway.stopping.cancel();
    // The admin listener has nothing under way and ends at once; the public one waits.
    let public = gateway.servers.pop().unwrap();
    gateway.servers.pop().unwrap().await.unwrap();
    assert!(!public.is_finished());
    gateway.intake.released.add_permits(1);
    push.await.unwrap().ok(200);
    public.await.unwrap();
    let address = gateway.public.strip_prefix("http://").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn nonsense_on_the_wire_harms_nobody_else() {
    let gateway = Gateway::start().await;
    let address = gateway.public.strip_prefix("http://").unwrap();
    let huge = format!("POST /webhooks/municipal-12345 HTTP/1.1\r\nx-long: {}\r\n\r\n", "x".repeat(200_000));
    for nonsense in [
        "\0\0\0",
        "GET",
        "POST / HTTP/9.9\r\n\r\n",
        "POST /webhooks/municipal-12345 HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        &huge,
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The gateway may hang up while we still send.
        let _ = stream.write_all(nonsense.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
    }
    assert!(gateway.intake.taken.lock().unwrap().is_empty());
    send(gateway.push("/webhooks/municipal-12345").body("{}")).await.ok(200);
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_makes_room_for_others() {
    let config = ApiConfig {
        max_connections: NonZeroU32::MIN,
        write_timeout_ms: NonZeroU64::new(200).unwrap(),
        ..ApiConfig::default()
    };
    let router = Router::new()
        .route("/large", get(|| async { vec![7u8; 64 * 1024 * 1024] }))
        .route("/small", get(|| async { "here" }));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    let server = tokio::spawn(async move { gateway_api::serve(listener, router, &config, stop).await });
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let asked = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).await.unwrap();
        stream
    };
    let mut idle = ask("/large").await;
    // It has the only place, and reads no more than this.
    let mut begin = [0; 12];
    idle.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    let mut answer = String::new();
    let mut other = ask("/small").await;
    let answered = tokio::time::timeout(Duration::from_secs(30), other.read_to_string(&mut answer)).await;
    answered.unwrap().unwrap();
    assert!(answer.ends_with("here"), "{answer}");
    stopping.cancel();
    server.await.unwrap();
}
