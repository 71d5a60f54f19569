//! What a projector is.

use deadpool_postgres::Transaction;
use futures::future::BoxFuture;
use millrace_schemas::{DecodeError, RecordedEvent};

/// An event as projectors get it: undecoded, with its schema.
pub type Event = RecordedEvent;

/// Keeps one read model. The runner does the rest: reading, order, checkpoints, retries.
///
/// Events of every type of the log come. A projector passes over the types that it does not know, also those that a later
/// version of the log brings, and decodes of the others only the fields that it needs.
///
/// ```
/// use deadpool_postgres::Transaction;
/// use futures::future::BoxFuture;
/// use millrace_projector_runner::{ApplyError, Event, Projector};
///
/// #[derive(serde::Deserialize)]
/// struct OrderPlaced {
///     customer: String,
/// }
///
/// /// Counts the orders of each customer.
/// struct Orders;
///
/// impl Projector for Orders {
///     fn name(&self) -> &'static str {
///         "orders"
///     }
///
///     fn migrations(&self) -> refinery::Runner {
///         refinery::Runner::new(&[]) // usually `refinery::embed_migrations!`
///     }
///
///     fn apply<'a>(
///         &'a self,
///         transaction: &'a Transaction<'a>,
///         events: &'a [Event],
///     ) -> BoxFuture<'a, Result<(), ApplyError>> {
///         Box::pin(async move {
///             let mut customers = Vec::new();
///             for event in events {
///                 match event.event_type() {
///                     "OrderPlaced" => customers.push(event.get::<OrderPlaced>()?.customer),
///                     _ => {}
///                 }
///             }
///             let count = "INSERT INTO orders (customer) SELECT unnest($1::text[])";
///             let statement = transaction.prepare_cached(count).await?;
///             transaction.execute(&statement, &[&customers]).await?;
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Projector: Send + Sync {
    /// Its name: the one it is run by, part of its consumer group's, and its Postgres schema. Lower-case letters, digits
    /// and underscores, a letter first, and not `_g` and a number at the end.
    fn name(&self) -> &'static str;

    /// The version of its code. Raise it when the same events would make other rows than before: then instances of this
    /// version stand by until `millrace rebuild` has filled a read model with it, and those of the old version go on until
    /// then.
    fn version(&self) -> i32 {
        1
    }

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
    /// The transaction is rolled back. The error decides whether the same is tried again.
    fn apply<'a>(
        &'a self,
        transaction: &'a Transaction<'a>,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
}

/// Why events were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Postgres refused a statement or did not answer. What passes, or a migration mends, is waited for; where the event
    /// or the statement is at fault, the event's partition stops.
    #[error("{}", crate::fault::in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// An event does not fit the type that it was to be decoded to: its partition stops.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The read model is not the one that this projector was made for: it is to be made anew.
    #[error("another definition of the projector was applied meanwhile")]
    Superseded,
    /// An event makes no sense to the read model: its partition stops.
    #[error("{0}")]
    Senseless(String),
}
