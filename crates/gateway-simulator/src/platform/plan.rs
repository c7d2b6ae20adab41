//! When what happens next to an order: a heap of planned steps, rebuilt from the book at start.
//!
//! A plan names the order's version; when the order changed in the meantime, the plan is void and a newer one exists. So nothing
//! has to be cancelled, and nothing planned has to be durable.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt as _;

use super::{PlatformKind, PlatformOptions};
use crate::book::Held;
use crate::book::entry::Edit;
use crate::invent;
use crate::record::state;

/// A change that belongs to an earlier one (second edit of the same second, the way back of A→B→A).
pub(super) struct FollowUp {
    pub(super) due_ms: i64,
    pub(super) number: String,
    /// The update time to give; `None` = the ordinary one.
    pub(super) update: Option<String>,
    pub(super) edits: Vec<Edit>,
}

/// Planned steps.
#[derive(Default)]
pub(super) struct Planner {
    steps: BinaryHeap<Reverse<(i64, String, u64)>>,
    pub(super) follow_ups: Vec<FollowUp>,
}

impl Planner {
    /// Plans the next step of an order as it is now.
    pub(super) fn plan(&mut self, options: &PlatformOptions, held: &Held, stopped: bool, now: i64) {
        if options.kind == PlatformKind::Bureau {
            if super::bureau::has_work(options.seed, held) {
                let mut rng = invent::rng_for(options.seed, &held.order.order_no, held.version * 2 + 1);
                self.steps.push(Reverse((now + rng.random_range(300..1_500), held.key.clone(), held.version)));
            }
            return;
        }
        // With played data the life of an order is simple: what the desk does, and nothing else. After the end of life too, except
        // that a question of the desk (a return, an extension, an appeal) still gets its answer.
        let simple = stopped || options.data.is_some();
        let asked = super::overlay::is_open(&held.order);
        // What was uploaded lives where it came from.
        if held.hidden || held.uploaded || (simple && !asked && held.order.state != state::RETURN_ASKED) {
            return;
        }
        let mut rng = invent::rng_for(options.seed, &held.order.order_no, held.version * 2 + 1);
        let pace = options.pace.as_ref();
        let (wait, (from, to)) = match held.order.state.as_str() {
            _ if asked => (pace.map(|pace| pace.verdict), (100, if stopped { 300 } else { 1_200 })),
            state::ACCEPTED => (pace.map(|pace| pace.dispatch), (200, 1_500)),
            state::DISPATCHED | state::SIGNED => (pace.map(|pace| pace.overlay), (400, 3_000)),
            state::RETURN_ASKED => (pace.map(|pace| pace.verdict), (100, if stopped { 300 } else { 1_200 })),
            state::REPLIED => (pace.map(|pace| pace.review), (100, 900)),
            state::COMPLETED => (pace.map(|pace| pace.visit), (400, 2_500)),
            state::VISITED => (pace.map(|pace| pace.archive), (400, 2_000)),
            _ => return,
        };
        let wait = match wait {
            Some(wait) => wait.draw(&mut rng),
            None => rng.random_range(from..to),
        };
        self.steps.push(Reverse((now + wait, held.key.clone(), held.version)));
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> Option<i64> {
        let step = self.steps.peek().map(|Reverse((at, ..))| *at);
        step.into_iter().chain(self.follow_ups.iter().map(|follow_up| follow_up.due_ms)).min()
    }

    /// The steps that are due.
    pub(super) fn due(&mut self, now_ms: i64) -> Vec<(String, u64)> {
        let mut due = Vec::new();
        while self.steps.peek().is_some_and(|Reverse((at, ..))| *at <= now_ms) {
            due.extend(self.steps.pop().map(|Reverse((_, number, version))| (number, version)));
        }
        due
    }

    /// The follow-ups that are due.
    pub(super) fn due_follow_ups(&mut self, now_ms: i64) -> Vec<FollowUp> {
        let (due, later) =
            std::mem::take(&mut self.follow_ups).into_iter().partition(|follow_up| follow_up.due_ms <= now_ms);
        self.follow_ups = later;
        due
    }
}
