//! What stops a relay. All of it needs somebody's hand; what time mends is retried and never seen here.

use millrace_runtime::kafka::TopicError;
use millrace_runtime::postgres::PostgresUrlError;
use millrace_runtime::{SettingsError, Stopped};
use millrace_schemas::{ParseLogNameError, RegistryError};
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
    /// The log's name is none.
    #[error("{0}")]
    LogName(#[from] ParseLogNameError),
    /// The address of Postgres can't be used.
    #[error("{0}")]
    PostgresUrl(#[from] PostgresUrlError),
    /// The log does not exist, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry lacks a schema; or it does not answer, while that is being retried.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// librdkafka refuses a setting; or Kafka does not answer, while that is being retried.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// The event topic is not as the log needs it.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The topic holds something else than the log. Publishing on would make it worse.
    #[error(
        "topic {topic}, partition {partition}: {divergence}. Nothing more is published; compare with `millrace audit`"
    )]
    Diverged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is different.
        divergence: Divergence,
    },
    /// Positions in Postgres are not dense: a promise of the store is broken.
    #[error("partition {partition} of the log has a hole: position {found} follows {last}. Look at Postgres, not here")]
    Hole {
        /// The partition.
        partition: i32,
        /// The last position before the hole.
        last: i64,
        /// The position found.
        found: i64,
    },
    /// The member of the consumer group could not be made again.
    #[error("the relay is no member of its group any more, and can't join anew: {0}")]
    Membership(KafkaError),
}

/// How a topic's tail contradicts the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Divergence {
    /// The topic is ahead of the log.
    #[error(
        "the topic ends with position {0}, which Postgres does not have: Postgres lost commits that were published \
         (a restored backup, a failover to a replica that lagged?)"
    )]
    CommitsLost(i64),
    /// Another event stands at that position.
    #[error(
        "at position {0} the topic has another event than Postgres: Postgres lost commits and has made new ones since, \
         or the topic belongs to another database"
    )]
    OtherEvent(i64),
    /// The last records were not written by a relay.
    #[error("the last records have no log-position: something else than the relay writes to this topic")]
    Foreign,
}

impl RelayError {
    /// Whether the same attempt may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Registry(error) => matches!(error, RegistryError::Unavailable { .. }),
            Self::Kafka(error) => !matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)),
            Self::Topic(error) => error.is_transient(),
            _ => false,
        }
    }
}
