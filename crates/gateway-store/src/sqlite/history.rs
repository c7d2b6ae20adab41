//! The books through time.

use super::batch::{list, write_rows};
use super::book_put::read_side;
use super::column::{Columns, to_ms};
use super::gap;
use super::ingest::{read_dataset, read_outcome};
use super::{Result, SqliteStore};
use crate::{
    AccountDay, BookDay, Days, DeadLetterLife, DeliveryDay, FlowDay, GapRow, GapStep, HistoryStore, LatencyDay, Leg,
    NewAccount, StoreError,
};
use async_trait::async_trait;
use gateway_model::{Bucket, BucketSum, ChannelId, Dataset, Day, GapId, Grain, Moment, Timestamp, day_of};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::{BTreeMap, BTreeSet};

type Known = BTreeMap<Day, (u64, Option<BucketSum>)>;

#[async_trait]
impl HistoryStore for SqliteStore {
    async fn record_account(&self, account: &NewAccount) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let known = known_days(&mut tx, account).await?;
        let months = match account.grain {
            Grain::Day => Vec::new(),
            Grain::Month => in_step(&mut tx, account, &known).await?,
            _ => return Ok(()),
        };
        let said: Vec<Bucket> = match account.grain {
            Grain::Day => account.buckets.clone(),
            _ => months.iter().flat_map(|(_, days)| days.iter().copied()).collect(),
        };
        let sum_of = |bucket: &Bucket| account.summed.then_some(bucket.sum);
        let mut days: Known = said.iter().map(|day| (day_of(day.start), (day.count, sum_of(day)))).collect();
        for day in known.keys().filter(|day| is_answered(account, &months, **day)) {
            days.entry(*day).or_insert((0, account.summed.then_some(BucketSum::ZERO)));
        }
        // What a month tells of its days is said by the month's own row already, as long as it is the same.
        if account.grain == Grain::Month {
            days.retain(|day, said| known.get(day) != Some(said));
        }
        let rows = days.into_iter().map(|(day, (count, sum))| (Grain::Day, day, count, sum));
        let months = months.iter().map(|(month, _)| (Grain::Month, day_of(month.start), month.count, Some(month.sum)));
        write_account(&mut tx, account, &rows.chain(months).collect::<Vec<_>>()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn book_days(&self, channel: &ChannelId, days: Days, as_of: Day) -> Result<Vec<BookDay>> {
        let rows = sqlx::query(sql!("book_day/as_of"))
            .bind(channel.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(as_of.to_string())
            .bind(datasets()?)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("book_day", row);
                Ok(BookDay {
                    dataset: columns.word()?,
                    day: columns.word()?,
                    side: read_side(&mut columns)?,
                    count: columns.count()?,
                    sum: BucketSum(columns.hash()?),
                })
            })
            .collect()
    }

    async fn account_days(&self, channel: &ChannelId, days: Days, as_of: Day) -> Result<Vec<AccountDay>> {
        read_account(&mut *self.readers.acquire().await?, channel, &Dataset::ALL, days, as_of).await
    }

    async fn flow_days(&self, channel: &ChannelId, days: Days) -> Result<Vec<FlowDay>> {
        let rows = sqlx::query(sql!("flow_day/of"))
            .bind(channel.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(list(Dataset::ALL.map(Dataset::as_str).into_iter().chain([""]))?)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("flow_day", row);
                Ok(FlowDay {
                    dataset: read_dataset(&columns.string()?)?,
                    day: columns.word()?,
                    outcome: read_outcome(&columns.string()?)?,
                    changes: columns.count()?,
                })
            })
            .collect()
    }

    async fn delivery_days(&self, destination: &ChannelId, days: Days, as_of: Day) -> Result<Vec<DeliveryDay>> {
        let rows = sqlx::query(sql!("delivery_day/as_of"))
            .bind(destination.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(as_of.to_string())
            .bind(datasets()?)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("delivery_day", row);
                Ok(DeliveryDay {
                    dataset: columns.word()?,
                    day: columns.word()?,
                    state: columns.word()?,
                    deliveries: columns.count()?,
                    sent: columns.count()?,
                })
            })
            .collect()
    }

    async fn latency_days(&self, channel: &ChannelId, days: Days) -> Result<Vec<LatencyDay>> {
        let rows = sqlx::query(sql!("latency_day/of"))
            .bind(channel.as_str())
            .bind(days.from.to_string())
            .bind(days.to.to_string())
            .bind(list(Leg::ALL.map(Leg::as_str))?)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("latency_day", row);
                let leg = columns.string()?;
                Ok(LatencyDay {
                    leg: Leg::ALL
                        .into_iter()
                        .find(|known| known.as_str() == leg)
                        .ok_or_else(|| StoreError::damaged(format!("latency_day has leg `{leg}`")))?,
                    day: columns.word()?,
                    bucket: columns.small()?,
                    count: columns.count()?,
                    max_ms: columns.count()?,
                })
            })
            .collect()
    }

    async fn gap_lives(&self, channel: &ChannelId, before: Timestamp) -> Result<Vec<(GapRow, Vec<GapStep>)>> {
        // One snapshot: a gap and its steps belong together.
        let mut tx = self.begin_read().await?;
        let rows =
            sqlx::query(sql!("gap_step/before")).bind(channel.as_str()).bind(to_ms(before)).fetch_all(&mut *tx).await?;
        let mut lives: BTreeMap<GapId, Vec<GapStep>> = BTreeMap::new();
        for row in &rows {
            let (id, step) = read_step(row)?;
            lives.entry(id).or_default().push(step);
        }
        let ids: Vec<GapId> = lives.keys().copied().collect();
        let gaps = gap::load(&mut tx, &ids).await?;
        Ok(gaps
            .into_iter()
            .filter_map(|gap| Some((lives.remove(&gap.id)?, gap)))
            .map(|(steps, gap)| (gap, steps))
            .collect())
    }

    async fn gap_steps(&self, id: GapId) -> Result<Vec<GapStep>> {
        let rows = sqlx::query(sql!("gap_step/of")).bind(list([id])?).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(read_step(row)?.1)).collect()
    }

    async fn dead_letter_lives(
        &self,
        channel: &ChannelId,
        before: Timestamp,
        unsettled_at: Timestamp,
    ) -> Result<Vec<DeadLetterLife>> {
        let rows = sqlx::query(sql!("dead_letter/before"))
            .bind(channel.as_str())
            .bind(to_ms(before))
            .bind(to_ms(unsettled_at))
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("dead_letter", row);
                Ok(DeadLetterLife { code: columns.string()?, at: columns.time()?, settled_at: columns.maybe_time()? })
            })
            .collect()
    }
}

fn datasets() -> Result<String> {
    list(Dataset::ALL.map(Dataset::as_str))
}

/// Whether an account speaks of a day: it lies in what was asked for and, of months, in one that is in step.
fn is_answered(account: &NewAccount, months: &[(Bucket, Vec<Bucket>)], day: Day) -> bool {
    if account.grain == Grain::Day {
        return account.days.from <= day && day < account.days.to;
    }
    let start = Grain::Month.bucket(Moment::On(day).start()).start;
    months.iter().any(|(month, _)| month.start == start)
}

/// The months of an account whose sum is that of our days, with these days; empty on both sides where the channel had something before.
async fn in_step(
    connection: &mut SqliteConnection,
    account: &NewAccount,
    known: &Known,
) -> Result<Vec<(Bucket, Vec<Bucket>)>> {
    let rows = sqlx::query(sql!("book_bucket/list"))
        .bind(account.channel.as_str())
        .bind(account.dataset.as_str())
        .bind(i64::from(account.projection_version))
        .bind(Grain::Day.as_str())
        .bind(to_ms(Moment::On(account.days.from).start()))
        .bind(to_ms(Moment::On(account.days.to).start()))
        .fetch_all(connection)
        .await?;
    let mut ours: BTreeMap<Timestamp, Vec<Bucket>> = BTreeMap::new();
    for row in &rows {
        let mut columns = Columns::of("book_bucket", row);
        let day = Bucket { start: columns.time()?, count: columns.count()?, sum: BucketSum(columns.hash()?) };
        let days = ours.entry(Grain::Month.bucket(day.start).start).or_default();
        // Both sides of a day are one day to the channel.
        match days.last_mut() {
            Some(last) if last.start == day.start => {
                last.count += day.count;
                last.sum = last.sum.plus(day.sum);
            }
            _ => days.push(day),
        }
    }
    let total = |days: &[Bucket]| {
        days.iter().fold((0, BucketSum::ZERO), |(count, sum), day| (count + day.count, sum.plus(day.sum)))
    };
    let mut said: BTreeMap<Timestamp, Bucket> = account.buckets.iter().map(|month| (month.start, *month)).collect();
    let had: BTreeSet<Timestamp> =
        known.keys().map(|day| Grain::Month.bucket(Moment::On(*day).start()).start).collect();
    for start in had {
        said.entry(start).or_insert(Bucket { start, count: 0, sum: BucketSum::ZERO });
    }
    Ok(said
        .into_values()
        .filter_map(|month| {
            let days = ours.remove(&month.start).unwrap_or_default();
            (total(&days) == (month.count, month.sum)).then_some((month, days))
        })
        .collect())
}

async fn known_days(connection: &mut SqliteConnection, account: &NewAccount) -> Result<Known> {
    let rows = read_account(connection, &account.channel, &[account.dataset], account.days, Day::MAX).await?;
    let days = rows.into_iter().filter(|row| row.grain == Grain::Day);
    Ok(days.map(|row| (row.day, (row.count, row.sum))).collect())
}

async fn read_account(
    connection: &mut SqliteConnection,
    channel: &ChannelId,
    datasets: &[Dataset],
    days: Days,
    as_of: Day,
) -> Result<Vec<AccountDay>> {
    let wanted =
        datasets.iter().flat_map(|dataset| [Grain::Day, Grain::Month].map(|grain| (dataset.as_str(), grain.as_str())));
    let rows = sqlx::query(sql!("account_day/as_of"))
        .bind(channel.as_str())
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .bind(as_of.to_string())
        .bind(list(wanted)?)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of("account_day", row);
            Ok(AccountDay {
                dataset: columns.word()?,
                grain: columns.word()?,
                day: columns.word()?,
                count: columns.count()?,
                sum: columns.maybe_digest()?.map(|sum| BucketSum(sum.0)),
                as_of: columns.time()?,
            })
        })
        .collect()
}

async fn write_account(
    connection: &mut SqliteConnection,
    account: &NewAccount,
    rows: &[(Grain, Day, u64, Option<BucketSum>)],
) -> Result<()> {
    let as_of_day = day_of(account.at);
    write_rows(connection, sql!("account_day/upsert"), rows, |values, (grain, day, count, sum)| {
        values
            .text(account.channel.as_str())
            .text(account.dataset.as_str())
            .text(grain.as_str())
            .show(day)
            .show(as_of_day)
            .count(*count)
            .maybe_bytes(sum.as_ref().map(|sum| &sum.0[..]))
            .time(account.as_of);
    })
    .await
}

fn read_step(row: &SqliteRow) -> Result<(GapId, GapStep)> {
    let mut columns = Columns::of("gap_step", row);
    Ok((
        GapId(columns.int()?),
        GapStep {
            at: columns.time()?,
            state: columns.word()?,
            generation: columns.small()?,
            reason: columns.maybe_string()?,
            by: columns.maybe_string()?,
        },
    ))
}
