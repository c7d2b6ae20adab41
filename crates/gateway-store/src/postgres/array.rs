//! One column of many rows, written as it travels: PostgreSQL's binary form of an array.
//!
//! Cells are written once, straight into the bytes that are sent; a `Vec` of owned values for each column would copy each of them twice more.

use sqlx::Type;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, Postgres};

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Bytes,
    Uuid,
}

impl Kind {
    /// The number by which every server knows the type of a cell.
    fn oid(self) -> u32 {
        match self {
            Self::Int => 20,
            Self::Text => 25,
            Self::Bytes => 17,
            Self::Uuid => 2950,
        }
    }

    fn array_info(self) -> PgTypeInfo {
        match self {
            Self::Int => <Vec<i64> as Type<Postgres>>::type_info(),
            Self::Text => <Vec<String> as Type<Postgres>>::type_info(),
            Self::Bytes => <Vec<Vec<u8>> as Type<Postgres>>::type_info(),
            Self::Uuid => <Vec<uuid::Uuid> as Type<Postgres>>::type_info(),
        }
    }

    /// The type of a cell, for `$1::int8[]`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int8",
            Self::Text => "text",
            Self::Bytes => "bytea",
            Self::Uuid => "uuid",
        }
    }
}

/// A column: each cell as its length and its bytes.
#[derive(Debug)]
pub(super) struct Array {
    kind: Kind,
    cells: Vec<u8>,
    rows: i32,
    nulls: bool,
}

impl Array {
    pub(super) fn of(kind: Kind) -> Self {
        Self { kind, cells: Vec::new(), rows: 0, nulls: false }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn push_null(&mut self) {
        self.rows += 1;
        self.nulls = true;
        self.cells.extend((-1_i32).to_be_bytes());
    }

    pub(super) fn push_int(&mut self, value: i64) {
        self.rows += 1;
        self.cells.extend(8_i32.to_be_bytes());
        self.cells.extend(value.to_be_bytes());
    }

    /// Adds a cell whose bytes `write` writes; what failed leaves no cell.
    ///
    /// # Errors
    /// What `write` says, or that the cell is larger than an array can hold.
    pub(super) fn push(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), BoxDynError>,
    ) -> Result<(), BoxDynError> {
        let start = self.cells.len();
        self.cells.extend([0; 4]);
        let written = write(&mut self.cells).and_then(|()| Ok(i32::try_from(self.cells.len() - start - 4)?));
        match written {
            Ok(length) => {
                self.cells[start..start + 4].copy_from_slice(&length.to_be_bytes());
                self.rows += 1;
                Ok(())
            }
            Err(error) => {
                self.cells.truncate(start);
                Err(error)
            }
        }
    }
}

/// Only so that the trait has it: which kind it is, each value says itself.
impl Type<Postgres> for Array {
    fn type_info() -> PgTypeInfo {
        Kind::Bytes.array_info()
    }
}

impl Encode<'_, Postgres> for Array {
    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.kind.array_info())
    }

    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // One dimension, whether a cell is empty, the type of the cells; how many, counted from 1.
        buffer.extend(1_i32.to_be_bytes());
        buffer.extend(i32::from(self.nulls).to_be_bytes());
        buffer.extend(self.kind.oid().to_be_bytes());
        buffer.extend(self.rows.to_be_bytes());
        buffer.extend(1_i32.to_be_bytes());
        buffer.extend(&self.cells);
        Ok(IsNull::No)
    }

    fn size_hint(&self) -> usize {
        self.cells.len() + 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(column: &mut Array, value: &[u8]) {
        column.push(|cells| Ok(std::io::Write::write_all(cells, value)?)).unwrap();
    }

    fn bytes(array: &Array) -> Vec<u8> {
        let mut buffer = PgArgumentBuffer::default();
        assert!(matches!(array.encode_by_ref(&mut buffer), Ok(IsNull::No)));
        buffer.to_vec()
    }

    #[test]
    fn a_column_is_what_the_driver_would_send() {
        let mut texts = Array::of(Kind::Text);
        put(&mut texts, "工单".as_bytes());
        texts.push_null();
        put(&mut texts, b"");
        let mut theirs = PgArgumentBuffer::default();
        let values = vec![Some("工单"), None, Some("")];
        assert!(matches!(values.encode_by_ref(&mut theirs), Ok(IsNull::No)));
        // All but the flag that a cell is empty: the server reads it and does not use it, the driver always says no.
        let (ours, theirs) = (bytes(&texts), theirs.to_vec());
        assert_eq!((&ours[..4], &ours[8..]), (&theirs[..4], &theirs[8..]));
    }

    #[test]
    fn a_cell_that_fails_leaves_nothing() {
        let mut column = Array::of(Kind::Bytes);
        put(&mut column, &[7]);
        let before = bytes(&column);
        assert!(column.push(|cells| Err(format!("{} bytes were there", cells.len()).into())).is_err());
        assert_eq!(bytes(&column), before);
    }
}
