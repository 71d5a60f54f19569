//! Looks at Postgres: how far the log is, and what each read model has applied.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::{Object, Pool};
use jiff::Timestamp;
use millrace_projector_runner::{Pause, checkpoints, paused};
use millrace_runtime::{Settings, postgres};
use millrace_schemas::LogName;
use millrace_store::{Halt, Log, StoreError};
use tokio::sync::OnceCell;

use crate::logs;
use crate::projector::{Generations, generations};

/// A look fails after this time: a server that hangs would not refuse the connection.
const ANSWER: Duration = Duration::from_secs(10);
/// One connection looks, while another may count commands.
const CONNECTIONS: usize = 2;

/// Looks at the log and the read models.
pub struct LogObserver {
    name: LogName,
    /// The names of the read models, which are also their Postgres schemas.
    read_models: Vec<&'static str>,
    pool: Pool,
    log: OnceCell<Log>,
}

/// The log and the read models at one moment.
pub struct LogLook {
    /// The last position of each partition; 0 for an empty one.
    pub heads: BTreeMap<i32, i64>,
    /// The partitions that the relay has halted.
    pub halts: Vec<Halt>,
    /// The last position that each read model has applied, by partition; absent before the first event.
    pub read_models: BTreeMap<&'static str, HashMap<i32, i64>>,
    /// The pause of each projector; `None` while it is not paused.
    pub pauses: BTreeMap<&'static str, Option<Pause>>,
    /// Bytes on disk by table, indexes included.
    pub sizes: BTreeMap<String, i64>,
    /// When the first event after each checkpoint was recorded, by partition and position.
    recorded_at: HashMap<(i32, i64), Timestamp>,
}

impl LogObserver {
    /// An observer of the log in the settings and its read models. Connects at the first look.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn new(settings: &Settings, read_models: Vec<&'static str>) -> anyhow::Result<Self> {
        let name: LogName = settings.log.parse()?;
        let pool = postgres::pool(settings.postgres_url()?, name.as_str(), CONNECTIONS)?;
        Ok(Self { name, read_models, pool, log: OnceCell::new() })
    }

    /// Looks at read models and log. `published` has the last position in the topic, by partition. Reads the heads
    /// last, so that no stage seems ahead of the log.
    ///
    /// # Errors
    /// When Postgres does not answer, or has no such log or read model.
    pub async fn look(&self, published: &BTreeMap<i32, i64>) -> anyhow::Result<LogLook> {
        let look = tokio::time::timeout(ANSWER, self.look_without_end(published)).await;
        look.with_context(|| format!("Postgres has not answered for {ANSWER:?}"))?
    }

    async fn look_without_end(&self, published: &BTreeMap<i32, i64>) -> anyhow::Result<LogLook> {
        let (client, log) = self.open().await?;
        let (mut read_models, mut pauses) = (BTreeMap::new(), BTreeMap::new());
        for name in &self.read_models {
            pauses.insert(*name, paused(&**client, name).await?);
            read_models.insert(*name, checkpoints(&**client, name, &self.name).await?);
        }
        let sizes = log.sizes(&client).await?;
        let halts = log.halts(&client).await?;
        let heads = log.positions(&client).await?;
        let missing = first_missing(&heads, read_models.values(), published);
        let recorded_at = if missing.is_empty() { HashMap::new() } else { log.recorded_at(&client, &missing).await? };
        Ok(LogLook { heads, halts, read_models, pauses, sizes, recorded_at })
    }

    /// How many commands have an outcome. Reads a whole table, so do not call it often.
    ///
    /// # Errors
    /// When Postgres does not answer, or has no such log.
    pub async fn command_count(&self) -> Result<i64, StoreError> {
        let (client, log) = self.open().await?;
        log.command_count(&client).await
    }

    /// The log's read models: those of the program's `kind` of log, and those in SQL.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn read_models(&self, kind: &logs::Log) -> anyhow::Result<Generations> {
        let client = self.pool.get().await?;
        tokio::time::timeout(ANSWER, generations(&client, kind, &self.name)).await?
    }

    /// Creates the tables of this month and the next, unless they exist.
    ///
    /// # Errors
    /// When Postgres refuses or does not answer, or has no such log.
    pub async fn make_months(&self) -> Result<(), StoreError> {
        let (client, log) = self.open().await?;
        log.make_months(&client).await
    }

    async fn open(&self) -> Result<(Object, &Log), StoreError> {
        let client = self.pool.get().await?;
        let log = self.log.get_or_try_init(|| Log::open(&client, self.name.clone())).await?;
        Ok((client, log))
    }
}

impl LogLook {
    /// When the event after a position was recorded; `None` unless the position is a stage's checkpoint.
    pub fn next_recorded_at(&self, partition: i32, position: i64) -> Option<Timestamp> {
        self.recorded_at.get(&(partition, position + 1)).copied()
    }
}

/// Partition and position of the first event that each stage lacks; no place twice.
fn first_missing<'a>(
    heads: &BTreeMap<i32, i64>,
    read_models: impl Iterator<Item = &'a HashMap<i32, i64>>,
    published: &BTreeMap<i32, i64>,
) -> Vec<(i32, i64)> {
    let applied: Vec<&HashMap<i32, i64>> = read_models.collect();
    let mut places = BTreeSet::new();
    for (partition, head) in heads {
        let at = applied.iter().map(|applied| applied.get(partition).copied().unwrap_or(0));
        let behind = at.chain(published.get(partition).copied()).filter(|position| position < head);
        places.extend(behind.map(|position| (*partition, position + 1)));
    }
    places.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_that_each_stage_lacks_is_asked_for_once() {
        let heads = BTreeMap::from([(0, 9), (1, 9), (2, 0)]);
        let read_models = [HashMap::from([(0, 4), (1, 9)]), HashMap::from([(0, 4)])];
        let published = BTreeMap::from([(0, 7), (1, 12)]);
        let missing = first_missing(&heads, read_models.iter(), &published);
        assert_eq!(missing, [(0, 5), (0, 8), (1, 1)]);
    }
}
