//! The connection of a command.

use deadpool_postgres::Object;
use millrace_runtime::{Settings, postgres};

/// A connection to the database of the settings, for one command.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn connect(settings: &Settings) -> anyhow::Result<Object> {
    // statements name the log's schema, so the search path does not matter
    let pool = postgres::pool(settings.postgres_url()?, "public", 1)?;
    Ok(postgres::connect(&pool, settings.postgres_url()?).await?)
}
