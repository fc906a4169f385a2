//! Why a question was not answered.

use std::time::Duration;

/// Result of a query call.
pub type Result<T, E = QueryError> = std::result::Result<T, E>;

/// Why a question was not answered. [`QueryError::code`] is the stable word for clients.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The statement is not one that is answered here; the sentence says what to write instead.
    #[error("{reason}")]
    Refused {
        /// One clear sentence.
        reason: String,
    },
    /// The statement does not fit the tables: an unknown column, a wrong type, a syntax error.
    #[error("{reason}")]
    Invalid {
        /// What the parser or planner found, in one line.
        reason: String,
    },
    /// A value in the statement, or the statement, is past a limit.
    #[error("{what} is too large: {size} where at most {limit} is allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// All slots are taken and the queue is full, or the wait was too long. Ask again later.
    #[error("{running} queries run and {waiting} wait; ask again in a moment")]
    Overloaded {
        /// Queries that run.
        running: usize,
        /// Queries that wait.
        waiting: usize,
    },
    /// The query ran past its time and was stopped.
    #[error("the query was stopped after {} s; narrow its time range or ask for less", .limit.as_secs_f32())]
    Timeout {
        /// The configured limit.
        limit: Duration,
    },
    /// The query needed more memory or spill space than it may have.
    #[error("the query needs more memory than the limit of {limit_bytes} bytes; narrow it or group by fewer values")]
    OutOfMemory {
        /// The configured limit.
        limit_bytes: u64,
        /// What the memory pool said.
        detail: String,
    },
    /// A data file turned out to be damaged after rows had been sent. It was set aside; the same query
    /// asked again is answered without it and says so.
    #[error("data file {path} is damaged and was set aside; ask again to get an answer without it")]
    Damaged {
        /// The file, below the table's folder.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store could not give what the answer needs.
    #[error("storage: {0}")]
    Storage(#[from] daytwo_storage::StorageError),
    /// A file or folder operation of the engine itself failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On which path.
        path: String,
        /// What the operating system answered.
        #[source]
        source: std::io::Error,
    },
    /// A fault of ours, not of the question.
    #[error("internal: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl QueryError {
    /// The stable word for clients: the codes of `docs/http-api.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } | Self::Invalid { .. } => "bad_request",
            Self::TooLarge { .. } | Self::OutOfMemory { .. } => "too_large",
            Self::Timeout { .. } => "timeout",
            Self::Overloaded { .. } => "overloaded",
            Self::Damaged { .. } | Self::Storage(_) | Self::Io { .. } | Self::Internal { .. } => "internal",
        }
    }

    /// A refusal with its sentence.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }

    /// A fault of ours.
    pub(crate) fn internal(reason: impl Into<String>) -> Self {
        Self::Internal { reason: reason.into() }
    }
}

impl From<arrow::error::ArrowError> for QueryError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::internal(error.to_string())
    }
}
