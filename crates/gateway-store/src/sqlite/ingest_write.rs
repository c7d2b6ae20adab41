//! Writing what a decision returned: one statement by table, in an order that satisfies every reference.

use super::batch::{Step, run, steps};
use super::{
    Result, anomaly, attachment, book_put, command, dead_letter, delivery_write, history_write, identity, ingest, job,
    park, raw, registry, watch,
};
use crate::engine::last_of_each;
use crate::{ChangeRow, IngestWrites, NumberReading, PersonRow, WorkOrderRow};
use gateway_model::{EventRow, FacetRow, OrderId, OrderNumber};
use sqlx::SqliteConnection;

pub(super) async fn write(connection: &mut SqliteConnection, writes: IngestWrites) -> Result<()> {
    let heads = last_of_each(&writes.orders, |order| order.id);
    let facet_heads =
        last_of_each(&writes.facets, |(order, facet)| (order, &facet.channel, facet.dataset, &facet.part));
    let event_heads =
        last_of_each(&writes.events, |(order, event)| (order, &event.channel, event.dataset, &event.part));
    let rows = [
        raw::insert(&writes.raws),
        orders(&heads),
        numbers(&writes.numbers),
        readings(&writes.readings),
        facets(&facet_heads),
        events(&event_heads),
        persons(&writes.persons),
        changes(&writes.changes),
        registry::upsert(&writes.verifications),
        attachment::owe(&writes.attachments),
        identity::references(&writes.references),
        identity::upsert(&writes.pairs),
        identity::told(&writes.pair_steps),
        identity::aliases(&writes.aliases),
    ];
    run(connection, rows.into_iter().flatten()).await?;
    attachment::withdraw(connection, &writes.attachments_named).await?;
    watch::count_arrivals(connection, &writes.raws).await?;
    book_put::apply(connection, writes.book, writes.at).await?;
    delivery_write::insert(connection, &writes.new_deliveries).await?;
    delivery_write::update(connection, &writes.delivery_updates, writes.at).await?;
    command::insert(connection, &writes.commands).await?;
    dead_letter::insert(connection, &writes.dead_letters).await?;
    park::insert(connection, &writes.park).await?;
    park::delete(connection, &writes.unpark).await?;
    anomaly::record(connection, &writes.anomalies).await?;
    job::enqueue(connection, &writes.jobs).await?;
    ingest::add_tallies(connection, &writes.tallies, writes.at).await?;
    history_write::latencies(connection, &writes.latencies, writes.at).await?;
    ingest::save_positions(connection, &writes.positions).await
}

fn orders<'w>(rows: &'w [&'w WorkOrderRow]) -> Vec<Step<'w>> {
    steps(sql!("work_order/upsert"), rows, |values, order| {
        values
            .bytes(order.id.0.as_bytes())
            .count(order.seq)
            .count(order.feed_seq)
            .time(order.created_at)
            .time(order.changed_at)
            .text(order.state.map(|state| state.as_str()))
            .int(i64::from(order.round))
            .json(&order.fields)
            .json(&order.conflicts);
    })
}

fn numbers(rows: &[(OrderId, OrderNumber)]) -> Vec<Step<'_>> {
    steps(sql!("order_number/insert"), rows, |values, (order, number)| {
        values.text(number.channel.as_str()).text(number.number.as_str()).show(number.day).bytes(order.0.as_bytes());
    })
}

fn readings(rows: &[(OrderId, NumberReading)]) -> Vec<Step<'_>> {
    steps(sql!("order_number/upsert_reading"), rows, |values, (order, reading)| {
        let number = &reading.number;
        values
            .text(number.channel.as_str())
            .text(number.number.as_str())
            .show(number.day)
            .bytes(order.0.as_bytes())
            .time(reading.whole_read_at)
            .maybe_time(reading.absent_since);
    })
}

fn facets<'w>(rows: &'w [&'w (OrderId, FacetRow)]) -> Vec<Step<'w>> {
    steps(sql!("facet/upsert"), rows, |values, (order, facet)| {
        values
            .bytes(order.0.as_bytes())
            .text(facet.channel.as_str())
            .text(facet.dataset.as_str())
            .show(&facet.part)
            .int(facet.revision.map(|revision| revision.0))
            .flag(facet.revision_doubtful)
            .show(facet.event_time)
            .bytes(&facet.digest.0)
            .bytes(&facet.content_hash)
            .flag(facet.echo)
            .json(&facet.fields)
            .json(&facet.unmapped)
            .time(facet.read_at)
            .time(facet.received_at)
            .int(facet.raw_id.0)
            .maybe_time(facet.gone_at);
    })
}

fn events<'w>(rows: &'w [&'w (OrderId, EventRow)]) -> Vec<Step<'w>> {
    steps(sql!("order_event/upsert"), rows, |values, (order, event)| {
        values
            .bytes(order.0.as_bytes())
            .text(event.channel.as_str())
            .text(event.dataset.as_str())
            .show(&event.part)
            .int(event.revision.map(|revision| revision.0))
            .show(event.event_time)
            .bytes(&event.digest.0)
            .bytes(&event.content_hash)
            .flag(event.echo)
            .json(&event.fields)
            .time(event.read_at)
            .time(event.received_at)
            .int(event.raw_id.0)
            .maybe_time(event.gone_at);
    })
}

fn persons(rows: &[PersonRow]) -> Vec<Step<'_>> {
    steps(sql!("work_order_person/upsert"), rows, |values, person| {
        values
            .bytes(person.order_id.0.as_bytes())
            .text(person.channel.as_str())
            .text(person.dataset.as_str())
            .show(&person.part)
            .json(&person.fields)
            .text(person.key_id.as_str());
    })
}

fn changes(rows: &[ChangeRow]) -> Vec<Step<'_>> {
    steps(sql!("order_change/insert"), rows, |values, change| {
        values
            .bytes(change.order_id.0.as_bytes())
            .count(change.seq)
            .time(change.at)
            .text(change.channel.as_str())
            .text(change.dataset.as_str())
            .show(&change.part)
            .int(change.raw_id.0);
    })
}
