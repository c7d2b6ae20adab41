//! What a pipeline would have written: orders, commands, deliveries, dead letters.

use crate::gateway::{Gateway, at, desk, municipal};
use gateway_bus::{Envelope, TopicName};
use gateway_model::{
    ChannelId, Command, CommandState, Dataset, DeliveryId, Digest, EventId, EventRow, FacetRow, Field, FieldValue,
    Fields, Moment, Operation, OrderId, OrderNumber, OrderState, Origin, Part, RawId, Revision, SourceNumber, day_of,
};
use gateway_store::{
    ChangeRow, CommandRow, FlowOutcome, FlowPosition, FlowTally, IngestRequest, IngestWrites, Loaded, NewDeadLetter,
    NewDelivery, NewRaw, PersonRow, RawMeta, Store, WorkOrderRow,
};
use std::sync::Mutex;

pub fn order_id(n: u64) -> OrderId {
    format!("01930000-0000-7000-8000-{n:012}").parse().unwrap()
}

pub fn number(n: u64) -> SourceNumber {
    SourceNumber::new(format!("GZ{n:08}")).unwrap()
}

pub async fn write(store: &dyn Store, fill: impl Fn(&Loaded, &mut IngestWrites) + Send + Sync) {
    let decide = |loaded: Loaded| {
        let mut writes = IngestWrites::default();
        fill(&loaded, &mut writes);
        writes
    };
    store.ingest(IngestRequest::default(), &decide).await.unwrap();
}

pub fn raw(id: i64, channel: ChannelId, origin: Origin, body: &[u8]) -> NewRaw {
    let meta = RawMeta {
        number: None,
        origin,
        received_at: at(1),
        read_at: at(0),
        topic: TopicName::raw(&channel).to_string(),
        channel,
        partition: 0,
        offset: u64::try_from(id).unwrap(),
    };
    NewRaw { id: RawId(id), meta, body: body.to_vec(), key_id: "plain".to_owned() }
}

fn text(pairs: &[(Field, &str)]) -> Fields {
    pairs.iter().map(|(field, value)| (*field, FieldValue::from(*value))).collect()
}

pub fn head(n: u64, seq: u64, feed_seq: u64, state: OrderState) -> WorkOrderRow {
    WorkOrderRow {
        id: order_id(n),
        seq,
        feed_seq,
        created_at: at(0),
        changed_at: at(seq as i64),
        state: Some(state),
        round: 0,
        fields: text(&[(Field::Title, "路灯\t不亮"), (Field::State, state.as_str())]),
        conflicts: Vec::new(),
    }
}

/// Orders, dispatched, each with a facet, an event and person fields, known to the platform by `number`.
pub async fn orders(store: &dyn Store, numbered: &[(u64, u64)]) {
    write(store, |loaded, writes| {
        for (at_once, (n, known_as)) in (0u64..).zip(numbered) {
            add_order(writes, loaded, at_once, *n, *known_as);
        }
    })
    .await;
}

fn add_order(writes: &mut IngestWrites, loaded: &Loaded, at_once: u64, n: u64, known_as: u64) {
    let id = order_id(n);
    let raw_id = loaded.next_raw_id + at_once as i64;
    let day = day_of(at(0)).checked_add(jiff_days(n)).unwrap();
    writes.raws.push(raw(raw_id, municipal(), Origin::Poll, b"{\"callerName\":\"\xe5\xbc\xa0\"}"));
    writes.orders.push(head(n, 1, loaded.next_feed_seq + at_once, OrderState::Dispatched));
    writes.numbers.push((id, OrderNumber { channel: municipal(), number: number(known_as), day }));
    let (read_at, received_at, digest) = (at(0), at(1), Digest([1; 32]));
    let facet = FacetRow {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        revision: Some(Revision(7)),
        revision_doubtful: false,
        event_time: Moment::At(at(0)),
        digest,
        content_hash: [9; 32],
        echo: false,
        fields: text(&[(Field::Title, "路灯\t不亮")]),
        unmapped: [("extra".to_owned(), serde_json::json!("who knows"))].into(),
        read_at,
        received_at,
        raw_id: RawId(raw_id),
        gone_at: None,
    };
    writes.facets.push((id, facet));
    let event = EventRow {
        channel: municipal(),
        dataset: Dataset::Handling,
        part: Part::Event(EventId::new("E17").unwrap()),
        revision: None,
        event_time: Moment::On(day_of(at(0))),
        digest,
        content_hash: [9; 32],
        echo: false,
        fields: text(&[(Field::EventKind, "urge"), (Field::EventText, "快一点")]),
        read_at,
        received_at,
        raw_id: RawId(raw_id),
        gone_at: None,
    };
    writes.events.push((id, event));
    writes.persons.push(PersonRow {
        order_id: id,
        channel: municipal(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        fields: text(&[(Field::RequesterName, "张三")]),
        key_id: "plain".to_owned(),
    });
    writes.changes.push(ChangeRow {
        order_id: id,
        seq: 1,
        at: at(1),
        channel: municipal(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        raw_id: RawId(raw_id),
    });
    writes.tallies.push(FlowTally {
        channel: municipal(),
        dataset: Some(Dataset::Acceptance),
        outcome: FlowOutcome::Applied,
        changes: 1,
    });
}

fn jiff_days(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n * 86_400)
}

/// Moves an order to another state, as the platform would.
pub async fn move_order(store: &dyn Store, n: u64, seq: u64, state: OrderState) {
    write(store, |loaded, writes| writes.orders.push(head(n, seq, loaded.next_feed_seq, state))).await;
}

/// Reads the desk's topic and writes every command down as applied, with the delivery that it owes.
pub async fn process_commands(gateway: &Gateway) -> Vec<DeliveryId> {
    let messages = gateway.messages(&desk()).await;
    let made = Mutex::new(Vec::new());
    write(gateway.store(), |loaded, writes| {
        made.lock().unwrap().clear();
        for (n, message) in (0i64..).zip(&messages) {
            let envelope = Envelope::from_message(message.clone()).unwrap();
            let command: Command = serde_json::from_slice(&envelope.payload).unwrap();
            let raw_id = RawId(loaded.next_raw_id + n);
            let delivery_id = DeliveryId(loaded.next_delivery_id + n);
            writes.raws.push(raw(raw_id.0, desk(), Origin::Command, &envelope.payload));
            writes.commands.push(CommandRow {
                id: command.id,
                order_id: command.order_id,
                operation: command.operation,
                round: command.round,
                state: CommandState::Applied,
                reason: None,
                raw_id,
                at: at(5),
            });
            writes.new_deliveries.push(NewDelivery {
                id: delivery_id,
                order_id: command.order_id,
                destination: municipal(),
                from: desk(),
                operation: command.operation,
                dataset: if command.operation == Operation::Reply { Dataset::Completion } else { Dataset::Handling },
                part: Part::Cycle(0),
                round: command.round,
                raw_id,
                command_id: Some(command.id),
                created_at: at(5),
            });
            writes.positions.push(FlowPosition {
                topic: message.topic.to_string(),
                partition: message.partition,
                next_offset: message.offset + 1,
            });
            made.lock().unwrap().push(delivery_id);
        }
    })
    .await;
    made.into_inner().unwrap()
}

/// A dead letter of the platform's channel with these bytes.
pub async fn dead_letter(store: &dyn Store, body: &[u8]) {
    write(store, |loaded, writes| {
        writes.raws.push(raw(loaded.next_raw_id, municipal(), Origin::Webhook, body));
        writes.dead_letters.push(NewDeadLetter {
            raw_id: RawId(loaded.next_raw_id),
            channel: municipal(),
            number: Some(number(1)),
            code: "undecodable".to_owned(),
            reason: "not JSON".to_owned(),
            at: at(2),
        });
    })
    .await;
}
