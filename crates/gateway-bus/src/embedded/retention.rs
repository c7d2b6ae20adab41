//! Dropping what is older than its topic's retention, or, where the log is a spool, what its one reader has done with.
//!
//! Segments go oldest first and whole, so what is left of a partition is always one piece up to its end. The ends themselves are in the head of
//! the next segment, and the newest segment stays, so offsets go on where they were even when every message is gone.

use super::key::PartitionId;
use super::older::for_each_live_guard;
use super::segment::{End, Ends, Segment};
use super::sqlite::{Failure, run};
use super::writer::{Writer, discard};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Writer {
    /// Drops segments in which everything is over, and returns how many messages went.
    pub(super) async fn drop_expired(&mut self) -> Result<u64, Failure> {
        let now = self.log.now();
        let retentions = self.log.catalog.retentions();
        let dropped = self.drop_where(|segment, ends| is_over(segment, ends, &retentions, now)).await?;
        metrics::counter!("gateway_bus_dropped_messages_total").increment(dropped);
        Ok(dropped)
    }

    /// Drops segments of which a group has committed everything, and returns how many messages went.
    pub(super) async fn drop_read(&mut self, group: &str) -> Result<u64, Failure> {
        let log = Arc::clone(&self.log);
        self.drop_where(|segment, ends| {
            messages_of(segment, ends).all(|(id, end, _)| log.catalog.position(group, id) >= end.offset)
        })
        .await
    }

    async fn drop_where(&mut self, over: impl Fn(&Segment, &Ends) -> bool) -> Result<u64, Failure> {
        let now = self.log.now();
        if !self.newest_is_empty() && over(&self.newest(), &self.tail.ends) {
            let conn = self.ready().await?;
            // `ready` may have begun a new segment already.
            let conn = if self.newest_is_empty() { conn } else { self.roll(conn).await };
            self.keep(conn);
        }
        let segments = self.log.segments();
        let over = segments.windows(2).take_while(|pair| over(&pair[0], &pair[1].head.starts)).count();
        if over == 0 {
            return Ok(0);
        }
        self.log.catalog.sync().await?;
        let mut dropped = 0;
        for pair in segments[..=over].windows(2) {
            self.hand_on_guards(&pair[0], now).await?;
            self.log.set_segments(self.log.segments()[1..].to_vec());
            dropped += messages_of(&pair[0], &pair[1].head.starts).map(|(_, _, count)| count).sum::<u64>();
            if let Err(error) = pair[0].remove() {
                tracing::warn!(%error, segment = pair[0].number, "an expired bus segment could not be removed");
            }
        }
        // Who stands in what is gone is told so without waiting for the next message.
        self.log.groups.wake_all();
        Ok(dropped)
    }

    /// Copies the guards of a segment that outlive it into the newest.
    async fn hand_on_guards(&mut self, segment: &Arc<Segment>, now: i64) -> Result<(), Failure> {
        let until = segment.guard_until.load(Ordering::Acquire);
        if until <= now {
            return Ok(());
        }
        let live = {
            let mut live = Vec::new();
            for_each_live_guard(&mut *segment.reader().await?, now, |row| live.push(row)).await?;
            live
        };
        let mut conn = self.ready().await?;
        let result = async {
            run(&mut conn, "BEGIN IMMEDIATE").await?;
            self.inserts.write_guards(&mut conn, live.iter()).await?;
            run(&mut conn, "COMMIT").await
        }
        .await;
        match result {
            Ok(()) => {
                self.newest().note_guard(until);
                self.guards.remember(live, now);
                self.keep(conn);
            }
            Err(_) => discard(conn).await,
        }
        result
    }
}

/// Whether everything in a segment that ends at `ends` is older than its topic's retention.
fn is_over(segment: &Segment, ends: &Ends, retentions: &HashMap<u32, i64>, now: i64) -> bool {
    messages_of(segment, ends).all(|(id, end, _)| {
        let retention = retentions.get(&id.topic).copied().unwrap_or(i64::MAX);
        end.newest_at.saturating_add(retention) <= now
    })
}

/// For each partition with messages in a segment that ends at `ends`: which, the end, and how many messages.
fn messages_of<'a>(segment: &'a Segment, ends: &'a Ends) -> impl Iterator<Item = (PartitionId, End, u64)> + 'a {
    ends.iter().map(|(id, end)| (*id, *end, end.offset - segment.start(*id))).filter(|(_, _, count)| *count > 0)
}
