//! How records and accounts are read: endpoints, parameters, paging.

use super::reader::Section;
use gateway_model::{Dataset, Grain};
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
    /// How many records the query has in all.
    pub total: String,
    /// The name of the page parameter; the first page is 1.
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

/// Reading by update time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollRule {
    /// The path.
    pub path: String,
    /// The parameter of the earliest update time, inclusive.
    pub from: String,
    /// The parameter of the latest update time, inclusive.
    pub to: String,
}

/// Reading by event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRule {
    /// The path.
    pub path: String,
    /// The parameter of the dataset.
    pub dataset: String,
    /// The parameter of the window's start, inclusive.
    pub from: String,
    /// The parameter of the window's end, exclusive.
    pub to: String,
}

/// Reading by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdsRule {
    /// The path.
    pub path: String,
    /// The field of the body with the list of numbers.
    pub numbers: String,
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
        let total = section.take("total");
        let page_param = section.take("page_param");
        let page_size_param = section.take("page_size_param");
        let poll = section.section("poll").and_then(|mut poll| {
            let (path, from, to) = (read_path(&mut poll, "path"), poll.take("from"), poll.take("to"));
            Some(PollRule { path: path?, from: from?, to: to? })
        });
        let window = section.section("window").and_then(|mut window| {
            let (path, dataset) = (read_path(&mut window, "path"), window.take("dataset"));
            let (from, to) = (window.take("from"), window.take("to"));
            Some(WindowRule { path: path?, dataset: dataset?, from: from?, to: to? })
        });
        let ids = section.section("ids").and_then(|mut ids| {
            let (path, numbers, most) = (read_path(&mut ids, "path"), ids.take("numbers"), ids.take::<usize>("most"));
            ids.check(most != Some(0), "most", "must be at least 1");
            let every_day = ids.take_or("every_day", true);
            Some(IdsRule { path: path?, numbers: numbers?, most: most?, every_day: every_day? })
        });
        section.check(page_size != Some(0), "page_size", "must be at least 1");
        Some(Self {
            page_size: page_size?,
            records: records?,
            total: total?,
            page_param: page_param?,
            page_size_param: page_size_param?,
            poll: poll?,
            window: window?,
            ids: ids?,
        })
    }
}

/// How the peer's account of itself is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRule {
    /// The path.
    pub path: String,
    /// The parameter of the dataset.
    pub dataset: String,
    /// The parameter of the window's start, inclusive.
    pub from: String,
    /// The parameter of the window's end, exclusive.
    pub to: String,
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
        let path = read_path(&mut section, "path");
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
            path: path?,
            dataset: dataset?,
            from: from?,
            to: to?,
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
