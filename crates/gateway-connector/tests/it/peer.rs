//! A server that answers with exactly the bytes that a test says, piece by piece, plain or over TLS: what no well-behaved server does is what is tested.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does next.
#[derive(Clone)]
pub(crate) enum Piece {
    Send(Vec<u8>),
    Wait(Duration),
    /// Keeps the connection open and says nothing more.
    Hold,
}

/// What it answers to a target.
pub(crate) type Script = Arc<dyn Fn(&str) -> Vec<Piece> + Send + Sync>;

pub(crate) struct Peer {
    /// `host:port`.
    pub(crate) host: String,
    /// The head of each request.
    heads: Arc<Mutex<Vec<String>>>,
    /// Bytes that it was able to send.
    sent: Arc<AtomicUsize>,
}

impl Peer {
    pub(crate) fn start(script: impl Fn(&str) -> Vec<Piece> + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(script), None)
    }

    /// The same over TLS, by the certificate under `tests/data/tls`.
    pub(crate) fn start_tls(script: impl Fn(&str) -> Vec<Piece> + Send + Sync + 'static) -> Self {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let certificate = CertificateDer::from_pem_slice(include_bytes!("../data/tls/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../data/tls/server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        Self::listen(Arc::new(script), Some(Arc::new(config)))
    }

    fn listen(script: Script, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let peer = Self { host, heads: Arc::default(), sent: Arc::default() };
        let (heads, sent) = (Arc::clone(&peer.heads), Arc::clone(&peer.sent));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (Ok(socket), script, tls) = (socket, Arc::clone(&script), tls.clone()) else { return };
                let (heads, sent) = (Arc::clone(&heads), Arc::clone(&sent));
                std::thread::spawn(move || match tls {
                    // A client that goes away ends its thread, nothing else.
                    None => serve(socket, &script, &heads, &sent),
                    Some(tls) => {
                        let connection = rustls::ServerConnection::new(tls).unwrap();
                        serve(rustls::StreamOwned::new(connection, socket), &script, &heads, &sent)
                    }
                });
            }
        });
        peer
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The targets of the requests.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect()
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}

fn serve<S: Read + Write>(mut stream: S, script: &Script, heads: &Mutex<Vec<String>>, sent: &AtomicUsize) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    heads.lock().unwrap().push(head);
    for piece in script(&target) {
        match piece {
            Piece::Send(bytes) => {
                for part in bytes.chunks(4_096) {
                    if stream.write_all(part).and_then(|()| stream.flush()).is_err() {
                        return;
                    }
                    sent.fetch_add(part.len(), Ordering::SeqCst);
                }
            }
            Piece::Wait(time) => std::thread::sleep(time),
            Piece::Hold => {
                let _ = stream.read(&mut byte);
                return;
            }
        }
    }
}

/// A whole answer.
pub(crate) fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<Piece> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    vec![Piece::Send([head.as_bytes(), body].concat())]
}

/// The beginning of an answer in chunks.
pub(crate) fn chunked() -> Piece {
    Piece::Send(b"HTTP/1.1 200 X\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec())
}

/// One chunk of it; an empty one ends it.
pub(crate) fn chunk(bytes: &[u8]) -> Piece {
    Piece::Send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}

/// A port where nobody listens.
pub(crate) fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
