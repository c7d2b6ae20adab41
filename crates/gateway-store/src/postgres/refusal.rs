//! What keeps the store from being opened, in words that tell what to do.

use super::{PostgresOptions, Result};
use crate::StoreError;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use std::io::ErrorKind::{InvalidData, NotFound};
use std::time::Duration;

/// The oldest server that this engine is tested with.
const OLDEST: i32 = 15;

/// Connects once and looks whether the server lets us work.
pub(super) async fn check_server(options: &PostgresOptions) -> Result<()> {
    let limit = Duration::from_millis(options.limits.queue_timeout_ms);
    let connected = tokio::time::timeout(limit, options.connection().connect()).await;
    let mut connection = match connected {
        Ok(connected) => connected.map_err(|error| of_opening(error.into(), options))?,
        Err(_) => return Err(unreachable(options, Box::new(Unanswered(options.limits.queue_timeout_ms)))),
    };
    let judged = judge(&mut connection, options).await;
    connection.close().await?;
    judged
}

async fn judge(connection: &mut PgConnection, options: &PostgresOptions) -> Result<()> {
    let row = sqlx::query(pg!("schema_migration/server")).fetch_one(connection).await?;
    let (version, encoding, reads_only, schema): (i32, String, bool, Option<String>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let place = options.place();
    if version / 10_000 < OLDEST {
        return Err(StoreError::Refused {
            code: "server_too_old",
            what: format!("the server of {place} is PostgreSQL {}", version / 10_000),
            remedy: format!("use PostgreSQL {OLDEST} or newer"),
        });
    }
    if encoding != "UTF8" {
        return Err(StoreError::Refused {
            code: "database_encoding",
            what: format!("the database {place} keeps text as {encoding}"),
            remedy: "create it anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0".into(),
        });
    }
    if reads_only {
        return Err(read_only(options));
    }
    if schema.is_none() {
        return Err(StoreError::Refused {
            code: "missing_rights",
            what: format!("user {} may use no schema of {place}", options.user()),
            remedy: format!("as the database's owner: GRANT USAGE, CREATE ON SCHEMA public TO {}", options.user()),
        });
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {0} ms")]
struct Unanswered(u64);

/// The server can't be reached now.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL can't be reached for {place}: is it running, and are host and port right?")]
struct Unreachable {
    place: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn unreachable(options: &PostgresOptions, source: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Unavailable(Box::new(Unreachable { place: options.place(), source }))
}

fn read_only(options: &PostgresOptions) -> StoreError {
    StoreError::Refused {
        code: "server_reads_only",
        what: format!("the server of {} only reads", options.place()),
        remedy:
            "name the primary and not a standby; if it is the primary, look why default_transaction_read_only is on"
                .into(),
    }
}

fn untrusted(options: &PostgresOptions) -> StoreError {
    StoreError::Refused {
        code: "database_tls",
        what: format!("no trusted TLS connection to {}", options.place()),
        remedy: "look at sslmode and sslrootcert of the database's address; sslrootcert is the file of the authority that signed the server's certificate, \
                 and the certificate must name the host as the address does"
            .into(),
    }
}

/// An error of opening, with what to do about it where a person has to do something.
pub(super) fn of_opening(error: StoreError, options: &PostgresOptions) -> StoreError {
    let source = match error {
        StoreError::Unavailable(source) => source,
        StoreError::Damaged { source: Some(source), what } => {
            if !source.is::<sqlx::Error>() {
                return StoreError::Damaged { source: Some(source), what };
            }
            source
        }
        other => return other,
    };
    let Some(error) = source.downcast_ref::<sqlx::Error>() else { return StoreError::Unavailable(source) };
    let (user, place) = (options.user(), options.place());
    let refused = |code, what: String, remedy: String| StoreError::Refused { code, what, remedy };
    match error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("28P01" | "28000") => refused(
                "database_credentials",
                format!("the server does not let user {user} into {place}"),
                "look at user, password, certificate and sslmode of the database's address, and at the server's pg_hba.conf"
                    .into(),
            ),
            Some("3D000") => refused(
                "no_database",
                format!("there is no database {place}"),
                format!("create it: CREATE DATABASE … OWNER {user} ENCODING 'UTF8' TEMPLATE template0"),
            ),
            Some("42501") => refused(
                "missing_rights",
                format!("user {user} lacks rights in {place}: {}", database.message()),
                format!("as the database's owner: GRANT USAGE, CREATE ON SCHEMA public TO {user}"),
            ),
            Some("25006") => read_only(options),
            Some("53300") => refused(
                "too_many_connections",
                format!("the server of {place} has no connection left"),
                "raise its max_connections, or lower store.connections of the gateways".into(),
            ),
            Some(code) if code.starts_with("57P") || code.starts_with("08") => unreachable(options, source),
            _ => StoreError::Unavailable(source),
        },
        // What a handshake ends with that does not believe the other side comes as data that make no sense.
        sqlx::Error::Io(io) if io.kind() == InvalidData => untrusted(options),
        // No socket was asked for: what is not found, or may not be read, is a file that the address names.
        sqlx::Error::Io(io) if options.is_over_network() && (io.kind() == NotFound || io.raw_os_error() == Some(13)) => {
            refused(
                "database_tls",
                "a certificate that the database's address names can't be read".into(),
                "look at its sslrootcert, sslcert and sslkey: the files must be there and readable by the gateway's user".into(),
            )
        }
        sqlx::Error::Tls(_) => untrusted(options),
        sqlx::Error::Configuration(_) => refused(
            "database_url",
            "the database's address can't be used as it is".into(),
            "look at its sslmode, sslrootcert, sslcert and sslkey".into(),
        ),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => unreachable(options, source),
        _ => StoreError::Unavailable(source),
    }
}
