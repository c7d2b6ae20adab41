//! The life of the platform: orders are created at their rate and then live, one planned step at a time.
//!
//! Bounded on purpose: an order is given back at most twice (round ≤ 2), has at most four overlay events (supplement, urge,
//! supervise), and after the end of life only a pending return still gets its verdict.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::{Platform, PlatformKind, PlatformOptions, lock};
use crate::book::entry::{Edit, Entry, Push};
use crate::book::{Book, Held};
use crate::clock;
use crate::data::Row;
use crate::faults::FaultKind;
use crate::invent;
use crate::record::{Order, state};

/// Resolution of life.
const TICK: Duration = Duration::from_millis(50);
/// An order is given back at most so often.
const MAX_ROUND: u32 = 2;

const HOUR_MS: i64 = 3_600_000;
/// Sets the draws of lateness apart from the other steps of an order.
const LATENESS_STEPS: u64 = 1 << 40;

/// How far life has come in this process.
pub(super) struct Life {
    begun: i64,
    /// Orders of this life that an earlier process created.
    already: usize,
    next_row: usize,
    /// The next creation, where a pace gives it.
    next_arrival: Option<i64>,
    rng: ChaCha8Rng,
}

impl Life {
    /// Life goes on at `now`.
    pub(super) fn begin(options: &PlatformOptions, already: usize, now: i64) -> Self {
        let mut rng = invent::rng_for(options.seed, "arrivals", already as u64);
        let next_arrival = options.pace.as_ref().map(|pace| pace.next_arrival(&mut rng, now));
        Self { begun: now, already, next_row: 0, next_arrival, rng }
    }

    /// How many orders this life should have by now.
    fn wanted(&mut self, options: &PlatformOptions, created: usize, now: i64) -> usize {
        let Some(pace) = &options.pace else {
            return self.already + ((now - self.begun) as f64 / 1000.0 * options.rate) as usize;
        };
        let mut wanted = created;
        while let Some(arrival) = self.next_arrival.filter(|arrival| *arrival <= now) {
            wanted += 1;
            self.next_arrival = Some(pace.next_arrival(&mut self.rng, arrival));
        }
        wanted
    }

    /// When the next order is to be created.
    fn next_creation(&self, options: &PlatformOptions, created: usize) -> i64 {
        let by_rate = || self.begun + (((created + 1 - self.already) as f64) * 1000.0 / options.rate).ceil() as i64;
        self.next_arrival.unwrap_or_else(by_rate)
    }
}

/// Lets the platform live until it is shut down.
pub(super) async fn run(platform: Arc<Platform>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = platform.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tick(&platform, platform.now());
        end_where_due(&platform);
    }
}

/// Lives up to the clock's now, each thing at its own moment.
pub(super) fn catch_up(platform: &Platform) {
    let now = platform.now();
    // Nothing may happen before what a peer was told already.
    let floor = platform.answered_ms.load(Ordering::SeqCst);
    let mut last = floor - 1;
    while let Some(due) = next_due(platform).filter(|due| *due < now) {
        // Always onwards, so that what a moment could not settle is tried at the next.
        last = due.max(last + 1).min(now);
        tick(platform, last);
        end_where_due(platform);
        if last == now {
            break;
        }
    }
    tick(platform, now);
    end_where_due(platform);
}

/// When life goes on; `None` = nothing is planned.
pub(super) fn next_due(platform: &Platform) -> Option<i64> {
    let (stopped, created) = {
        let book = platform.ledger.lock();
        (book.stopped, book.created_in_life())
    };
    let options = &platform.options;
    let planned = lock(&platform.planner).next_due();
    if stopped {
        return planned;
    }
    let over = options.kind == PlatformKind::Bureau || options.orders.is_some_and(|orders| created as u64 >= orders);
    let creation = (!over).then(|| lock(&platform.life).next_creation(options, created));
    creation.into_iter().chain(planned).min()
}

/// One moment of life.
fn tick(platform: &Platform, now: i64) {
    let mut book = platform.ledger.lock();
    if !book.stopped {
        create_due(platform, &mut book, now);
        follow_up(platform, &mut book, now);
        super::tricks::tick(platform, &mut book, now);
    }
    let due = lock(&platform.planner).due(now);
    for (number, version) in due {
        step(platform, &mut book, &number, version, now);
    }
    let over = !book.stopped && is_over(platform, &book, now);
    drop(book);
    if over {
        tracing::info!("the platform's life is over");
        platform.stop_life();
    }
}

fn end_where_due(platform: &Platform) {
    if platform.restart.load(Ordering::SeqCst) {
        platform.shutdown.cancel();
    }
}

/// After a start: every order that lives gets its next step.
pub(super) fn replan(platform: &Platform) {
    let now = platform.now();
    let book = platform.ledger.lock();
    let mut planner = lock(&platform.planner);
    book.from_position(0).for_each(|held| planner.plan(&platform.options, held, book.stopped, now));
}

fn is_over(platform: &Platform, book: &Book, now: i64) -> bool {
    let options = &platform.options;
    let since = book.life.as_ref().map_or(now, |(_, at, _)| *at);
    options.seconds.is_some_and(|seconds| now - since >= seconds as i64 * 1000)
        || options.orders.is_some_and(|orders| book.created_in_life() as u64 >= orders)
        || (options.data.is_some() && lock(&platform.life).next_row >= platform.rows.len())
}

fn create_due(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let options = &platform.options;
    if options.kind == PlatformKind::Bureau {
        // It has no orders but those that are dispatched to it.
        return;
    }
    let mut life = lock(&platform.life);
    let wanted = life.wanted(options, book.created_in_life(), now);
    let most = options.orders.map_or(usize::MAX, |orders| orders as usize);
    while book.created_in_life() < wanted.min(most) {
        let order = if options.data.is_some() {
            // Rows that an earlier process created are in the book already.
            while platform.rows.get(life.next_row).is_some_and(|row| book.order(&row.number).is_some()) {
                life.next_row += 1;
            }
            let Some(row) = platform.rows.get(life.next_row) else { return };
            life.next_row += 1;
            from_row(row, now)
        } else {
            let shown = platform.shown_ms(now);
            let number = number_at(options.kind, shown, book.next_number);
            invented(options.kind, options.seed, number, shown)
        };
        create(platform, book, order, now);
    }
}

/// A number that a platform of this kind gives at this moment.
pub(super) fn number_at(kind: PlatformKind, shown_ms: i64, next: usize) -> String {
    let prefix = match kind {
        PlatformKind::Municipal | PlatformKind::Bureau => "GZ",
        PlatformKind::Province => "GD",
        PlatformKind::TaxiQr => "QR",
        PlatformKind::Web => "WX",
        PlatformKind::TaxiWechat => "TW",
    };
    format!("{prefix}{}{next:06}", clock::day_of(&clock::wire_time(shown_ms)).replace('-', ""))
}

/// An order as a platform of this kind has them.
pub(super) fn invented(kind: PlatformKind, seed: u64, number: String, shown_ms: i64) -> Order {
    match kind {
        PlatformKind::Municipal | PlatformKind::Bureau => invent::order(seed, number, shown_ms),
        PlatformKind::Province => invent::provincial_order(seed, number, shown_ms),
        PlatformKind::TaxiQr => invent::scan(seed, number, shown_ms),
        PlatformKind::Web => invent::letter(seed, number, shown_ms),
        PlatformKind::TaxiWechat => invent::taxi_letter(seed, number, shown_ms),
    }
}

/// The order of a row of played data: dispatched at once, so that the desk can answer it whenever life ends.
fn from_row(row: &Row, now: i64) -> Order {
    let event = crate::record::Event {
        event_id: format!("E{}-0", row.number),
        kind: "dispatch".to_owned(),
        time: clock::wire_time(now),
        ..crate::record::Event::default()
    };
    Order {
        order_no: row.number.clone(),
        create_time: row.create_time.clone(),
        update_time: clock::wire_time(now),
        order_type: row.order_type.clone(),
        category: row.category.clone(),
        title: row.title.clone(),
        content: row.content.clone(),
        source_type: row.source_type.clone(),
        address: row.address.clone(),
        urgency: "1".to_owned(),
        is_secret: "0".to_owned(),
        is_anonymous: "0".to_owned(),
        caller_name: row.caller_name.clone(),
        caller_phone: row.caller_phone.clone(),
        state: state::DISPATCHED.to_owned(),
        unit: row.unit.clone(),
        events: vec![event],
        ..Order::default()
    }
}

fn create(platform: &Platform, book: &mut MutexGuard<'_, Book>, mut order: Order, now: i64) {
    let number = order.order_no.clone();
    let mut hidden = false;
    let mut push = Push::Record;
    let mut late = None;
    let fault = [FaultKind::MissedRecord, FaultKind::FutureDated, FaultKind::Late, FaultKind::MissedPush];
    let fault = fault.into_iter().find(|kind| platform.take(book, *kind, now));
    match fault {
        Some(FaultKind::MissedRecord) => {
            // As if a batch had written it past every front door, with an update time well outside the overlap.
            let back = platform.options.overlap.as_millis() as i64 + 10_000 + (book.len() as i64 % 30) * 1000;
            order.update_time = clock::wire_time(now - back);
            if platform.options.data.is_none() {
                order.create_time.clone_from(&order.update_time);
                order.state = state::DISPATCHED.to_owned();
                order.unit = "市交通运输局".to_owned();
            }
            hidden = true;
            push = Push::None;
        }
        Some(FaultKind::FutureDated) => match book.len() % 3 {
            0 => order.update_time = "2099-12-31 23:59:59".to_owned(),
            1 => order.occur_time = "2099-06-30 08:00:00".to_owned(),
            _ => order.events.push(crate::record::Event {
                event_id: format!("E{number}-f"),
                kind: "supplement".to_owned(),
                time: "2099-01-01 00:00:00".to_owned(),
                text: "补充:预约时间。".to_owned(),
                ..crate::record::Event::default()
            }),
        },
        Some(FaultKind::Late) => late = Some(late_by(platform, &number)),
        Some(FaultKind::MissedPush) => push = Push::None,
        _ => {}
    }
    if late.is_some() && platform.options.pace.is_none() {
        push = Push::None;
    }
    let day = clock::day_of(&order.create_time).to_owned();
    platform.ledger.write(book, &Entry::Create { at: now, order: Box::new(order), hidden, push });
    let Some(key) = book.key_of(&number, &day).cloned() else { return };
    if let Some(kind) = fault {
        let hit = super::inject::hit(book, &key, "");
        platform.log(book, kind, now, hit);
    }
    match late {
        Some(by) => show_late(platform, book, &key, now + by),
        None => delay(platform, book, &key, now),
    }
    platform.plan(book, &key, now);
}

/// How late the fault `late` lets something show, in ms.
fn late_by(platform: &Platform, key: &str) -> i64 {
    if platform.options.pace.is_none() {
        return 1_500;
    }
    invent::rng_for(platform.options.seed, key, LATENESS_STEPS - 1).random_range(HOUR_MS..6 * HOUR_MS)
}

/// Keeps an order out of the listing, and its newest push back, until a moment.
fn show_late(platform: &Platform, book: &Book, key: &str, until: i64) {
    let mut late = lock(&platform.late);
    let shown = late.entry(key.to_owned()).or_insert(until);
    *shown = until.max(*shown);
    if let Some(push) = book.newest_push(key) {
        lock(&platform.retries).hold_back(push, until);
    }
}

/// Draws how late an order that just changed shows in listing and push.
fn delay(platform: &Platform, book: &Book, number: &str, now: i64) {
    let Some(lateness) = platform.options.pace.as_ref().and_then(|pace| pace.lateness) else { return };
    let Some(held) = book.order(number) else { return };
    let mut rng = invent::rng_for(platform.options.seed, number, held.version | LATENESS_STEPS);
    let until = now + lateness.draw(&mut rng);
    if until > now {
        show_late(platform, book, number, until);
    }
}

/// The update time of a change made now. An order whose clock runs ahead (2099) keeps running ahead: revisions never go back.
pub(super) fn next_update(platform: &Platform, held: &Held, now: i64) -> String {
    let current = clock::wire_time(platform.shown_ms(now));
    if held.order.update_time <= current {
        return current;
    }
    clock::wire_ms(&held.order.update_time).map_or(current, |ahead| clock::wire_time(ahead + 1000))
}

/// Writes a spontaneous change, with the faults of announcing it.
pub(super) fn change(
    platform: &Platform,
    book: &mut MutexGuard<'_, Book>,
    number: &str,
    edits: Vec<Edit>,
    mut push: Push,
    now: i64,
) {
    let Some(held) = book.order(number) else { return };
    let update = next_update(platform, held, now);
    let before = held.order.clone();
    let mut late = None;
    if held.hidden || platform.inject_on(book, FaultKind::MissedPush, number, "", now) {
        push = Push::None;
    } else if before.update_time != update
        && push == Push::Record
        && platform.inject_on(book, FaultKind::OutOfOrder, number, "", now)
    {
        push = Push::Stale(Box::new(before));
    } else if platform.inject_on(book, FaultKind::Late, number, "", now) {
        late = Some(late_by(platform, number));
        if platform.options.pace.is_none() {
            push = Push::None;
        }
    }
    let entry = Entry::Change { at: now, no: number.to_owned(), update: Some(update), edits, operation: None, push };
    platform.ledger.write(book, &entry);
    match late {
        Some(by) => show_late(platform, book, number, now + by),
        None => delay(platform, book, number, now),
    }
    platform.plan(book, number, now);
}

fn follow_up(platform: &Platform, book: &mut MutexGuard<'_, Book>, now: i64) {
    let due = lock(&platform.planner).due_follow_ups(now);
    for follow_up in due {
        let Some(held) = book.order(&follow_up.number) else { continue };
        let update = Some(follow_up.update.unwrap_or_else(|| next_update(platform, held, now)));
        let entry = Entry::Change {
            at: now,
            no: follow_up.number.clone(),
            update,
            edits: follow_up.edits,
            operation: None,
            push: Push::Record,
        };
        platform.ledger.write(book, &entry);
        platform.plan(book, &follow_up.number, now);
    }
}

fn step(platform: &Platform, book: &mut MutexGuard<'_, Book>, number: &str, version: u64, now: i64) {
    let Some(held) = book.order(number).filter(|held| held.version == version && !held.hidden) else { return };
    if platform.options.kind == PlatformKind::Bureau {
        // What was dispatched to it is brought to its end, also when nothing new comes.
        if let Some(edits) = super::bureau::work(platform, held, platform.shown_ms(now)) {
            change(platform, book, number, edits, Push::Record, now);
        }
        return;
    }
    let asked = super::overlay::is_open(&held.order);
    if book.stopped && !asked && held.order.state != state::RETURN_ASKED {
        return;
    }
    let mut rng = invent::rng_for(platform.options.seed, number, version * 2 + 2);
    let stopped = book.stopped;
    let order = held.order.clone();
    if asked {
        let id = format!("E{}-{}", order.order_no, version + 1);
        let edits = super::overlay::decide(&mut rng, &order, &id, platform.shown_ms(now));
        change(platform, book, number, edits.unwrap_or_default(), Push::Record, now);
        return;
    }
    let accepted = order.state == state::ACCEPTED;
    if accepted && platform.inject_on(book, FaultKind::StateSkipped, number, "", now) {
        let edits = vec![
            Edit::Completion(invent::direct_completion(&mut rng, &order, platform.shown_ms(now))),
            Edit::State(state::COMPLETED.to_owned()),
        ];
        change(platform, book, number, edits, Push::Record, now);
        return;
    }
    let never_again = stopped || platform.options.kind.is_front();
    if let Some((edits, push)) = next(&mut rng, &order, version, never_again, platform.shown_ms(now)) {
        change(platform, book, number, edits, push, now);
    }
}

/// What happens to an order of this state, if anything; `never_again`: it is not given back any more.
fn next(rng: &mut ChaCha8Rng, order: &Order, version: u64, never_again: bool, now: i64) -> Option<(Vec<Edit>, Push)> {
    let id = format!("E{}-{}", order.order_no, version + 1);
    let may_return = order.round < MAX_ROUND && !never_again;
    let happen = |rng: &mut ChaCha8Rng, kind: &str, mut edits: Vec<Edit>| {
        edits.push(Edit::Event(invent::event(rng, id.clone(), kind, now)));
        Some((edits, Push::Record))
    };
    let to = |code: &str| Edit::State(code.to_owned());
    let again = || vec![Edit::State(state::DISPATCHED.to_owned()), Edit::Round(order.round + 1)];
    match order.state.as_str() {
        state::ACCEPTED if rng.random_bool(0.03) => Some((vec![to(state::WITHDRAWN)], Push::Record)),
        state::ACCEPTED => {
            let unit = Edit::Unit(invent::unit(rng));
            happen(rng, "dispatch", vec![to(state::DISPATCHED), unit])
        }
        state::DISPATCHED | state::SIGNED => overlay(rng, order, id, now),
        state::RETURN_ASKED if may_return && rng.random_bool(0.5) => happen(rng, "return_refused", again()),
        state::RETURN_ASKED => happen(rng, "return_agreed", vec![to(state::RETURNED)]),
        state::REPLIED if may_return && rng.random_bool(0.15) => happen(rng, "review_rejected", again()),
        state::REPLIED if rng.random_bool(0.4) && !order.events.iter().any(|event| event.kind == "review_passed") => {
            happen(rng, "review_passed", Vec::new())
        }
        state::COMPLETED if rng.random_bool(0.85) => {
            Some((vec![to(state::VISITED), Edit::Visit(invent::visit(rng, order, now))], Push::Record))
        }
        state::COMPLETED => Some((vec![to(state::ARCHIVED)], Push::Record)),
        state::VISITED => {
            let dissatisfied =
                order.visits.last().is_some_and(|visit| matches!(visit.satisfaction.as_str(), "4" | "5"));
            if may_return && dissatisfied && rng.random_bool(0.6) {
                happen(rng, "rehandle", again())
            } else {
                Some((vec![to(state::ARCHIVED)], Push::Record))
            }
        }
        _ => None,
    }
}

/// What citizens and supervisors do while an order is with the desk.
fn overlay(rng: &mut ChaCha8Rng, order: &Order, id: String, now: i64) -> Option<(Vec<Edit>, Push)> {
    let overlays =
        order.events.iter().filter(|event| matches!(event.kind.as_str(), "supplement" | "urge" | "supervise")).count();
    let what = rng.random_range(0..100);
    match what {
        0..2 if order.state == state::DISPATCHED => {
            Some((vec![Edit::State(state::WITHDRAWN.to_owned())], Push::Record))
        }
        2..6 => Some((vec![Edit::Title(invent::retitle(rng, &order.title))], Push::Record)),
        6..9 => Some((vec![Edit::Address(invent::readdress(rng))], Push::Record)),
        9..11 => Some((vec![Edit::Category("交通运输/其他".to_owned())], Push::Record)),
        11..13 => Some((vec![Edit::Content(format!("{}\n补充更正。", order.content))], Push::Record)),
        13..45 if overlays < 4 => {
            let kind = invent::pick(rng, &["supplement", "supplement", "urge", "urge", "supervise"]);
            let push = if rng.random_bool(0.5) { Push::Event(id.clone()) } else { Push::Record };
            Some((vec![Edit::Event(invent::event(rng, id, kind, now))], push))
        }
        _ => None,
    }
}
