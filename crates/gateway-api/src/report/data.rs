//! A report as data; the renderers only show it. The JSON form is this, key by key.

use super::account::Account;
use super::books::{Books, Part};
use super::figures::Durations;
use super::flow::{Inbound, Outbound};
use super::gaps::{AgeLine, GapCounts, GapLine, KindLine, ages, kinds};
use super::period::{AsOf, Period, next, start_of};
use crate::Problem;
use crate::state::{ChannelInfo, Channels};
use gateway_model::{ChannelId, Dataset, Day, Window};
use gateway_store::{Days, LatencyDay, Leg, Store};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A daily or monthly transfer report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// `daily` or `monthly`.
    pub(crate) report: &'static str,
    /// The day or month.
    pub(crate) period: String,
    /// The first day.
    pub(crate) from: Day,
    /// The last day that is told of.
    pub(crate) to: Day,
    /// The day at whose end everything is told.
    pub(crate) as_of: Day,
    /// Whether that day is over, so that this report never changes again.
    pub(crate) is_final: bool,
    /// The channels.
    pub(crate) channels: Vec<ChannelLine>,
    /// Channel by dataset, over the whole period.
    pub(crate) lines: Vec<Line>,
    /// The same day by day; of a month only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) days: Vec<Line>,
    /// How long the legs took that ended in the period.
    pub(crate) latencies: Vec<LegLine>,
    /// Gaps by kind.
    pub(crate) gaps: Vec<KindLine>,
    /// Unfinished gaps by age, and the time to repair.
    pub(crate) ages: Vec<AgeLine>,
    /// Dead letters by code.
    pub(crate) dead_letters: Vec<LetterLine>,
    /// Incidents by code; without a channel those of the gateway itself.
    pub(crate) incidents: Vec<IncidentLine>,
    /// Every gap that opened or ended in the period or is unfinished.
    pub(crate) gap_list: Vec<GapLine>,
}

/// A channel.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelLine {
    pub(crate) channel: ChannelId,
    /// Whether it offers an account; without one nothing of it is ever called complete.
    pub(crate) verifiable: bool,
}

/// What is told of a channel's dataset, over a day or the whole period.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// The day; absent for the whole period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) day: Option<Day>,
    pub(crate) channel: ChannelId,
    #[serde(serialize_with = "name_of")]
    pub(crate) dataset: Part,
    /// Both sides of the events of these days; null where neither has any.
    pub(crate) account: Option<Account>,
    /// What came in during these days.
    pub(crate) inbound: Inbound,
    /// What was decided to go out during these days.
    pub(crate) outbound: Outbound,
    pub(crate) gaps: GapCounts,
}

fn name_of<S: Serializer>(part: &Part, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(part.map_or("unknown", Dataset::as_str))
}

/// How long a leg took.
#[derive(Debug, Serialize)]
pub(crate) struct LegLine {
    pub(crate) channel: ChannelId,
    #[serde(serialize_with = "leg_name")]
    pub(crate) leg: Leg,
    #[serde(flatten)]
    pub(crate) durations: Durations,
}

fn leg_name<S: Serializer>(leg: &Leg, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(leg.as_str())
}

/// Dead letters of a code.
#[derive(Debug, Serialize)]
pub(crate) struct LetterLine {
    pub(crate) channel: ChannelId,
    pub(crate) code: String,
    /// Came in the period.
    pub(crate) arisen: u64,
    /// Settled in it.
    pub(crate) settled: u64,
    /// Open at the end.
    pub(crate) open: u64,
}

/// Incidents of a code.
#[derive(Debug, Serialize)]
pub(crate) struct IncidentLine {
    pub(crate) channel: Option<ChannelId>,
    pub(crate) code: String,
    /// In the period.
    pub(crate) opened: u64,
    /// In the period.
    pub(crate) resolved: u64,
    /// Open at the end.
    pub(crate) open: u64,
}

/// Makes the report of a period from the books.
pub(crate) async fn report(
    store: &dyn Store,
    channels: &Channels,
    period: Period,
    as_of: AsOf,
) -> Result<Report, Problem> {
    let days = as_of.cut(period.days())?;
    let window = Window::new(start_of(days.from), start_of(days.to));
    let mut report = Report {
        report: if matches!(period, Period::Day(_)) { "daily" } else { "monthly" },
        period: period.name(),
        from: days.from,
        to: days.to.yesterday().unwrap_or(days.from),
        as_of: as_of.day,
        is_final: as_of.is_final,
        channels: Vec::new(),
        lines: Vec::new(),
        days: Vec::new(),
        latencies: Vec::new(),
        gaps: Vec::new(),
        ages: Vec::new(),
        dead_letters: Vec::new(),
        incidents: incidents(store, &window, as_of).await?,
        gap_list: Vec::new(),
    };
    for info in channels.0.iter() {
        let channel = &info.channel;
        let books = Books::load(store, info, days, as_of).await?;
        report.channels.push(ChannelLine { channel: channel.clone(), verifiable: info.manifest });
        report.lines.extend(lines(info, &books, days, None));
        if matches!(period, Period::Month(_)) {
            let mut day = days.from;
            while day < days.to {
                report.days.extend(lines(info, &books, Days { from: day, to: next(day) }, Some(day)));
                day = next(day);
            }
        }
        report.latencies.extend(legs(channel, &store.latency_days(channel, days).await?));
        report.gaps.extend(kinds(&books.gaps, &window));
        report.ages.push(ages(channel, &books.gaps, &window, as_of.end()));
        report.dead_letters.extend(letters(store, channel, &window, as_of).await?);
        report.gap_list.extend(books.gaps.into_iter().filter(|gap| gap.concerns(&window)));
    }
    report.days.sort_by_key(|line| line.day);
    Ok(report)
}

fn lines(info: &ChannelInfo, books: &Books, days: Days, day: Option<Day>) -> Vec<Line> {
    let window = Window::new(start_of(days.from), start_of(days.to));
    let mut parts = books.parts(days);
    // Of a day only what happened on it is told; what is unfinished belongs to the whole period.
    let gaps =
        books.gaps.iter().filter(|gap| if day.is_some() { gap.moved_in(&window) } else { gap.concerns(&window) });
    let gaps: Vec<&GapLine> = gaps.collect();
    parts.extend(gaps.iter().map(|gap| Some(gap.dataset)));
    let line = |part: Part| {
        let mut counts = GapCounts::default();
        gaps.iter().filter(|gap| Some(gap.dataset) == part).for_each(|gap| counts.add(gap, &window));
        Line {
            day,
            channel: info.channel.clone(),
            dataset: part,
            account: books.account(days, part),
            inbound: books.inbound(days, part),
            outbound: books.outbound(days, part),
            gaps: counts,
        }
    };
    // What could not be decoded comes last.
    let (unknown, known): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(Option::is_none);
    known.into_iter().chain(unknown).map(line).collect()
}

fn legs(channel: &ChannelId, days: &[LatencyDay]) -> Vec<LegLine> {
    let line = |leg: Leg| LegLine {
        channel: channel.clone(),
        leg,
        durations: Durations::of_buckets(days.iter().filter(|day| day.leg == leg)),
    };
    Leg::ALL.into_iter().map(line).filter(|line| line.durations.count > 0).collect()
}

async fn letters(
    store: &dyn Store,
    channel: &ChannelId,
    window: &Window,
    as_of: AsOf,
) -> Result<Vec<LetterLine>, Problem> {
    let mut codes: BTreeMap<String, LetterLine> = BTreeMap::new();
    let end = as_of.end();
    for life in store.dead_letter_lives(channel, end, window.start).await? {
        let line = codes.entry(life.code.clone()).or_insert_with(|| LetterLine {
            channel: channel.clone(),
            code: life.code.clone(),
            arisen: 0,
            settled: 0,
            open: 0,
        });
        line.arisen += u64::from(window.contains(life.at));
        line.settled += u64::from(life.settled_at.is_some_and(|at| window.contains(at)));
        line.open += u64::from(life.settled_at.is_none_or(|at| at >= end));
    }
    Ok(codes.into_values().filter(|line| line.arisen + line.settled + line.open > 0).collect())
}

async fn incidents(store: &dyn Store, window: &Window, as_of: AsOf) -> Result<Vec<IncidentLine>, Problem> {
    let mut codes: BTreeMap<(Option<ChannelId>, String), IncidentLine> = BTreeMap::new();
    let end = as_of.end();
    for life in store.incident_lives(end, window.start).await? {
        let line = codes.entry((life.channel.clone(), life.code.clone())).or_insert_with(|| IncidentLine {
            channel: life.channel.clone(),
            code: life.code.clone(),
            opened: 0,
            resolved: 0,
            open: 0,
        });
        line.opened += u64::from(window.contains(life.opened_at));
        line.resolved += u64::from(life.resolved_at.is_some_and(|at| window.contains(at)));
        line.open += u64::from(life.resolved_at.is_none_or(|at| at >= end));
    }
    Ok(codes.into_values().filter(|line| line.opened + line.resolved + line.open > 0).collect())
}
