//! Partitions that the relay has halted. Postgres stores them, so that every reader of the log can see them.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use crate::{Log, StoreError};

/// A partition that the relay has halted: Postgres and the topic contradict each other, or Kafka finds an event too
/// large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// From 0.
    pub partition: i32,
    /// The last position that the relay had published.
    pub position: i64,
    /// A sentence for people.
    pub reason: String,
    /// When the relay halted it.
    pub since: Timestamp,
}

impl Log {
    /// The halted partitions, ascending.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn halts(&self, client: &impl GenericClient) -> Result<Vec<Halt>, StoreError> {
        let statement = client.prepare_cached(&self.sql(include_str!("sql/halts.sql"))).await?;
        let halt = |row: &tokio_postgres::Row| {
            Ok(Halt {
                partition: row.try_get(0)?,
                position: row.try_get(1)?,
                reason: row.try_get(2)?,
                since: row.try_get(3)?,
            })
        };
        client.query(&statement, &[]).await?.iter().map(halt).collect()
    }

    /// Stores that the relay has halted a partition.
    ///
    /// # Errors
    /// When Postgres refuses or does not answer.
    pub async fn halt(
        &self,
        client: &impl GenericClient,
        partition: i32,
        position: i64,
        reason: &str,
    ) -> Result<(), StoreError> {
        client.execute(&self.sql(include_str!("sql/halt.sql")), &[&partition, &position, &reason]).await?;
        Ok(())
    }

    /// Stores that the relay goes on with a partition. True when it was halted.
    ///
    /// # Errors
    /// When Postgres refuses or does not answer.
    pub async fn end_halt(&self, client: &impl GenericClient, partition: i32) -> Result<bool, StoreError> {
        Ok(client.execute(&self.sql(include_str!("sql/end_halt.sql")), &[&partition]).await? > 0)
    }
}
