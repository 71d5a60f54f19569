//! How far a writer has got in the partitions of the command topic.

use std::collections::HashMap;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{Offsets, Record};
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_store::{Log, StoreError};
use rdkafka::Message;

use crate::error::Ended;
use crate::starts::count_missing;

/// The writer's offsets, by partition.
#[derive(Default)]
pub struct Progress {
    /// The offset that should come next.
    expected: HashMap<i32, i64>,
    /// The offset that the last append has committed. If Postgres knows of less, it has lost commits.
    committed: HashMap<i32, i64>,
    /// Where records are missing: the offset that Postgres had as its next one. Kept until Kafka says how many are gone.
    gaps: HashMap<i32, i64>,
}

impl Progress {
    /// What the appends of this writer have committed.
    pub fn committed(&self) -> Vec<(i32, i64)> {
        self.committed.iter().map(|(partition, next)| (*partition, *next)).collect()
    }

    /// Takes over what an append has committed.
    pub fn commit(&mut self, next_offsets: &[(i32, i64)]) {
        self.committed.extend(next_offsets.iter().copied());
    }

    /// Counts commands that retention has deleted ahead of the reading: Kafka then goes on with the first record that
    /// it still has, and reports nothing. Call it before these records are committed: afterwards nobody can tell any
    /// more.
    ///
    /// # Errors
    /// When the process shuts down, or Postgres gives an error that does not pass.
    pub async fn count_gaps(
        &mut self,
        records: &[Record],
        (pool, log, offsets): (&Pool, &Log, &Offsets),
        health: &Health,
        shutdown: &Shutdown,
    ) -> Result<(), Ended> {
        let mut late = Vec::new();
        for record in records {
            let (partition, offset) = (record.message.partition(), record.message.offset());
            // The first record of a partition may come late too: commands were deleted between assignment and fetch.
            if offset > self.expected.insert(partition, offset + 1).unwrap_or(0) {
                late.push(partition);
            }
        }
        if !late.is_empty() {
            let read = async || log.command_offsets(&pool.get().await?).await;
            let stored = retry(health, shutdown, "read the command offsets", StoreError::is_transient, read).await;
            let stored = stored.map_err(Stopped::into_other)?;
            for partition in late {
                self.gaps.entry(partition).or_insert(stored.get(&partition).copied().unwrap_or(0));
            }
        }
        for (partition, next) in std::mem::take(&mut self.gaps) {
            health.beat();
            if let Err(error) = count_missing(offsets, partition, next).await {
                tracing::warn!(partition, %error, "offsets are missing; Kafka does not say whether commands are");
                self.gaps.insert(partition, next);
            }
        }
        Ok(())
    }
}
