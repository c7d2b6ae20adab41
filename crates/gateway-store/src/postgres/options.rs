//! The section of the configuration for the scaled-out engine.

use super::Result;
use crate::StoreError;
use serde::{Deserialize, Serialize};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use std::fmt;

/// How many connections there are, and how long anything waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresLimits {
    /// How many connections this process has at most; at least 2.
    pub connections: u32,
    /// How long a call waits for one of them, and for a new one to be made, in milliseconds.
    pub queue_timeout_ms: u64,
    /// How long a transaction waits for a lock that another holds, in milliseconds.
    pub lock_timeout_ms: u64,
    /// How long one statement may run, in milliseconds.
    pub statement_timeout_ms: u64,
    /// How long a call may take with all its statements and repetitions, in milliseconds; a server that went away without a word is noticed so.
    pub call_timeout_ms: u64,
}

impl Default for PostgresLimits {
    fn default() -> Self {
        Self {
            connections: 8,
            queue_timeout_ms: 5_000,
            lock_timeout_ms: 5_000,
            statement_timeout_ms: 30_000,
            call_timeout_ms: 60_000,
        }
    }
}

/// Where the database is, and how it is used. Its `Debug` shows no password.
#[derive(Clone)]
pub struct PostgresOptions {
    connect: PgConnectOptions,
    pub(super) limits: PostgresLimits,
}

impl PostgresOptions {
    /// Reads an address as `postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem`; `host` may be the directory
    /// of a socket (`postgres:///database?host=/run/postgresql`).
    ///
    /// # Errors
    /// [`StoreError::Refused`] with code `database_url` when it is none. The address is not repeated: it may hold a password.
    pub fn parse(url: &str, limits: PostgresLimits) -> Result<Self> {
        let refused = |what: &str| StoreError::Refused {
            code: "database_url",
            what: what.to_owned(),
            remedy: "write it as postgres://user:password@host:5432/database".into(),
        };
        let url = url.trim();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refused("the database's address does not begin with postgres://"));
        }
        let connect: PgConnectOptions =
            url.parse().map_err(|_: sqlx::Error| refused("the database's address can't be read"))?;
        if connect.get_database().is_none_or(str::is_empty) {
            return Err(refused("the database's address names no database"));
        }
        Ok(Self { connect, limits })
    }

    /// Where it is, for people: without password.
    #[must_use]
    pub fn place(&self) -> String {
        let database = self.connect.get_database().unwrap_or("");
        match self.connect.get_socket() {
            Some(socket) => format!("{database} at {}", socket.display()),
            None => format!("{database} at {}:{}", self.connect.get_host(), self.connect.get_port()),
        }
    }

    pub(super) fn is_over_network(&self) -> bool {
        self.connect.get_socket().is_none() && !self.connect.get_host().starts_with('/')
    }

    pub(super) fn user(&self) -> &str {
        self.connect.get_username()
    }

    pub(super) fn connection(&self) -> PgConnectOptions {
        let limits = &self.limits;
        self.connect
            .clone()
            .application_name("hotline-gateway")
            .options([
                ("statement_timeout", limits.statement_timeout_ms.to_string()),
                ("lock_timeout", limits.lock_timeout_ms.to_string()),
                ("idle_in_transaction_session_timeout", limits.call_timeout_ms.to_string()),
                // Every statement is served by an index, and a plan that was made while a table was small must still be right when it is large.
                ("enable_seqscan", "off".to_owned()),
                ("enable_hashjoin", "off".to_owned()),
                ("enable_mergejoin", "off".to_owned()),
                ("jit", "off".to_owned()),
            ])
            .statement_cache_capacity(256)
            // Statements and their values are never logged: values hold personal data.
            .disable_statement_logging()
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("place", &self.place())
            .field("user", &self.user())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
