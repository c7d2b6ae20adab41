//! What both engines do alike: what the cells of a row mean, and what a change comes to. No statement is made here.

pub(crate) mod alert_row;
pub(crate) mod attachment_row;
pub(crate) mod book_audit;
pub(crate) mod book_change;
pub(crate) mod column;
pub(crate) mod delivery_change;
pub(crate) mod delivery_row;
pub(crate) mod gap_row;
pub(crate) mod identity_row;
pub(crate) mod node_row;
pub(crate) mod order_row;
pub(crate) mod raw_row;
pub(crate) mod registry_row;

use std::collections::BTreeMap;

/// What an engine answers.
pub(crate) type Result<T> = std::result::Result<T, crate::StoreError>;

/// Whether a migration of this name only adds (tables, indexes, columns that may be null or have a default), so that programs from before it go on
/// working on the schema: the name is the promise, since nothing else of it reaches them.
pub(crate) fn only_adds(migration: &str) -> bool {
    migration.starts_with("expand_")
}

/// Of rows that replace each other, the last of each key, ascending by key.
pub(crate) fn last_of_each<'t, T, K: Ord>(rows: &'t [T], key: impl Fn(&'t T) -> K) -> Vec<&'t T> {
    rows.iter().map(|row| (key(row), row)).collect::<BTreeMap<_, _>>().into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::last_of_each;

    #[test]
    fn the_last_of_a_key_counts() {
        assert_eq!(last_of_each(&[(1, 'a'), (0, 'b'), (1, 'c')], |row| row.0), [&(0, 'b'), &(1, 'c')]);
    }
}
