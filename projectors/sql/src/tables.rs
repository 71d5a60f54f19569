//! The tables of a read model, as `tables.sql` makes them.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use tokio_postgres::error::ErrorPosition;

use crate::error::{SqlProjectorError, in_words};
use crate::folder::ProjectorFolder;
use crate::place;
use crate::quoted::{identifier, literal};

/// Runs `tables.sql` in the schema that is first on the search path. It can't end the transaction.
///
/// # Errors
/// When Postgres refuses it, or it makes a table whose name is kept for the platform.
pub(crate) async fn create(client: &impl GenericClient, text: &str) -> Result<(), SqlProjectorError> {
    let of_platform = platform_tables(client).await?;
    // inside of a block, Postgres refuses COMMIT and ROLLBACK
    let block = format!("BEGIN EXECUTE {}; END", literal(text));
    client.batch_execute(&format!("DO {}", literal(&block))).await.map_err(|error| refusal(text, error))?;
    match platform_tables(client).await?.into_iter().find(|name| !of_platform.contains(name)) {
        Some(name) => {
            let problem = format!("names that begin with projector_ are kept for Millrace: call {name} something else");
            Err(SqlProjectorError::refused(ProjectorFolder::TABLES, problem))
        }
        None => Ok(()),
    }
}

async fn platform_tables(client: &impl GenericClient) -> Result<Vec<String>, tokio_postgres::Error> {
    client.query(include_str!("sql/platform_tables.sql"), &[]).await?.iter().map(|row| row.try_get(0)).collect()
}

fn refusal(text: &str, error: tokio_postgres::Error) -> SqlProjectorError {
    let Some(inner) = error.as_db_error() else { return error.into() };
    let place = match inner.position() {
        Some(ErrorPosition::Internal { position, query }) if query == text => {
            format!("{}\n", place::shown(text, (*position as usize).saturating_sub(1)))
        }
        _ => String::new(),
    };
    SqlProjectorError::refused(ProjectorFolder::TABLES, format!("{place}{}", in_words(&error)))
}

/// The names of the tables that `tables.sql` has made.
pub(crate) async fn names(client: &impl GenericClient) -> Result<Vec<String>, tokio_postgres::Error> {
    client.query(include_str!("sql/tables.sql"), &[]).await?.iter().map(|row| row.try_get(0)).collect()
}

/// All rows of these tables, as JSON, sorted.
pub(crate) async fn rows(
    client: &impl GenericClient,
    tables: &[String],
) -> Result<BTreeMap<String, Vec<String>>, tokio_postgres::Error> {
    let mut all = BTreeMap::new();
    for table in tables {
        let read = format!("SELECT to_jsonb(t)::text FROM {} AS t ORDER BY 1", identifier(table));
        let rows: Result<Vec<String>, _> = client.query(&read, &[]).await?.iter().map(|row| row.try_get(0)).collect();
        all.insert(table.clone(), rows?);
    }
    Ok(all)
}
