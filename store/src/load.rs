//! Loading streams.

use std::collections::HashMap;
use std::pin::pin;

use deadpool_postgres::GenericClient;
use futures::TryStreamExt;
use millrace_schemas::StreamId;
use tokio_postgres::types::ToSql;

use crate::StoreError;

/// An event as far as folding a stream's state needs it.
#[derive(Debug)]
pub struct LoadedEvent<'r> {
    /// Index of the stream in the request.
    pub stream: usize,
    /// Its version in the stream.
    pub version: i64,
    /// The record's name.
    pub event_type: &'r str,
    /// The event's fields, as JSON text.
    pub data: &'r str,
}

/// Hands every event of `streams` after the version given with each to `fold`, in order of version inside a stream.
/// One round trip; a long stream passes through without being held in memory.
///
/// # Errors
/// When Postgres does not answer, a stream has a hole, or `fold` fails.
pub async fn load(
    client: &impl GenericClient,
    streams: &[(StreamId, i64)],
    mut fold: impl FnMut(LoadedEvent<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let ids: Vec<&str> = streams.iter().map(|(id, _)| id.as_str()).collect();
    let mut versions: Vec<i64> = streams.iter().map(|(_, version)| *version).collect();
    let after = versions.clone();
    let index: HashMap<&str, usize> = ids.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let statement = client.prepare_cached(include_str!("sql/load.sql")).await?;
    let parameters: [&(dyn ToSql + Sync); 2] = [&ids, &after];
    let mut rows = pin!(client.query_raw(&statement, parameters).await?);
    while let Some(row) = rows.try_next().await? {
        let id: &str = row.try_get(0)?;
        let version: i64 = row.try_get(1)?;
        let stream = *index.get(id).ok_or_else(|| StoreError::Damaged(format!("stream {id} was not asked for")))?;
        if version != versions[stream] + 1 {
            let before = versions[stream];
            return Err(StoreError::Damaged(format!("stream {id} goes from version {before} to {version}")));
        }
        versions[stream] = version;
        fold(LoadedEvent { stream, version, event_type: row.try_get(2)?, data: row.try_get(3)? })?;
    }
    Ok(())
}
