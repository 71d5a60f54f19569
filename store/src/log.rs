//! An open log: its fixed properties, and the schemas that this process has met.

use std::sync::{Arc, RwLock};

use deadpool_postgres::GenericClient;
use millrace_schemas::{LogName, StreamId, partition_of};
use tokio_postgres::error::SqlState;

use crate::StoreError;
use crate::schemas::Schemas;

/// A log that exists in Postgres: its name and number of partitions, which never change, and the schemas of its records
/// that this process has looked up. Clones share the schemas.
#[derive(Debug, Clone)]
pub struct Log {
    name: LogName,
    partitions: u32,
    definition: String,
    pub(crate) schemas: Arc<RwLock<Schemas>>,
}

impl Log {
    /// Reads the properties of an existing log. As in every other call, the connection needs no search path.
    ///
    /// # Errors
    /// When the log's tables do not exist, or Postgres does not answer.
    pub async fn open(client: &impl GenericClient, name: LogName) -> Result<Self, StoreError> {
        let query = qualified(&name, "SELECT partitions, definition FROM :log.log");
        let row = match client.query_opt(&query, &[]).await {
            Err(error) if matches!(error.code(), Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME)) => {
                None
            }
            row => row?,
        };
        let row = row.ok_or_else(|| StoreError::NoLog(name.to_string()))?;
        let partitions: i32 = row.try_get(0)?;
        let log =
            Self { partitions: partitions.unsigned_abs(), definition: row.try_get(1)?, schemas: Arc::default(), name };
        log.look_up_schemas(client).await?;
        Ok(log)
    }

    /// The name, which is also the log's Postgres schema.
    pub fn name(&self) -> &LogName {
        &self.name
    }

    /// The number of partitions of the log and of its event topic; never changes.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// The name of the log definition that the log was created from.
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// The partition that holds all events of a stream.
    pub fn partition_of(&self, stream: &StreamId) -> i32 {
        partition_of(stream, self.partitions)
    }

    /// A statement of this crate, with the log's schema filled in.
    pub(crate) fn sql(&self, text: &str) -> String {
        qualified(&self.name, text)
    }

    /// Locks partitions: until the transaction of `client` ends, nobody else appends to them.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn lock(&self, client: &impl GenericClient, partitions: &[i32]) -> Result<(), StoreError> {
        let statement = client.prepare_cached(&self.sql("SELECT :log.lock_partitions($1)")).await?;
        client.execute(&statement, &[&partitions]).await?;
        Ok(())
    }

    /// Creates the tables for this month and the next, so that no append has to. Costs nearly nothing when they exist.
    ///
    /// # Errors
    /// When Postgres refuses or does not answer.
    pub async fn make_months(&self, client: &impl GenericClient) -> Result<(), StoreError> {
        let months = "SELECT :log.create_month(now()), :log.create_month(now() + interval '1 month')";
        client.execute(&self.sql(months), &[]).await?;
        Ok(())
    }
}

/// Replaces `:log` by the quoted schema and `:name` by the bare name. Safe, because [`LogName`] allows only letters and
/// digits.
pub(crate) fn qualified(name: &LogName, text: &str) -> String {
    text.replace(":log", &format!("\"{name}\"")).replace(":name", name.as_str())
}
