//! The provincial connector against a fake platform, golden records, and the shared conformance suite.
#![allow(clippy::unwrap_used)]
