//! Changes of deliveries, in memory: which step follows from what was learnt, and what it adds to tallies and latencies.

use super::Result;
use super::column::{Cells, Columns};
use super::delivery_row::{StoredDelivery, read_delivery};
use crate::{
    AttemptResult, AttemptStart, BookPut, DeliveryRow, DeliveryUpdate, Latency, Leg, NewDelivery, RowVerdict,
    StoreError, VerdictTally,
};
use gateway_model::{
    BookItem, BookSide, ChannelId, Dataset, Day, DeliveryId, DeliveryState, OrderId, Timestamp, day_of,
};
use std::collections::BTreeMap;

/// Deliveries that are being changed in a transaction.
pub(crate) struct Changing {
    before: BTreeMap<DeliveryId, StoredDelivery>,
    after: BTreeMap<DeliveryId, StoredDelivery>,
}

/// What is to be written of them.
pub(crate) struct Changed {
    pub(crate) rows: Vec<StoredDelivery>,
    pub(crate) tallies: Tallies,
    pub(crate) legs: Vec<Latency>,
}

impl Changing {
    /// Of rows with the columns of `queries/delivery/*.sql`.
    pub(crate) fn read<R: Cells>(rows: &[R]) -> Result<Self> {
        let mut before = BTreeMap::new();
        for row in rows {
            let delivery = read_delivery(&mut Columns::of("delivery", row))?;
            before.insert(delivery.row.id, delivery);
        }
        Ok(Self { after: before.clone(), before })
    }

    /// One of them.
    fn get(&mut self, id: DeliveryId) -> Result<&mut StoredDelivery> {
        self.after.get_mut(&id).ok_or_else(|| StoreError::NotFound { what: "delivery", id: id.to_string() })
    }

    /// What changed, at `at`.
    pub(crate) fn changed(self, at: Timestamp) -> Changed {
        let Self { before, after } = self;
        let rows: Vec<_> =
            after.into_iter().filter(|(id, row)| before.get(id) != Some(row)).map(|(_, row)| row).collect();
        let old = |row: &StoredDelivery| before.get(&row.row.id).map(|before| &before.row);
        let tallies = tallies(rows.iter().filter_map(old), rows.iter().map(|row| &row.row));
        let legs = legs(rows.iter().filter_map(|row| Some((old(row)?, &row.row))), at);
        Changed { rows, tallies, legs }
    }

    /// What the pipeline learnt; a delivery that has ended keeps its end.
    pub(crate) fn learn(&mut self, update: &DeliveryUpdate) -> Result<()> {
        let row = &mut self.get(update.id)?.row;
        if !row.state.is_in_flight() {
            return Ok(());
        }
        row.state = update.state;
        if update.receipt.is_some() {
            row.receipt.clone_from(&update.receipt);
        }
        if let Some(at) = update.next_attempt_at {
            row.next_attempt_at = at;
        }
        row.reason_code.clone_from(&update.reason_code);
        row.reason.clone_from(&update.reason);
        Ok(())
    }

    /// Begins an attempt: the generation and number of it.
    pub(crate) fn begin(&mut self, start: &AttemptStart) -> Result<(u32, u32)> {
        let stored = self.get(start.id)?;
        let row = &mut stored.row;
        if row.state != DeliveryState::Owed {
            return Err(wrong_state(row));
        }
        row.state = DeliveryState::Sending;
        row.attempts += 1;
        row.first_sent_at = row.first_sent_at.or(Some(start.at));
        row.item = Some(start.item.clone());
        row.ask_by = Some(start.ask_by);
        stored.projection_version = start.projection_version;
        Ok((row.generation, row.attempts))
    }

    /// Takes the result of an attempt: the attempt that ended by it, and what the book holds from now on.
    pub(crate) fn end(&mut self, result: &AttemptResult) -> Result<(Option<Ended>, Option<BookPut>)> {
        let stored = self.get(result.id)?;
        let row = &mut stored.row;
        let attempted = row.attempts > 0;
        if !attempted && !ends_without_attempt(result.state) {
            // It was sent again meanwhile, and this is an attempt of the generation before: what that one said is over.
            return Ok((None, None));
        }
        let ended = attempted.then(|| Ended::of(row, result.at, result.state, result.reason_code.clone()));
        if !row.state.is_in_flight() {
            return Ok((ended, None));
        }
        row.state = result.state;
        if result.receipt.is_some() {
            row.receipt.clone_from(&result.receipt);
        }
        row.reason_code.clone_from(&result.reason_code);
        row.reason.clone_from(&result.reason);
        row.unanswered |= result.unanswered;
        row.next_attempt_at = result.next_attempt_at;
        if attempted {
            row.last_attempt_ended_at = Some(result.at);
        }
        let put = match (result.state, &row.item) {
            (DeliveryState::Acknowledged, Some(item)) => Some(BookPut::Put {
                channel: row.destination.clone(),
                side: BookSide::Sent,
                projection_version: stored.projection_version,
                item: item.clone(),
            }),
            _ => None,
        };
        Ok((ended, put))
    }

    /// Sends one again, as a new generation: where to, and what was sent before.
    pub(crate) fn redeliver(&mut self, id: DeliveryId, now: Timestamp) -> Result<(ChannelId, Option<BookItem>)> {
        let row = &mut self.get(id)?.row;
        if !matches!(
            row.state,
            DeliveryState::Acknowledged | DeliveryState::Rejected | DeliveryState::Held | DeliveryState::DeadLettered
        ) {
            return Err(wrong_state(row));
        }
        row.state = DeliveryState::Owed;
        row.generation += 1;
        row.attempts = 0;
        row.unanswered = false;
        row.next_attempt_at = now;
        row.receipt = None;
        row.reason_code = None;
        row.reason = None;
        Ok((row.destination.clone(), row.item.clone()))
    }

    /// Those that are sent from their record anew.
    #[cfg(feature = "postgres")]
    pub(crate) fn reopened(&self) -> Vec<DeliveryRow> {
        let anew = |row: &DeliveryRow| row.state == DeliveryState::Owed && row.attempts == 0;
        let was = |id: &DeliveryId| self.before.get(id).is_some_and(|before| anew(&before.row));
        let reopened = self.after.iter().filter(|(id, stored)| anew(&stored.row) && !was(id));
        reopened.map(|(_, stored)| stored.row.clone()).collect()
    }

    /// Leaves one to a person, since it can't be sent.
    #[cfg(feature = "postgres")]
    pub(crate) fn strand(&mut self, id: DeliveryId, code: &str, reason: String) -> Result<()> {
        strand(&mut self.get(id)?.row, code, reason);
        Ok(())
    }

    /// Takes a destination's verdicts: what its book side gains, and what it loses of what we had sent.
    pub(crate) fn hear(
        &mut self,
        destination: &ChannelId,
        verdicts: &[&RowVerdict],
        max_generations: u32,
        now: Timestamp,
    ) -> Result<Heard> {
        let mut heard = Heard::default();
        for verdict in verdicts {
            let known = self.after.get(&verdict.key.id).map(|stored| Standing::of(&stored.row));
            let meaning = Meaning::of(destination, verdict, known.as_ref(), max_generations);
            meaning.count(&mut heard.tally);
            match (meaning, &verdict.said) {
                (Meaning::Acknowledges, Ok(receipt)) => {
                    let stored = self.get(verdict.key.id)?;
                    let row = &mut stored.row;
                    row.state = DeliveryState::Acknowledged;
                    row.receipt = Some(receipt.clone());
                    row.reason_code = None;
                    row.reason = None;
                    if let Some(item) = &row.item {
                        heard.puts.push(BookPut::Put {
                            channel: row.destination.clone(),
                            side: BookSide::Sent,
                            projection_version: stored.projection_version,
                            item: item.clone(),
                        });
                    }
                }
                (Meaning::Reopens, Err((code, text))) => {
                    let (destination, item) = self.redeliver(verdict.key.id, now)?;
                    heard.removes.extend(item.map(|item| (destination, item)));
                    let row = &mut self.get(verdict.key.id)?.row;
                    row.reason_code = Some(code.clone());
                    row.reason = Some(text.clone());
                }
                (Meaning::Stops, Err((_, text))) => {
                    let row = &mut self.get(verdict.key.id)?.row;
                    row.state = DeliveryState::Rejected;
                    row.next_attempt_at = now;
                    row.receipt = None;
                    row.reason_code = Some("refused_again_and_again".into());
                    row.reason =
                        Some(format!("refused in generation {}, and left to a person: {text}", row.generation));
                    heard.removes.extend(row.item.clone().map(|item| (row.destination.clone(), item)));
                }
                _ => {}
            }
        }
        Ok(heard)
    }

    /// Gives one up, by a person's word.
    pub(crate) fn waive(&mut self, id: DeliveryId, reason: &str, now: Timestamp) -> Result<()> {
        let row = &mut self.get(id)?.row;
        // While an attempt is under way its answer comes first.
        if !matches!(
            row.state,
            DeliveryState::Owed
                | DeliveryState::Pending
                | DeliveryState::Ambiguous
                | DeliveryState::Held
                | DeliveryState::Rejected
                | DeliveryState::DeadLettered
        ) {
            return Err(wrong_state(row));
        }
        row.state = DeliveryState::Waived;
        row.next_attempt_at = now;
        row.reason_code = Some("waived".into());
        row.reason = Some(reason.to_owned());
        Ok(())
    }

    /// Attempts that a process died in: nobody knows how they ended.
    pub(crate) fn interrupt(&mut self, now: Timestamp) -> Vec<Ended> {
        let interrupt = |stored: &mut StoredDelivery| {
            let row = &mut stored.row;
            row.state = DeliveryState::Ambiguous;
            row.unanswered = true;
            row.next_attempt_at = now;
            row.last_attempt_ended_at = Some(now);
            row.reason_code = Some("interrupted".into());
            row.reason = Some("the gateway stopped while the attempt was under way".into());
            Ended::of(row, now, row.state, row.reason_code.clone())
        };
        self.after.values_mut().map(interrupt).collect()
    }
}

/// Leaves a delivery to a person, since it can't be sent.
#[cfg(feature = "postgres")]
pub(crate) fn strand(row: &mut DeliveryRow, code: &str, reason: String) {
    row.state = DeliveryState::DeadLettered;
    row.reason_code = Some(code.to_owned());
    row.reason = Some(reason);
}

/// What verdicts change, besides the deliveries themselves.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) tally: VerdictTally,
    pub(crate) puts: Vec<BookPut>,
    pub(crate) removes: Vec<(ChannelId, BookItem)>,
}

/// As much of a delivery as a verdict is judged by.
pub(crate) struct Standing {
    pub(crate) order_id: OrderId,
    pub(crate) destination: ChannelId,
    pub(crate) state: DeliveryState,
    pub(crate) generation: u32,
}

impl Standing {
    fn of(row: &DeliveryRow) -> Self {
        Self {
            order_id: row.order_id,
            destination: row.destination.clone(),
            state: row.state,
            generation: row.generation,
        }
    }
}

/// What a verdict means for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Confirms,
    Acknowledges,
    Reopens,
    /// Refused as often as it is sent by itself.
    Stops,
    /// The same, told again.
    Stopped,
    InFlight,
    Stale,
    Unknown,
}

impl Meaning {
    pub(crate) fn of(
        destination: &ChannelId,
        verdict: &RowVerdict,
        known: Option<&Standing>,
        max_generations: u32,
    ) -> Self {
        let ours = |known: &&Standing| known.destination == *destination && verdict.key.is_of(known.order_id);
        let Some(known) = known.filter(ours) else { return Meaning::Unknown };
        if known.generation < verdict.key.generation {
            return Meaning::Unknown;
        }
        if known.generation > verdict.key.generation {
            return Meaning::Stale;
        }
        match (known.state, verdict.said.is_ok()) {
            (DeliveryState::Acknowledged, true) => Meaning::Confirms,
            // An answer is awaited: it would be acknowledged, and the row proves that it arrived.
            (
                DeliveryState::Pending | DeliveryState::Ambiguous | DeliveryState::Held | DeliveryState::Rejected,
                true,
            ) => Meaning::Acknowledges,
            (DeliveryState::Acknowledged | DeliveryState::Rejected | DeliveryState::Held, false)
                if known.generation < max_generations =>
            {
                Meaning::Reopens
            }
            (DeliveryState::Acknowledged | DeliveryState::Held, false) => Meaning::Stops,
            (DeliveryState::Rejected, false) => Meaning::Stopped,
            (state, _) if state.is_in_flight() => Meaning::InFlight,
            _ => Meaning::Stale,
        }
    }

    /// Whether anything is to be written.
    pub(crate) fn changes(self) -> bool {
        matches!(self, Meaning::Acknowledges | Meaning::Reopens | Meaning::Stops)
    }

    pub(crate) fn count(self, tally: &mut VerdictTally) {
        *match self {
            Meaning::Confirms => &mut tally.confirmed,
            Meaning::Acknowledges => &mut tally.acknowledged,
            Meaning::Reopens => &mut tally.reopened,
            Meaning::Stops | Meaning::Stopped => &mut tally.stopped,
            Meaning::InFlight => &mut tally.in_flight,
            Meaning::Stale => &mut tally.stale,
            Meaning::Unknown => &mut tally.unknown,
        } += 1;
    }
}

/// Reads the columns of `queries/delivery/standing.sql`.
pub(crate) fn read_standings<R: Cells>(rows: &[R]) -> Result<BTreeMap<DeliveryId, Standing>> {
    let read = |row| {
        let mut columns = Columns::of("delivery", row);
        let id = DeliveryId(columns.int()?);
        let standing = Standing {
            order_id: columns.order_id()?,
            destination: columns.id()?,
            state: columns.word()?,
            generation: columns.small()?,
        };
        Ok((id, standing))
    };
    rows.iter().map(read).collect()
}

/// Counts the verdicts that change nothing, and returns the others.
pub(crate) fn changing<'a>(
    destination: &ChannelId,
    verdicts: &'a [RowVerdict],
    standing: &BTreeMap<DeliveryId, Standing>,
    max_generations: u32,
    tally: &mut VerdictTally,
) -> Vec<&'a RowVerdict> {
    let mut changing = Vec::new();
    for verdict in verdicts {
        let meaning = Meaning::of(destination, verdict, standing.get(&verdict.key.id), max_generations);
        if meaning.changes() { changing.push(verdict) } else { meaning.count(tally) }
    }
    changing
}

/// The refusal of a delivery that is not in the right state.
fn wrong_state(delivery: &DeliveryRow) -> StoreError {
    StoreError::WrongState { what: "delivery", id: delivery.id.to_string(), state: delivery.state.to_string() }
}

/// A new delivery.
pub(crate) fn owed(new: &NewDelivery) -> StoredDelivery {
    StoredDelivery {
        row: DeliveryRow {
            id: new.id,
            order_id: new.order_id,
            destination: new.destination.clone(),
            from: new.from.clone(),
            operation: new.operation,
            dataset: new.dataset,
            part: new.part.clone(),
            round: new.round,
            raw_id: new.raw_id,
            command_id: new.command_id,
            state: DeliveryState::Owed,
            generation: 1,
            attempts: 0,
            unanswered: false,
            next_attempt_at: new.created_at,
            created_at: new.created_at,
            first_sent_at: None,
            last_attempt_ended_at: None,
            item: None,
            ask_by: None,
            receipt: None,
            reason_code: None,
            reason: None,
        },
        projection_version: 0,
    }
}

/// What a worker may find out before the first attempt of a generation: that it can't be sent, or not yet.
fn ends_without_attempt(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Owed | DeliveryState::Held | DeliveryState::DeadLettered)
}

/// The end of the current attempt of a delivery.
pub(crate) struct Ended {
    pub(crate) id: DeliveryId,
    pub(crate) generation: u32,
    pub(crate) attempt: u32,
    pub(crate) at: Timestamp,
    pub(crate) outcome: DeliveryState,
    pub(crate) reason_code: Option<String>,
}

impl Ended {
    fn of(row: &DeliveryRow, at: Timestamp, outcome: DeliveryState, reason_code: Option<String>) -> Self {
        Self { id: row.id, generation: row.generation, attempt: row.attempts, at, outcome, reason_code }
    }
}

/// How long the legs took that these steps end.
fn legs<'a>(steps: impl Iterator<Item = (&'a DeliveryRow, &'a DeliveryRow)>, at: Timestamp) -> Vec<Latency> {
    let mut legs = Vec::new();
    for (before, after) in steps {
        if let (None, Some(sent)) = (before.first_sent_at, after.first_sent_at) {
            legs.push(Latency::between(&after.destination, Leg::OwedToSent, after.created_at, sent));
        }
        // The answer's own time where an attempt got it, else the time at which we learnt it.
        let acknowledged = before.state != DeliveryState::Acknowledged && after.state == DeliveryState::Acknowledged;
        if let (true, Some(sent)) = (acknowledged, after.first_sent_at) {
            let ended = after.last_attempt_ended_at.filter(|ended| before.last_attempt_ended_at != Some(*ended));
            legs.push(Latency::between(&after.destination, Leg::SentToAcknowledged, sent, ended.unwrap_or(at)));
        }
    }
    legs
}

/// What steps add to the tallies: deliveries, and how many of them were sent at least once.
pub(crate) type Tallies = Vec<((ChannelId, Dataset, Day, DeliveryState), (i64, i64))>;

/// The tallies of steps, by the day on which the delivery was owed.
pub(crate) fn tallies<'a>(
    before: impl IntoIterator<Item = &'a DeliveryRow>,
    after: impl IntoIterator<Item = &'a DeliveryRow>,
) -> Tallies {
    let mut deltas: BTreeMap<(ChannelId, Dataset, Day, DeliveryState), (i64, i64)> = BTreeMap::new();
    let mut add = |row: &DeliveryRow, sign: i64| {
        let key = (row.destination.clone(), row.dataset, day_of(row.created_at), row.state);
        let delta = deltas.entry(key).or_default();
        delta.0 += sign;
        delta.1 += sign * i64::from(row.first_sent_at.is_some());
    };
    before.into_iter().for_each(|row| add(row, -1));
    after.into_iter().for_each(|row| add(row, 1));
    deltas.into_iter().filter(|(_, delta)| *delta != (0, 0)).collect()
}
