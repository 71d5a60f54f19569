//! What Postgres says: how far the log has got, and what each read model has applied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::{Object, Pool};
use jiff::Timestamp;
use millrace_projectors::checkpoints;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::LogName;
use millrace_store::{Cursor, Log};
use tokio::sync::OnceCell;

/// A look that takes longer has failed: a server that hangs refuses nothing.
const ANSWER: Duration = Duration::from_secs(10);
/// One looks; the other may count commands meanwhile.
const CONNECTIONS: usize = 2;

/// Looks at the log and the read models.
pub struct LogObserver {
    name: LogName,
    pool: Pool,
    log: OnceCell<Log>,
}

/// Where log and read models stood.
pub struct LogLook {
    /// The last position of each partition.
    pub heads: Vec<i64>,
    /// What each read model has applied last, by partition; absent: nothing.
    pub read_models: BTreeMap<&'static str, HashMap<i32, i64>>,
    /// Bytes by table.
    pub sizes: BTreeMap<String, i64>,
    /// When events were recorded, by partition and position: those that come after a checkpoint.
    recorded_at: HashMap<(i32, i64), Timestamp>,
}

impl LogObserver {
    /// Of the log of the settings. Connects when it looks.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let name: LogName = settings.log.parse()?;
        let pool = postgres::pool(settings.postgres_url()?, name.as_str(), CONNECTIONS)?;
        Ok(Self { name, pool, log: OnceCell::new() })
    }

    /// Looks. `published` is what the topic was seen to hold, by partition. The heads come last, so that nobody seems
    /// ahead of the log.
    ///
    /// # Errors
    /// When Postgres does not answer, or has no such log or read model.
    pub async fn look(&self, published: &BTreeMap<i32, i64>) -> anyhow::Result<LogLook> {
        let look = tokio::time::timeout(ANSWER, self.look_without_end(published)).await;
        look.with_context(|| format!("Postgres has not answered for {ANSWER:?}"))?
    }

    async fn look_without_end(&self, published: &BTreeMap<i32, i64>) -> anyhow::Result<LogLook> {
        let (client, log) = self.open().await?;
        let mut read_models = BTreeMap::new();
        for name in millrace_projectors::names() {
            read_models.insert(name, checkpoints(&**client, name, &self.name).await?);
        }
        let sizes = log.sizes(&client).await?;
        let heads = log.heads(&client).await?;
        let missing = first_missing(&heads, read_models.values(), published);
        let events = if missing.is_empty() { Vec::new() } else { log.read(&client, &missing, 1).await? };
        let recorded_at = events.iter().map(|event| ((event.partition, event.position), event.recorded_at)).collect();
        Ok(LogLook { heads, read_models, sizes, recorded_at })
    }

    /// How many commands came to each outcome. Reads the whole inbox: seldom.
    ///
    /// # Errors
    /// As [`LogObserver::look`].
    pub async fn commands(&self) -> anyhow::Result<BTreeMap<String, i64>> {
        let (client, log) = self.open().await?;
        Ok(log.outcome_counts(&client).await?)
    }

    async fn open(&self) -> anyhow::Result<(Object, &Log)> {
        let client = self.pool.get().await.context("Postgres does not answer")?;
        let log = self.log.get_or_try_init(|| Log::open(&client, self.name.clone())).await?;
        Ok((client, log))
    }
}

impl LogLook {
    /// When the event after a position was recorded, if it was asked for.
    pub fn next_recorded_at(&self, partition: i32, position: i64) -> Option<Timestamp> {
        self.recorded_at.get(&(partition, position + 1)).copied()
    }
}

/// Where to look for the first event that somebody lacks; each place once.
fn first_missing<'a>(
    heads: &[i64],
    read_models: impl Iterator<Item = &'a HashMap<i32, i64>>,
    published: &BTreeMap<i32, i64>,
) -> Vec<Cursor> {
    let applied: Vec<&HashMap<i32, i64>> = read_models.collect();
    let mut places = HashSet::new();
    for (partition, head) in (0..).zip(heads) {
        let at = applied.iter().map(|applied| applied.get(&partition).copied().unwrap_or(0));
        let behind = at.chain(published.get(&partition).copied()).filter(|position| position < head);
        places.extend(behind.map(|position| (partition, position)));
    }
    places.into_iter().map(|(partition, position)| Cursor { position, ..Cursor::start(partition) }).collect()
}
