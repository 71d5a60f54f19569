//! Projectors in SQL, as the database has them.

use anyhow::Error;
use deadpool_postgres::PoolError;
use millrace_runtime::{Health, Settings, Shutdown, Startup, Stopped, postgres};
use millrace_sql_projector::{SqlProjectorError, StoredProjector, names_of_log, stored};
use millrace_store::sql_state::{Remedy, remedy_of, remedy_of_pool};

/// The projector that was applied to the database under this name, if any. Waits until Postgres answers.
///
/// # Errors
/// When a setting is wrong, or this version of the program can't read the definition.
pub async fn wait_for(
    settings: &Settings,
    health: &Health,
    shutdown: &Shutdown,
    name: &str,
) -> Result<Option<StoredProjector>, Stopped<Error>> {
    let failed = |error: Error| Stopped::Failed(error);
    let startup = Startup::new(settings, health.clone(), shutdown.clone()).map_err(|e| failed(e.into()))?;
    let pool = startup.pool(1).map_err(|e| failed(e.into()))?;
    let read = async || -> anyhow::Result<_> { Ok(stored(&pool.get().await?, name).await?) };
    startup.retry("read the definition", is_transient, read).await
}

/// The read models in SQL of the log in the settings. They stay for the life of the process.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read_models(settings: &Settings) -> anyhow::Result<Vec<&'static str>> {
    let url = settings.postgres_url()?;
    let client = postgres::connect(&postgres::pool(url, "public", 1)?, url).await?;
    let names = names_of_log(&client, &settings.log.parse()?).await?;
    Ok(names.into_iter().map(|name| &*name.leak()).collect())
}

fn is_transient(error: &Error) -> bool {
    match (error.downcast_ref::<SqlProjectorError>(), error.downcast_ref::<PoolError>()) {
        (Some(SqlProjectorError::Postgres(error)), _) => remedy_of(error) == Remedy::Retry,
        (_, Some(error)) => remedy_of_pool(error) == Remedy::Retry,
        _ => false,
    }
}
