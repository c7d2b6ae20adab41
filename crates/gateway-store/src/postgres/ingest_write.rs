//! Writing what a decision returned: one statement by table, in an order that satisfies every reference.

use super::batch::{last_of_each, write_rows};
use super::{
    Result, anomaly, book_put, command, dead_letter, delivery_write, history_write, ingest, job, park, raw, watch,
};
use crate::{ChangeRow, IngestWrites, NumberReading, PersonRow, WorkOrderRow};
use gateway_model::{EventRow, FacetRow, OrderId, OrderNumber};
use sqlx::PgConnection;

pub(super) async fn write(connection: &mut PgConnection, writes: IngestWrites) -> Result<()> {
    raw::insert(connection, &writes.raws).await?;
    watch::count_arrivals(connection, &writes.raws).await?;
    orders(connection, &writes.orders).await?;
    numbers(connection, &writes.numbers).await?;
    readings(connection, &writes.readings).await?;
    facets(connection, &writes.facets).await?;
    events(connection, &writes.events).await?;
    persons(connection, &writes.persons).await?;
    changes(connection, &writes.changes).await?;
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

async fn orders(connection: &mut PgConnection, rows: &[WorkOrderRow]) -> Result<()> {
    let rows = last_of_each(rows, |order| order.id);
    write_rows(connection, sql!("work_order/upsert"), &rows, |values, order| {
        values
            .uuid(order.id.0)
            .count(order.seq)
            .count(order.feed_seq)
            .time(order.created_at)
            .time(order.changed_at)
            .text(order.state.map(|state| state.as_str()))
            .int(i64::from(order.round))
            .json(&order.fields)
            .json(&order.conflicts);
    })
    .await
}

async fn numbers(connection: &mut PgConnection, rows: &[(OrderId, OrderNumber)]) -> Result<()> {
    write_rows(connection, sql!("order_number/insert"), rows, |values, (order, number)| {
        values.text(number.channel.as_str()).text(number.number.as_str()).show(number.day).uuid(order.0);
    })
    .await
}

async fn readings(connection: &mut PgConnection, rows: &[(OrderId, NumberReading)]) -> Result<()> {
    let rows = last_of_each(rows, |(_, reading)| &reading.number);
    write_rows(connection, sql!("order_number/upsert_reading"), &rows, |values, (order, reading)| {
        let number = &reading.number;
        values
            .text(number.channel.as_str())
            .text(number.number.as_str())
            .show(number.day)
            .uuid(order.0)
            .time(reading.whole_read_at)
            .maybe_time(reading.absent_since);
    })
    .await
}

async fn facets(connection: &mut PgConnection, rows: &[(OrderId, FacetRow)]) -> Result<()> {
    let rows = last_of_each(rows, |(order, facet)| (order, &facet.channel, facet.dataset, &facet.part));
    write_rows(connection, sql!("facet/upsert"), &rows, |values, (order, facet)| {
        values
            .uuid(order.0)
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
    .await
}

async fn events(connection: &mut PgConnection, rows: &[(OrderId, EventRow)]) -> Result<()> {
    let rows = last_of_each(rows, |(order, event)| (order, &event.channel, event.dataset, &event.part));
    write_rows(connection, sql!("order_event/upsert"), &rows, |values, (order, event)| {
        values
            .uuid(order.0)
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
    .await
}

async fn persons(connection: &mut PgConnection, rows: &[PersonRow]) -> Result<()> {
    let rows = last_of_each(rows, |person| (person.order_id, &person.channel, person.dataset, &person.part));
    write_rows(connection, sql!("work_order_person/upsert"), &rows, |values, person| {
        values
            .uuid(person.order_id.0)
            .text(person.channel.as_str())
            .text(person.dataset.as_str())
            .show(&person.part)
            .json(&person.fields)
            .text(person.key_id.as_str());
    })
    .await
}

async fn changes(connection: &mut PgConnection, rows: &[ChangeRow]) -> Result<()> {
    write_rows(connection, sql!("order_change/insert"), rows, |values, change| {
        values
            .uuid(change.order_id.0)
            .count(change.seq)
            .time(change.at)
            .text(change.channel.as_str())
            .text(change.dataset.as_str())
            .show(&change.part)
            .int(change.raw_id.0);
    })
    .await
}
