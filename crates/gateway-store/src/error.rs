//! Why the store could not do something, by what the caller has to do about it.

/// A failed call; nothing of it happened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store can't be reached or is locked by another; try again later.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The lease with which the call was made is held by another by now; stop what was being done under it.
    #[error("lease {name} is held by another (epoch {epoch} is over)")]
    LeaseLost {
        /// The lease.
        name: String,
        /// The epoch that the caller had.
        epoch: u64,
    },
    /// What was named does not exist.
    #[error("no {what} {id}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// What was asked does not fit the state of what was named.
    #[error("{what} {id} is {state}")]
    WrongState {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
        /// Its state.
        state: String,
    },
    /// Rows don't make sense: another version wrote them, or the file is damaged.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What was found where.
        what: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The server answers, and does not let us work until a person has changed something.
    #[error("the store can't be used: {what}; {remedy}")]
    Refused {
        /// A stable code.
        code: &'static str,
        /// What is wrong.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A record that is needed was received in a month that was taken out, and the table that holds it is not in the database, or not whole.
    #[error(
        "{what} needs a record of {month}, which was archived, and its table archive.{table} is not in the database, or not whole: restore it from its dump, then try again"
    )]
    Archived {
        /// What needs it, as `delivery 17 of order …`.
        what: String,
        /// The month, as `2025-01`.
        month: String,
        /// The table's name.
        table: String,
    },
    /// The schema is newer or older than this program.
    #[error("the store's schema does not fit this program: {what}; run `hotline-gateway migrate`")]
    Schema {
        /// What differs.
        what: String,
    },
}

impl StoreError {
    /// [`StoreError::Damaged`] without a deeper cause.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        StoreError::Damaged { what: what.into(), source: None }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let unavailable = match &error {
            sqlx::Error::Database(database) => may_pass(database.as_ref()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => true,
            _ => false,
        };
        if unavailable {
            StoreError::Unavailable(Box::new(error))
        } else {
            StoreError::Damaged { what: "a statement failed".into(), source: Some(Box::new(error)) }
        }
    }
}

/// Whether the trouble is the machine's state, not the content of the store.
fn may_pass(error: &dyn sqlx::error::DatabaseError) -> bool {
    #[cfg(feature = "postgres")]
    if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        return error.code().is_some_and(|code| state_may_pass(&code));
    }
    sqlite_code(error).is_some_and(code_may_pass)
}

/// Whether another holds SQLite's lock at present.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlite_code).is_some_and(|code| matches!(code, 5 | 6))
}

/// SQLite's primary result code.
fn sqlite_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
fn code_may_pass(code: i32) -> bool {
    matches!(code, 5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15)
}

/// By SQLSTATE: 08 connection, 25 the kind of transaction (a server that only reads), 28 authorization, 3D the database is gone, 40 rolled back,
/// 42501 rights, 53 resources, 55 a lock or object in use, 57 an operator or a timeout, 58 the operating system.
#[cfg(feature = "postgres")]
fn state_may_pass(state: &str) -> bool {
    state == "42501"
        || ["08", "25", "28", "3D", "40", "53", "55", "57", "58"].iter().any(|class| state.starts_with(class))
}
