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
