//! connector-municipal-12345
