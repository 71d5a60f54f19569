//! Why a writer stops.

use millrace_runtime::kafka::TopicError;
use millrace_runtime::postgres::PostgresUrlError;
use millrace_runtime::{SettingsError, Stopped};
use millrace_schemas::{ParseLogNameError, RegistryError};
use millrace_store::StoreError;
use rdkafka::error::KafkaError;

/// An error that ends the writer. What may pass by itself never gets here: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// A setting is missing or wrong.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The log's name is none.
    #[error("{0}")]
    LogName(#[from] ParseLogNameError),
    /// The address of Postgres is none.
    #[error("{0}")]
    PostgresUrl(#[from] PostgresUrlError),
    /// The log can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry lacks a schema.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Kafka's client can't go on.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A topic is not as the writer needs it.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// An outcome can't be written: the schemas of this program contradict each other.
    #[error(transparent)]
    Encode(#[from] millrace_schemas::EncodeError),
}

/// Why a step ended early: an error, or the process is to stop.
pub(crate) type Ended = Stopped<WriterError>;

/// Hands an end on in the writer's own terms.
pub(crate) fn ended<E: Into<WriterError>>(stopped: Stopped<E>) -> Ended {
    match stopped {
        Stopped::Shutdown => Ended::Shutdown,
        Stopped::Failed(error) => Ended::Failed(error.into()),
    }
}
