//! What a decision needs to see: a handful of statements, whatever the number of orders.

use super::batch::arrays;
use super::column::Columns;
use super::transaction::{Anew, lock_orders, turn};
use super::{Result, identity, ingest, park, registry};
use crate::engine::delivery_row::read_delivery;
use crate::engine::order_row::{read_event, read_facet, read_number, read_order};
use crate::{IngestRequest, Loaded, NumberReading, OrderAggregate, PersonRow};
use gateway_model::{ChannelId, CommandId, OrderId, SourceNumber};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Locks and loads the orders, waits for the turn, and loads the rest.
pub(super) async fn load(connection: &mut PgConnection, request: &IngestRequest) -> Result<Loaded> {
    let numbers: BTreeSet<(&ChannelId, &SourceNumber)> =
        request.numbers.iter().map(|(channel, number)| (channel, number)).collect();
    let numbers: Vec<_> = numbers.into_iter().collect();
    let (wanted, groups) = wanted(connection, request, &numbers).await?;
    let ids: Vec<OrderId> = wanted.iter().copied().collect();
    lock_orders(connection, &ids).await?;
    let orders = aggregates(connection, &ids).await?;

    turn(connection).await?;
    // Nobody else writes from here on; what somebody wrote between the look at the orders and the turn would be missed.
    let late = self::wanted(connection, request, &numbers).await? != (wanted, groups.clone())
        || existing(connection, &ids).await? != orders.len();
    if late {
        return Err(Anew::Overtaken.into());
    }
    let pairs = if request.pairs
        || !request.related.is_empty()
        || !groups.is_empty()
        || orders.iter().any(OrderAggregate::names_another)
    {
        identity::among(connection, &ids).await?
    } else {
        Vec::new()
    };
    let known = ingest::positions(connection, &request.partitions).await?;
    let positions = request
        .partitions
        .iter()
        .map(|(topic, partition)| crate::FlowPosition {
            topic: topic.clone(),
            partition: *partition,
            next_offset: known
                .iter()
                .find(|one| one.topic == *topic && one.partition == *partition)
                .map_or(0, |one| one.next_offset),
        })
        .collect();
    let row = sqlx::query(sql!("ingest/next_ids")).fetch_one(&mut *connection).await?;
    let mut next = Columns::of("next ids", &row);
    let (next_raw_id, next_feed_seq, next_delivery_id) = (next.int()?, next.count()?, next.int()?);
    Ok(Loaded {
        positions,
        next_raw_id,
        next_feed_seq,
        next_delivery_id,
        orders,
        groups,
        pairs,
        parked: park::waiting_for(connection, &numbers).await?,
        commands: known_commands(connection, &request.commands).await?,
        registry: match request.lookups.as_slice() {
            [] => None,
            lookups => Some(registry::look_up(connection, lookups).await?),
        },
    })
}

/// The orders that are to be seen, and the groups that they belong to.
async fn wanted(
    connection: &mut PgConnection,
    request: &IngestRequest,
    numbers: &[(&ChannelId, &SourceNumber)],
) -> Result<(BTreeSet<OrderId>, BTreeMap<OrderId, OrderId>)> {
    let mut ids: BTreeSet<OrderId> = request.orders.iter().copied().collect();
    ids.extend(orders_of(connection, numbers).await?);
    ids.extend(identity::named(connection, &request.related).await?);
    let groups = identity::groups_of(connection, &ids.iter().copied().collect::<Vec<_>>()).await?;
    ids.extend(groups.keys());
    Ok((ids, groups))
}

/// The orders that have one of the numbers.
async fn orders_of(
    connection: &mut PgConnection,
    numbers: &[(&ChannelId, &SourceNumber)],
) -> Result<BTreeSet<OrderId>> {
    if numbers.is_empty() {
        return Ok(BTreeSet::new());
    }
    let keys = arrays(numbers, |values, (channel, number)| {
        values.text(channel.as_str()).text(number.as_str());
    })?;
    let rows = sqlx::query_with(pg!("order_number/orders_of"), keys).fetch_all(connection).await?;
    rows.iter().map(|row| Columns::of("order_number", row).order_id()).collect()
}

/// How many of the orders there are.
async fn existing(connection: &mut PgConnection, ids: &[OrderId]) -> Result<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    let count: i64 = sqlx::query_scalar(pg!("work_order/existing")).bind(uuids(ids)).fetch_one(connection).await?;
    Ok(usize::try_from(count).unwrap_or(0))
}

async fn known_commands(connection: &mut PgConnection, ids: &[CommandId]) -> Result<Vec<CommandId>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(pg!("command/known"))
        .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Columns::of("command", row).uuid().map(CommandId)).collect()
}

pub(super) fn uuids(ids: &[OrderId]) -> Vec<uuid::Uuid> {
    ids.iter().map(|id| id.0).collect()
}

/// The orders of `ids` that exist, ascending by id.
pub(super) async fn aggregates(connection: &mut PgConnection, ids: &[OrderId]) -> Result<Vec<OrderAggregate>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = uuids(ids);
    let mut orders = BTreeMap::new();
    for row in sqlx::query(pg!("work_order/of")).bind(&wanted).fetch_all(&mut *connection).await? {
        let order = read_order(&mut Columns::of("work_order", &row))?;
        orders.insert(
            order.id,
            OrderAggregate {
                order,
                numbers: Vec::new(),
                readings: Vec::new(),
                facets: Vec::new(),
                events: Vec::new(),
                deliveries: Vec::new(),
            },
        );
    }
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    for row in sqlx::query(pg!("order_number/of")).bind(&wanted).fetch_all(&mut *connection).await? {
        let mut columns = Columns::of("order_number", &row);
        if let Some(order) = orders.get_mut(&columns.order_id()?) {
            let number = read_number(&mut columns)?;
            if let Some(whole_read_at) = columns.maybe_time()? {
                let absent_since = columns.maybe_time()?;
                order.readings.push(NumberReading { number: number.clone(), whole_read_at, absent_since });
            }
            order.numbers.push(number);
        }
    }
    for row in sqlx::query(pg!("facet/of")).bind(&wanted).fetch_all(&mut *connection).await? {
        let mut columns = Columns::of("facet", &row);
        if let Some(order) = orders.get_mut(&columns.order_id()?) {
            order.facets.push(read_facet(&mut columns)?);
        }
    }
    for row in sqlx::query(pg!("order_event/of")).bind(&wanted).fetch_all(&mut *connection).await? {
        let mut columns = Columns::of("order_event", &row);
        if let Some(order) = orders.get_mut(&columns.order_id()?) {
            order.events.push(read_event(&mut columns)?);
        }
    }
    for row in sqlx::query(pg!("delivery/of_orders")).bind(&wanted).fetch_all(&mut *connection).await? {
        let delivery = read_delivery(&mut Columns::of("delivery", &row))?.row;
        if let Some(order) = orders.get_mut(&delivery.order_id) {
            order.deliveries.push(delivery);
        }
    }
    let mut orders: Vec<_> = orders.into_values().collect();
    for order in &mut orders {
        order.numbers.sort_unstable();
        order.readings.sort_by(|a, b| a.number.cmp(&b.number));
        order.facets.sort_by(|a, b| (&a.channel, a.dataset, &a.part).cmp(&(&b.channel, b.dataset, &b.part)));
        order.events.sort_by(|a, b| {
            (a.event_time.start(), &a.channel, a.dataset, &a.part).cmp(&(
                b.event_time.start(),
                &b.channel,
                b.dataset,
                &b.part,
            ))
        });
        order.deliveries.sort_by_key(|delivery| delivery.id);
    }
    Ok(orders)
}

/// The person fields of orders.
pub(super) async fn persons(connection: &mut PgConnection, ids: &[OrderId]) -> Result<Vec<PersonRow>> {
    let rows = sqlx::query(pg!("work_order_person/of")).bind(uuids(ids)).fetch_all(connection).await?;
    let mut persons = rows
        .iter()
        .map(|row| {
            let mut columns = Columns::of("work_order_person", row);
            Ok(PersonRow {
                order_id: columns.order_id()?,
                channel: columns.id()?,
                dataset: columns.word()?,
                part: columns.word()?,
                fields: columns.json()?,
                key_id: columns.string()?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    persons.sort_by(|a, b| {
        (a.order_id, &a.channel, a.dataset, &a.part).cmp(&(b.order_id, &b.channel, b.dataset, &b.part))
    });
    Ok(persons)
}
