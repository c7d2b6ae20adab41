//! What real peers do wrong, as a seeded plan: which kinds, how often, and a planned moment for each, so that none is left out.
//!
//! Contract: [`Faults::take`] says whether a fault is to be injected at a site *now*; a site asks only when it can inject, and
//! then does. Whoever takes journals it, so the counters survive a restart. No fault makes the platform's own book inconsistent:
//! damage happens in transit, and what was never announced is in the book all the same. After the end of life no fault is injected.

pub mod expectation;
pub mod injected;

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::SimError;
use crate::invent;
use crate::platform::PlatformKind;

/// Which plans have a kind by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// The default plan and the heavy one: polling and pushes get over it.
    Mild,
    /// The heavy plan: reconciliation repairs it.
    Severe,
    /// None; a campaign asks for it by number. A gateway can't repair all of it, or only over days.
    Campaign,
    /// The heavy plan of the province alone: it befalls uploads.
    Upload,
    /// The heavy plan of those where citizens write themselves: it befalls the files that their records refer to.
    File,
}
use Class::{Campaign, File, Mild, Severe, Upload};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $rate:literal, $gap:literal, $class:ident;)+) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FaultKind { $($(#[doc = $doc])+ $name,)+ }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its word in options, counters and journals.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// Chance per opportunity in a heavy plan, smallest distance in ms between two, and which plans have it.
            fn habit(self) -> (f64, i64, Class) {
                match self { $(Self::$name => ($rate, $gap, $class)),+ }
            }
        }
    };
}

kinds! {
    /// A record twice in a page or push.
    Duplicate = "duplicate", 0.05, 300, Mild;
    /// A record that the listing shows only some time after its update time.
    Late = "late", 0.02, 200, Mild;
    /// A record that neither listing nor push ever shows; only asking by number or event window brings it out.
    MissedRecord = "missed_record", 0.01, 1_500, Severe;
    /// An older version pushed after the newer one.
    OutOfOrder = "out_of_order", 0.02, 300, Mild;
    /// Records that change while the listing is paged.
    PageDrift = "page_drift", 0.3, 1_000, Mild;
    /// Several edits within the same second of update time.
    SameSecond = "same_second", 0.01, 500, Mild;
    /// A compared field edited without a new update time and without a push.
    SilentEdit = "silent_edit", 0.02, 1_500, Severe;
    /// An edit and its reversal.
    AbaEdit = "aba_edit", 0.01, 500, Mild;
    /// An order that goes from accepted to completed with nothing between.
    StateSkipped = "state_skipped", 0.02, 300, Mild;
    /// A time in the year 2099.
    FutureDated = "future_dated", 0.01, 500, Mild;
    /// 5xx.
    ServerError = "server_error", 0.02, 500, Mild;
    /// 429 with Retry-After.
    Throttle = "throttle", 0.01, 3_000, Mild;
    /// No answer for longer than the client waits.
    Hang = "hang", 0.005, 9_000, Mild;
    /// The operation done, answered after the client gave up.
    LateAnswer = "late_answer", 0.01, 4_000, Mild;
    /// An answer cut off in transit.
    TruncatedBody = "truncated_body", 0.01, 1_000, Mild;
    /// Bytes damaged in transit.
    MalformedBody = "malformed_body", 0.01, 1_500, Mild;
    /// A change that is not pushed.
    MissedPush = "missed_push", 0.05, 100, Mild;
    /// A push sent again, same nonce and body.
    RepeatedPush = "repeated_push", 0.03, 300, Mild;
    /// A push sent again, same nonce and a newer body.
    ChangedPush = "changed_push", 0.02, 500, Mild;
    /// A reply answered with success and a receipt, but not kept.
    LostReply = "lost_reply", 0.02, 1_500, Severe;
    /// The process ends for its supervisor to start it again.
    PlatformRestart = "platform_restart", 0.000_5, 20_000, Severe;
    /// A manifest made from a snapshot up to two seconds old; the contract allows it.
    StaleManifest = "stale_manifest", 0.3, 200, Mild;
    /// An event of the platform's own, noted without a new update time and without a push.
    MissedEvent = "missed_event", 0.02, 1_500, Campaign;
    /// Person fields edited without a new update time and without a push: no compared field shows it.
    PersonEdit = "person_edit", 0.02, 1_500, Campaign;
    /// A sign, refusal or completion answered with success, but not kept.
    LostOperation = "lost_operation", 0.02, 1_500, Campaign;
    /// A sign, refusal or completion done, but the event of it not noted.
    LostEvent = "lost_event", 0.02, 1_500, Campaign;
    /// An operation done, its answer lost, and its receipt not known for hours or for ever. The same key still answers as the first time.
    LostReceipt = "lost_receipt", 0.02, 1_500, Campaign;
    /// The same event noted again under another id.
    DuplicateEvent = "duplicate_event", 0.02, 1_500, Campaign;
    /// One order lost to us and another taken out at the source within the same ten minutes, so that counts agree.
    SwapInBucket = "swap_in_bucket", 0.01, 1_500, Campaign;
    /// A page of the listing that lacks its last records, or some before the last, and says that it is whole.
    TornPage = "torn_page", 0.02, 1_500, Campaign;
    /// Hours in which nothing is answered, by 503 or by closed connections, and nothing pushed. Life goes on.
    Outage = "outage", 0.000_1, 60_000, Campaign;
    /// A number given to a second order, on another day or on the same day in place of the first.
    ReusedNumber = "reused_number", 0.005, 1_500, Campaign;
    /// The platform's clock runs minutes ahead or behind for hours: times of creation and update, `asOf`, signatures.
    ClockSkew = "clock_skew", 0.000_1, 60_000, Campaign;
    /// A time of creation, event, reply or visit corrected: within its ten minutes, to others, to another day.
    EventTimeCorrected = "event_time_corrected", 0.01, 1_500, Campaign;
    /// An order, or an event of an order, taken out of the book.
    Deletion = "deletion", 0.01, 1_500, Campaign;
    /// The platform goes back to its state of some hours ago and goes on from there.
    RestoredBackup = "restored_backup", 0.000_1, 60_000, Campaign;
    /// Accounts whose count is not that of their own list.
    ManifestCountLie = "manifest_count_lie", 0.01, 1_500, Campaign;
    /// Accounts that name an item twice.
    ManifestTwice = "manifest_twice", 0.01, 1_500, Campaign;
    /// Accounts of another window than the one asked for.
    ManifestOtherWindow = "manifest_other_window", 0.01, 1_500, Campaign;
    /// Accounts hours old, that say so or call themselves fresh.
    ManifestStale = "manifest_stale", 0.01, 1_500, Campaign;
    /// Accounts that lack the end of their list.
    ManifestTruncated = "manifest_truncated", 0.01, 1_500, Campaign;
    /// An upload answered with success and a receipt, but not kept.
    LostUpload = "lost_upload", 0.02, 1_500, Upload;
    /// A row of an upload refused for a reason of business (not the acceptance, without which there is no order).
    RefusedUpload = "refused_upload", 0.005, 3_000, Upload;
    /// An upload kept, and answered "already submitted".
    SubmittedUpload = "submitted_upload", 0.02, 1_000, Upload;
    /// An upload kept, and the connection cut before the answer was whole.
    UploadHangUp = "upload_hang_up", 0.02, 1_000, Upload;
    /// A file whose upload ends only some time after it was asked for first; until then it is not there.
    LateFile = "late_file", 0.1, 500, File;
    /// A file that the platform lost for good.
    LostFile = "lost_file", 0.005, 20_000, File;
    /// 500 instead of a file.
    FileError = "file_error", 0.05, 500, File;
    /// A file whose connection breaks in the middle.
    TornFile = "torn_file", 0.05, 500, File;
    /// "No such file" with HTTP 200, of one that is there.
    DeniedFile = "denied_file", 0.03, 500, File;
    /// A page for people instead of a file.
    PageForFile = "page_for_file", 0.03, 500, File;
}

impl FaultKind {
    /// Whether it befalls uploads, which only the province takes.
    pub fn befalls_uploads(self) -> bool {
        self.habit().2 == Upload
    }

    /// Whether it befalls the files that records refer to, which only those have where citizens write themselves.
    pub fn befalls_files(self) -> bool {
        self.habit().2 == File
    }

    /// The kinds of a heavy plan of the province: it pushes nothing, and nothing tampers with what cities uploaded.
    pub fn provincial() -> Vec<Self> {
        let suits = |kind: Self| {
            kind.befalls_uploads()
                || matches!(
                    kind,
                    Self::Duplicate
                        | Self::Late
                        | Self::MissedRecord
                        | Self::ServerError
                        | Self::Throttle
                        | Self::Hang
                        | Self::LateAnswer
                        | Self::TruncatedBody
                        | Self::MalformedBody
                        | Self::PlatformRestart
                        | Self::StaleManifest
                        | Self::LostReceipt
                )
        };
        Self::ALL.iter().copied().filter(|kind| suits(*kind)).collect()
    }

    /// The kinds of a heavy plan of the bureau: what befalls pushes, transport and dispatches. A dispatch refused for good would leave an order
    /// with nobody, so none is.
    pub fn of_the_bureau() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|kind| kind.befalls_the_bureau()).collect()
    }

    /// Whether it can befall the bureau.
    pub fn befalls_the_bureau(self) -> bool {
        matches!(
            self,
            Self::Duplicate
                | Self::Late
                | Self::OutOfOrder
                | Self::ServerError
                | Self::Throttle
                | Self::Hang
                | Self::LateAnswer
                | Self::TruncatedBody
                | Self::MalformedBody
                | Self::MissedPush
                | Self::RepeatedPush
                | Self::PlatformRestart
                | Self::StaleManifest
                | Self::LostUpload
                | Self::SubmittedUpload
                | Self::UploadHangUp
        )
    }

    /// The kinds of a heavy plan of a municipal platform.
    pub fn heavy() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|kind| kind.habit().2 <= Severe).collect()
    }
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
    /// All that the gateway gets over within a short life, each at least once.
    Heavy,
    /// The named kinds, at heavy rates.
    Kinds(Vec<FaultKind>),
    /// The named kinds, each at so many percent of its opportunities and as close together as they come: for a test that must be sure of a kind.
    Rates(Vec<(FaultKind, u8)>),
    /// So many of each kind, at seeded moments spread over the life (3 % to 90 % of `seconds`, or of three weeks), each taken at the
    /// first opportunity after its moment and logged.
    Campaign {
        /// How many of each.
        per_kind: BTreeMap<FaultKind, u32>,
    },
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
    /// The kinds that the plan has at such a platform.
    pub fn kinds(&self, platform: PlatformKind) -> Vec<FaultKind> {
        let mild = |kind: &FaultKind| kind.habit().2 == Mild;
        match (self, platform) {
            (Self::Default, PlatformKind::Province) => FaultKind::provincial().into_iter().filter(mild).collect(),
            (Self::Heavy, PlatformKind::Province) => FaultKind::provincial(),
            (Self::Default, PlatformKind::Bureau) => FaultKind::of_the_bureau().into_iter().filter(mild).collect(),
            (Self::Heavy, PlatformKind::Bureau) => FaultKind::of_the_bureau(),
            (Self::Default | Self::Heavy, front) if front.is_front() => {
                let files = FaultKind::ALL.iter().copied().filter(|kind| kind.befalls_files());
                // What is lost for good nothing repairs.
                let files = files.filter(|kind| *self == Self::Heavy || *kind != FaultKind::LostFile);
                self.named().into_iter().chain(files).collect()
            }
            _ => self.named(),
        }
    }

    fn named(&self) -> Vec<FaultKind> {
        match self {
            Self::None => Vec::new(),
            Self::Default => FaultKind::ALL.iter().copied().filter(|kind| kind.habit().2 == Mild).collect(),
            Self::Heavy => FaultKind::heavy(),
            Self::Kinds(kinds) => kinds.clone(),
            Self::Rates(kinds) => kinds.iter().map(|(kind, _)| *kind).collect(),
            Self::Campaign { per_kind } => per_kind.keys().copied().collect(),
        }
    }

    /// The plan's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Default => "default",
            Self::Heavy => "heavy",
            Self::Kinds(_) | Self::Rates(_) => "kinds",
            Self::Campaign { .. } => "campaign",
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

impl FaultPlan {
    /// The moments of a kind in a campaign.
    fn moments(&self, kind: FaultKind, seed: u64, since_ms: i64, life_ms: i64) -> Option<VecDeque<i64>> {
        let Self::Campaign { per_kind } = self else { return None };
        let mut rng = invent::rng_for(seed, kind.as_str(), 0xfa17);
        let life = life_ms as f64;
        let count = per_kind.get(&kind).copied().unwrap_or(0);
        let mut moments: Vec<i64> =
            (0..count).map(|_| since_ms + (life * rng.random_range(0.03..0.90)) as i64).collect();
        moments.sort_unstable();
        Some(moments.into())
    }
}

#[derive(Debug)]
struct Planned {
    rate: f64,
    gap_ms: i64,
    due_ms: i64,
    last_ms: i64,
    injected: u64,
    /// In a campaign: when the next ones are due.
    moments: Option<VecDeque<i64>>,
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
    pub fn new(
        (plan, platform): (&FaultPlan, PlatformKind),
        seed: u64,
        since_ms: i64,
        life_ms: i64,
        counted: &BTreeMap<String, u64>,
    ) -> Self {
        let kinds = plan.kinds(platform);
        let planned = kinds.iter().enumerate().map(|(index, &kind)| {
            let (rate, gap_ms) = plan.habit(kind);
            // If chance did not bring it before, it comes at its planned moment in the first 60 % of life.
            let due_ms = since_ms + life_ms * 6 / 10 * (index as i64 + 1) / (kinds.len() as i64 + 1);
            let injected = counted.get(kind.as_str()).copied().unwrap_or(0);
            let mut moments = plan.moments(kind, seed, since_ms, life_ms);
            if let Some(moments) = &mut moments {
                moments.drain(..moments.len().min(injected as usize));
            }
            (kind, Planned { rate, gap_ms, due_ms, last_ms: since_ms, injected, moments })
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
        let Some(planned) = self.planned.get(&kind).filter(|_| now_ms < self.until_ms) else { return false };
        match &planned.moments {
            Some(moments) => moments.front().is_some_and(|moment| *moment <= now_ms),
            None => planned.injected == 0 && now_ms >= planned.due_ms,
        }
    }

    /// Whether a fault of this kind may come now at all: worth looking for a place for it.
    pub fn may_come(&self, kind: FaultKind, now_ms: i64) -> bool {
        let Some(planned) = self.planned.get(&kind).filter(|_| now_ms < self.until_ms) else { return false };
        planned.moments.is_none() || self.is_due(kind, now_ms)
    }

    /// When the next of these kinds is due in a campaign.
    pub fn next_moment(&self, kinds: &[FaultKind]) -> Option<i64> {
        let moments = kinds.iter().filter_map(|kind| self.planned.get(kind)?.moments.as_ref()?.front());
        moments.copied().filter(|moment| *moment < self.until_ms).min()
    }

    /// How many of a kind are still to come in a campaign.
    pub fn to_come(&self, kind: FaultKind) -> usize {
        self.planned.get(&kind).and_then(|planned| planned.moments.as_ref()).map_or(0, VecDeque::len)
    }

    /// Whether to inject a fault of this kind now; the caller does inject and journals it.
    pub fn take(&mut self, kind: FaultKind, now_ms: i64) -> bool {
        let due = self.is_due(kind, now_ms);
        if now_ms >= self.until_ms {
            return false;
        }
        let Some(planned) = self.planned.get_mut(&kind) else { return false };
        if let Some(moments) = &mut planned.moments {
            if due {
                moments.pop_front();
                planned.injected += 1;
            }
            return due;
        }
        let apart = planned.last_ms == self.since_ms || now_ms - planned.last_ms >= planned.gap_ms;
        if due || (apart && self.rng.random_bool(planned.rate)) {
            planned.last_ms = now_ms;
            planned.injected += 1;
            return true;
        }
        false
    }

    /// Injects now, whatever the chance and the distance; false only when the plan lacks the kind or life is over.
    pub fn force(&mut self, kind: FaultKind, now_ms: i64) -> bool {
        let Some(planned) = self.planned.get_mut(&kind).filter(|_| now_ms < self.until_ms) else { return false };
        if planned.moments.is_some() {
            return self.take(kind, now_ms);
        }
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
