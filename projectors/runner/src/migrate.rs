//! Creating the read models, and bringing their tables up to date.

use tokio_postgres::Client;

use crate::checkpoints::create_checkpoints;
use crate::generation::generation;
use crate::{BuildState, Generation, Projector, ProjectorError};

/// Key of the advisory lock that keeps two migrations apart; refinery takes none.
const MIGRATION_LOCK: i64 = 0x6d69_6c6c_7072_6f6a;

/// Creates the schema and tables of the projectors, or brings them up to date. Safe to run at any time, also by
/// several at once. The role needs to own the database, or be allowed to create schemas and trusted extensions in it.
/// The connection's search path is the server's usual one afterwards.
///
/// # Errors
/// When Postgres refuses or does not answer.
pub async fn migrate(client: &mut Client, projectors: &[Box<dyn Projector>]) -> Result<(), ProjectorError> {
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    let result = locked(client, projectors).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await?;
    result
}

async fn locked(client: &mut Client, projectors: &[Box<dyn Projector>]) -> Result<(), ProjectorError> {
    for projector in projectors {
        read_model(client, projector.as_ref()).await?;
    }
    client.batch_execute("RESET search_path").await?;
    Ok(())
}

async fn read_model(client: &mut Client, projector: &dyn Projector) -> Result<(), ProjectorError> {
    // a plain identifier, as the trait demands
    let schema = projector.name();
    client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path = {schema}, public")).await?;
    let first = Generation { number: 1, version: projector.version() };
    create_checkpoints(client, first, BuildState::Live).await?;
    let live = generation(client, schema).await?;
    if live.version != first.version {
        // its tables are those of the other version, and stay: a rebuild makes these of this one
        tracing::info!(projector = schema, "another version of the projector fills the read model");
        return Ok(());
    }
    let run = projector.migrations().run_async(client).await;
    run.map_err(|source| ProjectorError::Migration { schema, source })?;
    Ok(())
}
