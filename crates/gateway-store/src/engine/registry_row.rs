//! Operating data and verifications, read back; and what an import changes.

use super::column::{Cells, Columns};
use crate::{RegistryChange, RegistryImport, StoreError, VerificationRow, Waiting, WaitingRecords};
use gateway_model::{ChannelId, RawId, RegistryEntry, RegistryExtract, Verdict};
use std::collections::{BTreeMap, BTreeSet};

type Result<T> = std::result::Result<T, StoreError>;

/// Entries in one statement of an import.
pub(crate) const CHUNK: usize = 1_000;

/// The columns of `registry_entry/of`.
pub(crate) fn entry<R: Cells>(row: &R) -> Result<RegistryEntry> {
    let mut columns = Columns::of("registry_entry", row);
    Ok(RegistryEntry {
        kind: columns.word()?,
        key: columns.string()?,
        from_ms: columns.int()?,
        until_ms: columns.int()?,
        facts: columns.json()?,
    })
}

/// The columns of `registry_import/list`.
pub(crate) fn import<R: Cells>(row: &R) -> Result<RegistryImport> {
    let mut columns = Columns::of("registry_import", row);
    Ok(RegistryImport {
        kind: columns.word()?,
        seq: columns.count()?,
        entries: columns.count()?,
        imported_at: columns.time()?,
    })
}

/// The columns of `verification/of_order`, and the first of `verification/behind`.
pub(crate) fn verification<R: Cells>(columns: &mut Columns<'_, R>) -> Result<VerificationRow> {
    Ok(VerificationRow {
        order_id: columns.order_id()?,
        channel: columns.id()?,
        raw_id: RawId(columns.int()?),
        subject: columns.json()?,
        result: columns.json()?,
        registry_seq: columns.count()?,
        at: columns.time()?,
        looked_up: columns.maybe_json()?,
        look_up_at: columns.maybe_time()?,
    })
}

/// The columns of `verification/waiting`.
pub(crate) fn waiting<R: Cells>(row: &R) -> Result<WaitingRecords> {
    let mut columns = Columns::of("verification", row);
    Ok(Waiting { kind: columns.id()?, count: columns.count()?, overdue: columns.count()?, oldest: columns.time()? })
}

/// The columns of `verification/tally`.
pub(crate) fn tally<R: Cells>(row: &R) -> Result<(ChannelId, Verdict, u64)> {
    let mut columns = Columns::of("verification", row);
    Ok((columns.id()?, columns.word()?, columns.count()?))
}

/// What is known from imports and entries.
pub(crate) fn extract(imports: &[RegistryImport], entries: Vec<RegistryEntry>) -> RegistryExtract {
    RegistryExtract {
        seq: imports.iter().map(|import| import.seq).max().unwrap_or(0),
        kinds: imports.iter().filter(|import| import.entries > 0).map(|import| import.kind).collect(),
        entries,
    }
}

/// Those of `new` that are to be written, given what is held under their keys; what they change is counted.
pub(crate) fn sort_out<'e>(
    new: &'e [RegistryEntry],
    held: &[RegistryEntry],
    change: &mut RegistryChange,
) -> Vec<&'e RegistryEntry> {
    let held: BTreeMap<_, _> = held.iter().map(|entry| ((entry.key.as_str(), entry.from_ms), entry)).collect();
    let mut write = Vec::new();
    for entry in new {
        match held.get(&(entry.key.as_str(), entry.from_ms)) {
            Some(there) if *there == entry => {
                change.unchanged += 1;
                continue;
            }
            Some(_) => change.changed += 1,
            None => change.added += 1,
        }
        write.push(entry);
    }
    write
}

/// Those keys that the whole registry has no more.
pub(crate) fn gone(held: Vec<(String, i64)>, whole: &[RegistryEntry]) -> Vec<(String, i64)> {
    let kept: BTreeSet<_> = whole.iter().map(|entry| (entry.key.as_str(), entry.from_ms)).collect();
    held.into_iter().filter(|(key, from)| !kept.contains(&(key.as_str(), *from))).collect()
}
