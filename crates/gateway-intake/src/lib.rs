//! gateway-intake
