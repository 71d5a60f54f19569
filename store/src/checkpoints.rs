//! The relay's checkpoints: how far it has published each partition. A hint; the topic's end is the truth.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;

use crate::{Log, StoreError};

impl Log {
    /// The last published position of each of these partitions; absent where the relay never wrote one.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn relay_checkpoints(
        &self,
        client: &impl GenericClient,
        partitions: &[i32],
    ) -> Result<HashMap<i32, i64>, StoreError> {
        let statement = client.prepare_cached(&self.sql(include_str!("sql/read_checkpoints.sql"))).await?;
        let rows = client.query(&statement, &[&partitions]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Moves the relay's checkpoints forward. Leaves a checkpoint that is further on already.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn write_relay_checkpoints(
        &self,
        client: &impl GenericClient,
        checkpoints: &[(i32, i64)],
    ) -> Result<(), StoreError> {
        let (partitions, positions): (Vec<i32>, Vec<i64>) = checkpoints.iter().copied().unzip();
        let statement = client.prepare_cached(&self.sql(include_str!("sql/write_checkpoints.sql"))).await?;
        client.execute(&statement, &[&partitions, &positions]).await?;
        Ok(())
    }
}
