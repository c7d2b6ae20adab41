//! What can go wrong in a simulator process. A simulator is a tool: an error ends it and is read by a person.

use std::path::PathBuf;

/// An error that ends a simulated platform, a desk or a judgement.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A file or directory could not be read or written.
    #[error("cannot access {path}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The listening address could not be taken.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line in the middle of a journal can't be read: the book is damaged, and guessing would make it lie.
    #[error("journal {path} is damaged at line {line}: {reason}")]
    Journal {
        /// The journal file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal could not be written; nothing can be promised any more.
    #[error("the journal cannot be written any more")]
    JournalClosed,
    /// An option has a value that makes no sense.
    #[error("option {option}: {reason}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A data file or its mapping can't be used.
    #[error("data file {path}: {reason}")]
    Data {
        /// The data or mapping file.
        path: PathBuf,
        /// What is wrong, with a line number where there is one, without the row's content.
        reason: String,
    },
    /// A call to the gateway or to a control surface failed.
    #[error("call of {what} failed")]
    Call {
        /// Method and path.
        what: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A call was answered with something else than its contract says.
    #[error("{what} answered {status}: {detail}")]
    Answer {
        /// Method and path.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The problem's code, or what could not be understood.
        detail: String,
    },
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl SimError {
    /// Wraps an I/O error with the path it concerns.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
