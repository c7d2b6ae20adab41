//! What was injected, one by one: the campaign's ground truth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FaultKind;
use super::expectation::{self, Expected};
use crate::digest::{Dataset, Item, ItemKey};

/// One injected fault, or one order's share of a fault that hit several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Injected {
    /// Its number, from 1.
    pub id: u64,
    /// The number of the first of those that belong together; its own where it stands alone.
    pub group: u64,
    /// What kind.
    pub kind: FaultKind,
    /// Which form of it: a compared field, `order`, `event`, `ahead` … Empty where there is one form only.
    pub variant: String,
    /// When, in ms.
    pub at_ms: i64,
    /// The dataset, where it is about one as a whole (accounts).
    pub dataset: Option<Dataset>,
    /// Number of the order, where it hit one.
    pub number: Option<String>,
    /// Day of creation of that order, as the gateway knows it.
    pub day: Option<String>,
    /// The items on which the books should differ, under the names that they have at whoever has them.
    pub items: Vec<ItemKey>,
    /// From when to when it lasts, in ms, where it is not a thing of a moment; or how far back it reaches.
    pub window: Option<(i64, i64)>,
    /// What must come of it, by the table.
    pub expected: Expected,
    /// When the platform settled it by itself: listing or push showed the record again, or the operation was done again, in ms.
    pub healed_at_ms: Option<i64>,
    /// When it was settled by somebody who asked for the order by number or event window, in ms.
    pub fetched_at_ms: Option<i64>,
    /// When something else happened to the order that makes this fault meaningless (deleted, restored, number given again), in ms.
    pub superseded_at_ms: Option<i64>,
    /// The record's update time before it was done.
    pub update_time: String,
    /// What settles it.
    pub heals: Heals,
}

/// What settles a fault that hit an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Heals {
    /// The record shown by listing or push, or fetched.
    #[default]
    Shown,
    /// The record shown with an update time as late as before, or fetched: what is shown until then is older than what was seen.
    LaterChange,
    /// The same operation done again.
    Redone,
    /// The record fetched: only an authoritative answer says what is not there any more.
    Fetched,
}

impl Injected {
    /// Whether the books still differ by it, as far as the platform can tell: not shown again, not fetched, not superseded.
    pub fn is_in_place(&self) -> bool {
        self.healed_at_ms.is_none() && self.fetched_at_ms.is_none() && self.superseded_at_ms.is_none()
    }
}

/// What a fault hits; the rest of [`Injected`] is filled in where it is logged.
#[derive(Clone, Debug, Default)]
pub struct Hit {
    /// Which form.
    pub variant: String,
    /// The order's place in the book.
    pub key: Option<String>,
    /// Its number and day.
    pub order: Option<(String, String)>,
    /// Its update time before.
    pub update_time: String,
    /// The dataset.
    pub dataset: Option<Dataset>,
    /// The items.
    pub items: Vec<ItemKey>,
    /// How long, or how far back.
    pub window: Option<(i64, i64)>,
    /// The first of its group.
    pub group: Option<u64>,
    /// What settles it, unless the table says that nothing does.
    pub heals: Heals,
}

/// All that was injected, with an index by order of what is still in place.
#[derive(Default)]
pub struct Injections {
    all: Vec<Injected>,
    open: BTreeMap<String, Vec<usize>>,
}

impl Injections {
    /// What the next one will look like.
    pub fn prepare(&self, kind: FaultKind, at_ms: i64, hit: Hit) -> Injected {
        let id = self.all.len() as u64 + 1;
        let (number, day) = hit.order.unzip();
        let expected = expectation::expected(kind, &hit.variant);
        Injected {
            id,
            group: hit.group.unwrap_or(id),
            kind,
            variant: hit.variant,
            at_ms,
            dataset: hit.dataset,
            number,
            day,
            items: hit.items,
            window: hit.window,
            healed_at_ms: None,
            fetched_at_ms: None,
            superseded_at_ms: None,
            update_time: hit.update_time,
            heals: if expected.outlasts_showing() && hit.heals != Heals::Redone { Heals::Fetched } else { hit.heals },
            expected,
        }
    }

    /// Takes one over; `key` is the order's place in the book.
    pub fn add(&mut self, injected: &Injected, key: Option<&str>) {
        if let Some(key) = key.filter(|_| injected.expected.lasts()) {
            self.open.entry(key.to_owned()).or_default().push(self.all.len());
        }
        self.all.push(injected.clone());
    }

    /// Everything injected so far.
    pub fn all(&self) -> &[Injected] {
        &self.all
    }

    /// Whether an order has a fault in place.
    pub fn is_open(&self, key: &str) -> bool {
        self.open.contains_key(key)
    }

    /// The places of the orders with this number that have a fault in place, whether or not they are still there.
    pub fn open_of(&self, number: &str) -> Vec<String> {
        let of_number = |index: &usize| self.all.get(*index).and_then(|fault| fault.number.as_deref()) == Some(number);
        // A place is named by its number first.
        let near = self.open.range(number.to_owned()..).take_while(|(key, _)| key.starts_with(number));
        near.filter(|(_, open)| open.iter().any(of_number)).map(|(key, _)| key.clone()).collect()
    }

    /// An order was shown with this update time. `fetched`: somebody asked for just this order.
    pub fn shown(&mut self, key: &str, update_time: &str, at_ms: i64, fetched: bool) {
        self.settle(key, |injected| {
            let settles = match injected.heals {
                Heals::Shown => true,
                Heals::LaterChange => fetched || update_time >= injected.update_time.as_str(),
                Heals::Fetched => fetched,
                Heals::Redone => false,
            };
            if settles && fetched {
                injected.fetched_at_ms = Some(at_ms);
            } else if settles {
                injected.healed_at_ms = Some(at_ms);
            }
            settles
        });
    }

    /// An operation on an order was done and kept.
    pub fn redone(&mut self, key: &str, operation: &str, at_ms: i64) {
        self.settle(key, |injected| {
            let settles = injected.heals == Heals::Redone && injected.variant == operation;
            if settles {
                injected.healed_at_ms = Some(at_ms);
            }
            settles
        });
    }

    /// An order has these items after a change: what had gone from it may be there again.
    pub fn returned(&mut self, key: &str, now: &[Item], at_ms: i64) {
        self.settle(key, |injected| {
            let is_there = |key: &ItemKey| now.iter().any(|item| item.key == *key);
            let settles = injected.heals == Heals::Fetched && injected.items.iter().all(is_there);
            if settles {
                injected.healed_at_ms = Some(at_ms);
            }
            settles
        });
    }

    fn settle(&mut self, key: &str, mut settles: impl FnMut(&mut Injected) -> bool) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.retain(|&index| self.all.get_mut(index).is_some_and(|injected| !settles(injected)));
        if open.is_empty() {
            self.open.remove(key);
        }
    }

    /// An order is again as it was at a moment: what was done to it since never happened.
    pub fn undo(&mut self, key: &str, moment: i64, at_ms: i64) {
        self.settle(key, |injected| {
            let undone = injected.at_ms > moment;
            if undone {
                injected.superseded_at_ms = Some(at_ms);
            }
            undone
        });
    }

    /// Something else happened to the order, which has these items now. What we hold and the source does not stays so.
    pub fn supersede(&mut self, key: &str, now: &[Item], at_ms: i64) {
        self.settle(key, |injected| {
            let is_there = |key: &ItemKey| now.iter().any(|item| item.key == *key);
            let settles = injected.heals != Heals::Fetched || injected.items.iter().all(is_there);
            if settles {
                injected.superseded_at_ms = Some(at_ms);
            }
            settles
        });
    }
}
