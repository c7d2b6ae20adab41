//! gateway-delivery
