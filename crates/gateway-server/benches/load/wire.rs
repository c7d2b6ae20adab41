//! Requests made and signed beforehand, and a connection that does no more than it must: the generator shares the processors with what it measures.

use gateway_simulator::clock::{now_ms, wire_time};
use gateway_simulator::sign::{SignatureMethod, Signer};
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const CHANNEL: &str = "municipal-12345";
pub const APP: &str = "transport-bureau";
pub const WEBHOOK_SECRET: &str = "the secret of pushes";

/// An order's record of about 1 KiB; a later `version` is a newer one.
pub fn record(number: &str, version: i64) -> serde_json::Value {
    let now = now_ms();
    let created = wire_time(now);
    let content = format!("来电人反映：{number} 所涉车辆在机场路与环城路交叉口绕路行驶，要求核实处理并回复。");
    json!({
        "orderNo": number, "createTime": created, "updateTime": wire_time(now + version * 1_000), "orderType": "03",
        "category": "交通运输/出租车管理", "title": "绕路", "content": content.repeat(2), "sourceType": "phone",
        "address": "机场路", "occurTime": created, "urgency": "1", "isSecret": "0", "isAnonymous": "0", "callerName": "甲",
        "callerPhone": "13800000000", "contactPhone": "13800000000", "state": "10", "unit": "", "deadline": "", "round": 0,
        "events": [], "completions": [], "visits": []
    })
}

/// A whole request: head, signature, body. It is good for the five minutes of the signature.
pub fn push(nonce: &str, records: &[serde_json::Value]) -> Vec<u8> {
    let body = json!({"pushId": nonce, "kind": "order", "records": records}).to_string();
    let target = format!("/webhooks/{CHANNEL}");
    let timestamp = now_ms().to_string();
    let signer = Signer::new(APP, SignatureMethod::HmacSha256, WEBHOOK_SECRET.as_bytes());
    let sign = signer.sign("POST", &target, &timestamp, nonce, body.as_bytes());
    format!(
        "POST {target} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\nx-app-id: {APP}\r\nx-timestamp: {timestamp}\r\n\
         x-nonce: {nonce}\r\nx-sign: {sign}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Pushes of one order each.
pub fn singles(name: &str, count: u64) -> Vec<Vec<u8>> {
    (0..count)
        .map(|at| {
            let number = format!("GZ{name}{at:08}");
            push(&number, &[record(&number, 0)])
        })
        .collect()
}

/// A kept connection; one that the gateway closed for having been idle is opened again.
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self { address, stream: connect(address).await, read: Vec::with_capacity(4096) }
    }

    /// Sends a request and returns status and body of the answer.
    pub async fn exchange(&mut self, request: &[u8]) -> (u16, &[u8]) {
        let mut answer = self.ask(request).await;
        if answer.is_none() {
            self.stream = connect(self.address).await;
            answer = self.ask(request).await;
        }
        let (body, end) = answer.expect("an answer on a new connection");
        let status = std::str::from_utf8(&self.read[9..12]).ok().and_then(|text| text.parse().ok());
        (status.expect("a status"), &self.read[body..end])
    }

    /// Where the body of the answer is; nothing when the connection was closed before a byte of it came.
    async fn ask(&mut self, request: &[u8]) -> Option<(usize, usize)> {
        self.stream.write_all(request).await.ok()?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await.is_ok_and(|count| count > 0) {
                if let Some((body, end)) = extent(&self.read)
                    && self.read.len() >= end
                {
                    return Some((body, end));
                }
            } else {
                assert!(self.read.is_empty(), "an answer broke off: {}", String::from_utf8_lossy(&self.read));
                return None;
            }
        }
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// Where the body begins and ends, once the head is there.
fn extent(read: &[u8]) -> Option<(usize, usize)> {
    let head = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&read[..head]).expect("a head in ASCII").to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    Some((head + 4, head + 4 + length.expect("a length")))
}
