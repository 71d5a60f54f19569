//! A projector that runs SQL.

use deadpool_postgres::Transaction;
use futures::future::BoxFuture;
use millrace_projector_runner::{ApplyError, Event, Projector};
use millrace_schemas::in_one_line;
use uuid::Uuid;

use crate::definition::StoredProjector;
use crate::error::SqlProjectorError;
use crate::statement::Statements;

/// Keeps the read model of a folder that was applied.
#[derive(Debug)]
pub struct SqlProjector {
    name: &'static str,
    definition: Uuid,
    statements: Statements,
}

impl SqlProjector {
    /// The version of every projector in SQL. What it does is stored beside its read model, so an instance always runs
    /// what its generation was made for.
    pub(crate) const VERSION: i32 = 1;

    /// The projector that was applied. A process makes few of them: the name stays for the life of the process.
    ///
    /// # Errors
    /// When this version of the program can't read its definition.
    pub fn new(stored: &StoredProjector) -> Result<Self, SqlProjectorError> {
        let name: &'static str = stored.folder.name.clone().leak();
        let statements = Statements::new(&stored.folder, &stored.schemas).map_err(|problems| {
            SqlProjectorError::Unreadable { name: name.to_owned(), reason: in_one_line(&problems) }
        })?;
        Ok(Self { name, definition: stored.id, statements })
    }
}

impl Projector for SqlProjector {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> i32 {
        Self::VERSION
    }

    /// None: its tables are made when its folder is applied.
    fn migrations(&self) -> refinery::Runner {
        refinery::Runner::new(&[])
    }

    fn apply<'a>(
        &'a self,
        transaction: &'a Transaction<'a>,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let begin = transaction.prepare_cached(include_str!("sql/begin.sql")).await?;
            if transaction.query_opt(&begin, &[&self.definition]).await?.is_none() {
                return Err(ApplyError::Superseded);
            }
            self.statements.apply(transaction, events).await
        })
    }
}
