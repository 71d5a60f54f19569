//! Reading the log by position.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_schemas::{Metadata, RecordedEvent};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{Log, StoreError};

/// Where a reader stands in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The partition.
    pub partition: i32,
    /// The last position read, 0 for none.
    pub position: i64,
    /// When that was recorded, or any earlier time. The nearer, the fewer months are looked at.
    pub recorded_at: Timestamp,
}

impl Cursor {
    /// Before the first event of a partition.
    pub fn start(partition: i32) -> Self {
        Self { partition, position: 0, recorded_at: Timestamp::UNIX_EPOCH }
    }
}

impl Log {
    /// What comes after each cursor, at most `limit` events of each partition, in one round trip; data is JSON text.
    /// Inside a partition the events are in order of position, without a hole.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read(
        &self,
        client: &impl GenericClient,
        cursors: &[Cursor],
        limit: i64,
    ) -> Result<Vec<RecordedEvent<String>>, StoreError> {
        let partitions: Vec<i32> = cursors.iter().map(|cursor| cursor.partition).collect();
        let positions: Vec<i64> = cursors.iter().map(|cursor| cursor.position).collect();
        let since: Vec<Timestamp> = cursors.iter().map(|cursor| cursor.recorded_at).collect();
        let statement = client.prepare_cached(include_str!("sql/read.sql")).await?;
        let rows = client.query(&statement, &[&partitions, &positions, &since, &limit]).await?;
        rows.iter().map(event_from_row).collect()
    }

    /// The last position of every partition, 0 where it is empty; the index is the partition.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn heads(&self, client: &impl GenericClient) -> Result<Vec<i64>, StoreError> {
        let statement = client.prepare_cached(include_str!("sql/heads.sql")).await?;
        let mut heads = vec![0; self.partitions() as usize];
        for row in client.query(&statement, &[]).await? {
            let partition: i32 = row.try_get("partition")?;
            if let Some(head) = heads.get_mut(partition.unsigned_abs() as usize) {
                *head = row.try_get("position")?;
            }
        }
        Ok(heads)
    }

    /// Id and time of the event at a position, if there is one.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn event_at(
        &self,
        client: &impl GenericClient,
        partition: i32,
        position: i64,
    ) -> Result<Option<(Uuid, Timestamp)>, StoreError> {
        let statement = client.prepare_cached(include_str!("sql/event_at.sql")).await?;
        let row = client.query_opt(&statement, &[&partition, &position]).await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }
}

fn event_from_row(row: &Row) -> Result<RecordedEvent<String>, StoreError> {
    let stream_id: &str = row.try_get(2)?;
    let metadata: &str = row.try_get(7)?;
    let metadata: Metadata =
        serde_json::from_str(metadata).map_err(|e| StoreError::Damaged(format!("metadata of {stream_id}: {e}")))?;
    Ok(RecordedEvent {
        partition: row.try_get(0)?,
        position: row.try_get(1)?,
        stream_id: stream_id.parse().map_err(|e| StoreError::Damaged(format!("events: {e}")))?,
        version: row.try_get(3)?,
        event_id: row.try_get(4)?,
        event_type: row.try_get(5)?,
        data: row.try_get(6)?,
        metadata,
        recorded_at: row.try_get(8)?,
    })
}
