//! Stopping, and clients that behave badly.

use crate::gateway::{Gateway, send};
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
