//! Reading columns in the order of the statement, with damage as an error and never as a panic.

use super::Result;
use crate::StoreError;
use gateway_model::{Digest, Moment, OrderId, Timestamp, parse_moment};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row};
use std::str::FromStr;

/// Milliseconds since 1970 UTC, rounded down.
pub(super) fn to_ms(at: Timestamp) -> i64 {
    let ms = at.as_nanosecond().div_euclid(1_000_000);
    // The calendar's whole span fits.
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The instant of milliseconds since 1970 UTC.
pub(super) fn from_ms(ms: i64) -> Result<Timestamp> {
    // Rounding down may leave the calendar's first millisecond.
    let first = Timestamp::MIN.as_millisecond();
    Timestamp::from_millisecond(ms.max(first)).map_err(|source| damaged(format!("{ms} ms is no time"), source))
}

fn damaged(what: impl Into<String>, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Damaged { what: what.into(), source: Some(Box::new(source)) }
}

/// A row, read column by column.
pub(super) struct Columns<'r> {
    row: &'r PgRow,
    table: &'static str,
    next: usize,
}

impl<'r> Columns<'r> {
    /// Begins to read; `table` is named in errors.
    pub(super) fn of(table: &'static str, row: &'r PgRow) -> Self {
        Self { row, table, next: 0 }
    }

    fn take<T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>>(&mut self) -> Result<T> {
        let at = self.next;
        self.next += 1;
        self.row.try_get(at).map_err(|source| damaged(format!("{}, column {at}", self.table), source))
    }

    fn wrong(&self, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        damaged(format!("{}, column {}", self.table, self.next - 1), source)
    }

    pub(super) fn int(&mut self) -> Result<i64> {
        self.take()
    }

    pub(super) fn maybe_int(&mut self) -> Result<Option<i64>> {
        self.take()
    }

    pub(super) fn count(&mut self) -> Result<u64> {
        let value = self.int()?;
        u64::try_from(value).map_err(|source| self.wrong(source))
    }

    pub(super) fn small(&mut self) -> Result<u32> {
        let value = self.int()?;
        u32::try_from(value).map_err(|source| self.wrong(source))
    }

    /// A kept flag.
    pub(super) fn flag(&mut self) -> Result<bool> {
        Ok(self.int()? != 0)
    }

    /// What the statement worked out.
    pub(super) fn truth(&mut self) -> Result<bool> {
        self.take()
    }

    pub(super) fn time(&mut self) -> Result<Timestamp> {
        from_ms(self.int()?)
    }

    pub(super) fn maybe_time(&mut self) -> Result<Option<Timestamp>> {
        self.maybe_int()?.map(from_ms).transpose()
    }

    pub(super) fn string(&mut self) -> Result<String> {
        self.take()
    }

    pub(super) fn maybe_string(&mut self) -> Result<Option<String>> {
        self.take()
    }

    pub(super) fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        self.take()
    }

    /// A word of a closed set, a day, a part.
    pub(super) fn word<T>(&mut self) -> Result<T>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text: &str = self.take()?;
        text.parse().map_err(|source: T::Err| self.wrong(source))
    }

    pub(super) fn maybe_word<T>(&mut self) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text: Option<&str> = self.take()?;
        text.map(str::parse).transpose().map_err(|source: T::Err| self.wrong(source))
    }

    /// A checked identifier.
    pub(super) fn id<T>(&mut self) -> Result<T>
    where
        T: TryFrom<String>,
        T::Error: std::error::Error + Send + Sync + 'static,
    {
        let text = self.string()?;
        T::try_from(text).map_err(|source| self.wrong(source))
    }

    pub(super) fn maybe_id<T>(&mut self) -> Result<Option<T>>
    where
        T: TryFrom<String>,
        T::Error: std::error::Error + Send + Sync + 'static,
    {
        let text = self.maybe_string()?;
        text.map(T::try_from).transpose().map_err(|source| self.wrong(source))
    }

    pub(super) fn uuid(&mut self) -> Result<uuid::Uuid> {
        self.take()
    }

    pub(super) fn maybe_uuid(&mut self) -> Result<Option<uuid::Uuid>> {
        self.take()
    }

    pub(super) fn order_id(&mut self) -> Result<OrderId> {
        self.uuid().map(OrderId)
    }

    pub(super) fn hash(&mut self) -> Result<[u8; 32]> {
        let bytes: &[u8] = self.take()?;
        bytes.try_into().map_err(|source| self.wrong(source))
    }

    pub(super) fn digest(&mut self) -> Result<Digest> {
        self.hash().map(Digest)
    }

    pub(super) fn maybe_digest(&mut self) -> Result<Option<Digest>> {
        let bytes: Option<&[u8]> = self.take()?;
        bytes
            .map(|bytes| bytes.try_into().map(Digest))
            .transpose()
            .map_err(|source: std::array::TryFromSliceError| self.wrong(source))
    }

    pub(super) fn moment(&mut self) -> Result<Moment> {
        let text: &str = self.take()?;
        parse_moment(text).map_err(|source| self.wrong(source))
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let text: &str = self.take()?;
        serde_json::from_str(text).map_err(|source| self.wrong(source))
    }

    pub(super) fn maybe_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let text: Option<&str> = self.take()?;
        text.map(serde_json::from_str).transpose().map_err(|source| self.wrong(source))
    }
}
