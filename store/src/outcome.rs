//! Stored outcomes.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_schemas::{LogName, Outcome, StreamVersion, Token};
use tokio_postgres::Row;

use crate::{Log, StoreError};

impl Log {
    /// The outcome that a command id got, if it got one.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn outcome(&self, client: &impl GenericClient, command_id: &str) -> Result<Option<Outcome>, StoreError> {
        let statement = client.prepare_cached(include_str!("sql/outcome.sql")).await?;
        let row = client.query_opt(&statement, &[&command_id]).await?;
        row.map(|row| outcome_from_row(self.name(), command_id, &row)).transpose()
    }
}

impl Log {
    /// How many commands came to each outcome. Reads the whole inbox.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn outcome_counts(&self, client: &impl GenericClient) -> Result<BTreeMap<String, i64>, StoreError> {
        let rows = client.query(include_str!("sql/outcome_counts.sql"), &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

/// Reads the columns that `append.sql` and `outcome.sql` share.
pub(crate) fn outcome_from_row(log: &LogName, command_id: &str, row: &Row) -> Result<Outcome, StoreError> {
    let outcome: &str = row.try_get("outcome")?;
    let stream_ids: Vec<String> = row.try_get("outcome_stream_ids")?;
    let versions: Vec<i64> = row.try_get("outcome_versions")?;
    let partitions: Vec<i32> = row.try_get("outcome_partitions")?;
    let positions: Vec<i64> = row.try_get("outcome_positions")?;
    let recorded_at: Timestamp = row.try_get("recorded_at")?;
    let streams = stream_ids.into_iter().zip(versions);
    Ok(Outcome {
        command_id: command_id.to_owned(),
        command_type: row.try_get("type")?,
        outcome: outcome.parse().map_err(|e| StoreError::Damaged(format!("command {command_id}: {e}")))?,
        code: row.try_get("code")?,
        message: row.try_get("message")?,
        token: token(log, partitions.into_iter().zip(positions)),
        streams: streams.map(|(stream_id, version)| StreamVersion { stream_id, version }).collect(),
        recorded_at: recorded_at.as_microsecond(),
    })
}

/// One token per partition with events of the command, joined by commas. `places`: partitions, and the position of the
/// command's last event on a stream there, 0 for none.
pub(crate) fn token(log: &LogName, places: impl IntoIterator<Item = (i32, i64)>) -> Option<String> {
    let mut last = BTreeMap::new();
    for (partition, position) in places.into_iter().filter(|(_, position)| *position > 0) {
        let known = last.entry(partition).or_insert(0);
        *known = position.max(*known);
    }
    let tokens = last.into_iter().map(|(partition, position)| Token { log: log.clone(), partition, position });
    let tokens: Vec<String> = tokens.map(|token| token.to_string()).collect();
    (!tokens.is_empty()).then(|| tokens.join(","))
}
