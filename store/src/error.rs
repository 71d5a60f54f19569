//! What can go wrong, by what to do about it.

use tokio_postgres::error::SqlState;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres said no, or did not answer.
    #[error("Postgres: {}", in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be had.
    #[error("no connection to Postgres: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// A migration failed.
    #[error("the log's tables could not be migrated: {0}")]
    Migration(#[from] refinery::Error),
    /// The log was created with another number of partitions.
    #[error("log {log} has {actual} partitions, for ever; it was asked for with {asked}: set partitions to {actual}")]
    Partitions {
        /// The log.
        log: String,
        /// What it has.
        actual: u32,
        /// What was asked for.
        asked: u32,
    },
    /// The log's tables are not there.
    #[error("log {0} does not exist in this database: run `millrace migrate`")]
    NoLog(String),
    /// `LISTEN` succeeded and nothing comes of `NOTIFY`.
    #[error("Postgres takes LISTEN and tells nothing: a connection pooler between may not pass it on")]
    NothingTold,
    /// What is stored breaks a promise of the store. Stop and look.
    #[error("the log is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// Whether the same call may succeed later. An append whose answer was lost may have been committed; sent again,
    /// it is found to be a duplicate.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Postgres(error) => is_transient(error),
            Self::Pool(deadpool_postgres::PoolError::Backend(error)) => is_transient(error),
            Self::Pool(deadpool_postgres::PoolError::Timeout(_)) => true,
            _ => false,
        }
    }
}

/// Whether the same statement may succeed later: the connection is gone, the server is starting, stopping or short of
/// something, or another transaction was in the way.
fn is_transient(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else {
        // Not the server's word. Either the connection broke, or the answer is not what was asked for: a fault of ours.
        let cause = std::error::Error::source(error);
        return error.is_closed() || cause.is_none_or(|cause| cause.is::<std::io::Error>());
    };
    let class = state.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "53" | "57" | "40" | "55")
        // we stood still inside a transaction
        || *state == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        // two writers took the same new command id at once: sent again, it is a duplicate
        || (*state == SqlState::UNIQUE_VIOLATION
            && error.as_db_error().and_then(|e| e.constraint()) == Some("commands_pkey"))
}

/// tokio-postgres says only "db error" of itself; the server's own words are inside.
fn in_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(inner) => {
            let hint = inner.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{} [{}]{hint}", inner.message(), inner.code().code())
        }
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}
