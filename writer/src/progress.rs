//! How far a writer has got in the partitions of the command topic.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{Offsets, Record};
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_store::{Log, StoreError};
use rdkafka::Message;

use crate::error::Ended;
use crate::starts::count_missing;

/// The offsets that Postgres is known to have as its next ones, by partition of the command topic. If it has less later,
/// it has lost commits. Copies share them.
///
/// They come from the assignment of a partition, and from each append after it. Those of the assignment count too: a
/// writer that has appended nothing yet would else skip the commands between a restored copy's offset and its own.
#[derive(Debug, Clone, Default)]
pub struct KnownOffsets(Arc<Mutex<HashMap<i32, i64>>>);

impl KnownOffsets {
    /// Notes what Postgres has at the assignment of a partition. It may be less than before: the topic was made anew.
    pub fn assigned(&self, partition: i32, next: i64) {
        self.lock().insert(partition, next);
    }

    /// Notes what an append has committed. Where Postgres had more, it keeps that.
    fn appended(&self, next_offsets: &[(i32, i64)]) {
        let mut known = self.lock();
        for &(partition, next) in next_offsets {
            known.entry(partition).and_modify(|known| *known = next.max(*known)).or_insert(next);
        }
    }

    fn all(&self) -> Vec<(i32, i64)> {
        self.lock().iter().map(|(partition, next)| (*partition, *next)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, i64>> {
        // each change is a single insertion, so a panic in between leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's offsets, by partition.
#[derive(Default)]
pub struct Progress {
    /// The offset that should come next.
    expected: HashMap<i32, i64>,
    known: KnownOffsets,
    /// Where records are missing: the offset that Postgres had as its next one. Kept until Kafka says how many are gone.
    gaps: HashMap<i32, i64>,
}

impl Progress {
    /// Nothing is read yet. `known` is what the assignments fill.
    pub fn new(known: KnownOffsets) -> Self {
        Self { known, ..Self::default() }
    }

    /// What Postgres had when this writer saw it last.
    pub fn known(&self) -> Vec<(i32, i64)> {
        self.known.all()
    }

    /// Takes over what an append has committed.
    pub fn commit(&mut self, next_offsets: &[(i32, i64)]) {
        self.known.appended(next_offsets);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_that_repeats_commands_hides_no_offset_that_postgres_had_at_the_assignment() {
        let known = KnownOffsets::default();
        let mut progress = Progress::new(known.clone());
        known.assigned(3, 100);
        // Kafka's offset was behind: commands are read again whose outcomes were not sent
        progress.commit(&[(3, 97), (1, 5)]);
        let sorted = |progress: &Progress| {
            let mut known = progress.known();
            known.sort_unstable();
            known
        };
        assert_eq!(sorted(&progress), [(1, 5), (3, 100)]);
        progress.commit(&[(3, 104)]);
        assert_eq!(sorted(&progress), [(1, 5), (3, 104)]);
        known.assigned(3, 2);
        assert_eq!(sorted(&progress), [(1, 5), (3, 2)], "its topic was made anew");
    }
}
