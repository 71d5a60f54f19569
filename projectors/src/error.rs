//! What can go wrong with a projector as a whole. What goes wrong with one event stops its partition only.

use millrace_runtime::SettingsError;
use millrace_runtime::postgres::PostgresUrlError;
use millrace_schemas::{ParseLogNameError, RegistryError};

use crate::fault;

/// An error that ends the call.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// No projector has that name.
    #[error("there is no projector {name:?}; there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is, separated by commas.
        known: String,
    },
    /// The read model's tables are not there.
    #[error("the read model {0} does not exist in this database: run `millrace migrate`")]
    NotMigrated(String),
    /// The read model is another log's.
    #[error("the read model {schema} holds log {other}; log {log} needs a database of its own")]
    OtherLog {
        /// The read model.
        schema: String,
        /// The log that it holds.
        other: String,
        /// The log that was to be read.
        log: String,
    },
    /// A setting is missing or wrong.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The log's name is none.
    #[error("{0}")]
    LogName(#[from] ParseLogNameError),
    /// The address of Postgres is none.
    #[error("{0}")]
    PostgresUrl(#[from] PostgresUrlError),
    /// Postgres said no, or did not answer.
    #[error("{}", fault::in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be had.
    #[error("no connection to Postgres: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// The registry said no, or did not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// librdkafka can't go on.
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The read model's tables could not be made.
    #[error("the read model {schema} could not be migrated: {source}")]
    Migration {
        /// The projector.
        schema: &'static str,
        /// Why.
        source: refinery::Error,
    },
    /// What stands in a read model can't be.
    #[error("the read model {schema} is damaged: {reason}")]
    Damaged {
        /// The projector.
        schema: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl ProjectorError {
    /// Whether the same may succeed later by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Postgres(error) => fault::is_passing_statement(error),
            Self::Pool(error) => fault::is_passing(error),
            Self::Registry(RegistryError::Unavailable { .. }) => true,
            _ => false,
        }
    }
}
