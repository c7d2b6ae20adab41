//! How records and accounts are read: endpoints, parameters, paging.

use super::endpoint::Endpoint;
use super::reader::Section;
use gateway_model::{Dataset, Grain};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The peer's names of the datasets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetNames(BTreeMap<Dataset, String>);

impl DatasetNames {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let mut names = BTreeMap::new();
        for dataset in Dataset::ALL {
            if let Some(Some(name)) = section.take_optional::<String>(dataset.as_str()) {
                names.insert(dataset, name);
            }
        }
        section.check(!names.is_empty(), "*", "must name at least one dataset");
        Some(Self(names))
    }

    /// The datasets of the channel.
    pub fn datasets(&self) -> impl Iterator<Item = Dataset> {
        self.0.keys().copied()
    }

    /// The peer's name of a dataset; `None` = the channel does not have it.
    #[must_use]
    pub fn wire(&self, dataset: Dataset) -> Option<&str> {
        self.0.get(&dataset).map(String::as_str)
    }
}

/// How records are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRule {
    /// Records a page, the most that the peer gives.
    pub page_size: u32,
    /// The list of records inside the answer's data.
    pub records: String,
    /// How many records the query has in all; empty where the peer does not say.
    pub total: String,
    /// How pages are asked for.
    pub paging: Paging,
    /// The name of the parameter that tells the page.
    pub page_param: String,
    /// The name of the page size parameter.
    pub page_size_param: String,
    /// By update time.
    pub poll: PollRule,
    /// By event time.
    pub window: WindowRule,
    /// By number.
    pub ids: IdsRule,
}

/// How pages are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// By the page's number, from this on.
    Page {
        /// The number of the first page.
        first: u32,
    },
    /// By how many records come before the page.
    Offset,
    /// By what the answer before gave for it; the first page is asked for without.
    Cursor {
        /// The path inside the answer's data; empty or absent = there is no further page.
        next: String,
    },
    /// By a field of the last record before; the first page is asked for without.
    After {
        /// The wire field.
        field: String,
    },
}

impl Paging {
    /// Whether pages can be counted.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        matches!(self, Paging::Page { .. } | Paging::Offset)
    }

    /// The parameter of a page, from 1 on, of those that can be counted.
    #[must_use]
    pub fn parameter(&self, page: u32, size: u32) -> u64 {
        let before = u64::from(page.saturating_sub(1));
        match self {
            Paging::Page { first } => before + u64::from(*first),
            _ => before * u64::from(size),
        }
    }
}

/// How several numbers stand in one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumbersStyle {
    /// A list; in a query the parameter again and again.
    List,
    /// One text with this between them.
    Joined(String),
}

/// Reading by update time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollRule {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// The parameter of the earliest update time, inclusive.
    pub from: String,
    /// The parameter of the latest update time, inclusive.
    pub to: String,
}

/// Reading by event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRule {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// The parameter of the dataset.
    pub dataset: String,
    /// The parameter of the window's start, inclusive.
    pub from: String,
    /// The parameter of the window's end.
    pub to: String,
    /// Whether the peer counts what is at the end itself in.
    pub to_inclusive: bool,
}

/// Reading by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdsRule {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// The parameter with the numbers.
    pub numbers: String,
    /// How they stand in it.
    pub style: NumbersStyle,
    /// How many numbers one request takes.
    pub most: usize,
    /// Whether the answer has every order of a number, where it was used again on another day.
    pub every_day: bool,
}

pub(super) fn read_path(section: &mut Section, key: &str) -> Option<String> {
    let path = section.take::<String>(key)?;
    let fits = path.starts_with('/') && !path.contains(['?', '#', ' ']);
    section.check(fits, key, "must start with / and hold no query");
    fits.then_some(path)
}

impl ReadRule {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let page_size = section.take::<u32>("page_size");
        let records = section.take("records");
        let paging = read_paging(&mut section);
        let counted = paging.as_ref().is_none_or(Paging::is_counted);
        let total = if counted { section.take("total") } else { section.take_or("total", String::new()) };
        let page_param = section.take("page_param");
        let page_size_param = section.take("page_size_param");
        let poll = section.section("poll").and_then(|mut poll| {
            let endpoint = Endpoint::read(&mut poll, "GET");
            let from = poll.take("from");
            // Only counted pages are narrowed down to one instant.
            let to = if counted { poll.take("to") } else { poll.take_or("to", String::new()) };
            Some(PollRule { endpoint: endpoint?, from: from?, to: to? })
        });
        let window = section.section("window").and_then(|mut window| {
            let (endpoint, dataset) = (Endpoint::read(&mut window, "GET"), window.take("dataset"));
            let (from, to) = (window.take("from"), window.take("to"));
            let to_inclusive = window.take_or("to_inclusive", false);
            Some(WindowRule {
                endpoint: endpoint?,
                dataset: dataset?,
                from: from?,
                to: to?,
                to_inclusive: to_inclusive?,
            })
        });
        let ids = section.section("ids").and_then(read_ids);
        section.check(page_size != Some(0), "page_size", "must be at least 1");
        Some(Self {
            page_size: page_size?,
            records: records?,
            total: total?,
            paging: paging?,
            page_param: page_param?,
            page_size_param: page_size_param?,
            poll: poll?,
            window: window?,
            ids: ids?,
        })
    }
}

fn read_paging(section: &mut Section) -> Option<Paging> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Page,
        Offset,
        Cursor,
        After,
    }
    match section.take_or("paging", Kind::Page)? {
        Kind::Page => Some(Paging::Page { first: section.take_or("first_page", 1)? }),
        Kind::Offset => Some(Paging::Offset),
        Kind::Cursor => Some(Paging::Cursor { next: section.take("next")? }),
        Kind::After => Some(Paging::After { field: section.take("after")? }),
    }
}

fn read_ids(mut ids: Section) -> Option<IdsRule> {
    let endpoint = Endpoint::read(&mut ids, "POST");
    let (numbers, most) = (ids.take("numbers"), ids.take::<usize>("most"));
    let joined = ids.take_optional::<String>("joined");
    ids.check(most != Some(0), "most", "must be at least 1");
    ids.check(joined != Some(Some(String::new())), "joined", "must not be empty");
    let every_day = ids.take_or("every_day", true);
    let style = joined?.map_or(NumbersStyle::List, NumbersStyle::Joined);
    Some(IdsRule { endpoint: endpoint?, numbers: numbers?, style, most: most?, every_day: every_day? })
}

/// How the peer's account of itself is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRule {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// The parameter of the dataset.
    pub dataset: String,
    /// The parameter of the window's start, inclusive.
    pub from: String,
    /// The parameter of the window's end.
    pub to: String,
    /// Whether the peer counts what is at the end itself in.
    pub to_inclusive: bool,
    /// The parameter of the grain.
    pub grain: String,
    /// The peer's names of the grains, coarse to fine.
    pub grains: Vec<(Grain, String)>,
    /// The field that says when the account was true.
    pub as_of: String,
    /// The list of buckets.
    pub buckets: String,
    /// A bucket's first instant.
    pub start: String,
    /// A bucket's count.
    pub count: String,
    /// A bucket's sum; a peer that gives none is compared by count only.
    pub sum: String,
    /// The list of items.
    pub items: String,
    /// An item's order number.
    pub number: String,
    /// An item's creation day.
    pub day: String,
    /// An item's part.
    pub part: String,
    /// An item's event time.
    pub event_time: String,
    /// An item's digest.
    pub digest: String,
}

impl ManifestRule {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let endpoint = Endpoint::read(&mut section, "GET");
        let to_inclusive = section.take_or("to_inclusive", false);
        let (dataset, from, to, grain) =
            (section.take("dataset"), section.take("from"), section.take("to"), section.take("grain"));
        let grains = section.section("grains").map(|mut listed| {
            let mut grains = Vec::new();
            for grain in [Grain::Total].into_iter().chain(Grain::BUCKETS).chain([Grain::Ids]) {
                if let Some(Some(name)) = listed.take_optional::<String>(grain.as_str()) {
                    grains.push((grain, name));
                }
            }
            listed.check(!grains.is_empty(), "*", "must name at least one grain");
            grains
        });
        let as_of = section.take("as_of");
        let (buckets, start, count, sum) =
            (section.take("buckets"), section.take("start"), section.take("count"), section.take("sum"));
        let (items, number, day) = (section.take("items"), section.take("number"), section.take("day"));
        let (part, event_time, digest) = (section.take("part"), section.take("event_time"), section.take("digest"));
        Some(Self {
            endpoint: endpoint?,
            dataset: dataset?,
            from: from?,
            to: to?,
            to_inclusive: to_inclusive?,
            grain: grain?,
            grains: grains?,
            as_of: as_of?,
            buckets: buckets?,
            start: start?,
            count: count?,
            sum: sum?,
            items: items?,
            number: number?,
            day: day?,
            part: part?,
            event_time: event_time?,
            digest: digest?,
        })
    }
}
