//! The store's errors, one variant for each remedy.

use crate::sql_state::{self, Remedy};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres refused a statement, or did not answer.
    #[error("Postgres: {}", in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// The pool got no connection.
    #[error("no connection to Postgres: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// A migration failed.
    #[error("the log's tables could not be migrated: {0}")]
    Migration(#[from] refinery::Error),
    /// The log exists with another number of partitions, which can never change.
    #[error("log {log} has {actual} partitions for ever, and the settings say {asked}: set partitions to {actual}")]
    Partitions {
        /// The log's name.
        log: String,
        /// The number that the log was created with.
        actual: u32,
        /// The number in the settings.
        asked: u32,
    },
    /// The database has no tables of the log.
    #[error("log {0} does not exist in this database: run `millrace log apply` or `millrace migrate`")]
    NoLog(String),
    /// The database has a schema of the log's name with other tables.
    #[error("the Postgres schema {0} has tables that are no log's: choose another name for the log")]
    ForeignSchema(String),
    /// The log's table of schemas lacks the version that the writer wants to encode with.
    #[error("log {log} does not have this version of the schema of {record}: run `millrace schemas register`")]
    NoSchema {
        /// The log's name.
        log: String,
        /// The record's name, such as `OrderPlaced`.
        record: String,
    },
    /// The registry knows a schema of the log by another id than the log does.
    #[error(
        "log {log} has the schema of {record} under id {stored}, the registry under id {registry}: the registry was made \
         anew. Restore it; or, where nobody has to read the topic's old records, update registry_id in the log's table \
         schemas"
    )]
    RegistryMadeAnew {
        /// The log's name.
        log: String,
        /// The record's name, such as `OrderPlaced`.
        record: String,
        /// The schema's id in the log's table `schemas`.
        stored: u32,
        /// The same schema's id in the registry now.
        registry: u32,
    },
    /// The log exists and was created from another definition, so its events are of other types.
    #[error("log {log} was created from the definition {actual}, not from {asked}")]
    Definition {
        /// The log's name.
        log: String,
        /// The definition that the log was created from.
        actual: String,
        /// The caller's definition.
        asked: String,
    },
    /// `LISTEN` succeeded, but no notification arrives.
    #[error("no notification arrives after LISTEN: a connection pooler in front of Postgres may not pass them on")]
    NothingTold,
    /// An event is of a type that the caller does not know: a newer definition of the log has it.
    #[error("the log has events of type {0}, which this program's definition of the log does not have")]
    UnknownEvent(String),
    /// The stored data break a promise of this crate. The service stops, and a person has to look.
    #[error("the log is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// Whether the same call may succeed later. An append whose answer was lost may have been committed: sent again, it
    /// returns [`Appended::Known`](crate::Appended::Known).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Postgres(error) => sql_state::remedy_of(error) == Remedy::Retry,
            Self::Pool(error) => sql_state::remedy_of_pool(error) == Remedy::Retry,
            _ => false,
        }
    }

    /// Whether Postgres refused these data and always will: a value out of range, a row that is too large.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Postgres(error) if sql_state::remedy_of(error) == Remedy::Data)
    }
}

/// The server's own words. tokio-postgres prints only "db error" and keeps them inside.
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
