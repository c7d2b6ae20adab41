//! Migrations: which schema a database has, and how it gets this program's.

use super::Result;
use super::transaction::TURN;
use crate::StoreError;
use crate::engine::only_adds;
use sqlx::{PgConnection, PgPool};

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
            sql: include_str!(concat!("../../migrations/postgres/", $version, "_", $name, ".sql")),
        },)*]
    };
}

/// Ascending; never edited once released. `expand_…` promises that a program that does not know it goes on working beside it ([`only_adds`]).
const MIGRATIONS: &[Migration] = migrations![
    20261125010000 "create_store",
    20261126000100 "create_node",
    20261126000200 "create_moving",
    20261126000300 "add_spool_to_node",
    20261126000400 "create_registry",
    20261126000700 "create_identity",
    20261126001200 "match_by_channel",
    20261126001400 "expand_deliveries_left",
    20261126001500 "expand_archive",
    20261126001800 "expand_verification_looked_up",
    20261126002000 "expand_attachment",
];

/// One below the turn: who migrates waits for others who do, and for nobody else.
const MIGRATING: i64 = TURN - 1;

/// Checks that the database has this program's schema; makes it where there is nothing.
pub(super) async fn check_or_create(pool: &PgPool) -> Result<()> {
    // One snapshot: another process may make the store between two looks.
    let mut snapshot = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    match applied(&mut snapshot).await? {
        Some(there) => {
            if let Some(first) = missing(&there)?.first() {
                return Err(StoreError::Schema {
                    what: format!("it lacks migration {}_{}", first.version, first.name),
                });
            }
            return must_have_rights(&mut snapshot).await;
        }
        None if tables(&mut snapshot).await? == 0 => {}
        None => return Err(StoreError::Schema { what: "the database holds tables of something else".into() }),
    }
    snapshot.rollback().await?;
    migrate(pool).await.map(drop)
}

/// Applies what is missing, all in one transaction; a second process that does the same finds nothing to do.
pub(super) async fn migrate(pool: &PgPool) -> Result<Vec<&'static str>> {
    let mut tx = pool.begin().await?;
    // A migration may rightly take longer than any call.
    sqlx::raw_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").execute(&mut *tx).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATING).execute(&mut *tx).await?;
    let there = match applied(&mut tx).await? {
        Some(there) => there,
        None => {
            sqlx::raw_sql(pg!("schema_migration/create")).execute(&mut *tx).await?;
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

async fn applied(connection: &mut PgConnection) -> Result<Option<Vec<(i64, String)>>> {
    let known: bool =
        sqlx::query_scalar("SELECT to_regclass('schema_migration') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !known {
        return Ok(None);
    }
    let applied =
        sqlx::query_as("SELECT version, name FROM schema_migration ORDER BY version").fetch_all(connection).await?;
    Ok(Some(applied))
}

async fn tables(connection: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
        .fetch_one(connection)
        .await?)
}

/// That every table can be read and written, and the next month made, said at once and not when it is needed.
async fn must_have_rights(connection: &mut PgConnection) -> Result<()> {
    let refused =
        |what: String, remedy: &str| StoreError::Refused { code: "missing_rights", what, remedy: remedy.into() };
    let own = "let the user own the tables: REASSIGN OWNED BY …, or connect as the user that migrated";
    let lacking: Vec<String> =
        sqlx::query_scalar(pg!("schema_migration/lacking_rights")).fetch_all(&mut *connection).await?;
    if let Some(first) = lacking.first() {
        let what = format!("the database's user may not read and write {} of the tables, as {first}", lacking.len());
        return Err(refused(what, own));
    }
    let foreign: Vec<String> =
        sqlx::query_scalar(pg!("schema_migration/not_owned")).fetch_all(&mut *connection).await?;
    if let Some(first) = foreign.first() {
        let what = format!("the database's user does not own {first}, and so can't make the partitions of a new month");
        return Err(refused(what, own));
    }
    let makes: bool =
        sqlx::query_scalar("SELECT has_schema_privilege(current_schema(), 'CREATE')").fetch_one(connection).await?;
    if makes {
        return Ok(());
    }
    Err(refused(
        "the database's user may make no table, and so no partition of a new month".into(),
        "as the database's owner: GRANT USAGE, CREATE ON SCHEMA public TO the user",
    ))
}
