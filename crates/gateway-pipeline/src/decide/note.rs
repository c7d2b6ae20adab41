//! What is noted beside the rows: tallies, jobs, oddities.
//!
//! What an oddity is about comes from outside. It ends in tables and reports, so it is cut and stripped: a peer that puts a telephone number or
//! a sentence where a field's name belongs does not get it shown.

use super::batch::Decision;
use crate::version::Version;
use gateway_model::{Change, ChannelId, Dataset, Oddity, OrderId, Origin, RawId, Revision, SourceNumber, Timestamp};
use gateway_store::{FlowOutcome, JobKind, Latency, Leg, NewAnomaly, NewJob, RawMeta};

/// The longest subject, in characters.
const SUBJECT_CHARS: usize = 64;
/// A run of this many digits may be a person's number.
const DIGITS: usize = 5;

impl Decision<'_> {
    pub(super) fn tally(&mut self, channel: &ChannelId, dataset: Option<Dataset>, outcome: FlowOutcome) {
        *self.tallies.entry((channel.clone(), dataset, outcome)).or_default() += 1;
    }

    /// Asks for the order to be read again, where the channel can be asked; once a batch.
    pub(super) fn reread(&mut self, channel: &ChannelId, number: &SourceNumber, reason: &str) {
        if !self.decider.rereadable.contains(channel) {
            return;
        }
        self.jobs.entry((channel.clone(), number.to_string())).or_insert_with(|| NewJob {
            kind: JobKind::Reread,
            channel: channel.clone(),
            subject: number.to_string(),
            reason: reason.to_owned(),
            run_at: self.now,
        });
    }

    /// Counts what is odd about a change that was applied; a repetition of it is not odd a second time.
    pub(super) fn oddities(&mut self, change: &Change, meta: &RawMeta, order_id: OrderId, raw_id: RawId) {
        for oddity in &change.oddities {
            let (kind, subject) = describe(oddity);
            self.anomaly(&meta.channel, kind, subject, Some(order_id), raw_id);
        }
    }

    /// Notes how long a statement that is news took to us, and through us. Only live traffic tells that of the source: what is fetched again was on
    /// its way for reasons of its own.
    pub(super) fn legs(&mut self, change: &Change, version: &Version, meta: &RawMeta) {
        let channel = &meta.channel;
        let live = matches!(meta.origin, Origin::Poll | Origin::Webhook);
        let said_at = change.revision.filter(|_| live && !version.doubtful).and_then(time_of);
        if let Some(said_at) = said_at {
            let leg = Latency::between(channel, Leg::SourceToReceived, said_at, meta.received_at);
            self.writes.latencies.push(leg);
        }
        let leg = Latency::between(channel, Leg::ReceivedToApplied, meta.received_at, self.now);
        self.writes.latencies.push(leg);
    }

    pub(super) fn anomaly(
        &mut self,
        channel: &ChannelId,
        kind: &str,
        subject: &str,
        order_id: Option<OrderId>,
        raw_id: RawId,
    ) {
        self.writes.anomalies.push(NewAnomaly {
            channel: channel.clone(),
            kind: kind.to_owned(),
            subject: bounded(subject),
            order_id,
            raw_id,
            at: self.now,
        });
    }
}

/// The time that a revision is; `None` for one that only counts.
fn time_of(revision: Revision) -> Option<Timestamp> {
    /// 2000-01-01 in ms. No counter of revisions gets there, no hotline is older.
    const FIRST: i64 = 946_684_800_000;
    (revision.0 >= FIRST).then(|| Timestamp::from_millisecond(revision.0).ok()).flatten()
}

fn describe(oddity: &Oddity) -> (&'static str, &str) {
    match oddity {
        Oddity::UnknownCode { wire_field } => ("unknown_code", wire_field),
        Oddity::UnknownField { wire_field } => ("unknown_field", wire_field),
        Oddity::UnreadableValue { wire_field } => ("unreadable_value", wire_field),
        Oddity::FutureTime { wire_field } => ("future_time", wire_field),
        Oddity::CompletedBeforeAccepted => ("completed_before_accepted", "completion"),
    }
}

/// A name as it may be shown: letters, digits and `_ - . [ ]`, anything else as `?`, long runs of digits as `#`, cut.
fn bounded(subject: &str) -> String {
    let mut shown = String::new();
    let mut digits = String::new();
    // A little more than can be kept is looked at, whatever the length.
    for letter in subject.chars().take(4 * SUBJECT_CHARS).chain(['\0']) {
        if letter.is_numeric() {
            digits.push(letter);
            continue;
        }
        match digits.chars().count() {
            0..DIGITS => shown.push_str(&digits),
            _ => shown.push('#'),
        }
        digits.clear();
        match letter {
            '\0' => {}
            '_' | '-' | '.' | '[' | ']' => shown.push(letter),
            letter if letter.is_alphabetic() => shown.push(letter),
            _ => shown.push('?'),
        }
    }
    shown.chars().take(SUBJECT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_is_cut_and_stripped() {
        assert_eq!(bounded("events[0].kind"), "events[0].kind");
        assert_eq!(bounded("工单来源2"), "工单来源2");
        assert_eq!(bounded("tel13800138000"), "tel#");
        assert_eq!(bounded("a b\u{0}\n<x>"), "a?b??x?");
        assert_eq!(bounded(&"é".repeat(1_000)).chars().count(), SUBJECT_CHARS);
    }
}
