//! How far the writers have committed the command topic.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;

use crate::{Log, StoreError};

impl Log {
    /// The next offset of each partition of the command topic; absent where no writer has committed a record.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn command_offsets(&self, client: &impl GenericClient) -> Result<HashMap<i32, i64>, StoreError> {
        let statement = client.prepare_cached(&self.sql(include_str!("sql/command_offsets.sql"))).await?;
        let rows = client.query(&statement, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Sets the next offset of a partition, also backwards, as a topic that was deleted and created again needs it.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn reset_command_offset(
        &self,
        client: &impl GenericClient,
        partition: i32,
        next_offset: i64,
    ) -> Result<(), StoreError> {
        let statement = self.sql(include_str!("sql/reset_command_offset.sql"));
        client.execute(&statement, &[&partition, &next_offset]).await?;
        Ok(())
    }
}
