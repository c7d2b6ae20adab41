//! Code tables: versioned and effective-dated, because both sides recode (JT/T 1019.4 did so in 2025).

use super::reader::Section;
use gateway_model::Day;
use std::collections::BTreeMap;

/// One version of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTable {
    /// The version's name.
    pub version: String,
    /// The first day (of acceptance) for which it holds; `None` = from the beginning.
    pub effective_from: Option<Day>,
    /// Wire code to canonical code.
    pub map: BTreeMap<String, String>,
    /// Canonical code to the wire code that we write for it, where `map` has none or several.
    pub write: BTreeMap<String, String>,
    /// The wire code that we write for a canonical code which has none; `None` = such a code can't be sent.
    pub write_other: Option<String>,
}

impl CodeTable {
    /// The wire code of a canonical code: as `write` says, else the first of `map` in byte order, else `write_other`.
    fn wire(&self, canonical: &str) -> Option<&str> {
        let mapped = || self.map.iter().find(|(_, code)| *code == canonical).map(|(wire, _)| wire);
        self.write.get(canonical).or_else(mapped).or(self.write_other.as_ref()).map(String::as_str)
    }
}

/// All tables by name, the versions of each in time order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTables(BTreeMap<String, Vec<CodeTable>>);

impl CodeTables {
    pub(super) fn read(mut section: Section) -> Option<Self> {
        let mut tables = BTreeMap::new();
        for name in section.keys() {
            let Some(versions) = section.list(&name) else { continue };
            section.check(!versions.is_empty(), &name, "must have at least one version");
            let read: Option<Vec<_>> = versions.into_iter().map(read_version).collect::<Vec<_>>().into_iter().collect();
            let Some(mut read) = read else { continue };
            read.sort_by_key(|table| table.effective_from);
            let twice = read.windows(2).any(|pair| pair[0].effective_from == pair[1].effective_from);
            section.check(!twice, &name, "two versions have the same effective_from");
            tables.insert(name, read);
        }
        Some(Self(tables))
    }

    /// The canonical codes that a table can give, over all versions; `None` = no such table.
    #[must_use]
    pub fn canonical_codes(&self, table: &str) -> Option<Vec<&str>> {
        let versions = self.0.get(table)?;
        Some(versions.iter().flat_map(|version| version.map.values()).map(String::as_str).collect())
    }

    /// The canonical code of a wire code, by the version in force on `day` (the newest where there is no day).
    #[must_use]
    pub fn canonical(&self, table: &str, wire: &str, day: Option<Day>) -> Option<&str> {
        self.in_force(table, day)?.map.get(wire).map(String::as_str)
    }

    /// The wire code that we write for a canonical code, by the version in force on `day`; `None` = the peer has none for it.
    #[must_use]
    pub fn wire(&self, table: &str, canonical: &str, day: Option<Day>) -> Option<&str> {
        self.in_force(table, day)?.wire(canonical)
    }

    fn in_force(&self, table: &str, day: Option<Day>) -> Option<&CodeTable> {
        let versions = self.0.get(table)?;
        match day {
            // Older than every version: the oldest is the nearest to the truth.
            Some(day) => versions
                .iter()
                .rev()
                .find(|version| version.effective_from.is_none_or(|from| from <= day))
                .or(versions.first()),
            None => versions.last(),
        }
    }
}

fn read_version(mut section: Section) -> Option<CodeTable> {
    let version = section.take("version");
    let map = section.take::<BTreeMap<String, String>>("map");
    let write = section.take_or::<BTreeMap<String, String>>("write", BTreeMap::new());
    let write_other = section.take_optional::<String>("write_other");
    let effective_from = section.take_optional::<String>("effective_from").and_then(|text| match text {
        None => Some(None),
        Some(text) => match text.parse() {
            Ok(day) => Some(Some(day)),
            Err(_) => {
                section.mistake("effective_from", "must be a day as 2025-01-01");
                None
            }
        },
    });
    if let Some(map) = &map {
        section.check(!map.is_empty(), "map", "is empty");
        for (wire, canonical) in map {
            let fits =
                !canonical.is_empty() && canonical.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
            section.check(fits, "map", format!("`{wire}`: a canonical code is of a-z, 0-9 and _"));
        }
    }
    Some(CodeTable {
        version: version?,
        effective_from: effective_from?,
        map: map?,
        write: write?,
        write_other: write_other?,
    })
}
