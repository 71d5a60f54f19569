//! The errors that stop a writer.

use millrace_runtime::{ServiceError, Stopped};
use millrace_store::StoreError;
use rdkafka::error::KafkaError;

/// An error that ends the writer. It retries errors that may pass by themselves, so they never get here.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// What stops any service.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Postgres can't be used for a reason that only a person can mend.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log's definition is part of another program, or none was applied.
    #[error("no definition was applied to log {0}: run `millrace log apply`, or start the program that has its rules")]
    NoDefinition(String),
    /// The definition that was applied can't be read by this version of the program.
    #[error("this program can't read definition {number} of log {log}, which a newer one may have applied: {problems}")]
    Definition {
        /// The log's name.
        log: String,
        /// The definition's number in the log.
        number: i32,
        /// What is wrong, by file.
        problems: String,
    },
    /// Postgres has lost commits that this writer saw: it has to read the commands again that they were for.
    #[error("Postgres has lost commits that this writer saw")]
    LostCommits,
    /// An outcome does not fit its schema: a fault of this program.
    #[error(transparent)]
    Encode(#[from] millrace_schemas::EncodeError),
}

impl WriterError {
    /// Whether the same call may succeed later although nobody changes anything.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Service(error) => error.is_transient(),
            Self::NoDefinition(_) | Self::Definition { .. } | Self::LostCommits | Self::Encode(_) => false,
        }
    }

    /// Whether Postgres refused the data and always will: then one command is at fault, not the server.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_refusal())
    }
}

/// Why a stage ended early: an error, or the shutdown of the process.
pub(crate) type Ended = Stopped<WriterError>;

impl From<KafkaError> for WriterError {
    fn from(error: KafkaError) -> Self {
        Self::Service(error.into())
    }
}
