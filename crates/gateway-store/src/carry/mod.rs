//! Moving up: everything that an embedded store holds, carried into PostgreSQL.
//!
//! The steps, in this order; each may be broken off at any moment, by a kill too, and the next run goes on:
//! 1. [`Moving::check_source`]: the source's own book is added up, so that a difference found later is the carrying's and nobody else's.
//! 2. [`Moving::begin`]: the target must be empty, or hold this very move unfinished. From here on nobody else can open it.
//! 3. [`Moving::carry`]: table by table, page by page; a page and how far the table has come are one transaction.
//! 4. [`Moving::verify`]: every row of both sides is read again and compared, and the target's book is added up from its items.
//! 5. [`Moving::complete`], only when nothing differed: the target is a store like any other.
//!
//! The caller sees to it that nothing writes to the source meanwhile, and that nothing will afterwards.
//!
//! Refused: to carry through the traits (they show what a caller needs, not every column of every row), a dump that another tool loads (nothing would
//! prove that it is whole), and to compare sums alone where the rows themselves can be compared: a sum says that something differs, and not what.

mod cell;
mod compare;
mod places;
mod table;

pub(crate) use cell::{Cell, CopyPage, Kind, Row};
pub(crate) use table::Shape;

use crate::postgres::carry::{Come, Known, kept};
use crate::sqlite::carry as sqlite;
use crate::{AuditStore, PostgresStore, SqliteStore, StoreError};
use futures::TryStreamExt;
use gateway_model::{ChannelId, Dataset, Timestamp};
use std::collections::BTreeSet;
use std::fmt;
use table::{STAY, TABLES};

type Result<T> = std::result::Result<T, StoreError>;

/// How large a page is: one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize {
    /// Rows at most.
    pub rows: u64,
    /// It is full when it has so many bytes; one row may go beyond.
    pub bytes: usize,
}

impl Default for PageSize {
    fn default() -> Self {
        Self { rows: 10_000, bytes: 4 << 20 }
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The source's own book is added up.
    Check,
    /// Rows go over.
    Carry,
    /// Rows of both sides are compared.
    Compare,
    /// The target's book is added up.
    AddUp,
}

impl Phase {
    /// A word for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Carry => "carry",
            Self::Compare => "compare",
            Self::AddUp => "add_up",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// To which table.
    pub table: &'static str,
    /// Rows that are done.
    pub rows: u64,
    /// Rows there are.
    pub of: u64,
}

/// Is told how far it is, page by page.
pub type Tell<'t> = &'t mut (dyn FnMut(Progress) + Send);

/// A place where the two stores, or a store and its own items, are not the same. Names no value: values may be personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// Which row, or which part of the book.
    pub place: String,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.table, self.place, self.what)
    }
}

/// What the target was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Empty.
    New,
    /// Half of this move.
    Unfinished,
    /// This move, complete.
    Complete,
}

/// What was carried, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// Rows of every table, in the order in which they were carried.
    pub tables: Vec<(&'static str, u64)>,
}

impl Carried {
    /// Rows of a table.
    #[must_use]
    pub fn rows(&self, table: &str) -> u64 {
        self.tables.iter().find(|(name, _)| *name == table).map_or(0, |(_, rows)| *rows)
    }

    /// Rows of all tables.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// How many differences are told of one table; where there are more, that is told.
const MOST_TOLD: usize = 10;

/// One installation on its way from one store to another.
pub struct Moving<'a> {
    source: &'a SqliteStore,
    target: &'a PostgresStore,
    id: uuid::Uuid,
    leaves_bus: bool,
    page: PageSize,
    shapes: Vec<Shape>,
}

impl<'a> Moving<'a> {
    /// Prepares move `id`. `leaves_bus` = the bus is left behind too, so that its places get a name of their own (see [`crate::left_topic`]).
    ///
    /// # Errors
    /// [`StoreError::Schema`] when a table or column is there on one side only, or nobody has said whether it is to be carried.
    pub async fn prepare(
        source: &'a SqliteStore,
        target: &'a PostgresStore,
        id: uuid::Uuid,
        leaves_bus: bool,
        page: PageSize,
    ) -> Result<Self> {
        let forgotten = forgotten(source.table_names().await?, target.table_names().await?);
        if let Some(name) = forgotten.first() {
            return Err(StoreError::Schema { what: format!("nothing is known of how table {name} moves") });
        }
        let mut shapes = Vec::with_capacity(TABLES.len());
        for table in TABLES {
            let (theirs, ours) = (source.columns(table.name).await?, target.columns(table.name).await?);
            shapes.push(Shape::of(*table, theirs, ours)?);
        }
        Ok(Self { source, target, id, leaves_bus, page, shapes })
    }

    /// Adds the source's book up from its items. Empty when it is sound.
    ///
    /// # Errors
    /// When the source can't be read.
    pub async fn check_source(&self, tell: Tell<'_>) -> Result<Vec<Difference>> {
        self.add_up(self.source, Phase::Check, tell).await
    }

    /// Takes the target for this move.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it holds anything else.
    pub async fn begin(&self, now: Timestamp) -> Result<Begun> {
        let source_schema = SqliteStore::newest_migration();
        let known = self.target.moves().await?;
        if let Some(ours) = known.iter().find(|known| known.id == self.id) {
            return match ours {
                Known { ended: true, .. } => Ok(Begun::Complete),
                Known { source_schema: began_with, .. } if *began_with == source_schema => Ok(Begun::Unfinished),
                _ => Err(StoreError::Refused {
                    code: "moved_by_another_version",
                    what: "the move into this database was begun by another version of this program".into(),
                    remedy: "end it with that version, or empty the database and begin anew".into(),
                }),
            };
        }
        if known.iter().any(|known| !known.ended) {
            return Err(StoreError::Refused {
                code: "half_moved_by_another",
                what: "the database holds half of another move: of another installation, or one that was given up"
                    .into(),
                remedy: "name an empty database, or empty this one".into(),
            });
        }
        let mut filled = Vec::new();
        for shape in &self.shapes {
            if self.target.has_rows(shape).await? {
                filled.push(shape.table.name);
            }
        }
        if let Some(first) = filled.first() {
            return Err(StoreError::Refused {
                code: "target_in_use",
                what: format!("the database is not empty: {} table(s) have rows, as {first}", filled.len()),
                remedy: "an installation moves into a store of its own: name an empty database".into(),
            });
        }
        self.target.begin_move(self.id, source_schema, crate::engine::column::to_ms(now), &self.shapes).await?;
        Ok(Begun::New)
    }

    /// Carries what is not carried yet.
    ///
    /// # Errors
    /// When either side fails; what was carried stays, and the next call goes on.
    pub async fn carry(&self, tell: Tell<'_>) -> Result<Carried> {
        let mut carried = Carried::default();
        for shape in &self.shapes {
            let of = self.source.count(shape).await?;
            let come = self.target.come(shape).await?;
            let rows = if come.whole { come.rows } else { self.carry_table(shape, come, of, tell).await? };
            carried.tables.push((shape.table.name, rows));
        }
        self.target.go_on_after(&self.source.given_ids().await?).await?;
        Ok(carried)
    }

    async fn carry_table(&self, shape: &Shape, come: Come, of: u64, tell: Tell<'_>) -> Result<u64> {
        let Come { mut rows, mut after, .. } = come;
        let from: Vec<Cell> = match &after {
            Some(text) => serde_json::from_str(text).map_err(|source| StoreError::Damaged {
                what: format!("how far {} has come can't be read", shape.table.name),
                source: Some(Box::new(source)),
            })?,
            None => Vec::new(),
        };
        let mut connection = self.source.lend().await?;
        let mut source = sqlite::rows(&mut connection, shape, &from);
        let month = shape.place(match shape.table.name {
            "raw_record" => "received_at",
            "order_change" => "at",
            _ => "",
        });
        loop {
            let (mut page, mut last, mut times) = (CopyPage::default(), None, BTreeSet::new());
            while page.rows < self.page.rows && page.len() < self.page.bytes {
                let Some(row) = source.try_next().await? else { break };
                if let Some(Cell::Int(at)) = month.and_then(|at| row.get(at)) {
                    times.insert(gateway_model::Grain::Month.bucket(crate::engine::column::from_ms(*at)?).start);
                }
                let key = serde_json::to_string(&shape.key(&row));
                last = Some(key.map_err(|source| StoreError::Damaged {
                    what: format!("a key of {} has no JSON", shape.table.name),
                    source: Some(Box::new(source)),
                })?);
                page.push(&self.on_target(shape, row))?;
            }
            let Some(last) = last else { break };
            self.target.make_months_of(&times).await?;
            let count = page.rows;
            self.target.put_page(shape, page, after.as_deref(), &last).await?;
            (rows, after) = (rows + count, Some(last));
            tell(Progress { phase: Phase::Carry, table: shape.table.name, rows, of });
        }
        drop(source);
        self.target.end_table(shape).await?;
        Ok(rows)
    }

    /// A row of the source as the target must have it.
    fn on_target(&self, shape: &Shape, mut row: Row) -> Row {
        if self.leaves_bus {
            places::leave(shape, &mut row);
        }
        row.into_iter().map(kept).collect()
    }

    /// Compares every row, and adds the target's book up from its items. Empty when nothing differs.
    ///
    /// # Errors
    /// When either side can't be read.
    pub async fn verify(&self, tell: Tell<'_>) -> Result<Vec<Difference>> {
        let mut differences = Vec::new();
        for shape in &self.shapes {
            differences.extend(self.compare(shape, tell).await?);
        }
        differences.extend(self.add_up(self.target, Phase::AddUp, tell).await?);
        Ok(differences)
    }

    /// The target is a store like any other from now on.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn complete(&self, now: Timestamp) -> Result<()> {
        self.target.end_move(self.id, crate::engine::column::to_ms(now)).await
    }

    /// Adds a book up day by day, in the parts that the source has; the target has the same rows when they were compared.
    async fn add_up(&self, store: &impl AuditStore, phase: Phase, tell: Tell<'_>) -> Result<Vec<Difference>> {
        let items = self.shapes.iter().find(|shape| shape.table.name == "book_item");
        let of = match items {
            Some(shape) => self.source.count(shape).await?,
            None => 0,
        };
        let (mut rows, mut found) = (0, Found::of("book_bucket"));
        for (channel, dataset, newest) in self.source.book_parts().await? {
            let odd = |what: &str| StoreError::damaged(format!("the book has {what} that makes no sense"));
            let channel = ChannelId::new(channel).map_err(|_| odd("a channel"))?;
            let dataset: Dataset = dataset.parse().map_err(|_| odd("a dataset"))?;
            let newest = u32::try_from(newest).map_err(|_| odd("a projection version"))?;
            let mut from = Timestamp::MIN;
            while let Some(day) = store.next_book_day(&channel, dataset, newest, from).await? {
                let audit = store.audit_day(&channel, dataset, newest, day).await?;
                for damage in &audit.damage {
                    let (side, version) = (damage.side.as_str(), damage.projection_version);
                    found.add(Difference {
                        table: "book_bucket".into(),
                        place: format!(
                            "{channel} {dataset} {} {} {side} version {version}",
                            damage.grain, damage.start
                        ),
                        what: format!("kept {}, added up {}", damage.kept.0, damage.items.0),
                    });
                }
                rows += audit.items;
                tell(Progress { phase, table: "book_item", rows, of });
                from = gateway_model::Grain::Day.bucket(day).end;
            }
        }
        Ok(found.into_list())
    }
}

/// The first differences of a table, and how many more there are.
struct Found {
    table: &'static str,
    list: Vec<Difference>,
    more: u64,
}

impl Found {
    fn of(table: &'static str) -> Self {
        Self { table, list: Vec::new(), more: 0 }
    }

    fn add(&mut self, difference: Difference) {
        if self.list.len() < MOST_TOLD {
            self.list.push(difference);
        } else {
            self.more += 1;
        }
    }

    fn into_list(mut self) -> Vec<Difference> {
        if self.more > 0 {
            let what = format!("{} more differ", self.more);
            self.list.push(Difference { table: self.table.to_owned(), place: "and others".into(), what });
        }
        self.list
    }
}

/// Tables of which nobody has said whether they are carried. `target` has some of its own.
fn forgotten(source: Vec<String>, target: Vec<String>) -> Vec<String> {
    const OF_TARGET: [&str; 3] = ["given_id", "moving", "moving_table"];
    let known =
        |name: &String| TABLES.iter().any(|table| table.name == name) || STAY.iter().any(|(stays, _)| stays == name);
    let target = target.into_iter().filter(|name| !OF_TARGET.contains(&name.as_str()));
    let all: BTreeSet<String> = source.into_iter().chain(target).collect();
    all.into_iter().filter(|name| !known(name)).collect()
}
