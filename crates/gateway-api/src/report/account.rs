//! Both sides of a day: what we hold, what the channel said, and what that proves.
//!
//! Equal sums prove that both hold the same; a count alone does not. An account is compared with our book as of the same day; where our book has
//! changed since the account, a difference says nothing yet.

use crate::views::ChinaTime;
use gateway_model::{BookSide, BucketSum, Timestamp};
use gateway_store::{AccountDay, AccountSpan, BookDay};
use serde::Serialize;
use std::time::Duration;

/// A change may be decided this long before its transaction gets its turn (the store's queue and lock time out sooner); one that is younger than that
/// at a comparison may not have been in it.
const TURN: Duration = Duration::from_secs(15);

/// What is known of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Both hold the same, by equal sums.
    Verified,
    /// Both count the same; the channel tells no more.
    Counted,
    /// Our book has changed since the channel's account; the next one tells.
    Changed,
    /// The channel has given no account of it.
    Unverified,
    /// The channel holds something else.
    Differing,
    /// The channel offers no account.
    Unverifiable,
}

/// Our side of a day.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ours {
    pub(crate) source: u64,
    pub(crate) sent: u64,
    sum: BucketSum,
    changed_at: Option<Timestamp>,
}

impl Ours {
    pub(crate) fn add(&mut self, row: &BookDay) {
        match row.side {
            BookSide::Source => self.source += row.count,
            BookSide::Sent => self.sent += row.count,
        }
        self.sum = self.sum.plus(row.sum);
        self.changed_at = self.changed_at.max(Some(row.changed_at));
    }

    fn count(&self) -> u64 {
        self.source + self.sent
    }

    fn unchanged_since(&self, at: Timestamp) -> bool {
        self.changed_at.is_none_or(|changed| changed.checked_add(TURN).is_ok_and(|settled| settled <= at))
    }
}

/// A day's, or added up a period's, account of both sides.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Account {
    /// What we hold of what the channel must hold: `source` and `sent` together.
    pub(crate) ours: u64,
    /// What the channel said.
    pub(crate) source: u64,
    /// What we delivered and it acknowledged.
    pub(crate) sent: u64,
    /// What the channel counts.
    pub(crate) theirs: Option<u64>,
    /// Theirs without ours; not told where our book has changed since their account, for then it says nothing yet.
    pub(crate) difference: Option<i64>,
    /// What is known.
    pub(crate) standing: Standing,
    /// The share of theirs that we are known to hold, in per cent, rounded down to two digits.
    pub(crate) completeness: Option<f64>,
    /// The time of the account that it was last verified with; of several days the earliest.
    pub(crate) verified_at: Option<ChinaTime>,
    /// The time of the account that is told; of several days the earliest.
    pub(crate) account_at: Option<ChinaTime>,
    /// How much of theirs we are known to hold.
    #[serde(skip)]
    matched: u64,
}

/// Unfinished gaps of a day, by what they say of its completeness.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lacking {
    pub(crate) missing: u64,
    pub(crate) differing: u64,
}

impl Account {
    /// The account of a day; `spans` are those that have it.
    pub(crate) fn of_day(
        verifiable: bool,
        ours: Ours,
        said: Option<&AccountDay>,
        spans: &[&AccountSpan],
        lacking: Lacking,
    ) -> Self {
        let proof = spans.iter().filter(|span| ours.unchanged_since(span.compared_at)).map(|span| span.as_of).max();
        let (standing, theirs, at) = match (verifiable, proof, said) {
            (false, ..) => (Standing::Unverifiable, None, None),
            (true, Some(proof), said) if said.is_none_or(|said| said.as_of <= proof) => {
                (Standing::Verified, Some(ours.count()), Some(proof))
            }
            (true, _, Some(said)) => (compare(&ours, said), Some(said.count), Some(said.as_of)),
            (true, _, None) => (Standing::Unverified, None, None),
        };
        let matched = theirs.map_or(0, |theirs| {
            let missing = theirs.saturating_sub(ours.count()).max(lacking.missing);
            theirs.saturating_sub(missing).saturating_sub(lacking.differing)
        });
        Self {
            ours: ours.count(),
            source: ours.source,
            sent: ours.sent,
            theirs,
            difference: theirs.filter(|_| standing != Standing::Changed).map(|theirs| difference(theirs, ours.count())),
            standing,
            completeness: completeness(standing, theirs, matched),
            verified_at: at.filter(|_| standing == Standing::Verified).map(ChinaTime),
            account_at: at.map(ChinaTime),
            matched,
        }
    }

    /// Days added up: known only where all of them are, and standing as the worst of them.
    pub(crate) fn sum<'a>(days: impl IntoIterator<Item = &'a Account>) -> Option<Self> {
        let mut days = days.into_iter();
        let mut sum = days.next()?.clone();
        for day in days {
            sum.ours += day.ours;
            sum.source += day.source;
            sum.sent += day.sent;
            sum.theirs = sum.theirs.zip(day.theirs).map(|(sum, day)| sum + day);
            sum.difference = sum.difference.zip(day.difference).map(|(sum, day)| sum + day);
            sum.standing = sum.standing.max(day.standing);
            sum.verified_at = earlier(sum.verified_at, day.verified_at);
            sum.account_at = earlier(sum.account_at, day.account_at);
            sum.matched += day.matched;
        }
        sum.completeness = completeness(sum.standing, sum.theirs, sum.matched);
        Some(sum)
    }
}

fn compare(ours: &Ours, said: &AccountDay) -> Standing {
    let same_count = said.count == ours.count();
    match said.sum {
        Some(sum) if same_count && sum == ours.sum => Standing::Verified,
        None if same_count => Standing::Counted,
        _ if !ours.unchanged_since(said.as_of) => Standing::Changed,
        _ => Standing::Differing,
    }
}

fn earlier(a: Option<ChinaTime>, b: Option<ChinaTime>) -> Option<ChinaTime> {
    let (a, b) = a.zip(b)?;
    Some(if a.0 <= b.0 { a } else { b })
}

fn difference(theirs: u64, ours: u64) -> i64 {
    i64::try_from(i128::from(theirs) - i128::from(ours)).unwrap_or(i64::MAX)
}

/// All of it is claimed only where that is proven.
fn completeness(standing: Standing, theirs: Option<u64>, matched: u64) -> Option<f64> {
    let theirs = theirs?;
    match standing {
        Standing::Verified | Standing::Counted => Some(100.0),
        Standing::Differing if matched < theirs => {
            let share = u128::from(matched) * 10_000 / u128::from(theirs);
            // Below 10,000, so exact.
            Some(share as f64 / 100.0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_model::Dataset;
    use gateway_store::Days;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn ours(count: u64, sum: u8, changed_at: i64) -> Ours {
        Ours { source: count, sent: 0, sum: BucketSum([sum; 32]), changed_at: Some(at(changed_at)) }
    }

    fn said(count: u64, sum: Option<u8>, as_of: i64) -> AccountDay {
        let day = "2026-11-24".parse().unwrap();
        let sum = sum.map(|sum| BucketSum([sum; 32]));
        AccountDay { dataset: Dataset::Acceptance, day, count, sum, as_of: at(as_of) }
    }

    fn span(as_of: i64) -> AccountSpan {
        let days = Days { from: "2000-01-01".parse().unwrap(), to: "2101-01-01".parse().unwrap() };
        AccountSpan { dataset: Dataset::Acceptance, days, as_of: at(as_of), compared_at: at(as_of + 1) }
    }

    fn judge(ours: Ours, said: Option<AccountDay>, spans: &[AccountSpan], lacking: Lacking) -> Account {
        Account::of_day(true, ours, said.as_ref(), &spans.iter().collect::<Vec<_>>(), lacking)
    }

    #[test]
    fn equal_sums_prove_and_equal_counts_do_not() {
        let none = Lacking::default();
        let same = judge(ours(5, 1, 0), Some(said(5, Some(1), 100)), &[], none);
        assert_eq!((same.standing, same.theirs, same.completeness), (Standing::Verified, Some(5), Some(100.0)));
        let other = judge(ours(5, 1, 0), Some(said(5, Some(2), 100)), &[], none);
        assert_eq!((other.standing, other.difference, other.completeness), (Standing::Differing, Some(0), None));
        let counted = judge(ours(5, 1, 0), Some(said(5, None, 100)), &[], none);
        assert_eq!(counted.standing, Standing::Counted);
        let unknown = judge(ours(5, 1, 0), None, &[], none);
        assert_eq!((unknown.standing, unknown.theirs, unknown.completeness), (Standing::Unverified, None, None));
        let unverifiable = Account::of_day(false, ours(5, 1, 0), None, &[], none);
        assert_eq!((unverifiable.standing, unverifiable.completeness), (Standing::Unverifiable, None));
    }

    #[test]
    fn a_span_in_step_proves_what_has_not_changed_since() {
        let none = Lacking::default();
        let proven = judge(ours(5, 1, 0), Some(said(4, Some(9), 100)), &[span(200)], none);
        assert_eq!((proven.standing, proven.theirs), (Standing::Verified, Some(5)));
        assert_eq!(proven.verified_at.unwrap().0, at(200));
        let changed = judge(ours(5, 1, 190), Some(said(4, Some(9), 100)), &[span(200)], none);
        assert_eq!((changed.standing, changed.theirs), (Standing::Changed, Some(4)), "too young to be sure");
        assert_eq!((changed.difference, changed.completeness), (None, None), "it says nothing yet");
        let newer = judge(ours(5, 1, 0), Some(said(4, Some(9), 300)), &[span(200)], none);
        assert_eq!((newer.standing, newer.difference), (Standing::Differing, Some(-1)), "the newer word counts");
    }

    #[test]
    fn completeness_never_says_all_without_proof() {
        let lacking = judge(ours(9_999, 1, 0), Some(said(10_000, Some(2), 100)), &[], Lacking::default());
        assert_eq!(lacking.completeness, Some(99.99));
        let differing = judge(ours(3, 1, 0), Some(said(3, Some(2), 100)), &[], Lacking { missing: 0, differing: 1 });
        assert_eq!(differing.completeness, Some(66.66));
        let more = judge(ours(4, 1, 0), Some(said(3, Some(2), 100)), &[], Lacking::default());
        assert_eq!((more.difference, more.completeness), (Some(-1), None));
    }

    #[test]
    fn a_period_stands_as_the_worst_of_its_days() {
        let good = judge(ours(5, 1, 0), Some(said(5, Some(1), 100)), &[], Lacking::default());
        let bad = judge(ours(4, 1, 0), Some(said(5, Some(2), 80)), &[], Lacking::default());
        let sum = Account::sum([&good, &bad]).unwrap();
        assert_eq!((sum.ours, sum.theirs, sum.difference), (9, Some(10), Some(1)));
        assert_eq!((sum.standing, sum.completeness), (Standing::Differing, Some(90.0)));
        assert_eq!((sum.verified_at.is_none(), sum.account_at.unwrap().0), (true, at(80)));
        let unknown = judge(ours(1, 1, 0), None, &[], Lacking::default());
        assert_eq!(Account::sum([&good, &unknown]).unwrap().theirs, None);
        let changed = judge(ours(6, 1, 95), Some(said(5, Some(2), 100)), &[], Lacking::default());
        let sum = Account::sum([&good, &changed]).unwrap();
        assert_eq!((sum.standing, sum.theirs, sum.difference), (Standing::Changed, Some(10), None));
    }
}
