//! A driven clock: weeks pass in seconds, nothing happens between steps, and the same seed gives the same life.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gateway_simulator::clock::wire_ms;
use gateway_simulator::{
    DeskHandle, DeskOptions, DeskPace, Pace, PlatformHandle, PlatformOptions, SimClock, start_desk, start_platform,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::mini_gateway::MiniGateway;
use crate::pushes::Webhook;
use crate::support::{Peer, options};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A clock that moves when told.
#[derive(Clone)]
pub struct Driven(Arc<AtomicI64>);

impl Driven {
    /// A Monday morning.
    pub fn start() -> Self {
        Self(Arc::new(AtomicI64::new(wire_ms("2026-11-02 06:00:00").expect("time"))))
    }

    pub fn clock(&self) -> SimClock {
        let now = self.0.clone();
        SimClock::new(move || now.load(Ordering::SeqCst))
    }

    pub fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

/// A stepped platform of so many orders a day.
pub fn stepped(dir: &TempDir, driven: &Driven, per_day: f64) -> PlatformOptions {
    let mut options = options(&dir.path().join("platform"), 0);
    options.orders = None;
    options.clock = driven.clock();
    options.stepped = true;
    options.durable = false;
    options.pace = Some(Pace { orders_per_day: per_day, ..Pace::default() });
    options
}

/// Platform, gateway and desk by one clock.
pub struct Weeks {
    pub driven: Driven,
    pub platform: PlatformHandle,
    pub desk: DeskHandle,
    pub peer: Peer,
    _dir: TempDir,
}

impl Weeks {
    pub async fn start(dir: TempDir, driven: Driven, options: PlatformOptions) -> Self {
        let platform = start_platform(options).await.expect("platform");
        let peer = Peer::of(&platform);
        let (_, url, token) = MiniGateway::start(peer.clone()).await;
        let mut desk = DeskOptions::new(dir.path().join("desk"), url, token);
        desk.clock = driven.clock();
        desk.stepped = true;
        desk.durable = false;
        desk.parallel = 1;
        desk.pace = Some(DeskPace::default());
        let desk = start_desk(desk).await.expect("desk");
        Self { driven, platform, desk, peer, _dir: dir }
    }

    pub async fn pass(&self, ms: i64, step: i64) {
        let end = self.driven.now() + ms;
        while self.driven.now() < end {
            self.driven.advance(step);
            self.platform.step().await.expect("the platform steps");
            self.desk.step().await.expect("the desk steps");
        }
    }

    pub async fn book(&self) -> Vec<Value> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let page = self.peer.sim(&format!("/sim/book/orders?limit=1000&after={after}")).await;
            rows.extend(page["orders"].as_array().expect("orders").iter().cloned());
            after = page["next"].as_u64().expect("next");
            if page["more"] != true {
                return rows;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_weeks_pass_by_steps_the_same_way_for_the_same_seed() {
    let mut books = Vec::new();
    for _ in 0..2 {
        let dir = tempfile::tempdir().expect("dir");
        let driven = Driven::start();
        let options = stepped(&dir, &driven, 12.0);
        let weeks = Weeks::start(dir, driven, options).await;
        weeks.pass(14 * DAY, 6 * HOUR).await;
        books.push(weeks.book().await);
    }
    let book = &books[0];
    assert!((90..210).contains(&book.len()), "{}", book.len());
    assert_eq!(books[0], books[1]);
    let states = |code: &str| book.iter().filter(|row| row["record"]["state"] == code).count();
    assert!(states("70") > 10, "archived");
    // Life follows the clock of the day, not the steps: most orders come between eight and eight, at any minute.
    let hour = |row: &Value| row["record"]["createTime"].as_str().expect("time")[11..13].parse::<u32>().expect("hour");
    let by_day = book.iter().filter(|row| (8..20).contains(&hour(row))).count();
    assert!(by_day * 10 > book.len() * 6, "{by_day} of {}", book.len());
    assert!(book.iter().any(|row| !row["record"]["createTime"].as_str().expect("time").ends_with(":00:00")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_between_steps_and_pushes_are_answered_when_a_step_returns() {
    let (webhook, url) = Webhook::start().await;
    let dir = tempfile::tempdir().expect("dir");
    let driven = Driven::start();
    *webhook.clock.lock().expect("lock") = driven.clock();
    let mut options = stepped(&dir, &driven, 500.0);
    options.gateway_url = Some(url);
    let platform = start_platform(options).await.expect("platform");
    let peer = Peer::of(&platform);
    let first = platform.next_due_ms().expect("something is planned");
    assert!(first > driven.now());
    driven.advance(first - 1 - driven.now());
    platform.step().await.expect("step");
    assert_eq!(peer.sim("/sim/life").await["orders"], 0);
    driven.advance(1);
    platform.step().await.expect("step");
    assert_eq!(peer.sim("/sim/life").await["orders"], 1);
    assert_eq!(webhook.numbers().len(), 1);
    driven.advance(HOUR);
    assert_eq!(peer.sim("/sim/life").await["orders"], 1, "the clock alone moves nothing");

    // What is not taken is tried again when its time has come, with the same nonce, and given up in the end.
    *webhook.refuse.lock().expect("lock") = true;
    platform.step().await.expect("step");
    let refused = *webhook.refused.lock().expect("lock");
    assert!(refused > 0);
    platform.step().await.expect("step");
    assert_eq!(*webhook.refused.lock().expect("lock"), refused, "not before its time");
    *webhook.refuse.lock().expect("lock") = false;
    driven.advance(10 * MINUTE);
    platform.step().await.expect("step");
    let shown = webhook.numbers().len();
    assert!(shown > 1, "{shown}");

    // Most changes show at once, some late; with the tail over all is pushed.
    platform.stop_life();
    for _ in 0..12 {
        driven.advance(HOUR);
        platform.step().await.expect("step");
    }
    let life = peer.sim("/sim/life").await;
    assert_eq!(life["pushes_queued"], 0);
    assert_eq!(life["orders"], webhook.numbers().len());
}

#[tokio::test]
async fn answers_are_dated_by_the_driven_clock() {
    let dir = TempDir::new().expect("a directory");
    let driven = Driven::start();
    let platform = start_platform(stepped(&dir, &driven, 100.0)).await.expect("platform");
    let peer = Peer::of(&platform);
    let answer = peer.client.get(format!("{}/gateway/anything", peer.url)).send().await.expect("an answer");
    assert_eq!(answer.headers()["date"], "Sun, 01 Nov 2026 22:00:00 GMT");
}
