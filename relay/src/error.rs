//! What stops a relay. Each of these needs a person; what passes with time is retried and never seen here.

use millrace_runtime::kafka::TopicError;
use millrace_runtime::postgres::PostgresUrlError;
use millrace_runtime::{SettingsError, Stopped};
use millrace_schemas::ParseLogNameError;
use millrace_store::StoreError;
use rdkafka::error::KafkaError;

/// Result of a step that can also end because the process is to stop.
pub(crate) type Step<T> = Result<T, Stopped<RelayError>>;

/// Why the relay can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Settings are missing or wrong.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The setting `log` is not a log's name.
    #[error("{0}")]
    LogName(#[from] ParseLogNameError),
    /// The address of Postgres can't be used.
    #[error("{0}")]
    PostgresUrl(#[from] PostgresUrlError),
    /// The address of the server to read from can't be used. The text is not shown: it may hold a password.
    #[error("MILLRACE_RELAY_POSTGRES_URL is not an address like postgresql://user:password@host:5432/database")]
    RelayPostgresUrl,
    /// The log does not exist, or Postgres refuses what the relay asks.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// librdkafka refuses a setting; or Kafka does not answer, while that is being retried.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// The event topic is not as the log needs it.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The member of the consumer group ended, and no new one can be made.
    #[error("the relay is not a member of its group any more, and can't join anew: {0}")]
    Membership(KafkaError),
}

impl RelayError {
    /// Whether the same attempt may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Kafka(error) => !matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)),
            Self::Topic(error) => error.is_transient(),
            _ => false,
        }
    }
}
