//! An order while a batch is decided: what was loaded, and what of it changed.

use crate::version::Version;
use gateway_model::{
    AuthorityTable, Change, ChannelId, Dataset, Digest, EventRow, FacetRow, OrderId, OrderNumber, Part, RawId,
    Revision, Timestamp, compose,
};
use gateway_store::{ChangeRow, IngestWrites, NumberReading, OrderAggregate, PersonRow, RawMeta, WorkOrderRow};
use std::collections::{BTreeMap, BTreeSet};

type Place = (ChannelId, Dataset, Part);

/// Whether a revision is a time too far after it was read to order anything.
pub(crate) fn is_future(revision: Option<Revision>, seen_at: Timestamp, tolerance_ms: i64) -> bool {
    revision.is_some_and(|revision| revision.0 > seen_at.as_millisecond().saturating_add(tolerance_ms))
}

/// An order being changed.
pub(crate) struct Working {
    pub(crate) aggregate: OrderAggregate,
    /// What all orders of the group say, where this one is its lead.
    pub(crate) together: Option<Vec<FacetRow>>,
    changed: bool,
    facets: BTreeSet<Place>,
    events: BTreeSet<Place>,
    persons: BTreeMap<Place, PersonRow>,
    readings: BTreeSet<OrderNumber>,
}

/// What a channel says of an item, as far as its absence is judged by it.
pub(crate) struct Head {
    pub(crate) dataset: Dataset,
    pub(crate) part: Part,
    pub(crate) digest: Digest,
    pub(crate) read_at: Timestamp,
    pub(crate) received_at: Timestamp,
}

impl Working {
    pub(crate) fn loaded(aggregate: OrderAggregate) -> Self {
        Self {
            aggregate,
            together: None,
            changed: false,
            facets: BTreeSet::new(),
            events: BTreeSet::new(),
            persons: BTreeMap::new(),
            readings: BTreeSet::new(),
        }
    }

    pub(crate) fn new(now: Timestamp) -> Self {
        let order = WorkOrderRow {
            id: OrderId::new(now),
            seq: 0,
            feed_seq: 0,
            created_at: now,
            changed_at: now,
            state: None,
            round: 0,
            fields: gateway_model::Fields::new(),
            conflicts: Vec::new(),
        };
        let mut working = Self::loaded(OrderAggregate {
            order,
            numbers: Vec::new(),
            readings: Vec::new(),
            facets: Vec::new(),
            events: Vec::new(),
            deliveries: Vec::new(),
        });
        working.changed = true;
        working
    }

    pub(crate) fn id(&self) -> OrderId {
        self.aggregate.order.id
    }

    /// The version of the head of a facet or event. An event's doubt is worked out again from when it was read.
    pub(crate) fn head(
        &self,
        channel: &ChannelId,
        dataset: Dataset,
        part: &Part,
        future_tolerance_ms: i64,
    ) -> Option<Version> {
        match part {
            Part::Cycle(_) => self.facet(channel, dataset, part).map(|facet| Version {
                revision: facet.revision,
                doubtful: facet.revision_doubtful,
                read_at: facet.read_at,
                content: facet.content_hash,
            }),
            Part::Event(_) => self.event(channel, dataset, part).map(|event| Version {
                revision: event.revision,
                doubtful: is_future(event.revision, event.read_at, future_tolerance_ms),
                read_at: event.read_at,
                content: event.content_hash,
            }),
        }
    }

    pub(crate) fn facet(&self, channel: &ChannelId, dataset: Dataset, part: &Part) -> Option<&FacetRow> {
        self.aggregate
            .facets
            .iter()
            .find(|facet| facet.channel == *channel && facet.dataset == dataset && facet.part == *part)
    }

    pub(crate) fn event(&self, channel: &ChannelId, dataset: Dataset, part: &Part) -> Option<&EventRow> {
        self.aggregate
            .events
            .iter()
            .find(|event| event.channel == *channel && event.dataset == dataset && event.part == *part)
    }

    /// Makes a change the head.
    pub(crate) fn replace(&mut self, change: &Change, version: &Version, echo: bool, meta: &RawMeta, raw_id: RawId) {
        let place = (meta.channel.clone(), change.dataset, change.part.clone());
        let order_id = self.id();
        let first = match change.part {
            Part::Cycle(_) => self.facet(&place.0, place.1, &place.2).is_none(),
            Part::Event(_) => self.event(&place.0, place.1, &place.2).is_none(),
        };
        match change.part {
            Part::Cycle(_) => {
                self.aggregate
                    .facets
                    .retain(|facet| (&facet.channel, facet.dataset, &facet.part) != (&place.0, place.1, &place.2));
                self.aggregate.facets.push(FacetRow {
                    channel: place.0.clone(),
                    dataset: place.1,
                    part: place.2.clone(),
                    revision: version.revision,
                    revision_doubtful: version.doubtful,
                    event_time: change.event_time,
                    digest: change.digest,
                    content_hash: version.content,
                    echo,
                    fields: change.fields.clone(),
                    unmapped: change.unmapped.clone(),
                    read_at: version.read_at,
                    received_at: meta.received_at,
                    raw_id,
                    gone_at: None,
                });
                self.facets.insert(place.clone());
            }
            Part::Event(_) => {
                self.aggregate
                    .events
                    .retain(|event| (&event.channel, event.dataset, &event.part) != (&place.0, place.1, &place.2));
                self.aggregate.events.push(EventRow {
                    channel: place.0.clone(),
                    dataset: place.1,
                    part: place.2.clone(),
                    revision: version.revision,
                    event_time: change.event_time,
                    digest: change.digest,
                    content_hash: version.content,
                    echo,
                    fields: change.fields.clone(),
                    read_at: version.read_at,
                    received_at: meta.received_at,
                    raw_id,
                    gone_at: None,
                });
                self.events.insert(place.clone());
            }
        }
        if !first || !change.person.is_empty() {
            let (channel, dataset, part) = place.clone();
            let fields = change.person.clone();
            self.persons.insert(
                place,
                PersonRow { order_id, channel, dataset, part, fields, key_id: crate::decide::PLAIN.into() },
            );
        }
        self.changed = true;
    }

    /// The head said the same before: it takes the newcomer's version.
    pub(crate) fn advance(&mut self, channel: &ChannelId, change: &Change, version: &Version) {
        let place = (channel.clone(), change.dataset, change.part.clone());
        match change.part {
            Part::Cycle(_) => {
                if let Some(facet) = self.facet_mut(&place) {
                    facet.revision = version.revision;
                    facet.revision_doubtful = version.doubtful;
                    facet.read_at = facet.read_at.max(version.read_at);
                }
                self.facets.insert(place);
            }
            Part::Event(_) => {
                if let Some(event) = self.event_mut(&place) {
                    event.revision = version.revision;
                    event.read_at = event.read_at.max(version.read_at);
                }
                self.events.insert(place);
            }
        }
    }

    /// The head turned out to be what we delivered.
    pub(crate) fn mark_echo(&mut self, channel: &ChannelId, change: &Change) {
        let place = (channel.clone(), change.dataset, change.part.clone());
        if let Some(facet) = self.facet_mut(&place) {
            facet.echo = true;
            self.facets.insert(place);
        } else if let Some(event) = self.event_mut(&place) {
            event.echo = true;
            self.events.insert(place);
        }
        self.changed = true;
    }

    fn facet_mut(&mut self, place: &Place) -> Option<&mut FacetRow> {
        let mut facets = self.aggregate.facets.iter_mut();
        facets.find(|facet| (&facet.channel, facet.dataset, &facet.part) == (&place.0, place.1, &place.2))
    }

    fn event_mut(&mut self, place: &Place) -> Option<&mut EventRow> {
        let mut events = self.aggregate.events.iter_mut();
        events.find(|event| (&event.channel, event.dataset, &event.part) == (&place.0, place.1, &place.2))
    }

    /// The next line of the order's timeline.
    pub(crate) fn line(
        &mut self,
        dataset: Dataset,
        part: &Part,
        channel: &ChannelId,
        raw_id: RawId,
        now: Timestamp,
    ) -> ChangeRow {
        self.aggregate.order.seq += 1;
        self.changed = true;
        ChangeRow {
            order_id: self.id(),
            seq: self.aggregate.order.seq,
            at: now,
            channel: channel.clone(),
            dataset,
            part: part.clone(),
            raw_id,
        }
    }

    /// The digest of the head of a facet or event.
    pub(crate) fn digest(&self, channel: &ChannelId, dataset: Dataset, part: &Part) -> Option<Digest> {
        match part {
            Part::Cycle(_) => self.facet(channel, dataset, part).map(|facet| facet.digest),
            Part::Event(_) => self.event(channel, dataset, part).map(|event| event.digest),
        }
    }

    /// What a channel says and has not taken back.
    pub(crate) fn heads(&self, channel: &ChannelId) -> Vec<Head> {
        let facets = self.aggregate.facets.iter().filter(|facet| facet.channel == *channel && facet.gone_at.is_none());
        let events = self.aggregate.events.iter().filter(|event| event.channel == *channel && event.gone_at.is_none());
        let facets = facets.map(|facet| Head {
            dataset: facet.dataset,
            part: facet.part.clone(),
            digest: facet.digest,
            read_at: facet.read_at,
            received_at: facet.received_at,
        });
        let events = events.map(|event| Head {
            dataset: event.dataset,
            part: event.part.clone(),
            digest: event.digest,
            read_at: event.read_at,
            received_at: event.received_at,
        });
        facets.chain(events).collect()
    }

    /// Whether a head is marked as gone.
    pub(crate) fn is_gone(&self, channel: &ChannelId, dataset: Dataset, part: &Part) -> bool {
        match part {
            Part::Cycle(_) => self.facet(channel, dataset, part).is_some_and(|facet| facet.gone_at.is_some()),
            Part::Event(_) => self.event(channel, dataset, part).is_some_and(|event| event.gone_at.is_some()),
        }
    }

    /// Marks a head as gone; what it said stays readable.
    pub(crate) fn mark_gone(&mut self, channel: &ChannelId, head: &Head, at: Timestamp) {
        let place = (channel.clone(), head.dataset, head.part.clone());
        if let Some(facet) = self.facet_mut(&place) {
            facet.gone_at = Some(at);
            self.facets.insert(place);
        } else if let Some(event) = self.event_mut(&place) {
            event.gone_at = Some(at);
            self.events.insert(place);
        }
        self.changed = true;
    }

    /// The latest authoritative reading by a number, as a whole.
    pub(crate) fn reading(&self, number: &OrderNumber) -> Option<&NumberReading> {
        self.aggregate.readings.iter().find(|reading| reading.number == *number)
    }

    /// Whether the channel does not have the order under this number any more.
    pub(crate) fn is_absent(&self, number: &OrderNumber) -> bool {
        self.reading(number).is_some_and(|reading| reading.absent_since.is_some())
    }

    /// Notes an authoritative reading; an absence lasts from its first one on.
    pub(crate) fn note_reading(&mut self, number: &OrderNumber, read_at: Timestamp, absent: bool) {
        self.readings.insert(number.clone());
        let known = self.aggregate.readings.iter_mut().find(|reading| reading.number == *number);
        match known {
            Some(reading) => {
                self.changed |= reading.absent_since.is_some() != absent;
                reading.whole_read_at = reading.whole_read_at.max(read_at);
                reading.absent_since = absent.then(|| reading.absent_since.unwrap_or(read_at));
            }
            None => {
                self.changed |= absent;
                let absent_since = absent.then_some(read_at);
                let reading = NumberReading { number: number.clone(), whole_read_at: read_at, absent_since };
                self.aggregate.readings.push(reading);
            }
        }
    }

    /// The order is there again, by a word that is no reading of the whole.
    pub(crate) fn clear_absence(&mut self, number: &OrderNumber) {
        if let Some(reading) = self.aggregate.readings.iter_mut().find(|reading| reading.number == *number) {
            reading.absent_since = None;
            self.readings.insert(number.clone());
            self.changed = true;
        }
    }

    /// Something about the order changed that its feed should tell (a delivery).
    pub(crate) fn touch(&mut self) {
        self.changed = true;
    }

    /// Whether people can see a difference.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// The facets that count. What a source took back says nothing any more; an order that it has lost altogether is shown as it was last.
    pub(crate) fn speaking(&self) -> Vec<FacetRow> {
        let all = &self.aggregate;
        let lost = |channel: &ChannelId| {
            let mut numbers = all.numbers.iter().filter(|number| number.channel == *channel);
            numbers.all(|number| self.is_absent(number))
        };
        let speaks = |facet: &FacetRow| facet.gone_at.is_none() || lost(&facet.channel);
        all.facets.iter().filter(|facet| speaks(facet)).cloned().collect()
    }

    /// Composes the head row anew.
    pub(crate) fn compose(&mut self, authority: &AuthorityTable) {
        let whole = self.aggregate.facets.iter().all(|facet| facet.gone_at.is_none());
        let composed = match &self.together {
            Some(facets) => compose(facets, authority),
            None if whole => compose(&self.aggregate.facets, authority),
            None => compose(&self.speaking(), authority),
        };
        let order = &mut self.aggregate.order;
        order.state = composed.state;
        order.round = composed.round;
        order.fields = composed.fields;
        order.conflicts = composed.conflicts;
    }

    /// Hands everything that changed to the writes. Takes a place in the feed if people can see a difference.
    pub(crate) fn write(
        mut self,
        authority: &AuthorityTable,
        feed_seq: &mut u64,
        now: Timestamp,
        writes: &mut IngestWrites,
    ) {
        let id = self.id();
        for place in &self.facets {
            if let Some(facet) = self.facet(&place.0, place.1, &place.2) {
                writes.facets.push((id, facet.clone()));
            }
        }
        for place in &self.events {
            if let Some(event) = self.event(&place.0, place.1, &place.2) {
                writes.events.push((id, event.clone()));
            }
        }
        for number in &self.readings {
            writes.readings.extend(self.reading(number).map(|reading| (id, reading.clone())));
        }
        writes.persons.extend(std::mem::take(&mut self.persons).into_values());
        if self.changed {
            self.compose(authority);
            self.aggregate.order.changed_at = now;
            self.aggregate.order.feed_seq = *feed_seq;
            *feed_seq += 1;
            writes.orders.push(self.aggregate.order);
        }
    }
}
