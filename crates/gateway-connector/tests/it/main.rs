//! The tests of the SDK against the outside: sockets and fixed vectors.
