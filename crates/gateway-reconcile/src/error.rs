//! Why a round of reconciliation ended early.

use gateway_connector::RequestError;
use gateway_model::Dataset;
use gateway_runtime::TaskError;
use gateway_store::StoreError;

/// A round that ended early. What it had found is kept.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The channel gave no account.
    #[error("the channel gave no account of {dataset}")]
    Request {
        /// Of what.
        dataset: Dataset,
        /// The cause.
        #[source]
        source: RequestError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is to be remembered has no JSON.
    #[error("what is remembered of comparisons can't be written down")]
    Memory(#[source] serde_json::Error),
}

impl ReconcileError {
    /// A stable code for counting.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ReconcileError::Request { source, .. } => source.code(),
            ReconcileError::Store(StoreError::LeaseLost { .. }) => "lease_lost",
            ReconcileError::Store(_) => "store",
            ReconcileError::Memory(_) => "memory",
        }
    }
}

impl From<ReconcileError> for TaskError {
    fn from(error: ReconcileError) -> Self {
        let wait = match &error {
            ReconcileError::Request { source: RequestError::Throttled { retry_after }, .. } => *retry_after,
            _ => None,
        };
        TaskError::new(error.code(), &error).retry_after(wait)
    }
}
