//! Which version of a statement wins.
//!
//! A newer revision replaces the head; content equal to the head is a duplicate (never compared with all history: A→B→A is a change); the same
//! revision with other content is a tie, settled by reading that order again by number; an authoritative read wins over everything that was
//! read before it, also over a newer revision, since sources take things back (restored backup, a corrected year 2099).
//!
//! Of two revisions of one content the head keeps the later, so that arrival order leaves no trace; a doubtful one (a time in the future) counts
//! as later too, because all it can do is to cause a reading again, while forgetting it could let an old word win. Newer by revision but
//! read earlier than the head is believed *and* asked for again ([`is_disputed`]): refusing it would make arrival order matter, believing it
//! alone would let a delayed record undo what an authoritative read has settled.

use gateway_model::{Origin, Revision, Timestamp};

/// What decides between the head and a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) revision: Option<Revision>,
    /// The revision is a time in the future: it orders nothing.
    pub(crate) doubtful: bool,
    pub(crate) read_at: Timestamp,
    pub(crate) content: [u8; 32],
}

/// The verdict on a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It becomes the head.
    Replace {
        /// The source went back to an older revision.
        regressed: bool,
    },
    /// It says what the head says; the head takes its revision, if that is newer.
    Duplicate {
        /// Whether the head row changes at all.
        advance: bool,
    },
    /// It is older than the head.
    Older,
    /// Nobody can tell: read the order again.
    Tie,
}

/// Judges a newcomer against the head.
pub(crate) fn judge(head: Option<&Version>, new: &Version, origin: Origin) -> Verdict {
    let Some(head) = head else { return Verdict::Replace { regressed: false } };
    let authoritative = origin.is_authoritative() && new.read_at >= head.read_at;
    let comparable = !head.doubtful && !new.doubtful && head.revision.is_some() && new.revision.is_some();
    if head.content == new.content {
        // No revision is less than any.
        let newer = new.revision > head.revision;
        let plausible_now = new.revision == head.revision && head.doubtful && !new.doubtful;
        // An authoritative read counts also as a reading: what was read before it can't undo it.
        let settles = authoritative && (new.revision != head.revision || new.read_at > head.read_at);
        return Verdict::Duplicate { advance: newer || plausible_now || settles };
    }
    if authoritative {
        return Verdict::Replace { regressed: comparable && new.revision < head.revision };
    }
    if !comparable {
        return Verdict::Tie;
    }
    match new.revision.cmp(&head.revision) {
        std::cmp::Ordering::Greater => Verdict::Replace { regressed: false },
        std::cmp::Ordering::Less => Verdict::Older,
        std::cmp::Ordering::Equal => Verdict::Tie,
    }
}

/// Whether the newcomer's revision and the times of reading say opposite things: only reading again can tell.
pub(crate) fn is_disputed(head: Option<&Version>, new: &Version) -> bool {
    head.is_some_and(|head| {
        let comparable = !head.doubtful && !new.doubtful && head.revision.is_some();
        comparable && new.revision > head.revision && new.read_at < head.read_at
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(revision: i64, read_ms: i64, content: u8) -> Version {
        let read_at = Timestamp::from_millisecond(read_ms).unwrap();
        Version { revision: Some(Revision(revision)), doubtful: false, read_at, content: [content; 32] }
    }

    fn play(versions: &[Version]) -> Version {
        let mut head: Option<Version> = None;
        for new in versions {
            match judge(head.as_ref(), new, Origin::Poll) {
                Verdict::Replace { .. } => head = Some(*new),
                Verdict::Duplicate { advance: true } => {
                    if let Some(head) = &mut head {
                        head.revision = new.revision;
                    }
                }
                _ => {}
            }
        }
        head.unwrap()
    }

    proptest! {
        /// Distinct revisions, in any order and repetition, end at the same head.
        #[test]
        fn arrival_order_does_not_matter(contents in prop::collection::vec(0u8..3, 1..8), order in prop::collection::vec(0usize..64, 0..30)) {
            let versions: Vec<Version> =
                contents.iter().enumerate().map(|(at, content)| version(at as i64, 0, *content)).collect();
            let mut played: Vec<Version> = order.iter().map(|at| versions[at % versions.len()]).collect();
            played.extend(versions.iter().rev());
            let end = play(&played);
            prop_assert_eq!(end.revision, versions.last().unwrap().revision);
            prop_assert_eq!(end.content, versions.last().unwrap().content);
        }
    }

    #[test]
    fn a_to_b_to_a_is_a_change() {
        assert_eq!(
            judge(Some(&version(2, 0, b'B')), &version(3, 0, b'A'), Origin::Poll),
            Verdict::Replace { regressed: false }
        );
    }

    #[test]
    fn a_tie_is_settled_by_an_authoritative_read_only() {
        let head = version(2, 10, b'A');
        assert_eq!(judge(Some(&head), &version(2, 20, b'B'), Origin::Poll), Verdict::Tie);
        assert_eq!(judge(Some(&head), &version(2, 20, b'B'), Origin::Reread), Verdict::Replace { regressed: false });
        assert_eq!(judge(Some(&head), &version(2, 5, b'B'), Origin::Reread), Verdict::Tie);
    }

    #[test]
    fn an_authoritative_read_takes_back_a_revision_from_the_future() {
        let mut head = version(4_000_000_000_000, 10, b'A');
        head.doubtful = true;
        let corrected = version(100, 20, b'B');
        assert_eq!(judge(Some(&head), &corrected, Origin::Poll), Verdict::Tie);
        assert_eq!(judge(Some(&head), &corrected, Origin::Reread), Verdict::Replace { regressed: false });
    }
}
