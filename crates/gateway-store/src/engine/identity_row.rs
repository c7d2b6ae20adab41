//! Pairs, what was said of them, and what is compared of orders, read back.

use super::Result;
use super::column::{Cells, Columns};
use crate::{Comparable, FirstHand, MatchChange, MatchEntry, MatchPage, MatchRound, PairStep, StoreError};
use gateway_model::{ChannelId, MatchKey, MatchSubject, OrderId, OrderPair, Part};
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `queries/order_pair/*.sql`.
pub(crate) fn pair<R: Cells>(row: &R) -> Result<OrderPair> {
    let mut columns = Columns::of("order_pair", row);
    Ok(OrderPair {
        a: columns.order_id()?,
        b: columns.order_id()?,
        state: columns.word()?,
        by: columns.string()?,
        reason: columns.maybe_string()?,
        score: columns.maybe_int()?.and_then(|score| u32::try_from(score).ok()),
        likeness: columns.json()?,
        pending: columns.flag()?,
        at: columns.time()?,
    })
}

/// The columns of `order_pair_step/of`.
pub(crate) fn step<R: Cells>(row: &R) -> Result<PairStep> {
    let mut columns = Columns::of("order_pair_step", row);
    Ok(PairStep {
        pair: columns.id()?,
        at: columns.time()?,
        state: columns.word()?,
        by: columns.string()?,
        reason: columns.maybe_string()?,
    })
}

/// Orders with their leads, without those that are alone.
pub(crate) fn groups<R: Cells>(rows: &[R]) -> Result<BTreeMap<OrderId, OrderId>> {
    let mut leads = BTreeMap::new();
    for row in rows {
        let mut columns = Columns::of("order_alias", row);
        leads.insert(columns.order_id()?, columns.order_id()?);
    }
    let shared: BTreeSet<OrderId> = leads.iter().filter(|(order, lead)| order != lead).map(|(_, lead)| *lead).collect();
    leads.retain(|_, lead| shared.contains(lead));
    Ok(leads)
}

/// Refuses to write over what changed meanwhile.
pub(crate) fn must_be(held: Option<&OrderPair>, was: Option<gateway_model::PairState>, pair: &OrderPair) -> Result<()> {
    let held = held.map(|held| held.state);
    if held == was {
        return Ok(());
    }
    let state = held.map_or("not there", gateway_model::PairState::as_str).to_owned();
    Err(StoreError::WrongState { what: "pair of orders", id: pair.id().to_string(), state })
}

/// Another round was faster.
pub(crate) fn overtaken(from: u64) -> StoreError {
    StoreError::WrongState { what: "place in the feed", id: from.to_string(), state: "passed by another round".into() }
}

/// What an order is found by, with who told of it and when.
pub(crate) type KeyRow<'r> = (MatchKey, &'r ChannelId, i64, OrderId);

/// The rows of the keys that a round takes away and those that it adds, ascending.
pub(crate) fn key_rows(round: &MatchRound) -> (Vec<KeyRow<'_>>, Vec<KeyRow<'_>>) {
    let mut gone = BTreeSet::new();
    let mut new = BTreeSet::new();
    for turn in &round.turns {
        gone.extend(turn.was.iter().flat_map(keys_of));
        new.extend(turn.is.iter().flat_map(|entry| keys_of(&entry.comparable)));
    }
    (gone.difference(&new).copied().collect(), new.difference(&gone).copied().collect())
}

/// The orders of which a round keeps nothing any more.
pub(crate) fn left(round: &MatchRound) -> Vec<OrderId> {
    let left = round.turns.iter().filter(|turn| turn.is.is_none());
    left.filter_map(|turn| turn.was.as_ref()).map(|was| was.order_id).collect()
}

/// What a round keeps.
pub(crate) fn kept(round: &MatchRound) -> Vec<&MatchEntry> {
    round.turns.iter().filter_map(|turn| turn.is.as_ref()).collect()
}

/// The channels of what a round keeps.
pub(crate) fn channels(round: &MatchRound) -> Vec<&ChannelId> {
    let all: BTreeSet<&ChannelId> = kept(round).into_iter().map(|entry| &entry.comparable.channel).collect();
    all.into_iter().collect()
}

fn keys_of(one: &Comparable) -> impl Iterator<Item = KeyRow<'_>> {
    one.subject.keys().into_iter().map(|(key, _)| (key, &one.channel, one.subject.at_ms(), one.order_id))
}

/// What orders are looked for by.
pub(crate) struct Wanted<'r> {
    /// The place of who asks.
    pub(crate) asked: i64,
    pub(crate) key: MatchKey,
    /// Whose orders are not wanted.
    pub(crate) channel: &'r ChannelId,
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
}

/// What these are compared with.
pub(crate) fn wanted<'r>(asked: &'r [&'r Comparable]) -> impl Iterator<Item = Wanted<'r>> {
    (0..).zip(asked).flat_map(|(place, one)| {
        let at = one.subject.at_ms();
        one.subject.keys().into_iter().map(move |(key, reach)| Wanted {
            asked: place,
            key,
            channel: &one.channel,
            from_ms: at.saturating_sub(reach),
            until_ms: at.saturating_add(reach),
        })
    })
}

/// The columns of `match_subject/like`.
pub(crate) fn like<R: Cells>(row: &R) -> Result<(usize, Comparable)> {
    let mut columns = Columns::of("match_subject", row);
    let asked = columns.count()?;
    let (order_id, channel) = (columns.order_id()?, columns.id()?);
    let (at, subject) = (columns.int()?, columns.bytes()?);
    Ok((
        usize::try_from(asked).unwrap_or(usize::MAX),
        Comparable { order_id, channel, subject: subject_of(at, subject)? },
    ))
}

fn subject_of(at: i64, bytes: &[u8]) -> Result<MatchSubject> {
    MatchSubject::from_bytes(at, bytes)
        .map_err(|source| StoreError::Damaged { what: "match_subject".into(), source: Some(Box::new(source)) })
}

/// The rows of `match_subject/changed`: one for each own acceptance of each order, one for an order that has none.
pub(crate) fn changes<R: Cells>(after: u64, rows: &[R]) -> Result<MatchPage> {
    let mut page = MatchPage { next: after, ..MatchPage::default() };
    let mut first: Option<Seen> = None;
    for row in rows {
        let row = seen(row)?;
        match &mut first {
            Some(held) if held.change.order_id == row.change.order_id => {
                if row.place < held.place {
                    *held = row;
                }
            }
            _ => end(&mut page, first.replace(row)),
        }
    }
    end(&mut page, first);
    Ok(page)
}

fn end(page: &mut MatchPage, first: Option<Seen>) {
    let Some(Seen { feed_seq, place, change }) = first else { return };
    page.seen += 1;
    page.next = feed_seq;
    // With a place and without what was said, it is as it was.
    if change.first_hand.is_some() || (place.is_none() && change.was.is_some()) {
        page.changes.push(change);
    }
}

struct Seen {
    feed_seq: u64,
    /// Where the acceptance stands among those of the order; `None` where there is none.
    place: Option<(ChannelId, Part)>,
    change: MatchChange,
}

fn seen<R: Cells>(row: &R) -> Result<Seen> {
    let mut columns = Columns::of("match_subject", row);
    let (feed_seq, order_id, lead) = (columns.count()?, columns.order_id()?, columns.order_id()?);
    let (channel, at, subject) = (columns.maybe_id()?, columns.maybe_int()?, columns.maybe_bytes()?);
    let was = match (channel, at, subject) {
        (Some(channel), Some(at), Some(subject)) => {
            Some(Comparable { order_id, channel, subject: subject_of(at, &subject)? })
        }
        _ => None,
    };
    let mut change = MatchChange { order_id, lead, was, first_hand: None };
    let Some(channel) = columns.maybe_id::<ChannelId>()? else { return Ok(Seen { feed_seq, place: None, change }) };
    let (part, content_hash, event_time): (Part, _, _) = (columns.word()?, columns.hash()?, columns.moment()?);
    let (fields, persons) = (columns.maybe_json()?, columns.maybe_json()?);
    let place = Some((channel.clone(), part.clone()));
    change.first_hand = fields.map(|fields| FirstHand {
        channel,
        part,
        content_hash,
        event_time,
        fields,
        persons: persons.unwrap_or_default(),
    });
    Ok(Seen { feed_seq, place, change })
}
