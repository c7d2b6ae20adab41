//! gateway-runtime
