//! A real HTTP listener that keeps what it is sent and answers what a test says.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Got {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How it answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a body.
    With(u16, String),
    /// A status with `Retry-After`.
    Later(u16, u64),
    /// Not before this time.
    After(Duration),
}

#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    got: Arc<Mutex<Vec<Got>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(Answer::With(200, "{}".into())));
        let receiver = Self { url, got: Arc::default(), answer };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// What came, and forgets it.
    pub fn take(&self) -> Vec<Got> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }
}

async fn take(
    State(receiver): State<Receiver>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let got = Got { method: method.to_string(), target: uri.to_string(), headers, body: body.to_vec() };
    receiver.got.lock().unwrap().push(got);
    let answer = receiver.answer.lock().unwrap().clone();
    let mut head = HeaderMap::new();
    match answer {
        Answer::With(status, body) => (StatusCode::from_u16(status).unwrap(), head, body),
        Answer::Later(status, seconds) => {
            head.insert("retry-after", seconds.into());
            (StatusCode::from_u16(status).unwrap(), head, String::new())
        }
        Answer::After(wait) => {
            tokio::time::sleep(wait).await;
            (StatusCode::OK, head, String::new())
        }
    }
}
