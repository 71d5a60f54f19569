//! The connection of a command.

use deadpool_postgres::Object;
use millrace_runtime::{Settings, postgres};

/// A connection to the database of the settings, for one command.
///
/// # Errors
/// When Postgres does not answer.
pub async fn connect(settings: &Settings) -> anyhow::Result<Object> {
    // statements name the schema of a log or read model, so the search path does not matter
    let url = settings.postgres_url()?;
    Ok(postgres::connect(&postgres::pool(url, "public", 1)?, url).await?)
}
