//! One statement for many rows: the rows go as one array for each column, through `UNNEST`.
//!
//! The text is the embedded engine's, with one tuple of placeholders after `VALUES`; the tuple becomes a `SELECT` from the arrays. So there is one text
//! of each statement whatever the number of rows, and the server's prepared ones stay few.
//!
//! While the server works on a statement, the values of the next are got ready here.
//!
//! A key may stand once in a statement: PostgreSQL refuses to write a row twice in one. [`last_of_each`] keeps the last of those that replace each
//! other.

use super::Result;
use super::array::{Array, Kind};
use super::column::to_ms;
use crate::StoreError;
pub(super) use crate::engine::last_of_each;
use gateway_model::Timestamp;
use serde::Serialize;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, AssertSqlSafe, Encode, PgConnection};
use std::borrow::Cow;
use std::io::Write;

/// Rows by statement.
const SIZE: usize = 1_000;

/// The values of the rows of one statement, in the order of its columns.
#[derive(Default)]
pub(super) struct Values {
    columns: Vec<Array>,
    next: usize,
    failure: Option<StoreError>,
}

impl Values {
    /// The column of the next cell.
    fn column(&mut self, kind: Kind) -> Option<&mut Array> {
        let at = self.next;
        self.next += 1;
        if at == self.columns.len() {
            self.columns.push(Array::of(kind));
        }
        match self.columns.get_mut(at) {
            Some(column) if column.kind() == kind => Some(column),
            _ => {
                self.failure = Some(StoreError::damaged(format!("column {at} is of two kinds")));
                None
            }
        }
    }

    /// A cell whose bytes `write` writes.
    fn cell(
        &mut self,
        kind: Kind,
        write: impl FnOnce(&mut Vec<u8>) -> std::result::Result<(), BoxDynError>,
    ) -> &mut Self {
        let pushed = self.column(kind).map_or(Ok(()), |column| column.push(write));
        if let Err(source) = pushed {
            self.failure = Some(StoreError::Damaged { what: "a value can't be stored".into(), source: Some(source) });
        }
        self
    }

    fn null(&mut self, kind: Kind) -> &mut Self {
        if let Some(column) = self.column(kind) {
            column.push_null();
        }
        self
    }

    pub(super) fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        match (value.into(), self.column(Kind::Int)) {
            (Some(value), Some(column)) => column.push_int(value),
            (None, Some(column)) => column.push_null(),
            (_, None) => {}
        }
        self
    }

    /// Counts and offsets; nothing counts beyond 2^63.
    pub(super) fn count(&mut self, value: u64) -> &mut Self {
        self.int(i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(super) fn flag(&mut self, value: bool) -> &mut Self {
        self.int(i64::from(value))
    }

    pub(super) fn time(&mut self, at: Timestamp) -> &mut Self {
        self.int(to_ms(at))
    }

    pub(super) fn maybe_time(&mut self, at: Option<Timestamp>) -> &mut Self {
        self.int(at.map(to_ms))
    }

    pub(super) fn text<'t>(&mut self, value: impl Into<Option<&'t str>>) -> &mut Self {
        match value.into() {
            Some(text) => self.cell(Kind::Text, |cell| Ok(cell.write_all(storable(text).as_bytes())?)),
            None => self.null(Kind::Text),
        }
    }

    pub(super) fn show(&mut self, value: impl std::fmt::Display) -> &mut Self {
        self.cell(Kind::Text, |cell| Ok(write!(cell, "{value}")?))
    }

    pub(super) fn json<T: Serialize>(&mut self, value: &T) -> &mut Self {
        self.cell(Kind::Text, |cell| Ok(serde_json::to_writer(cell, value)?))
    }

    pub(super) fn maybe_json<T: Serialize>(&mut self, value: Option<&T>) -> &mut Self {
        match value {
            Some(value) => self.json(value),
            None => self.null(Kind::Text),
        }
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.cell(Kind::Bytes, |cell| Ok(cell.write_all(value)?))
    }

    pub(super) fn maybe_bytes(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(Kind::Bytes),
        }
    }

    pub(super) fn uuid(&mut self, value: impl Into<Option<uuid::Uuid>>) -> &mut Self {
        match value.into() {
            Some(value) => self.cell(Kind::Uuid, |cell| Ok(cell.write_all(value.as_bytes())?)),
            None => self.null(Kind::Uuid),
        }
    }

    fn into_arguments(self) -> Result<(PgArguments, Vec<&'static str>)> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let mut arguments = PgArguments::default();
        arguments.reserve(self.columns.len(), self.columns.iter().map(Encode::size_hint).sum());
        let mut types = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            types.push(column.kind().as_str());
            arguments.add(column).map_err(|source| StoreError::Damaged {
                what: "a value can't be stored".into(),
                source: Some(source),
            })?;
        }
        Ok((arguments, types))
    }
}

/// The text as PostgreSQL can hold it: all but U+0000, which shows as U+FFFD. Identifiers have none.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// A statement and its values.
pub(super) struct Ready {
    text: String,
    arguments: PgArguments,
}

/// What gets a statement ready.
pub(super) type Step<'w> = Box<dyn FnOnce() -> Result<Ready> + Send + 'w>;

/// The steps that run `statement` (which has one tuple of placeholders after `VALUES`) for all rows.
pub(super) fn steps<'w, T: Sync>(
    statement: &'static str,
    rows: &'w [T],
    bind: impl Fn(&mut Values, &T) + Copy + Send + 'w,
) -> Vec<Step<'w>> {
    rows.chunks(SIZE)
        .map(|chunk| -> Step<'w> {
            Box::new(move || {
                let mut values = Values::default();
                for row in chunk {
                    values.next = 0;
                    bind(&mut values, row);
                }
                let (arguments, types) = values.into_arguments()?;
                Ok(Ready { text: from_arrays(statement, &types)?, arguments })
            })
        })
        .collect()
}

/// Runs steps one after the other.
pub(super) async fn run(connection: &mut PgConnection, steps: impl IntoIterator<Item = Step<'_>>) -> Result<()> {
    let mut steps = steps.into_iter();
    let mut ready = steps.next().map(|step| step()).transpose()?;
    while let Some(Ready { text, arguments }) = ready {
        let executed = sqlx::query_with(AssertSqlSafe(text), arguments).execute(&mut *connection);
        // The statement is on its way when the next is looked at.
        let (executed, next) = tokio::join!(executed, async { steps.next().map(|step| step()).transpose() });
        executed?;
        ready = next?;
    }
    Ok(())
}

/// Runs `statement` (which has one tuple of placeholders after `VALUES`) for all rows.
pub(super) async fn write_rows<T: Sync>(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: &[T],
    bind: impl Fn(&mut Values, &T) + Copy + Send,
) -> Result<()> {
    run(connection, steps(statement, rows, bind)).await
}

/// One array for each column of a list of keys, for a statement that joins them.
pub(super) fn arrays<T>(rows: impl IntoIterator<Item = T>, bind: impl Fn(&mut Values, T)) -> Result<PgArguments> {
    let mut values = Values::default();
    for row in rows {
        values.next = 0;
        bind(&mut values, row);
    }
    Ok(values.into_arguments()?.0)
}

/// `… VALUES (?, 'owed') …` as `… SELECT u.c1, 'owed' FROM UNNEST($1::int8[]) AS u (c1) …`.
fn from_arrays(statement: &str, types: &[&str]) -> Result<String> {
    const START: &str = "VALUES (";
    let parts = statement.split_once(START).and_then(|(head, rest)| Some((head, rest.split_once(')')?)));
    let Some((head, (tuple, tail))) = parts else {
        return Err(StoreError::damaged("a statement has no tuple of values"));
    };
    let mut placed = 0;
    let items: Vec<Cow<'_, str>> = tuple
        .split(',')
        .map(|item| match item.trim() {
            "?" => {
                placed += 1;
                Cow::Owned(format!("u.c{placed}"))
            }
            literal => Cow::Borrowed(literal),
        })
        .collect();
    if placed != types.len() {
        return Err(StoreError::damaged(format!("a statement wants {placed} values and got {}", types.len())));
    }
    let arrays: Vec<String> = types.iter().enumerate().map(|(at, kind)| format!("${}::{kind}[]", at + 1)).collect();
    let names: Vec<String> = (1..=placed).map(|at| format!("c{at}")).collect();
    Ok(format!(
        "{head}SELECT {} FROM UNNEST({}) AS u ({}){tail}",
        items.join(", "),
        arrays.join(", "),
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::from_arrays;

    #[test]
    fn the_tuple_becomes_a_selection_from_arrays() {
        let text =
            from_arrays("INSERT INTO t (a, b, c) VALUES (?, 'x', ?) ON CONFLICT (a) DO NOTHING", &["int8", "text"]);
        assert_eq!(
            text.unwrap(),
            "INSERT INTO t (a, b, c) SELECT u.c1, 'x', u.c2 FROM UNNEST($1::int8[], $2::text[]) AS u (c1, c2) ON CONFLICT (a) DO NOTHING"
        );
    }

    #[test]
    fn a_value_too_few_is_an_error_and_not_a_wrong_row() {
        assert!(from_arrays("INSERT INTO t (a, b) VALUES (?, ?)", &["int8"]).is_err());
        assert!(from_arrays("DELETE FROM t", &[]).is_err());
    }
}
