//! One statement for many rows: multi-row `VALUES` for writing, JSON lists for reading.
//!
//! Statement texts are repeated to a few fixed sizes only, so that the prepared ones stay in the connection's cache. Values are bound, not sent
//! as JSON: bytes need no encoding, and the texts of an order no escaping.

use super::Result;
use crate::StoreError;
use crate::sqlite::column::to_ms;
use gateway_model::Timestamp;
use serde::Serialize;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};

/// Rows by statement, largest first.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// The values of the rows of one statement, in the order of its columns.
pub(super) struct Values {
    arguments: SqliteArguments,
    failure: Option<StoreError>,
}

impl Values {
    fn add<'t, T: sqlx::Encode<'t, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(&mut self, value: T) {
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
        self.add(value.into().map(str::to_owned));
        self
    }

    pub(super) fn show(&mut self, value: impl std::fmt::Display) -> &mut Self {
        self.add(value.to_string());
        self
    }

    pub(super) fn json<T: Serialize>(&mut self, value: &T) -> &mut Self {
        match serde_json::to_string(value) {
            Ok(text) => self.add(text),
            Err(source) => {
                self.failure =
                    Some(StoreError::Damaged { what: "a value has no JSON".into(), source: Some(source.into()) });
            }
        }
        self
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

/// Runs `statement` (which has one tuple of placeholders after `VALUES`) for all rows.
pub(super) async fn write_rows<T>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    rows: &[T],
    bind: impl Fn(&mut Values, &T),
) -> Result<()> {
    let mut rest = rows;
    while !rest.is_empty() {
        let size = SIZES.into_iter().find(|size| *size <= rest.len()).unwrap_or(1);
        let (chunk, after) = rest.split_at(size);
        rest = after;
        let mut values = Values { arguments: SqliteArguments::default(), failure: None };
        for row in chunk {
            bind(&mut values, row);
        }
        if let Some(failure) = values.failure {
            return Err(failure);
        }
        sqlx::query_with(AssertSqlSafe(repeat(statement, size)), values.arguments).execute(&mut *connection).await?;
    }
    Ok(())
}

fn repeat(statement: &'static str, rows: usize) -> String {
    const START: &str = "VALUES (";
    let Some(start) = statement.find(START).map(|at| at + START.len() - 1) else {
        return statement.to_owned();
    };
    let end = statement[start..].find(')').map_or(statement.len(), |at| start + at + 1);
    let tuple = &statement[start..end];
    let mut text = String::with_capacity(statement.len() + rows * (tuple.len() + 2));
    text.push_str(&statement[..end]);
    for _ in 1..rows {
        text.push_str(", ");
        text.push_str(tuple);
    }
    text.push_str(&statement[end..]);
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
    use super::repeat;

    #[test]
    fn only_the_tuple_is_repeated() {
        let text = repeat("INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO NOTHING", 3);
        assert_eq!(text, "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?) ON CONFLICT (a) DO NOTHING");
    }
}
