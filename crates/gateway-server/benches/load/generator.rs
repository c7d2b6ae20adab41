//! Load: as many as go through by so many connections, or so many a second whether they go through or not.

use crate::wire::Connection;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    /// How long each took that was answered 200, sorted.
    pub took: Vec<Duration>,
    /// How many were answered otherwise.
    pub refused: usize,
    /// From the first request to the last answer.
    pub span: Duration,
    /// How many connections there were in the end.
    pub connections: usize,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.span.as_secs_f64()
    }

    pub fn at(&self, part: f64) -> Duration {
        quantile(&self.took, part)
    }

    pub fn told(&self) -> String {
        let ms = |part| self.at(part).as_secs_f64() * 1e3;
        let times = format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", ms(0.5), ms(0.99), ms(1.0));
        format!("{:.0}/s, {times}, {} connections, {} not taken", self.per_second(), self.connections, self.refused)
    }
}

/// Of sorted times.
pub fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part) as usize).copied().unwrap_or_default()
}

#[derive(Default)]
struct Tally {
    took: RefCell<Vec<Duration>>,
    refused: Cell<usize>,
    ended: Cell<Option<Instant>>,
}

impl Tally {
    fn note(&self, status: u16, since: Instant) {
        let now = Instant::now();
        if status == 200 {
            self.took.borrow_mut().push(now - since);
        } else {
            self.refused.set(self.refused.get() + 1);
        }
        self.ended.set(Some(now));
    }

    fn outcome(self, began: Instant, connections: usize) -> Outcome {
        let mut took = self.took.into_inner();
        took.sort_unstable();
        let span = self.ended.get().unwrap_or(began) - began;
        Outcome { took, refused: self.refused.get(), span, connections }
    }
}

/// Runs on a thread of its own, so that nothing else of this process is in its way.
async fn on_its_own<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, work())
    });
    tokio::task::spawn_blocking(|| thread.join().expect("the generator ends")).await.expect("it is waited for")
}

/// Each connection sends its next request when the last is answered, until all are sent or the time is over.
pub async fn flat_out(address: SocketAddr, connections: usize, most: Duration, requests: Vec<Vec<u8>>) -> Outcome {
    on_its_own(async move || {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(Connection::open(address).await);
        }
        let (tally, next, requests) = (Rc::new(Tally::default()), Rc::new(Cell::new(0)), Rc::new(requests));
        let began = Instant::now();
        let running: Vec<_> = opened
            .into_iter()
            .map(|mut connection| {
                let (tally, next, requests) = (tally.clone(), next.clone(), requests.clone());
                tokio::task::spawn_local(async move {
                    while began.elapsed() < most {
                        let at = next.replace(next.get() + 1);
                        let Some(request) = requests.get(at) else { break };
                        let since = Instant::now();
                        let (status, _) = connection.exchange(request).await;
                        tally.note(status, since);
                    }
                })
            })
            .collect();
        for one in running {
            one.await.expect("a connection's work ends");
        }
        Rc::into_inner(tally).expect("nobody counts any more").outcome(began, connections)
    })
    .await
}

/// Sends at a steady rate, whatever becomes of them. A time counts from when the request was due, so that a wait for its turn is in it.
pub async fn steady(address: SocketAddr, per_second: f64, began: Instant, requests: Vec<Vec<u8>>) -> Outcome {
    on_its_own(async move || {
        let idle = Rc::new(RefCell::new(Vec::new()));
        let (tally, requests, opened) = (Rc::new(Tally::default()), Rc::new(requests), Rc::new(Cell::new(0)));
        let mut running = tokio::task::JoinSet::new();
        for at in 0..requests.len() {
            let due = began + Duration::from_secs_f64(at as f64 / per_second);
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            let (idle, tally, requests, opened) = (idle.clone(), tally.clone(), requests.clone(), opened.clone());
            running.spawn_local(async move {
                let free = idle.borrow_mut().pop();
                let mut connection = match free {
                    Some(connection) => connection,
                    None => {
                        opened.set(opened.get() + 1);
                        Connection::open(address).await
                    }
                };
                let (status, _) = connection.exchange(&requests[at]).await;
                tally.note(status, due);
                idle.borrow_mut().push(connection);
            });
            while let Some(ended) = running.try_join_next() {
                ended.expect("a request's work ends");
            }
        }
        while let Some(ended) = running.join_next().await {
            ended.expect("a request's work ends");
        }
        Rc::into_inner(tally).expect("nobody counts any more").outcome(began, opened.get())
    })
    .await
}
