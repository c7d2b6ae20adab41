//! Failed rounds, by what failed.

use gateway_bus::BusError;
use gateway_connector::RequestError;
use gateway_runtime::TaskError;
use gateway_store::StoreError;

/// The bus did not take or give something.
pub(crate) fn bus(error: &BusError) -> TaskError {
    let code = match error {
        BusError::Unavailable(_) => "bus_unavailable",
        BusError::Closed => "bus_closed",
        _ => "bus",
    };
    TaskError::new(code, error)
}

/// The store did not do something.
pub(crate) fn store(error: &StoreError) -> TaskError {
    let code = match error {
        StoreError::Unavailable(_) => "store_unavailable",
        StoreError::LeaseLost { .. } => "lease_lost",
        _ => "store",
    };
    TaskError::new(code, error)
}

/// A job that another has finished meanwhile needs no giving back.
pub(crate) fn gone_is_fine(given_back: Result<(), StoreError>) -> Result<(), TaskError> {
    match given_back {
        Err(StoreError::NotFound { .. }) | Ok(()) => Ok(()),
        Err(error) => Err(store(&error)),
    }
}

/// The counterparty did not answer as it should; its wish for patience is kept.
pub(crate) fn request(error: &RequestError) -> TaskError {
    let patience = match error {
        RequestError::Throttled { retry_after } => *retry_after,
        _ => None,
    };
    TaskError::new(error.code(), error).retry_after(patience)
}
