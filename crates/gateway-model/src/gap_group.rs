//! Gaps as a person meets them: in groups, one for each outage, with a severity and somebody whose turn it is.
//!
//! Severity and owner are functions of what is stored, never stored themselves: what was true yesterday must not be shown today. Refused: a
//! group for each kind or day. One outage loses orders, stages and events alike, and goes past midnight.

use crate::dataset::UnknownWord;
use crate::delivery::words;
use crate::{GapKind, GapState, Severity};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

words!(
    /// Which way something did not get across, seen from the gateway.
    Direction, "direction",
    /// From the channel to us.
    Inbound "inbound",
    /// From us to the channel.
    Outbound "outbound",
);

words!(
    /// Whose turn it is.
    Owner, "owner",
    /// The gateway's: it looks, repairs and verifies by itself.
    Gateway "gateway",
    /// A person's at the bureau: to decide, to approve, or to waive.
    Person "person",
    /// The other side's: nothing that we do here ends it.
    Counterparty "counterparty",
);

impl GapKind {
    /// Which way it did not get across.
    #[must_use]
    pub fn direction(self) -> Direction {
        match self {
            GapKind::NotHeldByDestination | GapKind::HeldDifferently => Direction::Outbound,
            _ => Direction::Inbound,
        }
    }

    /// Whether the channel's account can tell anything about it; the other kinds are found and ended by what we know ourselves.
    #[must_use]
    pub fn is_compared(self) -> bool {
        !matches!(self, GapKind::LostOffset | GapKind::BookDamaged | GapKind::SpoolSilent | GapKind::AttachmentMissing)
    }

    /// Whether it is about something that we sent.
    #[must_use]
    pub fn was_sent(self) -> bool {
        self.direction() == Direction::Outbound
    }
}

/// What is known of a gap, or of many alike, as far as it decides whose turn it is and how much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GapStanding {
    /// The kind.
    pub kind: GapKind,
    /// Where it stands.
    pub state: GapState,
    /// Whether it was left: repairs did not help, or can't be made.
    pub left: bool,
    /// How many repairs were begun.
    pub generation: u32,
    /// Whether automatic repair of its dataset is stopped until a person answers.
    pub stopped: bool,
}

impl GapStanding {
    /// Whose turn it is; `None` when it is over, or was no gap.
    #[must_use]
    pub fn owner(self) -> Option<Owner> {
        match (self.state, self.kind) {
            (GapState::Suspected | GapState::Closed | GapState::Waived, _) => None,
            (_, GapKind::ManifestUnreliable) => Some(Owner::Counterparty),
            (_, GapKind::LostOffset | GapKind::SpoolSilent) => Some(Owner::Person),
            (GapState::Repairing, _) => Some(Owner::Gateway),
            // What the other side's account shows and its own reading does not, or the reverse: only they can tell which is true.
            _ if self.left && self.generation > 0 && !self.kind.was_sent() && self.kind != GapKind::BookDamaged => {
                Some(Owner::Counterparty)
            }
            _ if self.left || self.stopped => Some(Owner::Person),
            _ => Some(Owner::Gateway),
        }
    }
}

/// How much unfinished gaps matter: `count` of them, the oldest confirmed `age_ms` ago. Rises with age and count, and where the gateway can't help
/// itself.
#[must_use]
pub fn gap_severity(kind: GapKind, owner: Owner, count: u64, age_ms: u64) -> Severity {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    if matches!(kind, GapKind::BookDamaged | GapKind::LostOffset | GapKind::SpoolSilent) {
        return Severity::Critical;
    }
    let (warning_after, critical_after) = match owner {
        Owner::Gateway => (30 * MINUTE, 24 * HOUR),
        Owner::Person | Owner::Counterparty => (0, 8 * HOUR),
    };
    if age_ms >= critical_after || count >= 1_000 {
        Severity::Critical
    } else if age_ms >= warning_after || count >= 50 {
        Severity::Warning
    } else {
        Severity::Info
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(kind: GapKind, state: GapState) -> GapStanding {
        GapStanding { kind, state, left: false, generation: 0, stopped: false }
    }

    #[test]
    fn the_gateway_owns_what_it_repairs_and_nobody_what_is_over() {
        for kind in [GapKind::MissingOrder, GapKind::NotHeldByDestination, GapKind::BookDamaged] {
            assert_eq!(standing(kind, GapState::Open).owner(), Some(Owner::Gateway));
            assert_eq!(standing(kind, GapState::Repairing).owner(), Some(Owner::Gateway));
            for over in [GapState::Suspected, GapState::Closed, GapState::Waived] {
                assert_eq!(standing(kind, over).owner(), None);
            }
        }
    }

    #[test]
    fn what_is_left_or_stopped_is_a_persons_and_what_only_they_can_tell_is_theirs() {
        let stopped = GapStanding { stopped: true, ..standing(GapKind::MissingOrder, GapState::Open) };
        assert_eq!(stopped.owner(), Some(Owner::Person));
        let left = |kind, generation| {
            GapStanding { left: true, generation, ..standing(kind, GapState::Open) }.owner().unwrap()
        };
        assert_eq!(left(GapKind::NotHeldByDestination, 3), Owner::Person);
        assert_eq!(left(GapKind::BookDamaged, 3), Owner::Person);
        assert_eq!(left(GapKind::MissingOrder, 3), Owner::Counterparty);
        assert_eq!(left(GapKind::DeniedBySource, 3), Owner::Counterparty);
        assert_eq!(left(GapKind::MissingOrder, 0), Owner::Person);
        assert_eq!(standing(GapKind::ManifestUnreliable, GapState::Open).owner(), Some(Owner::Counterparty));
        assert_eq!(standing(GapKind::LostOffset, GapState::Open).owner(), Some(Owner::Person));
    }

    proptest! {
        #[test]
        fn severity_never_falls_with_age_or_count(
            kind in prop::sample::select(GapKind::ALL),
            owner in prop::sample::select(Owner::ALL),
            counts in (0u64..5_000, 0u64..5_000),
            ages in (0u64..200_000_000, 0u64..200_000_000),
        ) {
            let (few, many) = (counts.0.min(counts.1), counts.0.max(counts.1));
            let (young, old) = (ages.0.min(ages.1), ages.0.max(ages.1));
            prop_assert!(gap_severity(kind, owner, few, young) <= gap_severity(kind, owner, many, old));
            prop_assert!(gap_severity(kind, Owner::Gateway, few, young) <= gap_severity(kind, Owner::Person, few, young));
        }
    }

    #[test]
    fn damage_of_our_own_is_critical_at_once() {
        assert_eq!(gap_severity(GapKind::BookDamaged, Owner::Gateway, 1, 0), Severity::Critical);
        assert_eq!(gap_severity(GapKind::MissingOrder, Owner::Gateway, 1, 0), Severity::Info);
        assert_eq!(gap_severity(GapKind::MissingOrder, Owner::Gateway, 1, 3_600_000), Severity::Warning);
        assert_eq!(gap_severity(GapKind::MissingOrder, Owner::Gateway, 2_000, 0), Severity::Critical);
    }
}
