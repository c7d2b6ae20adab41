//! Reading columns in the order of the statement, with damage as an error and never as a panic.
//!
//! An engine says how a cell is read ([`Cells`]); what a cell means is the same for all.

use super::Result;
use crate::StoreError;
use gateway_model::{Digest, Moment, OrderId, Timestamp, parse_moment};
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// Milliseconds since 1970 UTC, rounded down.
pub(crate) fn to_ms(at: Timestamp) -> i64 {
    let ms = at.as_nanosecond().div_euclid(1_000_000);
    // The calendar's whole span fits.
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The instant of milliseconds since 1970 UTC.
pub(crate) fn from_ms(ms: i64) -> Result<Timestamp> {
    // Rounding down may leave the calendar's first millisecond.
    let first = Timestamp::MIN.as_millisecond();
    Timestamp::from_millisecond(ms.max(first)).map_err(|source| damaged(format!("{ms} ms is no time"), source))
}

fn damaged(what: impl Into<String>, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Damaged { what: what.into(), source: Some(Box::new(source)) }
}

/// The cells of a row of one engine.
pub(crate) trait Cells {
    fn int(&self, at: usize) -> sqlx::Result<Option<i64>>;
    /// What a statement worked out; a kept flag is a number.
    fn truth(&self, at: usize) -> sqlx::Result<Option<bool>>;
    fn text(&self, at: usize) -> sqlx::Result<Option<&str>>;
    fn bytes(&self, at: usize) -> sqlx::Result<Option<&[u8]>>;
    fn uuid(&self, at: usize) -> sqlx::Result<Option<uuid::Uuid>>;
}

/// A row, read column by column.
pub(crate) struct Columns<'r, R> {
    row: &'r R,
    table: &'static str,
    next: usize,
}

impl<'r, R: Cells> Columns<'r, R> {
    /// Begins to read; `table` is named in errors.
    pub(crate) fn of(table: &'static str, row: &'r R) -> Self {
        Self { row, table, next: 0 }
    }

    // The next cell, which may be empty.
    fn maybe<T>(&mut self, read: impl FnOnce(&'r R, usize) -> sqlx::Result<Option<T>>) -> Result<Option<T>> {
        let at = self.next;
        self.next += 1;
        read(self.row, at).map_err(|source| damaged(format!("{}, column {at}", self.table), source))
    }

    // The next cell, which may not.
    fn take<T>(&mut self, read: impl FnOnce(&'r R, usize) -> sqlx::Result<Option<T>>) -> Result<T> {
        let value = self.maybe(read)?;
        value.ok_or_else(|| StoreError::damaged(format!("{}, column {} is empty", self.table, self.next - 1)))
    }

    fn wrong(&self, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        damaged(format!("{}, column {}", self.table, self.next - 1), source)
    }

    pub(crate) fn int(&mut self) -> Result<i64> {
        self.take(R::int)
    }

    pub(crate) fn maybe_int(&mut self) -> Result<Option<i64>> {
        self.maybe(R::int)
    }

    pub(crate) fn count(&mut self) -> Result<u64> {
        let value = self.int()?;
        u64::try_from(value).map_err(|source| self.wrong(source))
    }

    pub(crate) fn small(&mut self) -> Result<u32> {
        let value = self.int()?;
        u32::try_from(value).map_err(|source| self.wrong(source))
    }

    /// A kept flag.
    pub(crate) fn flag(&mut self) -> Result<bool> {
        Ok(self.int()? != 0)
    }

    /// What the statement worked out.
    pub(crate) fn truth(&mut self) -> Result<bool> {
        self.take(R::truth)
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp> {
        from_ms(self.int()?)
    }

    pub(crate) fn maybe_time(&mut self) -> Result<Option<Timestamp>> {
        self.maybe_int()?.map(from_ms).transpose()
    }

    pub(crate) fn string(&mut self) -> Result<String> {
        self.take(R::text).map(str::to_owned)
    }

    pub(crate) fn maybe_string(&mut self) -> Result<Option<String>> {
        Ok(self.maybe(R::text)?.map(str::to_owned))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'r [u8]> {
        self.take(R::bytes)
    }

    pub(crate) fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.maybe(R::bytes)?.map(<[u8]>::to_vec))
    }

    /// A word of a closed set, a day, a part.
    pub(crate) fn word<T>(&mut self) -> Result<T>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text = self.take(R::text)?;
        text.parse().map_err(|source: T::Err| self.wrong(source))
    }

    pub(crate) fn maybe_word<T>(&mut self) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text = self.maybe(R::text)?;
        text.map(str::parse).transpose().map_err(|source: T::Err| self.wrong(source))
    }

    /// A checked identifier.
    pub(crate) fn id<T>(&mut self) -> Result<T>
    where
        T: TryFrom<String>,
        T::Error: std::error::Error + Send + Sync + 'static,
    {
        let text = self.string()?;
        T::try_from(text).map_err(|source| self.wrong(source))
    }

    pub(crate) fn maybe_id<T>(&mut self) -> Result<Option<T>>
    where
        T: TryFrom<String>,
        T::Error: std::error::Error + Send + Sync + 'static,
    {
        let text = self.maybe_string()?;
        text.map(T::try_from).transpose().map_err(|source| self.wrong(source))
    }

    pub(crate) fn uuid(&mut self) -> Result<uuid::Uuid> {
        self.take(R::uuid)
    }

    pub(crate) fn maybe_uuid(&mut self) -> Result<Option<uuid::Uuid>> {
        self.maybe(R::uuid)
    }

    pub(crate) fn order_id(&mut self) -> Result<OrderId> {
        self.uuid().map(OrderId)
    }

    pub(crate) fn hash(&mut self) -> Result<[u8; 32]> {
        let bytes = self.take(R::bytes)?;
        bytes.try_into().map_err(|source| self.wrong(source))
    }

    pub(crate) fn digest(&mut self) -> Result<Digest> {
        self.hash().map(Digest)
    }

    pub(crate) fn maybe_digest(&mut self) -> Result<Option<Digest>> {
        let bytes = self.maybe(R::bytes)?;
        bytes
            .map(|bytes| bytes.try_into().map(Digest))
            .transpose()
            .map_err(|source: std::array::TryFromSliceError| self.wrong(source))
    }

    pub(crate) fn moment(&mut self) -> Result<Moment> {
        let text = self.take(R::text)?;
        parse_moment(text).map_err(|source| self.wrong(source))
    }

    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let text = self.take(R::text)?;
        serde_json::from_str(text).map_err(|source| self.wrong(source))
    }

    pub(crate) fn maybe_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let text = self.maybe(R::text)?;
        text.map(serde_json::from_str).transpose().map_err(|source| self.wrong(source))
    }
}
