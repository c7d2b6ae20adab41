//! Comparing both sides of a table, row by row: one pass over each, in the order of the key.

use super::cell::{Cell, Row};
use super::table::Shape;
use super::{Difference, Found, Moving, Phase, Progress, Result, Tell};
use crate::postgres::carry as postgres;
use crate::sqlite::carry as sqlite;
use futures::TryStreamExt;
use std::cmp::Ordering;

/// How many rows go by between two words about it.
const EVERY: u64 = 10_000;

impl Moving<'_> {
    /// The rows that are not the same on both sides.
    pub(super) async fn compare(&self, shape: &Shape, tell: Tell<'_>) -> Result<Vec<Difference>> {
        let of = self.source.count(shape).await?;
        let mut connection = self.source.lend().await?;
        let mut snapshot = self.target.begin_unhurried(postgres::SNAPSHOT).await?;
        let mut theirs = sqlite::rows(&mut connection, shape, &[]);
        let mut ours = postgres::rows(&mut snapshot, shape);
        let (mut their, mut our) = (self.next(shape, theirs.try_next().await?), ours.try_next().await?);
        let (mut found, mut rows) = (Found::of(shape.table.name), 0);
        loop {
            let side = match (&their, &our) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(their), Some(our)) => shape.key(their).cmp(&shape.key(our)),
            };
            if let Some(difference) = difference(shape, side, their.as_ref(), our.as_ref()) {
                found.add(difference);
            }
            if side != Ordering::Greater {
                their = self.next(shape, theirs.try_next().await?);
                rows += 1;
                if rows % EVERY == 0 {
                    tell(Progress { phase: Phase::Compare, table: shape.table.name, rows, of });
                }
            }
            if side != Ordering::Less {
                our = ours.try_next().await?;
            }
        }
        tell(Progress { phase: Phase::Compare, table: shape.table.name, rows, of });
        Ok(found.into_list())
    }

    fn next(&self, shape: &Shape, row: Option<Row>) -> Option<Row> {
        row.map(|row| self.on_target(shape, row))
    }
}

fn difference(shape: &Shape, side: Ordering, their: Option<&Row>, our: Option<&Row>) -> Option<Difference> {
    let what = match (side, their, our) {
        (Ordering::Less, ..) => "is missing".to_owned(),
        (Ordering::Greater, ..) => "was never carried".to_owned(),
        (Ordering::Equal, Some(their), Some(our)) if their != our => {
            let columns = shape.columns.iter().zip(their.iter().zip(our));
            let other: Vec<&str> =
                columns.filter(|(_, (their, our))| their != our).map(|(column, _)| column.name.as_str()).collect();
            format!("differs in {}", other.join(", "))
        }
        _ => return None,
    };
    let row = if side == Ordering::Greater { our } else { their };
    let key: Vec<&Cell> = row.map(|row| shape.key(row)).unwrap_or_default();
    let place = key.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    Some(Difference { table: shape.table.name.to_owned(), place, what })
}
