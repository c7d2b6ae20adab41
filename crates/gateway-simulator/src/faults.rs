//! What real peers do wrong, as a seeded plan: which kinds, how often, and a planned moment for each, so that none is left out.
//!
//! Contract: [`Faults::take`] says whether a fault is to be injected at a site *now*; a site asks only when it can inject, and
//! then does. Whoever takes journals it, so the counters survive a restart. No fault makes the platform's own book inconsistent:
//! damage happens in transit, and what was never announced is in the book all the same. After the end of life no fault is injected.

use std::collections::BTreeMap;
use std::str::FromStr;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::SimError;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $rate:literal, $gap:literal, $severe:literal;)+) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultKind { $($(#[doc = $doc])+ $name,)+ }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its word in options, counters and journals.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// Chance per opportunity in a heavy plan, smallest distance in ms between two, and whether only heavy plans have it.
            fn habit(self) -> (f64, i64, bool) {
                match self { $(Self::$name => ($rate, $gap, $severe)),+ }
            }
        }
    };
}

kinds! {
    /// A record twice in a page or push.
    Duplicate = "duplicate", 0.05, 300, false;
    /// A record that the listing shows only some time after its update time.
    Late = "late", 0.02, 200, false;
    /// A record that neither listing nor push ever shows; only asking by number or event window brings it out.
    MissedRecord = "missed_record", 0.01, 1_500, true;
    /// An older version pushed after the newer one.
    OutOfOrder = "out_of_order", 0.02, 300, false;
    /// Records that change while the listing is paged.
    PageDrift = "page_drift", 0.3, 1_000, false;
    /// Several edits within the same second of update time.
    SameSecond = "same_second", 0.01, 500, false;
    /// A compared field edited without a new update time and without a push.
    SilentEdit = "silent_edit", 0.02, 1_500, true;
    /// An edit and its reversal.
    AbaEdit = "aba_edit", 0.01, 500, false;
    /// An order that goes from accepted to completed with nothing between.
    StateSkipped = "state_skipped", 0.02, 300, false;
    /// A time in the year 2099.
    FutureDated = "future_dated", 0.01, 500, false;
    /// 5xx.
    ServerError = "server_error", 0.02, 500, false;
    /// 429 with Retry-After.
    Throttle = "throttle", 0.01, 3_000, false;
    /// No answer for longer than the client waits.
    Hang = "hang", 0.005, 9_000, false;
    /// The operation done, answered after the client gave up.
    LateAnswer = "late_answer", 0.01, 4_000, false;
    /// An answer cut off in transit.
    TruncatedBody = "truncated_body", 0.01, 1_000, false;
    /// Bytes damaged in transit.
    MalformedBody = "malformed_body", 0.01, 1_500, false;
    /// A change that is not pushed.
    MissedPush = "missed_push", 0.05, 100, false;
    /// A push sent again, same nonce and body.
    RepeatedPush = "repeated_push", 0.03, 300, false;
    /// A push sent again, same nonce and a newer body.
    ChangedPush = "changed_push", 0.02, 500, false;
    /// A reply answered with success and a receipt, but not kept.
    LostReply = "lost_reply", 0.02, 1_500, true;
    /// The process ends for its supervisor to start it again.
    PlatformRestart = "platform_restart", 0.000_5, 20_000, true;
    /// A manifest made from a snapshot up to two seconds old; the contract allows it.
    StaleManifest = "stale_manifest", 0.3, 200, false;
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| format!("no kind of fault is called {word:?}"))
    }
}

/// Which faults a platform has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FaultPlan {
    /// A perfect peer.
    #[default]
    None,
    /// A mild mix without what only reconciliation can repair.
    Default,
    /// All of them, each at least once.
    Heavy,
    /// The named kinds, at heavy rates.
    Kinds(Vec<FaultKind>),
    /// The named kinds, each at so many percent of its opportunities and as close together as they come: for a test that must be sure of a kind.
    Rates(Vec<(FaultKind, u8)>),
}

impl FromStr for FaultPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "none" => Self::None,
            "default" => Self::Default,
            "heavy" => Self::Heavy,
            list if list.contains(':') => Self::Rates(list.split(',').map(rated).collect::<Result<_, _>>()?),
            list => Self::Kinds(list.split(',').map(|word| word.trim().parse()).collect::<Result<_, _>>()?),
        })
    }
}

impl FaultPlan {
    /// The kinds that the plan has.
    pub fn kinds(&self) -> Vec<FaultKind> {
        match self {
            Self::None => Vec::new(),
            Self::Default => FaultKind::ALL.iter().copied().filter(|kind| !kind.habit().2).collect(),
            Self::Heavy => FaultKind::ALL.to_vec(),
            Self::Kinds(kinds) => kinds.clone(),
            Self::Rates(kinds) => kinds.iter().map(|(kind, _)| *kind).collect(),
        }
    }

    /// The plan's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Default => "default",
            Self::Heavy => "heavy",
            Self::Kinds(_) | Self::Rates(_) => "kinds",
        }
    }

    /// Chance per opportunity, and the smallest distance in ms between two.
    fn habit(&self, kind: FaultKind) -> (f64, i64) {
        let (rate, gap_ms, _) = kind.habit();
        match self {
            Self::Default => (rate * 0.4, gap_ms),
            Self::Rates(kinds) => {
                let percent = kinds.iter().find(|(named, _)| *named == kind).map_or(0, |(_, percent)| *percent);
                (f64::from(percent) / 100.0, 0)
            }
            _ => (rate, gap_ms),
        }
    }
}

/// `kind:percent`
fn rated(word: &str) -> Result<(FaultKind, u8), String> {
    let (kind, percent) = word.trim().split_once(':').ok_or_else(|| format!("{word:?} lacks its :percent"))?;
    let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
    Ok((kind.parse()?, percent.ok_or_else(|| format!("{word:?}: percent is 1 to 100"))?))
}

#[derive(Debug)]
struct Planned {
    rate: f64,
    gap_ms: i64,
    due_ms: i64,
    last_ms: i64,
    injected: u64,
}

/// The plan at work.
#[derive(Debug)]
pub struct Faults {
    planned: BTreeMap<FaultKind, Planned>,
    rng: ChaCha8Rng,
    until_ms: i64,
    since_ms: i64,
}

impl Faults {
    /// Sets the plan to work for a life that lasts from `since_ms` for `life_ms`, counting on from the counters of the book.
    pub fn new(plan: &FaultPlan, seed: u64, since_ms: i64, life_ms: i64, counted: &BTreeMap<String, u64>) -> Self {
        let kinds = plan.kinds();
        let planned = kinds.iter().enumerate().map(|(index, &kind)| {
            let (rate, gap_ms) = plan.habit(kind);
            // If chance did not bring it before, it comes at its planned moment in the first 60 % of life.
            let due_ms = since_ms + life_ms * 6 / 10 * (index as i64 + 1) / (kinds.len() as i64 + 1);
            let injected = counted.get(kind.as_str()).copied().unwrap_or(0);
            (kind, Planned { rate, gap_ms, due_ms, last_ms: since_ms, injected })
        });
        Self {
            planned: planned.collect(),
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0xfa17_5eed ^ counted.values().sum::<u64>()),
            until_ms: since_ms + life_ms,
            since_ms,
        }
    }

    /// Whether the plan has a kind at all.
    pub fn has(&self, kind: FaultKind) -> bool {
        self.planned.contains_key(&kind)
    }

    /// Whether a kind is due by plan and did not come by chance yet.
    pub fn is_due(&self, kind: FaultKind, now_ms: i64) -> bool {
        self.planned
            .get(&kind)
            .is_some_and(|planned| planned.injected == 0 && now_ms >= planned.due_ms && now_ms < self.until_ms)
    }

    /// Whether to inject a fault of this kind now; the caller does inject and journals it.
    pub fn take(&mut self, kind: FaultKind, now_ms: i64) -> bool {
        let due = self.is_due(kind, now_ms);
        if now_ms >= self.until_ms {
            return false;
        }
        let Some(planned) = self.planned.get_mut(&kind) else { return false };
        let apart = planned.last_ms == self.since_ms || now_ms - planned.last_ms >= planned.gap_ms;
        if due || (apart && self.rng.random_bool(planned.rate)) {
            planned.last_ms = now_ms;
            planned.injected += 1;
            return true;
        }
        false
    }

    /// Whether to inject now, whatever the chance: for things that are tried once a tick at most.
    pub fn take_due(&mut self, kind: FaultKind, now_ms: i64) -> bool {
        self.is_due(kind, now_ms) && self.take(kind, now_ms)
    }

    /// Injects now, whatever the chance and the distance; false only when the plan lacks the kind or life is over.
    pub fn force(&mut self, kind: FaultKind, now_ms: i64) -> bool {
        let Some(planned) = self.planned.get_mut(&kind).filter(|_| now_ms < self.until_ms) else { return false };
        planned.last_ms = now_ms;
        planned.injected += 1;
        true
    }

    /// Goes on by chance for ever.
    pub fn never_end(&mut self) {
        self.until_ms = i64::MAX;
    }

    /// No fault any more.
    pub fn end(&mut self) {
        self.until_ms = i64::MIN;
    }
}

/// Parses a plan for an option.
///
/// # Errors
/// When a kind is unknown.
pub fn parse_plan(text: &str) -> Result<FaultPlan, SimError> {
    text.parse().map_err(|reason| SimError::Option { option: "--faults", reason })
}
