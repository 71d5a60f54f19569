//! A plain set-based upsert of as many account rows as a projector's batches have.

use std::collections::BTreeMap;
use std::time::Instant;

use deadpool_postgres::Pool;

use crate::work::Work;

/// Batches ready to be written.
pub struct Upserts {
    batches: Vec<Batch>,
    events: u64,
}

struct Batch {
    account_ids: Vec<String>,
    changes_minor: Vec<i64>,
    entries: Vec<i64>,
}

impl Upserts {
    /// Makes the table, with the accounts that `reporting` has, and batches for `events` events, each of which folds
    /// `batch` of them.
    pub async fn prepare(pool: &Pool, work: &mut Work, events: u64, batch: u64) -> anyhow::Result<Self> {
        pool.get().await?.batch_execute(include_str!("sql/create_balances.sql")).await?;
        let batches: Vec<Batch> = (0..events.div_ceil(batch)).map(|_| Batch::of(work, batch / 2)).collect();
        Ok(Self { events: batches.len() as u64 * batch, batches })
    }

    /// Writes them, each in a transaction of its own, on one connection; events a second.
    pub async fn write(&self, pool: &Pool) -> anyhow::Result<f64> {
        let client = pool.get().await?;
        // as a projector's connection has it
        client.batch_execute("SET synchronous_commit = off").await?;
        let statement = client.prepare_cached(include_str!("sql/upsert.sql")).await?;
        let started = Instant::now();
        for batch in &self.batches {
            client.execute(&statement, &[&batch.account_ids, &batch.changes_minor, &batch.entries]).await?;
        }
        Ok(self.events as f64 / started.elapsed().as_secs_f64())
    }
}

impl Batch {
    fn of(work: &mut Work, sets: u64) -> Self {
        let mut accounts: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for _ in 0..sets {
            for entry in work.next_set().command.entries {
                let (change, entries) = accounts.entry(entry.account_id).or_default();
                *change += entry.amount_minor;
                *entries += 1;
            }
        }
        Self {
            changes_minor: accounts.values().map(|(change, _)| *change).collect(),
            entries: accounts.values().map(|(_, entries)| *entries).collect(),
            account_ids: accounts.into_keys().collect(),
        }
    }
}
