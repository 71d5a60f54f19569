//! What stopped a projector's partitions.

use std::collections::HashMap;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use millrace_schemas::LogName;
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};

use crate::checkpoints::{in_schema, not_migrated};
use crate::{Generation, ProjectorError};

/// A partition stops before an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) partition: i32,
    /// Of the event that is missing or can't be applied.
    pub(crate) position: i64,
    pub(crate) reason: String,
}

/// What has stopped a partition until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStops {
    /// The position of the event that was missing or could not be applied last. The partition still stands still if its
    /// checkpoint is before that.
    pub position: i64,
    /// How often the partition stopped, since the read model was made or reset.
    pub times: i64,
    /// Why it stopped last.
    pub reason: String,
    /// When it stopped last.
    pub at: Timestamp,
}

/// What has stopped the partitions of `log`; absent where nothing has. Needs no search path.
///
/// # Errors
/// When the read model's tables are not there, or Postgres does not answer.
pub async fn stops(
    client: &impl GenericClient,
    schema: &str,
    log: &LogName,
) -> Result<HashMap<i32, PartitionStops>, ProjectorError> {
    let rows = client.query(&in_schema(include_str!("sql/read_stops.sql"), schema), &[&log.as_str()]).await;
    let rows = rows.map_err(|error| not_migrated(schema, error))?;
    let stops = |row: &Row| {
        let (position, times) = (row.try_get(1)?, row.try_get(2)?);
        Ok((row.try_get(0)?, PartitionStops { position, times, reason: row.try_get(3)?, at: row.try_get(4)? }))
    };
    rows.iter().map(stops).collect()
}

/// Keeps a stop in the read model whose schema the pool's search path has.
pub(crate) async fn add_stop(
    pool: &Pool,
    log: &LogName,
    generation: Generation,
    stop: &Stop,
) -> Result<(), ProjectorError> {
    let Stop { partition, position, reason } = stop;
    // Postgres takes no text with U+0000, which a reason may quote
    let reason = reason.replace('\0', "\u{fffd}");
    let client = pool.get().await?;
    let parameters: [&(dyn ToSql + Sync); 5] = [&log.as_str(), partition, position, &reason, &generation.number];
    client.execute(include_str!("sql/add_stop.sql"), &parameters).await?;
    Ok(())
}
