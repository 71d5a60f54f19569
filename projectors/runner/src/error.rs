//! What can go wrong with a projector as a whole. What goes wrong with one event stops its partition only.

use millrace_runtime::ServiceError;
use millrace_store::sql_state::{self, Remedy};
use rdkafka::error::KafkaError;

use crate::fault;

/// An error that ends the call.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// The read model's tables are not there.
    #[error(
        "the read model {0} does not exist in this database: run `millrace migrate`, or, for a projector in SQL, `millrace \
         projector apply`"
    )]
    NotMigrated(String),
    /// The read model's tables are those of an earlier version of this program.
    #[error(
        "the read model {0} was made by an earlier version of Millrace: make it anew. Drop its schema (DROP SCHEMA {0} \
         CASCADE), then run `millrace migrate`, or, for a projector in SQL, `millrace projector apply`; it fills again \
         from the topic"
    )]
    Outdated(String),
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
    /// Another build of the read model has taken the place of the one that this call fills.
    #[error(
        "generation {now} of the read model {schema} has taken the place of generation {expected}, or another definition"
    )]
    Superseded {
        /// The read model.
        schema: String,
        /// The build that was to be filled.
        expected: i32,
        /// The build that stands there now.
        now: i32,
    },
    /// The consumer group has members that keep the read model in another database: each would get a share of the events.
    #[error(
        "the consumer group {group} also fills the read model in another database ({other}; this one is {ours}), so that \
         each would get only a share of the events. Whichever of the two was started last is in the wrong, even where it \
         is this one that ends: set a group of its own (--group) for that one, or stop it; then start the other again if \
         it has ended too"
    )]
    SharedGroup {
        /// The group.
        group: String,
        /// The other database.
        other: String,
        /// This database.
        ours: String,
    },
    /// What stops any service.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Postgres said no, or did not answer.
    #[error("{}", fault::in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be had.
    #[error("no connection to Postgres: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// The read model's tables could not be made.
    #[error("the read model {schema} could not be migrated: {source}")]
    Migration {
        /// The projector.
        schema: &'static str,
        /// Why.
        source: refinery::Error,
    },
    /// A read model holds what no event can have put there.
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
            Self::Postgres(error) => sql_state::remedy_of(error) == Remedy::Retry,
            Self::Pool(error) => sql_state::remedy_of_pool(error) == Remedy::Retry,
            _ => false,
        }
    }

    /// Whether a projector that runs waits until somebody has mended the same.
    pub(crate) fn is_waited_for(&self) -> bool {
        !matches!(self, Self::Superseded { .. })
    }
}

impl From<KafkaError> for ProjectorError {
    fn from(error: KafkaError) -> Self {
        Self::Service(error.into())
    }
}
