//! How far the relay has published: a hint that it keeps for itself.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;

use crate::{Log, StoreError};

impl Log {
    /// The relay's checkpoints of these partitions, as far as there are any.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn relay_checkpoints(
        &self,
        client: &impl GenericClient,
        partitions: &[i32],
    ) -> Result<HashMap<i32, i64>, StoreError> {
        let statement = client.prepare_cached(include_str!("sql/read_checkpoints.sql")).await?;
        let rows = client.query(&statement, &[&partitions]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Moves the relay's checkpoints forward; one that is further on already stays.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn write_relay_checkpoints(
        &self,
        client: &impl GenericClient,
        checkpoints: &[(i32, i64)],
    ) -> Result<(), StoreError> {
        let (partitions, positions): (Vec<i32>, Vec<i64>) = checkpoints.iter().copied().unzip();
        let statement = client.prepare_cached(include_str!("sql/write_checkpoints.sql")).await?;
        client.execute(&statement, &[&partitions, &positions]).await?;
        Ok(())
    }
}
