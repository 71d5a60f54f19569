//! A log that exists.

use deadpool_postgres::GenericClient;
use millrace_schemas::{LogName, StreamId, partition_of};
use tokio_postgres::error::SqlState;

use crate::StoreError;

/// A log: its name and its number of partitions, fixed when it was created.
#[derive(Debug, Clone)]
pub struct Log {
    name: LogName,
    partitions: u32,
}

impl Log {
    /// Opens the log whose schema is first on the connection's search path.
    ///
    /// # Errors
    /// When its tables are not there, or Postgres does not answer.
    pub async fn open(client: &impl GenericClient, name: LogName) -> Result<Self, StoreError> {
        let row = client.query_opt("SELECT partitions FROM log", &[]).await;
        let row = match row {
            Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => {
                None
            }
            row => row?,
        };
        let row = row.ok_or_else(|| StoreError::NoLog(name.to_string()))?;
        let partitions: i32 = row.try_get(0)?;
        Ok(Self { name, partitions: partitions.unsigned_abs() })
    }

    /// Its name.
    pub fn name(&self) -> &LogName {
        &self.name
    }

    /// Its number of partitions.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// The partition of a stream.
    pub fn partition_of(&self, stream: &StreamId) -> i32 {
        partition_of(stream, self.partitions)
    }

    /// Until the transaction of `client` ends, nobody else appends to the partitions of `streams`.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn lock(&self, client: &impl GenericClient, streams: &[StreamId]) -> Result<(), StoreError> {
        let partitions: Vec<i32> = streams.iter().map(|stream| self.partition_of(stream)).collect();
        let statement = client.prepare_cached("SELECT lock_partitions($1)").await?;
        client.execute(&statement, &[&partitions]).await?;
        Ok(())
    }
}
