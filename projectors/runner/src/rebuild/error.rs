//! What can go wrong with a rebuild.

use millrace_runtime::Stopped;
use millrace_store::StoreError;
use uuid::Uuid;

use crate::{ProjectorError, fault};

/// Why a step of a rebuild was not done. The live build is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// An event can't be applied.
    #[error(
        "the event {event_id} ({event_type}, stream {stream_id}, partition {partition}, position {position}) can't be \
         applied: {reason}. Mend the projector, and rebuild again"
    )]
    Event {
        /// Its partition.
        partition: i32,
        /// Its position.
        position: i64,
        /// Its id.
        event_id: Uuid,
        /// Its type.
        event_type: String,
        /// Its stream.
        stream_id: String,
        /// Why not.
        reason: String,
    },
    /// The log has no event where one must be.
    #[error(
        "partition {partition} has no event after position {after}, although its head is {head}: Postgres has lost it"
    )]
    Missing {
        /// The partition.
        partition: i32,
        /// The last position that is there.
        after: i64,
        /// The position that was to be reached.
        head: i64,
    },
    /// Somebody else fills the same build.
    #[error("another process fills generation {0} of the read model: only one rebuild may run")]
    Raced(i32),
    /// What reads the live build can't be made to read the new one.
    #[error("{0}")]
    Reader(String),
    /// The live build has been replaced meanwhile, or is ahead of the new one and stays so.
    #[error("{0}")]
    NotNow(String),
    /// The process is to stop.
    #[error("stopped; the same command goes on where this one ended")]
    Shutdown,
    /// What may go wrong with any projector.
    #[error(transparent)]
    Projector(#[from] ProjectorError),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Postgres said no, or did not answer.
    #[error("{}", fault::in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be had.
    #[error("no connection to Postgres: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
}

impl<E: Into<Self>> From<Stopped<E>> for RebuildError {
    fn from(stopped: Stopped<E>) -> Self {
        match stopped {
            Stopped::Shutdown => Self::Shutdown,
            Stopped::Failed(error) => error.into(),
        }
    }
}
