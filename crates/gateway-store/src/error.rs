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
            sqlx::Error::Database(database) => sqlite_code(database.as_ref()).is_some_and(may_pass),
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

/// SQLite's primary result code.
fn sqlite_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL: the machine's state, not the file's content.
fn may_pass(code: i32) -> bool {
    matches!(code, 5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15)
}
