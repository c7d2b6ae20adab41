//! The gateway as a whole: its architecture, whole gateways at work with simulated platforms and faults, and the detection campaign.

pub mod campaign;
