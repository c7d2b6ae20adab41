//! gateway-pipeline
