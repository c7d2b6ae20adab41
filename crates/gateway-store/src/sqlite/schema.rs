//! Migrations: which schema a file has, and how it gets this program's.
//!
//! An own list instead of sqlx's migrator, which stamps rows with the machine's clock and can't tell a newer file from a damaged one.

use super::Result;
use crate::StoreError;
use crate::engine::only_adds;
use sqlx::{SqliteConnection, SqlitePool};

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal,)*) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../migrations/sqlite/", $version, "_", $name, ".sql")),
        },)*]
    };
}

/// Ascending; never edited once released. `expand_…` promises that a program that does not know it goes on working beside it ([`only_adds`]).
const MIGRATIONS: &[Migration] = migrations![
    20261123000100 "create_intake",
    20261123000200 "create_work_order",
    20261123000300 "create_delivery",
    20261123000400 "create_book",
    20261123000500 "create_gap",
    20261123000600 "create_job",
    20261125000100 "group_gaps",
    20261125000200 "create_alert",
    20261125000300 "create_history",
    20261125000310 "index_trace",
    20261125000320 "keep_incident_lives",
    20261125000400 "create_arrival",
    20261125000500 "mark_absence",
    20261125000600 "index_round",
    20261126000100 "create_node",
    20261126000300 "add_spool_to_node",
    20261126000400 "create_registry",
    20261126000700 "create_identity",
    20261126001200 "match_by_channel",
    20261126001400 "expand_deliveries_left",
    20261126001800 "expand_verification_looked_up",
    20261126002000 "expand_attachment",
];

/// Checks that the file has this program's schema; makes it in an empty file.
pub(super) async fn check_or_create(writer: &SqlitePool) -> Result<()> {
    // One snapshot: another process may make the store between two looks.
    let mut snapshot = writer.begin().await?;
    match applied(&mut snapshot).await? {
        Some(there) => {
            let missing = missing(&there)?;
            if let Some(first) = missing.first() {
                return Err(StoreError::Schema {
                    what: format!("it lacks migration {}_{}", first.version, first.name),
                });
            }
            return Ok(());
        }
        None if is_empty(&mut snapshot).await? => {}
        None => {
            return Err(StoreError::Schema { what: "the file holds tables of something else".into() });
        }
    }
    snapshot.rollback().await?;
    migrate(writer).await.map(drop)
}

/// Applies what is missing, all in one transaction; a second process that does the same finds nothing to do.
pub(super) async fn migrate(writer: &SqlitePool) -> Result<Vec<&'static str>> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    let there = match applied(&mut tx).await? {
        Some(there) => there,
        None => {
            sqlx::raw_sql(sql!("schema_migration/create")).execute(&mut *tx).await?;
            Vec::new()
        }
    };
    let mut names = Vec::new();
    for migration in missing(&there)? {
        sqlx::raw_sql(migration.sql).execute(&mut *tx).await?;
        sqlx::query(sql!("schema_migration/insert"))
            .bind(migration.version)
            .bind(migration.name)
            .execute(&mut *tx)
            .await?;
        names.push(migration.name);
    }
    tx.commit().await?;
    Ok(names)
}

/// What of this program's schema is not there. What a newer program added is no hindrance where it only added.
fn missing(applied: &[(i64, String)]) -> Result<Vec<&'static Migration>> {
    let unknown = |version: i64| !MIGRATIONS.iter().any(|known| known.version == version);
    if let Some((version, name)) = applied.iter().find(|(version, name)| unknown(*version) && !only_adds(name)) {
        return Err(StoreError::Schema {
            what: format!("it has migration {version}_{name}, which this program does not know"),
        });
    }
    let there = |migration: &Migration| applied.iter().any(|(version, _)| *version == migration.version);
    Ok(MIGRATIONS.iter().filter(|known| !there(known)).collect())
}

async fn applied(connection: &mut SqliteConnection) -> Result<Option<Vec<(i64, String)>>> {
    let known: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'")
            .fetch_one(&mut *connection)
            .await?;
    if known == 0 {
        return Ok(None);
    }
    let applied =
        sqlx::query_as("SELECT version, name FROM schema_migration ORDER BY version").fetch_all(connection).await?;
    Ok(Some(applied))
}

async fn is_empty(connection: &mut SqliteConnection) -> Result<bool> {
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(connection).await?;
    Ok(tables == 0)
}

/// The newest migration that this program knows, and so every store that it opens has.
#[cfg(feature = "postgres")]
pub(super) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}
