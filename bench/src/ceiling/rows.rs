//! Rows of events, as arrays and as text.

use std::fmt::Write;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use millrace_schemas::RecordedEvent;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// The rows of one transaction.
#[derive(Debug, Default)]
pub struct Rows {
    partitions: Vec<i32>,
    positions: Vec<i64>,
    stream_ids: Vec<String>,
    versions: Vec<i64>,
    event_ids: Vec<Uuid>,
    types: Vec<String>,
    data: Vec<String>,
    metadata: Vec<String>,
    recorded_at: Vec<Timestamp>,
}

/// Makes the tables that [`Rows`] go into.
pub async fn create_tables(pool: &Pool) -> anyhow::Result<()> {
    Ok(pool.get().await?.batch_execute(include_str!("sql/create_tables.sql")).await?)
}

impl Rows {
    /// The rows of events that were read from the log.
    pub fn of(events: &[RecordedEvent<String>]) -> anyhow::Result<Self> {
        let mut rows = Self::default();
        for event in events {
            rows.partitions.push(event.partition);
            rows.positions.push(event.position);
            rows.stream_ids.push(event.stream_id.to_string());
            rows.versions.push(event.version);
            rows.event_ids.push(event.event_id);
            rows.types.push(event.event_type.clone());
            rows.data.push(event.data.clone());
            rows.metadata.push(serde_json::to_string(&event.metadata)?);
            rows.recorded_at.push(event.recorded_at);
        }
        Ok(rows)
    }

    /// As the parameters of `insert.sql`.
    pub fn parameters(&self) -> [&(dyn ToSql + Sync); 9] {
        [
            &self.partitions,
            &self.positions,
            &self.stream_ids,
            &self.versions,
            &self.event_ids,
            &self.types,
            &self.data,
            &self.metadata,
            &self.recorded_at,
        ]
    }

    /// As lines for COPY in its text format.
    pub fn text(&self) -> Vec<u8> {
        let mut text = String::with_capacity(self.positions.len() * 600);
        for i in 0..self.positions.len() {
            let (data, metadata) = (escaped(&self.data[i]), escaped(&self.metadata[i]));
            // writing to a String can't fail
            let _ = writeln!(
                text,
                "{}\t{}\t{}\t{}\t{}\t{}\t1\t{data}\t{metadata}\t{}",
                self.partitions[i],
                self.positions[i],
                self.stream_ids[i],
                self.versions[i],
                self.event_ids[i],
                self.types[i],
                self.recorded_at[i]
            );
        }
        text.into_bytes()
    }
}

/// JSON text has no tab and no line break of its own; a backslash is COPY's escape.
fn escaped(json: &str) -> String {
    json.replace('\\', "\\\\")
}
