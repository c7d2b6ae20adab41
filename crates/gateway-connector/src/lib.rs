//! gateway-connector
