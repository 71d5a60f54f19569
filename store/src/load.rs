//! Loads streams from their events.

use std::collections::HashMap;
use std::pin::pin;

use deadpool_postgres::GenericClient;
use futures::TryStreamExt;
use millrace_schemas::{RecordSchema, StreamId};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::{Log, StoreError};

/// The part of an event that a fold over its stream needs.
#[derive(Debug)]
pub struct LoadedEvent<'r> {
    /// The index of the event's stream in the request.
    pub stream: usize,
    /// The place in the stream, from 1.
    pub version: i64,
    /// Its position in the stream's partition.
    pub position: i64,
    /// The schema that the datum is encoded with.
    pub schema: &'static RecordSchema,
    /// The Avro datum, without a frame.
    pub datum: &'r [u8],
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastEvent {
    /// The version of its last event.
    pub version: i64,
    /// The position of that event in the stream's partition.
    pub position: i64,
}

impl Log {
    /// The last event of each of these streams; those that do not exist are missing. Reads one event of each.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn last_events(
        &self,
        client: &impl GenericClient,
        streams: &[StreamId],
    ) -> Result<HashMap<StreamId, LastEvent>, StoreError> {
        let ids: Vec<&str> = streams.iter().map(StreamId::as_str).collect();
        let statement = client.prepare_cached(&self.sql(include_str!("sql/versions.sql"))).await?;
        let mut found = HashMap::new();
        for row in client.query(&statement, &[&ids]).await? {
            let id: &str = row.try_get(0)?;
            let stream = id.parse().map_err(|error| StoreError::Damaged(format!("{error}")))?;
            found.insert(stream, LastEvent { version: row.try_get(1)?, position: row.try_get(2)? });
        }
        Ok(found)
    }

    /// Calls `fold` for every event of `streams` after the version given with each stream. Inside a stream, events come
    /// in order of version. One round trip; holds no whole stream in memory.
    ///
    /// # Errors
    /// When Postgres does not answer, a stream has a hole, or `fold` fails.
    pub async fn load(
        &self,
        client: &impl GenericClient,
        streams: &[(StreamId, i64)],
        mut fold: impl FnMut(LoadedEvent<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let ids: Vec<&str> = streams.iter().map(|(id, _)| id.as_str()).collect();
        let mut versions: Vec<i64> = streams.iter().map(|(_, version)| *version).collect();
        let after = versions.clone();
        let index: HashMap<&str, usize> = ids.iter().enumerate().map(|(index, id)| (*id, index)).collect();
        let statement = client.prepare_cached(&self.sql(include_str!("sql/load.sql"))).await?;
        let parameters: [&(dyn ToSql + Sync); 2] = [&ids, &after];
        let mut rows = pin!(client.query_raw(&statement, parameters).await?);
        let mut take = |row: &Row, schema| {
            let id: &str = row.try_get(0)?;
            let version: i64 = row.try_get(1)?;
            let stream = *index.get(id).ok_or_else(|| StoreError::Damaged(format!("stream {id} was not asked for")))?;
            if version != versions[stream] + 1 {
                let before = versions[stream];
                return Err(StoreError::Damaged(format!("stream {id} goes from version {before} to {version}")));
            }
            versions[stream] = version;
            fold(LoadedEvent { stream, version, position: row.try_get(4)?, schema, datum: row.try_get(3)? })
        };
        while let Some(row) = rows.try_next().await? {
            if let Some(schema) = self.known_schema(row.try_get(2)?) {
                take(&row, schema)?;
                continue;
            }
            // a newer writer's schema: it can be looked up only when nothing more comes in on this connection
            let mut rest = vec![row];
            while let Some(row) = rows.try_next().await? {
                rest.push(row);
            }
            for row in &rest {
                take(row, self.schema(client, row.try_get(2)?).await?)?;
            }
        }
        Ok(())
    }
}
