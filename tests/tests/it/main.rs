//! The tests of the gateway as a whole.

mod architecture;
