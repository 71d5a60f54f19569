//! The read model `search`: finds entries and accounts by words in any order, by their beginnings, with small typos.
//!
//! The search itself is the SQL function `search.find(query, max_results)`, for any client of Postgres.

mod events;
mod find;
mod rows;
mod words;

use deadpool_postgres::Transaction;
use futures::future::BoxFuture;
use millrace_projector_runner::{ApplyError, Event, Projector};

pub use find::{Hit, find};
use rows::Rows;

mod embedded {
    refinery::embed_migrations!("src/search/migrations");
}

/// The projector that keeps `documents` and `vocabulary`.
#[derive(Debug)]
pub struct Search;

impl Projector for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn migrations(&self) -> refinery::Runner {
        embedded::migrations::runner()
    }

    fn apply<'a>(
        &'a self,
        transaction: &'a Transaction<'a>,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let rows = Rows::from_events(events)?;
            rows.insert(transaction).await?;
            Ok(())
        })
    }
}
