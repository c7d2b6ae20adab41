//! What must come of each kind of fault, fixed beforehand: at which grains it can be seen, what the gateway must make of it, who
//! can repair it. The campaign is measured against this table; it is never derived from what the gateway did.

use serde::{Deserialize, Serialize};

use super::FaultKind;

/// What must come of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Expected {
    /// A gap of one of these kinds that names the item, unless the record is shown again first.
    Gap {
        /// The kinds that are right, in the words of the API.
        kinds: Vec<String>,
        /// Whether it can be repaired without a person.
        repairable: bool,
    },
    /// We hold what the source does not any more: a gap of one of these kinds, whatever is shown meanwhile.
    Deleted {
        /// The kinds that are right, in the words of the API.
        kinds: Vec<String>,
        /// Whether it can be repaired without a person.
        repairable: bool,
    },
    /// Nothing is lost: the gateway gets over it. While it lasts gaps of these kinds may be right, if the books differ at both looks.
    Absorbed {
        /// The kinds that may open meanwhile.
        kinds: Vec<String>,
    },
    /// No account shows it at the grains that a comparison begins with; what is not compared can't be found.
    Unobservable,
    /// The account contradicts itself or the records: a gap of kind `manifest_unreliable`, and no repair.
    ManifestUnreliable,
}

impl Expected {
    /// Whether the fault leaves a difference that stays until somebody looks.
    pub fn lasts(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::Deleted { .. } | Self::Unobservable)
    }

    /// Whether showing the record does not settle it.
    pub fn outlasts_showing(&self) -> bool {
        matches!(self, Self::Deleted { .. })
    }
}

/// The grains of an account at which a difference can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// In every sum: total, month, day, and hour and ten minutes where the event time has a time of day.
    EveryGrain,
    /// In hour and ten minutes only: the day's sum is the same.
    BelowDay,
    /// In the list of ids only: no sum holds it.
    Ids,
    /// In the answers themselves: the account is at odds with itself, with its question or with the records.
    Account,
    /// Nowhere.
    Nowhere,
    /// It is not a difference of the books.
    NoDifference,
}

impl Seen {
    fn words(self) -> &'static str {
        match self {
            Self::EveryGrain => "total, month, day, hour, ten minutes, ids",
            Self::BelowDay => "hour, ten minutes, ids",
            Self::Ids => "ids",
            Self::Account => "the account itself",
            Self::Nowhere => "nowhere",
            Self::NoDifference => "no difference",
        }
    }
}

/// Who repairs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Reading again.
    Reading,
    /// Sending again.
    Sending,
    /// A person at the other side.
    Person,
    /// Nothing is to be repaired.
    None,
}

impl Repair {
    fn words(self) -> &'static str {
        match self {
            Self::Reading => "reading again",
            Self::Sending => "sending again",
            Self::Person => "a person",
            Self::None => "–",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The form of it; empty = every form that has no line of its own.
    pub variant: &'static str,
    /// Where it can be seen.
    pub seen: Seen,
    /// What must be made of it.
    pub outcome: Outcome,
    /// Which kinds of gap are right.
    pub gaps: &'static [&'static str],
    /// Who repairs it.
    pub repair: Repair,
}

/// The outcome of a rule, without its kinds of gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// [`Expected::Gap`]
    Gap,
    /// [`Expected::Deleted`]
    Deleted,
    /// [`Expected::Absorbed`]
    Absorbed,
    /// [`Expected::Unobservable`]
    Unobservable,
    /// [`Expected::ManifestUnreliable`]
    Unreliable,
}

const MISSING: &[&str] = &["missing_order", "missing_item"];
const STALE: &[&str] = &["missing_order", "missing_item", "differing"];
const DIFFERING: &[&str] = &["differing", "held_differently"];
const DENIED: &[&str] = &["denied_by_source", "not_held_by_destination"];
const NOT_HELD: &[&str] = &["not_held_by_destination", "denied_by_source", "differing"];
const MOVED: &[&str] = &["missing_order", "missing_item", "denied_by_source", "not_held_by_destination"];
const ANY: &[&str] =
    &["missing_order", "missing_item", "differing", "held_differently", "denied_by_source", "not_held_by_destination"];

const fn rule(
    kind: FaultKind,
    variant: &'static str,
    seen: Seen,
    outcome: Outcome,
    gaps: &'static [&'static str],
    repair: Repair,
) -> Rule {
    Rule { kind, variant, seen, outcome, gaps, repair }
}

/// A fault of transport, or one that the next poll or push makes good.
const fn absorbed(kind: FaultKind, gaps: &'static [&'static str]) -> Rule {
    rule(kind, "", Seen::NoDifference, Outcome::Absorbed, gaps, Repair::None)
}

/// A fault of the account.
const fn unreliable(kind: FaultKind) -> Rule {
    rule(kind, "", Seen::Account, Outcome::Unreliable, &[], Repair::Person)
}

use FaultKind as K;

/// The table.
pub const RULES: &[Rule] = &[
    rule(K::MissedRecord, "", Seen::EveryGrain, Outcome::Gap, MISSING, Repair::Reading),
    rule(K::MissedEvent, "", Seen::EveryGrain, Outcome::Gap, &["missing_item"], Repair::Reading),
    rule(K::SilentEdit, "", Seen::EveryGrain, Outcome::Gap, DIFFERING, Repair::Reading),
    rule(K::PersonEdit, "", Seen::Nowhere, Outcome::Unobservable, &[], Repair::None),
    rule(K::TornPage, "", Seen::EveryGrain, Outcome::Gap, STALE, Repair::Reading),
    rule(K::TornPage, "seen", Seen::NoDifference, Outcome::Absorbed, STALE, Repair::None),
    rule(K::SwapInBucket, "lost", Seen::EveryGrain, Outcome::Gap, MISSING, Repair::Reading),
    rule(K::SwapInBucket, "extra", Seen::EveryGrain, Outcome::Deleted, DENIED, Repair::Reading),
    rule(K::Deletion, "", Seen::EveryGrain, Outcome::Deleted, DENIED, Repair::Reading),
    rule(K::LostReply, "", Seen::EveryGrain, Outcome::Gap, NOT_HELD, Repair::Sending),
    rule(K::LostOperation, "", Seen::EveryGrain, Outcome::Gap, NOT_HELD, Repair::Sending),
    rule(K::LostEvent, "", Seen::EveryGrain, Outcome::Deleted, NOT_HELD, Repair::Person),
    rule(K::LostUpload, "", Seen::EveryGrain, Outcome::Gap, NOT_HELD, Repair::Sending),
    // The answer tells it: a delivery rejected with the province's words, no difference that an account must show.
    absorbed(K::RefusedUpload, NOT_HELD),
    absorbed(K::SubmittedUpload, &[]),
    absorbed(K::UploadHangUp, &[]),
    rule(K::LostFile, "", Seen::NoDifference, Outcome::Gap, &["attachment_missing"], Repair::Person),
    absorbed(K::LateFile, &["attachment_missing"]),
    absorbed(K::FileError, &[]),
    absorbed(K::TornFile, &[]),
    absorbed(K::DeniedFile, &[]),
    absorbed(K::PageForFile, &[]),
    rule(K::EventTimeCorrected, "", Seen::EveryGrain, Outcome::Gap, DIFFERING, Repair::Reading),
    rule(K::EventTimeCorrected, "announced", Seen::NoDifference, Outcome::Absorbed, DIFFERING, Repair::None),
    rule(K::EventTimeCorrected, "create_within_bucket", Seen::Ids, Outcome::Unobservable, DIFFERING, Repair::None),
    rule(K::EventTimeCorrected, "create_other_bucket", Seen::BelowDay, Outcome::Unobservable, DIFFERING, Repair::None),
    rule(K::EventTimeCorrected, "create_other_day", Seen::EveryGrain, Outcome::Deleted, MOVED, Repair::Reading),
    rule(K::ReusedNumber, "other_day", Seen::NoDifference, Outcome::Absorbed, STALE, Repair::None),
    rule(K::ReusedNumber, "same_day", Seen::EveryGrain, Outcome::Deleted, DENIED, Repair::Reading),
    rule(K::ManifestCountLie, "once", Seen::Account, Outcome::Absorbed, &[], Repair::None),
    rule(K::ManifestTwice, "once", Seen::Account, Outcome::Absorbed, &[], Repair::None),
    rule(K::ManifestOtherWindow, "once", Seen::Account, Outcome::Absorbed, &[], Repair::None),
    rule(K::ManifestStale, "old_as_of_once", Seen::Account, Outcome::Absorbed, &[], Repair::None),
    rule(K::ManifestStale, "fresh_as_of_once", Seen::Account, Outcome::Absorbed, &[], Repair::None),
    rule(K::ManifestTruncated, "once", Seen::Account, Outcome::Absorbed, &[], Repair::None),
    rule(K::RestoredBackup, "", Seen::EveryGrain, Outcome::Gap, ANY, Repair::Reading),
    rule(K::RestoredBackup, "unseen", Seen::NoDifference, Outcome::Absorbed, ANY, Repair::None),
    rule(K::RestoredBackup, "items_gone", Seen::EveryGrain, Outcome::Deleted, DENIED, Repair::Reading),
    rule(K::RestoredBackup, "gone", Seen::EveryGrain, Outcome::Deleted, DENIED, Repair::Reading),
    unreliable(K::ManifestCountLie),
    unreliable(K::ManifestTwice),
    unreliable(K::ManifestOtherWindow),
    unreliable(K::ManifestStale),
    unreliable(K::ManifestTruncated),
    absorbed(K::DuplicateEvent, &["missing_item"]),
    absorbed(K::LostReceipt, &[]),
    absorbed(K::Outage, STALE),
    absorbed(K::ClockSkew, STALE),
    absorbed(K::Duplicate, &[]),
    absorbed(K::Late, STALE),
    absorbed(K::OutOfOrder, STALE),
    absorbed(K::PageDrift, STALE),
    absorbed(K::SameSecond, STALE),
    absorbed(K::AbaEdit, STALE),
    absorbed(K::StateSkipped, STALE),
    absorbed(K::FutureDated, STALE),
    absorbed(K::ServerError, &[]),
    absorbed(K::Throttle, &[]),
    absorbed(K::Hang, &[]),
    absorbed(K::LateAnswer, &[]),
    absorbed(K::TruncatedBody, &[]),
    absorbed(K::MalformedBody, &[]),
    absorbed(K::MissedPush, STALE),
    absorbed(K::RepeatedPush, &[]),
    absorbed(K::ChangedPush, STALE),
    absorbed(K::PlatformRestart, &[]),
    absorbed(K::StaleManifest, &[]),
];

/// The line of a kind and form.
pub fn rule_of(kind: FaultKind, variant: &str) -> Option<&'static Rule> {
    let of_kind = || RULES.iter().filter(move |rule| rule.kind == kind);
    of_kind().find(|rule| rule.variant == variant).or_else(|| of_kind().find(|rule| rule.variant.is_empty()))
}

/// What must come of a fault of this kind and form. A kind without a line would be one that nobody thought about: it is measured as a gap.
pub fn expected(kind: FaultKind, variant: &str) -> Expected {
    let Some(rule) = rule_of(kind, variant) else { return Expected::Gap { kinds: Vec::new(), repairable: false } };
    let kinds = rule.gaps.iter().map(|kind| (*kind).to_owned()).collect();
    let repairable = matches!(rule.repair, Repair::Reading | Repair::Sending);
    match rule.outcome {
        Outcome::Gap => Expected::Gap { kinds, repairable },
        Outcome::Deleted => Expected::Deleted { kinds, repairable },
        Outcome::Absorbed => Expected::Absorbed { kinds },
        Outcome::Unobservable => Expected::Unobservable,
        Outcome::Unreliable => Expected::ManifestUnreliable,
    }
}

/// The table as Markdown, for the page on reliability.
pub fn table() -> String {
    let mut text = "| fault | form | seen at | must become | repaired by |\n|---|---|---|---|---|\n".to_owned();
    for rule in RULES {
        let gaps = rule.gaps.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
        let outcome = match rule.outcome {
            Outcome::Gap => format!("a gap, unless the record is shown again first: {gaps}"),
            Outcome::Deleted => format!("a gap: {gaps}"),
            Outcome::Absorbed if gaps.is_empty() => "absorbed".to_owned(),
            Outcome::Absorbed => format!("absorbed; while it lasts also {gaps}"),
            Outcome::Unobservable => "not found".to_owned(),
            Outcome::Unreliable => "`manifest_unreliable`, and no repair".to_owned(),
        };
        let (seen, repair) = (rule.seen.words(), rule.repair.words());
        text.push_str(&format!("| `{}` | {} | {seen} | {outcome} | {repair} |\n", rule.kind.as_str(), rule.variant));
    }
    text
}
