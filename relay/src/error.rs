//! What stops a relay. Each of these needs a person; what passes with time is retried and never seen here.

use millrace_runtime::{ServiceError, Stopped};
use millrace_store::StoreError;
use rdkafka::error::KafkaError;

/// Result of a step that can also end because the process is to stop.
pub(crate) type Step<T> = Result<T, Stopped<RelayError>>;

/// Why the relay can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// What stops any service.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The address of the server to read from can't be used. The text is not shown: it may hold a password.
    #[error("MILLRACE_RELAY_POSTGRES_URL is not an address like postgresql://user:password@host:5432/database")]
    RelayPostgresUrl,
    /// The log does not exist, or Postgres refuses what the relay asks.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The member of the consumer group ended, and no new one can be made.
    #[error("the relay is not a member of its group any more, and can't join anew: {0}")]
    Membership(KafkaError),
}

impl RelayError {
    /// Whether the same attempt may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Service(error) => error.is_transient(),
            Self::RelayPostgresUrl | Self::Membership(_) => false,
        }
    }
}

impl From<KafkaError> for RelayError {
    fn from(error: KafkaError) -> Self {
        Self::Service(error.into())
    }
}
