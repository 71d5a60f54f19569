//! Emptying a read model.

use tokio_postgres::Client;

use crate::ProjectorError;
use crate::checkpoints::{in_schema, not_migrated};

/// Empties a read model, its checkpoints included, in one transaction: its projector fills it again from position 1. An
/// instance that is applying a batch meanwhile does not commit it. A pause stays. Returns the names of the emptied tables.
///
/// Readers whose transaction began before see no rows either: `TRUNCATE` does that.
///
/// # Errors
/// When the database has no such read model, or Postgres does not answer.
pub async fn reset(client: &mut Client, schema: &str) -> Result<Vec<String>, ProjectorError> {
    let transaction = client.transaction().await?;
    let rows = transaction.query(include_str!("sql/tables.sql"), &[&schema]).await?;
    let tables: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if tables.is_empty() {
        return Err(ProjectorError::NotMigrated(schema.to_owned()));
    }
    // first what a batch locks first: else the two may wait for each other
    let lock = in_schema("LOCK TABLE :schema.checkpoints IN ACCESS EXCLUSIVE MODE", schema);
    transaction.batch_execute(&lock).await.map_err(|error| not_migrated(schema, error))?;
    let truncate = format!("TRUNCATE {} RESTART IDENTITY", tables.join(", "));
    transaction.batch_execute(&truncate).await.map_err(|error| not_migrated(schema, error))?;
    transaction.commit().await?;
    Ok(tables)
}
