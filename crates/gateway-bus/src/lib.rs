//! gateway-bus
