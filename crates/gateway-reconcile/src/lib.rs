//! gateway-reconcile
