//! What channels said of themselves, by day.

use super::Result;
use super::batch::write_rows;
use super::column::Columns;
use crate::{AccountDay, Days, NewAccount};
use gateway_model::{BucketSum, ChannelId, Dataset, Day, day_of};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// All datasets, as an array.
pub(super) fn datasets() -> [&'static str; Dataset::ALL.len()] {
    Dataset::ALL.map(Dataset::as_str)
}

/// Writes accounts down, in their order: of the same day or span the last counts.
pub(super) async fn write(connection: &mut PgConnection, accounts: &[NewAccount]) -> Result<()> {
    let mut days: BTreeMap<(&ChannelId, Dataset, Day, Day), AccountDay> = BTreeMap::new();
    let mut spans = BTreeMap::new();
    for account in accounts {
        let (channel, dataset, as_of_day) = (&account.channel, account.dataset, day_of(account.at));
        if let Some(said) = &account.days {
            // A day that it was asked for and no longer names is empty now.
            let mut known = read(connection, channel, &[dataset], account.asked, Day::MAX).await?;
            let just_said = days.iter().filter(|((other, of, day, _), _)| {
                (*other, *of) == (channel, dataset) && (account.asked.from..account.asked.to).contains(day)
            });
            known.extend(just_said.map(|(_, day)| day.clone()));
            known.retain(|known| !said.iter().any(|day| day.day == known.day));
            let empty = |known: AccountDay| AccountDay { count: 0, sum: known.sum.map(|_| BucketSum::ZERO), ..known };
            for day in known.into_iter().map(empty).chain(said.iter().cloned()) {
                days.insert((channel, dataset, day.day, as_of_day), AccountDay { as_of: account.as_of, ..day });
            }
        }
        for span in &account.in_step {
            spans.insert((channel, dataset, span.from, span.to, as_of_day), (account.as_of, account.at));
        }
    }
    let days: Vec<_> = days.into_iter().collect();
    write_rows(connection, sql!("account_day/upsert"), &days, |values, ((channel, dataset, day, as_of_day), said)| {
        values
            .text(channel.as_str())
            .text(dataset.as_str())
            .show(day)
            .show(as_of_day)
            .count(said.count)
            .maybe_bytes(said.sum.as_ref().map(|sum| &sum.0[..]))
            .time(said.as_of);
    })
    .await?;
    let spans: Vec<_> = spans.into_iter().collect();
    let statement = sql!("account_span/upsert");
    write_rows(connection, statement, &spans, |values, ((channel, dataset, from, to, as_of_day), (as_of, at))| {
        values.text(channel.as_str()).text(dataset.as_str()).show(from).show(to).show(as_of_day).time(*as_of).time(*at);
    })
    .await
}

/// The account of some days as it was at the end of a day.
pub(super) async fn read(
    connection: &mut PgConnection,
    channel: &ChannelId,
    datasets: &[Dataset],
    days: Days,
    as_of: Day,
) -> Result<Vec<AccountDay>> {
    let rows = sqlx::query(pg!("account_day/as_of"))
        .bind(channel.as_str())
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .bind(as_of.to_string())
        .bind(datasets.iter().map(|dataset| dataset.as_str()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of("account_day", row);
            Ok(AccountDay {
                dataset: columns.word()?,
                day: columns.word()?,
                count: columns.count()?,
                sum: columns.maybe_digest()?.map(|sum| BucketSum(sum.0)),
                as_of: columns.time()?,
            })
        })
        .collect()
}
