//! Partitions that the relay has halted, since Postgres and the topic contradict each other. The log in Postgres says so;
//! a read model in another database can't see it.

use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::{Health, Trouble};
use millrace_schemas::LogName;
use millrace_store::{Halt, Log, StoreError};
use tokio_postgres::error::SqlState;

use crate::metrics;

/// Longest wait for Postgres' answer: it must not hold up the projector.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was seen of halted partitions.
#[derive(Default)]
pub(crate) struct Halts {
    log: Option<Log>,
    seen: Vec<Halt>,
    /// Held while a partition is halted.
    trouble: Option<Trouble>,
}

impl Halts {
    /// Looks again. While a partition is halted, the projector is not ready; it goes on with what the topic has.
    pub(crate) async fn look(&mut self, pool: &Pool, log: &LogName, projector: &str, health: &Health) {
        match tokio::time::timeout(PATIENCE, self.read(pool, log)).await {
            Ok(Ok(halts)) => self.show(halts, projector, health),
            // what was seen stays until Postgres says otherwise
            Ok(Err(error)) => tracing::debug!(%error, "not seen whether the relay has halted a partition"),
            Err(_) => tracing::debug!("Postgres does not say whether the relay has halted a partition"),
        }
    }

    async fn read(&mut self, pool: &Pool, name: &LogName) -> Result<Vec<Halt>, StoreError> {
        let client = pool.get().await?;
        let log = match self.log.take() {
            Some(log) => Ok(log),
            None => Log::open(&client, name.clone()).await,
        };
        let read = match log {
            Ok(log) => {
                let halts = log.halts(&client).await;
                self.log = Some(log);
                halts
            }
            Err(error) => Err(error),
        };
        read.or_else(|error| if is_elsewhere(&error) { Ok(Vec::new()) } else { Err(error) })
    }

    fn show(&mut self, halts: Vec<Halt>, projector: &str, health: &Health) {
        metrics::HALTED.with_label_values(&[projector]).set(i64::try_from(halts.len()).unwrap_or(i64::MAX));
        for halt in halts.iter().filter(|halt| !self.seen.contains(halt)) {
            let Halt { partition, position, reason, since } = halt;
            tracing::warn!(
                projector, partition, position, reason, %since,
                "the relay has halted this partition: read models may be wrong in what they show of it"
            );
        }
        if halts.is_empty() {
            self.trouble = None;
        } else {
            self.trouble.get_or_insert_with(|| health.trouble());
        }
        self.seen = halts;
    }
}

/// Whether the log is not in this database, or not for this role to see.
fn is_elsewhere(error: &StoreError) -> bool {
    let state = match error {
        StoreError::NoLog(_) => return true,
        StoreError::Postgres(error) => error.code(),
        _ => None,
    };
    let elsewhere = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME, SqlState::INSUFFICIENT_PRIVILEGE];
    state.is_some_and(|state| elsewhere.contains(state))
}
