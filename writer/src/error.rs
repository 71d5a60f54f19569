//! The errors that stop a writer.

use millrace_runtime::kafka::TopicError;
use millrace_runtime::postgres::PostgresUrlError;
use millrace_runtime::{SettingsError, Stopped};
use millrace_schemas::{ParseLogNameError, RegistryError};
use millrace_store::StoreError;
use rdkafka::error::KafkaError;

/// An error that ends the writer. It retries errors that may pass by themselves, so they never get here.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// A setting is missing or wrong.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The setting `log` is not a log name.
    #[error("{0}")]
    LogName(#[from] ParseLogNameError),
    /// The setting `postgres_url` is not an address.
    #[error("{0}")]
    PostgresUrl(#[from] PostgresUrlError),
    /// Postgres can't be used for a reason that only a person can mend.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry lacks a schema.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// librdkafka can't go on.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A topic is missing, has another number of partitions than the log, or has settings that would lose records.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// An outcome does not fit its schema: a fault of this program.
    #[error(transparent)]
    Encode(#[from] millrace_schemas::EncodeError),
}

impl WriterError {
    /// Whether the same call may succeed later although nobody changes anything.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Registry(error) => error.is_transient(),
            Self::Topic(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether Postgres refused the data and always will: then one command is at fault, not the server.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_refusal())
    }
}

/// Why a stage ended early: an error, or the shutdown of the process.
pub(crate) type Ended = Stopped<WriterError>;

/// Turns another crate's error into the writer's; keeps a shutdown as it is.
pub(crate) fn ended<E: Into<WriterError>>(stopped: Stopped<E>) -> Ended {
    match stopped {
        Stopped::Shutdown => Ended::Shutdown,
        Stopped::Failed(error) => Ended::Failed(error.into()),
    }
}
