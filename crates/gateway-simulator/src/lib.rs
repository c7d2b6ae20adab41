//! gateway-simulator
