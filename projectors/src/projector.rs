//! What a projector is.

use deadpool_postgres::Transaction;
use futures::future::BoxFuture;
use millrace_schemas::RecordedEvent;
use millrace_schemas::ledger::LedgerEvent;

/// An event as projectors get it.
pub type Event = RecordedEvent<LedgerEvent>;

/// Keeps one read model. The runner does the rest: reading, order, checkpoints, retries.
pub trait Projector: Send + Sync {
    /// Its name: the one it is run by, its consumer group's first part, and its Postgres schema. Lower-case letters,
    /// digits and underscores, a letter first.
    fn name(&self) -> &'static str;

    /// The tables of the read model. Run with the projector's schema first on the search path.
    fn migrations(&self) -> refinery::Runner;

    /// Applies `events`, each of them for the first time as far as the read model can tell: if the transaction does
    /// not commit, they come again. Events of one partition stand in their order.
    ///
    /// Meanwhile the checkpoints are moved on the same connection. Where another instance was faster, these events may be
    /// in the read model already: then the transaction is rolled back, whatever comes of this. So it has no effect but
    /// through the transaction.
    ///
    /// Lock rows in one order (tables in a fixed one, keys sorted), since instances apply to the same tables at once.
    ///
    /// # Errors
    /// The transaction is rolled back. What comes of it is the error's to say.
    fn apply<'a>(
        &'a self,
        transaction: &'a Transaction<'a>,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
}

/// Why events were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Postgres refused a statement or did not answer. By its SQLSTATE the same is tried again, or the event is held
    /// to be at fault and its partition stops.
    #[error("{}", crate::fault::in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// An event makes no sense to the read model: its partition stops.
    #[error("{0}")]
    Senseless(String),
}
