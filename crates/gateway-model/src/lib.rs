//! gateway-model
