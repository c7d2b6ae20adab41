//! The tests of the gateway as a whole: its architecture, and whole gateways at work with simulated platforms and faults.
