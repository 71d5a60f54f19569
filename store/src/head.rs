//! The last event of a partition.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{Log, StoreError};

/// The last event of a partition. Ids that the writer gives are unique for ever, so two copies of a log with the same head
/// have the same events in that partition. Where senders of `Append` choose the ids, that holds only as far as no id comes
/// again; a reader that must be sure compares an [`Identity`](crate::Identity).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// From 0.
    pub partition: i32,
    /// The last position; 0 when the partition is empty.
    pub position: i64,
    /// The id of the last event; nil when the partition is empty.
    pub event_id: Uuid,
}

impl Head {
    /// The head of an empty partition.
    pub fn empty(partition: i32) -> Self {
        Self { partition, position: 0, event_id: Uuid::nil() }
    }
}

impl Log {
    /// The heads of these partitions, in the order given.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn heads(&self, client: &impl GenericClient, partitions: &[i32]) -> Result<Vec<Head>, StoreError> {
        let rows = self.head_rows(client, partitions).await?;
        Ok(rows.into_iter().map(|(head, _)| head).collect())
    }

    /// The heads of all partitions, ascending, each with the time when it was recorded; `None` for an empty partition.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn all_heads(&self, client: &impl GenericClient) -> Result<Vec<(Head, Option<Timestamp>)>, StoreError> {
        let partitions: Vec<i32> = (0..i32::try_from(self.partitions()).unwrap_or(i32::MAX)).collect();
        self.head_rows(client, &partitions).await
    }

    /// The last position of every partition; 0 for an empty one.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn positions(&self, client: &impl GenericClient) -> Result<BTreeMap<i32, i64>, StoreError> {
        let heads = self.all_heads(client).await?;
        Ok(heads.into_iter().map(|(head, _)| (head.partition, head.position)).collect())
    }

    async fn head_rows(
        &self,
        client: &impl GenericClient,
        partitions: &[i32],
    ) -> Result<Vec<(Head, Option<Timestamp>)>, StoreError> {
        let statement = client.prepare_cached(&self.sql(include_str!("sql/heads.sql"))).await?;
        let rows = client.query(&statement, &[&partitions]).await?;
        let head = |row: &tokio_postgres::Row| {
            let head = Head { partition: row.try_get(0)?, position: row.try_get(1)?, event_id: row.try_get(2)? };
            Ok((head, row.try_get(3)?))
        };
        rows.iter().map(head).collect()
    }
}
