//! One statement for many rows: multi-row `VALUES` for writing, JSON lists for reading.
//!
//! Statement texts are repeated to a few fixed sizes only, so that the prepared ones stay in the connection's cache; what does not fill the last of them
//! leaves its other tuples unbound and unread. Values are bound, not sent as JSON: bytes need no encoding, and the texts of an order no escaping.
//! Each statement is a way to the connection's thread and back, and while it works there the values of the next are got ready here.

use super::Result;
use crate::StoreError;
use crate::sqlite::column::to_ms;
use gateway_model::Timestamp;
use serde::Serialize;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};
use std::io::Write;
use std::sync::Arc;

/// Tuples of a statement, largest first.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// The values of the rows of one statement, in the order of its columns.
#[derive(Default)]
pub(super) struct Values {
    arguments: SqliteArguments,
    /// What the row before has, by column, where it is text: most columns say what they said before, and a text that is shared needs no copy, and no
    /// memory that is taken by this thread and given back by the connection's.
    before: Vec<Option<Arc<str>>>,
    next: usize,
    /// Where a text is put together.
    draft: Vec<u8>,
    failure: Option<StoreError>,
}

impl Values {
    fn add<'t, T: sqlx::Encode<'t, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(&mut self, value: T) {
        self.next += 1;
        if let Err(source) = self.arguments.add(value) {
            self.failure = Some(StoreError::Damaged { what: "a value can't be stored".into(), source: Some(source) });
        }
    }

    pub(super) fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        self.add(value.into());
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
            Some(text) => self.share(text),
            None => self.add(None::<&str>),
        }
        self
    }

    fn share(&mut self, text: &str) {
        if self.before.len() <= self.next {
            self.before.resize(self.next + 1, None);
        }
        let before = &mut self.before[self.next];
        let shared = match before {
            Some(before) if **before == *text => before.clone(),
            _ => before.insert(text.into()).clone(),
        };
        self.add(shared);
    }

    /// A text that `write` puts together.
    fn drafted<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> std::result::Result<(), E>) -> &mut Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut draft = std::mem::take(&mut self.draft);
        draft.clear();
        let failure: Option<BoxDynError> = match write(&mut draft) {
            Ok(()) => match std::str::from_utf8(&draft) {
                Ok(text) => {
                    self.share(text);
                    None
                }
                Err(source) => Some(source.into()),
            },
            Err(source) => Some(source.into()),
        };
        self.draft = draft;
        if let Some(source) = failure {
            self.failure = Some(StoreError::Damaged { what: "a value has no text".into(), source: Some(source) });
        }
        self
    }

    pub(super) fn show(&mut self, value: impl std::fmt::Display) -> &mut Self {
        self.drafted(|draft| write!(draft, "{value}"))
    }

    pub(super) fn json<T: Serialize>(&mut self, value: &T) -> &mut Self {
        self.drafted(|draft| serde_json::to_writer(draft, value))
    }

    pub(super) fn maybe_json<T: Serialize>(&mut self, value: Option<&T>) -> &mut Self {
        match value {
            Some(value) => self.json(value),
            None => self.text(None),
        }
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.add(value.to_vec());
        self
    }

    pub(super) fn maybe_bytes(&mut self, value: Option<&[u8]>) -> &mut Self {
        self.add(value.map(<[u8]>::to_vec));
        self
    }
}

/// A statement and its values.
pub(super) struct Ready {
    text: String,
    arguments: SqliteArguments,
}

/// What gets a statement ready.
pub(super) type Step<'w> = Box<dyn FnOnce() -> Result<Ready> + Send + 'w>;

/// The steps that run `statement` (which has one tuple of placeholders after `VALUES`) for all rows.
pub(super) fn steps<'w, T: Sync>(
    statement: &'static str,
    rows: &'w [T],
    bind: impl Fn(&mut Values, &T) + Copy + Send + 'w,
) -> Vec<Step<'w>> {
    rows.chunks(SIZES[0])
        .map(|chunk| -> Step<'w> {
            Box::new(move || {
                let size = SIZES.into_iter().rev().find(|size| *size >= chunk.len()).unwrap_or(SIZES[0]);
                let mut values = Values::default();
                values.arguments.reserve(chunk.len() * placeholders(statement) + 1, 0);
                let text = if size == chunk.len() {
                    repeat(statement, size)
                } else {
                    values.int(i64::try_from(chunk.len()).unwrap_or(i64::MAX));
                    repeat_at_most(statement, size)
                };
                for row in chunk {
                    values.next = 0;
                    bind(&mut values, row);
                }
                match values.failure {
                    Some(failure) => Err(failure),
                    None => Ok(Ready { text, arguments: values.arguments }),
                }
            })
        })
        .collect()
}

/// Runs steps one after the other.
pub(super) async fn run(connection: &mut SqliteConnection, steps: impl IntoIterator<Item = Step<'_>>) -> Result<()> {
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
    connection: &mut SqliteConnection,
    statement: &'static str,
    rows: &[T],
    bind: impl Fn(&mut Values, &T) + Copy + Send,
) -> Result<()> {
    run(connection, steps(statement, rows, bind)).await
}

/// What stands before the tuple of placeholders, the tuple, and what stands behind it.
fn parts(statement: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let start = statement.find("VALUES (")? + "VALUES ".len();
    let end = start + statement[start..].find(')')? + 1;
    Some((&statement[..start], &statement[start..end], &statement[end..]))
}

/// How many values a row has.
fn placeholders(statement: &'static str) -> usize {
    parts(statement).map_or(0, |(_, tuple, _)| tuple.matches('?').count())
}

fn repeat(statement: &'static str, rows: usize) -> String {
    let Some((head, tuple, tail)) = parts(statement) else { return statement.to_owned() };
    format!("{head}{}{tail}", tuples(tuple, rows))
}

/// As [`repeat`], for the first so many rows; how many is the first placeholder.
fn repeat_at_most(statement: &'static str, rows: usize) -> String {
    let Some((head, tuple, tail)) = parts(statement) else { return statement.to_owned() };
    let insert = head.trim_end_matches("VALUES ");
    let tuples = tuples(tuple, rows);
    // Without `WHERE`, `ON CONFLICT` would be read as the condition of a join.
    format!(
        "WITH bound (rows) AS (SELECT ?) {insert}SELECT * FROM (VALUES {tuples}) WHERE TRUE LIMIT (SELECT rows FROM bound){tail}"
    )
}

fn tuples(tuple: &str, rows: usize) -> String {
    let mut text = String::with_capacity(rows * (tuple.len() + 2));
    for row in 0..rows {
        if row > 0 {
            text.push_str(", ");
        }
        text.push_str(tuple);
    }
    text
}

/// A list for `json_each`.
pub(super) fn list<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<String> {
    let rows: Vec<T> = rows.into_iter().collect();
    serde_json::to_string(&rows)
        .map_err(|source| StoreError::Damaged { what: "a list has no JSON".into(), source: Some(source.into()) })
}

#[cfg(test)]
mod tests {
    use super::{repeat, repeat_at_most};

    #[test]
    fn only_the_tuple_is_repeated() {
        let text = repeat("INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO NOTHING", 3);
        assert_eq!(text, "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?) ON CONFLICT (a) DO NOTHING");
    }

    #[test]
    fn tuples_that_nothing_is_bound_to_are_not_read() {
        let text = repeat_at_most("INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO NOTHING", 2);
        assert_eq!(
            text,
            "WITH bound (rows) AS (SELECT ?) INSERT INTO t (a) SELECT * FROM (VALUES (?), (?)) WHERE TRUE LIMIT (SELECT rows FROM bound) ON CONFLICT (a) DO NOTHING"
        );
    }
}
