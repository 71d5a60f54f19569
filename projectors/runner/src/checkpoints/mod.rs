//! How far a read model has applied each partition. It is the read model's own word, in its own database, and the only
//! one that counts.

use std::collections::HashMap;

use deadpool_postgres::{Pool, Transaction};
use millrace_schemas::LogName;
use tokio_postgres::GenericClient;
use tokio_postgres::error::SqlState;

use crate::ProjectorError;

/// A partition's step from one position to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    /// The partition.
    pub(crate) partition: i32,
    /// The position applied last before.
    pub(crate) from: i64,
    /// The position applied last after.
    pub(crate) to: i64,
}

/// The position that the read model in `schema` (its projector's name) has applied last, per partition of `log`. A
/// partition that is absent has had nothing applied. Needs no search path.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn checkpoints(
    client: &impl GenericClient,
    schema: &str,
    log: &LogName,
) -> Result<HashMap<i32, i64>, ProjectorError> {
    let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
    let rows = client.query(&include_str!("sql/read.sql").replace(":schema", &quoted), &[&log.as_str()]).await;
    let rows = rows.map_err(|error| not_migrated(schema, error))?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Creates the tables and functions that every read model has, in the schema that is first on the search path; or brings
/// them up to date.
///
/// # Errors
/// When Postgres refuses or does not answer.
pub async fn create_checkpoints(client: &impl GenericClient) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(include_str!("sql/create.sql")).await
}

/// The checkpoints of these partitions, each of which has a row afterwards. The read model must be of this log alone: its
/// tables tell no log from another.
pub(crate) async fn begin(
    pool: &Pool,
    name: &str,
    log: &LogName,
    partitions: &[i32],
) -> Result<HashMap<i32, i64>, ProjectorError> {
    let client = pool.get().await?;
    let other = client.query_opt(include_str!("sql/other_log.sql"), &[&log.as_str()]).await;
    if let Some(row) = other.map_err(|error| not_migrated(name, error))? {
        return Err(ProjectorError::OtherLog { schema: name.to_owned(), other: row.try_get(0)?, log: log.to_string() });
    }
    let begun = client.execute(include_str!("sql/begin.sql"), &[&log.as_str(), &partitions]).await;
    begun.map_err(|error| not_migrated(name, error))?;
    checkpoints(&**client, name, log).await
}

/// Moves checkpoints inside the transaction that applies what lies between; false when one of them stands elsewhere
/// by now, and the transaction must not commit.
pub(crate) async fn advance(
    transaction: &Transaction<'_>,
    log: &LogName,
    moves: &[Move],
) -> Result<bool, tokio_postgres::Error> {
    let partitions: Vec<i32> = moves.iter().map(|m| m.partition).collect();
    let from: Vec<i64> = moves.iter().map(|m| m.from).collect();
    let to: Vec<i64> = moves.iter().map(|m| m.to).collect();
    let statement = transaction.prepare_cached(include_str!("sql/advance.sql")).await?;
    let moved = transaction.execute(&statement, &[&log.as_str(), &partitions, &from, &to]).await?;
    Ok(moved == moves.len() as u64)
}

fn not_migrated(schema: &str, error: tokio_postgres::Error) -> ProjectorError {
    match error.code() {
        Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME) => {
            ProjectorError::NotMigrated(schema.to_owned())
        }
        _ => error.into(),
    }
}
