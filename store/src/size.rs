//! The log's size on disk.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;

use crate::{Log, StoreError};

impl Log {
    /// Bytes on disk, indexes included, of `events`, `streams`, `commands` and `other` tables. Postgres asks the file
    /// system, so the call costs the same however many events there are.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn sizes(&self, client: &impl GenericClient) -> Result<BTreeMap<String, i64>, StoreError> {
        let statement = client.prepare_cached(include_str!("sql/sizes.sql")).await?;
        let rows = client.query(&statement, &[&self.name().as_str()]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}
