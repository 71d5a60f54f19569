//! The types of the streams that a log has.

use deadpool_postgres::GenericClient;

use crate::{Log, StoreError};

impl Log {
    /// The types of streams, other than `known`, of which the log has streams, each with their number. Reads the row of
    /// every stream.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn streams_of_other_types(
        &self,
        client: &impl GenericClient,
        known: &[String],
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = client.query(&self.sql(include_str!("sql/streams_of_other_types.sql")), &[&known]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs()))).collect()
    }
}
