//! The books of one channel for some days, as they were at the end of a day.

use super::account::{Account, Ours};
use super::flow::{Inbound, Outbound};
use super::gaps::{GapLine, lacking};
use super::period::AsOf;
use crate::Problem;
use crate::state::ChannelInfo;
use gateway_model::{Dataset, Day};
use gateway_store::{Days, DeliveryDay, FlowDay, Store};
use std::collections::{BTreeMap, BTreeSet};

/// A dataset, or what could not be decoded.
pub(crate) type Part = Option<Dataset>;

/// What the books have of a channel.
pub(crate) struct Books {
    accounts: BTreeMap<(Day, Dataset), Account>,
    flows: Vec<FlowDay>,
    deliveries: Vec<DeliveryDay>,
    /// Every gap that had opened by then.
    pub(crate) gaps: Vec<GapLine>,
}

impl Books {
    pub(crate) async fn load(store: &dyn Store, info: &ChannelInfo, days: Days, as_of: AsOf) -> Result<Self, Problem> {
        let channel = &info.channel;
        let lives = store.gap_lives(channel, as_of.end()).await?;
        let gaps: Vec<GapLine> = lives.iter().filter_map(|(row, steps)| GapLine::new(row, steps)).collect();
        let mut ours: BTreeMap<(Day, Dataset), Ours> = BTreeMap::new();
        for row in store.book_days(channel, days, as_of.day).await? {
            ours.entry((row.day, row.dataset)).or_default().add(&row);
        }
        let said = store.account_days(channel, days, as_of.day).await?;
        let said: BTreeMap<_, _> = said.into_iter().map(|row| ((row.day, row.dataset), row)).collect();
        let spans = store.account_spans(channel, days, as_of.day).await?;
        let lacking = lacking(&gaps);
        let mut accounts = BTreeMap::new();
        let keys: BTreeSet<_> = ours.keys().chain(said.keys()).copied().collect();
        for key in keys {
            let (day, dataset) = key;
            let around: Vec<_> = spans
                .iter()
                .filter(|span| span.dataset == dataset && span.days.from <= day && day < span.days.to)
                .collect();
            let account = Account::of_day(
                info.manifest,
                ours.get(&key).copied().unwrap_or_default(),
                said.get(&key),
                &around,
                lacking.get(&key).copied().unwrap_or_default(),
            );
            // A day that held something once and is empty on both sides is no line.
            if account.ours > 0 || account.theirs.unwrap_or(0) > 0 {
                accounts.insert(key, account);
            }
        }
        let flows = store.flow_days(channel, days).await?;
        let deliveries = store.delivery_days(channel, days, as_of.day).await?;
        Ok(Self { accounts, flows, deliveries, gaps })
    }

    /// The datasets that something is told of, in some days.
    pub(crate) fn parts(&self, days: Days) -> BTreeSet<Part> {
        let inside = |day: Day| days.from <= day && day < days.to;
        let accounts = self.accounts.keys().filter(|(day, _)| inside(*day)).map(|(_, dataset)| Some(*dataset));
        let flows = self.flows.iter().filter(|row| inside(row.day)).map(|row| row.dataset);
        let deliveries = self.deliveries.iter().filter(|row| inside(row.day)).map(|row| Some(row.dataset));
        accounts.chain(flows).chain(deliveries).collect()
    }

    /// Both sides of a dataset, added up over some days; `None` where neither has anything.
    pub(crate) fn account(&self, days: Days, part: Part) -> Option<Account> {
        let dataset = part?;
        let inside = self.accounts.range((days.from, Dataset::Acceptance)..);
        Account::sum(
            inside
                .take_while(|((day, _), _)| *day < days.to)
                .filter(|((_, of), _)| *of == dataset)
                .map(|(_, account)| account),
        )
    }

    pub(crate) fn inbound(&self, days: Days, part: Part) -> Inbound {
        let mut sum = Inbound::default();
        let rows = self.flows.iter().filter(|row| row.dataset == part && days.from <= row.day && row.day < days.to);
        rows.for_each(|row| sum.add(row));
        sum
    }

    pub(crate) fn outbound(&self, days: Days, part: Part) -> Outbound {
        let mut sum = Outbound::default();
        let rows =
            self.deliveries.iter().filter(|row| Some(row.dataset) == part && days.from <= row.day && row.day < days.to);
        rows.for_each(|row| sum.add(row));
        sum
    }
}
