//! Cells on their way: what one engine keeps, and how the other takes it.

use crate::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value of a row. Compares as both engines order their keys: by number, or by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Cell {
    /// Nothing.
    Null,
    /// A count, a time, a flag.
    Int(i64),
    /// Text, JSON among it, exactly as it stands.
    Text(String),
    /// Bytes; an id of 16.
    Bytes(Vec<u8>),
}

/// The cells of a row, in the order of its shape.
pub(crate) type Row = Vec<Cell>;

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => f.write_str(&hex::encode(bytes)),
        }
    }
}

/// What a column holds on both engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `INTEGER`, `bigint`.
    Int,
    /// `TEXT`, `text`.
    Text,
    /// `BLOB`, `bytea`.
    Bytes,
    /// `BLOB` of 16 bytes, `uuid`.
    Uuid,
}

impl Kind {
    /// By the engines' names of types.
    pub(crate) fn of(sqlite: &str, postgres: &str) -> Option<Self> {
        match (sqlite, postgres) {
            ("INTEGER", "bigint") => Some(Self::Int),
            ("TEXT", "text") => Some(Self::Text),
            ("BLOB", "bytea") => Some(Self::Bytes),
            ("BLOB", "uuid") => Some(Self::Uuid),
            _ => None,
        }
    }
}

/// Rows in the binary form of `COPY … FROM STDIN`.
#[derive(Debug)]
pub(crate) struct CopyPage {
    bytes: Vec<u8>,
    /// How many rows are in it.
    pub(crate) rows: u64,
}

/// Signature, no flags, no extension.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

impl Default for CopyPage {
    fn default() -> Self {
        Self { bytes: HEAD.to_vec(), rows: 0 }
    }
}

impl CopyPage {
    /// How large it is.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), StoreError> {
        let long = |_| StoreError::damaged("a row is larger than PostgreSQL takes");
        self.bytes.extend(i16::try_from(row.len()).map_err(long)?.to_be_bytes());
        for cell in row {
            let value: &[u8] = match cell {
                Cell::Null => {
                    self.bytes.extend((-1_i32).to_be_bytes());
                    continue;
                }
                Cell::Int(value) => &value.to_be_bytes(),
                Cell::Text(text) => text.as_bytes(),
                Cell::Bytes(bytes) => bytes,
            };
            self.bytes.extend(i32::try_from(value.len()).map_err(long)?.to_be_bytes());
            self.bytes.extend(value);
        }
        self.rows += 1;
        Ok(())
    }

    /// All of it, ended.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.extend((-1_i16).to_be_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_the_server_reads() {
        let mut page = CopyPage::default();
        page.push(&vec![Cell::Int(-2), Cell::Null, Cell::Text("工".into()), Cell::Bytes(vec![7])]).unwrap();
        let bytes = page.into_bytes();
        let mut expected = b"PGCOPY\n\xff\r\n\0".to_vec();
        expected.extend([0; 8]);
        expected.extend([0, 4, 0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 254, 255, 255, 255, 255]);
        expected.extend([0, 0, 0, 3, 0xe5, 0xb7, 0xa5, 0, 0, 0, 1, 7, 255, 255]);
        assert_eq!(bytes, expected);
    }
}
