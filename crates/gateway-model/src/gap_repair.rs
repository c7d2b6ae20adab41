//! What a repair of a gap is: decided in one place, so that what is announced beforehand is what is done.

use crate::GapKind;
use crate::dataset::UnknownWord;
use crate::delivery::words;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

words!(
    /// The next repair of a gap.
    RepairStep, "repair step",
    /// The order is read again by its number.
    ReadAgain "read_again",
    /// The window is fetched again.
    FetchAgain "fetch_again",
    /// The delivery is sent again as a new generation.
    SendAgain "send_again",
    /// The sums of our book are added up anew from its items.
    AddUpAgain "add_up_again",
    /// Nothing that we can do ends it.
    Nothing "nothing",
);

impl GapKind {
    /// The next repair, by what is known of the gap and how many repairs were begun.
    #[must_use]
    pub fn repair_step(self, generation: u32, has_key: bool, has_delivery: bool) -> RepairStep {
        match self {
            GapKind::NotHeldByDestination if has_delivery => RepairStep::SendAgain,
            // The channel's own word first: it may have been changed there on purpose.
            GapKind::HeldDifferently if generation > 0 && has_delivery => RepairStep::SendAgain,
            GapKind::ManifestUnreliable | GapKind::LostOffset | GapKind::SpoolSilent | GapKind::AttachmentMissing => {
                RepairStep::Nothing
            }
            GapKind::BookDamaged => RepairStep::AddUpAgain,
            _ if has_key => RepairStep::ReadAgain,
            GapKind::CountMismatch => RepairStep::FetchAgain,
            _ => RepairStep::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_differently_is_read_before_it_is_sent_again() {
        assert_eq!(GapKind::HeldDifferently.repair_step(0, true, true), RepairStep::ReadAgain);
        assert_eq!(GapKind::HeldDifferently.repair_step(1, true, true), RepairStep::SendAgain);
        assert_eq!(GapKind::NotHeldByDestination.repair_step(0, true, true), RepairStep::SendAgain);
        assert_eq!(GapKind::NotHeldByDestination.repair_step(0, true, false), RepairStep::ReadAgain);
    }

    #[test]
    fn what_only_others_can_end_is_never_repaired() {
        for kind in [GapKind::ManifestUnreliable, GapKind::LostOffset, GapKind::SpoolSilent, GapKind::AttachmentMissing]
        {
            assert_eq!(kind.repair_step(0, false, false), RepairStep::Nothing);
            assert_eq!(kind.repair_step(2, true, true), RepairStep::Nothing);
        }
        assert_eq!(GapKind::CountMismatch.repair_step(0, false, false), RepairStep::FetchAgain);
        assert_eq!(GapKind::BookDamaged.repair_step(0, false, false), RepairStep::AddUpAgain);
    }
}
