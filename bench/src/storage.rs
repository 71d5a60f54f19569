//! How much disk a log takes.

use deadpool_postgres::Client;
use millrace_store::Log;
use serde::Serialize;

/// Bytes on disk for each event and each command, indexes included.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Storage {
    /// Events that the log has.
    pub events: i64,
    /// Of its table of events.
    pub bytes_per_event: f64,
    /// Of its table of commands, which holds their outcomes.
    pub bytes_per_command: f64,
}

impl Storage {
    /// Measures a log.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn measure(log: &Log, client: &Client) -> anyhow::Result<Self> {
        let sizes = log.sizes(client).await?;
        let events = log.positions(client).await?.into_values().sum();
        let commands = log.command_count(client).await?;
        let each = |table: &str, count: i64| sizes.get(table).copied().unwrap_or(0) as f64 / count.max(1) as f64;
        Ok(Self { events, bytes_per_event: each("events", events), bytes_per_command: each("commands", commands) })
    }
}
