//! How far each stage of the pipeline has got.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deadpool_postgres::Pool;
use millrace::TopicEnds;
use millrace_projector_runner::checkpoints;
use millrace_runtime::kafka::client_config;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, OutcomeKind};
use millrace_store::Log;

/// Where every stage stands. Commands are counted up to the writer, events from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Commands that Kafka has.
    pub produced: u64,
    /// Commands that have an outcome.
    pub decided: u64,
    /// Events in Postgres.
    pub committed: u64,
    /// Events in the topic.
    pub published: u64,
    /// Events that `reporting` has applied.
    pub reporting: u64,
    /// Events that `search` has applied.
    pub search: u64,
}

impl Standing {
    /// Whether every one of `commands` is decided, and every event of them applied by `reporting`.
    pub fn reporting_has_all(&self, commands: u64) -> bool {
        self.decided == commands && self.reporting == self.committed
    }

    /// Whether nothing is left to do for `commands`.
    pub fn is_complete(&self, commands: u64) -> bool {
        self.reporting_has_all(commands) && self.published == self.committed && self.search == self.committed
    }
}

/// Looks at the stages from outside.
pub struct Observer {
    log: Log,
    pool: Pool,
    ends: TopicEnds,
    produced: Arc<AtomicU64>,
}

impl Observer {
    /// Observes the log of the settings; whoever produces counts in `produced`.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn new(settings: &Settings, produced: Arc<AtomicU64>) -> anyhow::Result<Self> {
        let name: LogName = settings.log.parse()?;
        let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
        let log = Log::open(&postgres::connect(&pool, settings.postgres_url()?).await?, name.clone()).await?;
        let ends = TopicEnds::of(&client_config(settings)?, name.events_topic()).await?;
        Ok(Self { log, pool, ends, produced })
    }

    /// Where every stage stands now, the last stage looked at first, so that none seems ahead of the one before it.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn look(&self) -> anyhow::Result<Standing> {
        let client = self.pool.get().await?;
        let search = sum(checkpoints(&**client, "search", self.log.name()).await?.into_values());
        let reporting = sum(checkpoints(&**client, "reporting", self.log.name()).await?.into_values());
        let published = sum(self.ends.get().await?);
        let committed = sum(self.log.positions(&client).await?.into_values());
        let decided = self.log.command_count(&client).await?.unsigned_abs();
        let produced = self.produced.load(Ordering::Relaxed);
        Ok(Standing { produced, decided, committed, published, reporting, search })
    }

    /// How many commands came to each outcome. Reads all of them.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn outcomes(&self) -> anyhow::Result<HashMap<OutcomeKind, i64>> {
        Ok(self.log.outcome_counts(&self.pool.get().await?).await?)
    }
}

fn sum(counts: impl IntoIterator<Item = i64>) -> u64 {
    counts.into_iter().map(i64::unsigned_abs).sum()
}
