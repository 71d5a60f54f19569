//! Rows of events, as arrays and as text.

use std::fmt::Write;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use millrace_schemas::LogName;
use millrace_store::AppendBatch;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// The rows of one transaction. Columns that the benchmark's events leave empty are left out.
#[derive(Debug, Default)]
pub struct Rows {
    partitions: Vec<i32>,
    positions: Vec<i64>,
    stream_ids: Vec<String>,
    versions: Vec<i64>,
    event_ids: Vec<Uuid>,
    schemas: Vec<i16>,
    data: Vec<Vec<u8>>,
    correlation_ids: Vec<Option<String>>,
    causation_ids: Vec<Option<String>>,
    sources: Vec<Option<String>>,
}

/// Makes the tables that [`Rows`] go into, like the log's.
pub async fn create_tables(pool: &Pool, log: &LogName) -> anyhow::Result<()> {
    let sql = include_str!("sql/create_tables.sql").replace(":log", &format!("\"{log}\""));
    Ok(pool.get().await?.batch_execute(&sql).await?)
}

impl Rows {
    /// The rows that a batch's events become.
    pub fn of_batch(batch: &AppendBatch) -> Self {
        let mut rows = Self::default();
        for event in &batch.events {
            rows.partitions.push(event.partition);
            rows.positions.push(event.position);
            rows.stream_ids.push(event.stream_id.to_string());
            rows.versions.push(event.version);
            rows.event_ids.push(event.event_id);
            rows.schemas.push(event.schema);
            rows.data.push(event.datum.clone());
            rows.correlation_ids.push(event.metadata.correlation_id.clone());
            rows.causation_ids.push(event.metadata.causation_id.clone());
            rows.sources.push(event.metadata.source.clone());
        }
        rows
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// As the parameters of `insert.sql`.
    pub fn parameters(&self) -> [&(dyn ToSql + Sync); 10] {
        [
            &self.partitions,
            &self.positions,
            &self.stream_ids,
            &self.versions,
            &self.event_ids,
            &self.schemas,
            &self.data,
            &self.correlation_ids,
            &self.causation_ids,
            &self.sources,
        ]
    }

    /// As lines for `COPY` in its text format, recorded now; `copy.rs` names the columns.
    pub fn text(&self) -> Vec<u8> {
        let recorded_at = Timestamp::now();
        let mut text = String::with_capacity(self.len() * 600);
        for i in 0..self.len() {
            // writing to a String can't fail
            let _ = write!(
                text,
                "{}\t{}\t{recorded_at}\t{}\t{}\t{}\t{}\t\\\\x",
                self.positions[i],
                self.versions[i],
                self.event_ids[i],
                self.partitions[i],
                self.schemas[i],
                self.stream_ids[i],
            );
            self.data[i].iter().for_each(|byte| {
                let _ = write!(text, "{byte:02x}");
            });
            for column in [&self.correlation_ids, &self.causation_ids, &self.sources] {
                let _ = write!(text, "\t{}", column[i].as_deref().unwrap_or("\\N"));
            }
            text.push('\n');
        }
        text.into_bytes()
    }
}
